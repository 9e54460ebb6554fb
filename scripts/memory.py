"""Whether memory grows with the clip: the slope of the resident size over a long dream.

python scripts/memory.py [--frames 2000] [--size 320x180] [--guide mini] [--ahead 1]

Makes a clip, dreams it one step a frame with a guide or, where none is named, a stand-in for one,
through the reader, the loop, which reads a frame ahead, and the writer, and fits a line through
the resident size from frame 200 on. Tells the largest resident size, too. Linux only.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from dreamvid.config import VideoConfig
from dreamvid.dream.objective import Objective
from dreamvid.film.sequence import constant_settings, dream_frames
from dreamvid.guide.loading import load_clip
from dreamvid.guide.objective import create_objective
from dreamvid.media.probing import VideoInfo
from dreamvid.media.reader import VideoReader
from dreamvid.media.tracks import SoundSource
from dreamvid.media.writer import VideoWriter
from dreamvid.motion.flow import create_flow
from dreamvid.motion.shots import create_cut_detector
from dreamvid.types import Frame

CPU = torch.device("cpu")
FIRST = 200
RATE = 25


class Brighter:
    """An objective that wants white; stands in for a guide."""

    size = 32
    compares = False

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        return (1 - cutouts).square().mean()


def main() -> None:
    """Make, dream, measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--guide")
    parser.add_argument("--ahead", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    width, height = (int(side) for side in arguments.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.mp4"
        make(source, arguments.frames, width, height)
        sizes = dream(source, Path(folder) / "dream.mp4", arguments.guide, arguments.ahead)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{len(sizes)} frames of {width}x{height}: {peak:.0f} MB resident at most")
    if len(sizes) > FIRST + 1:
        slope = fit(list(range(FIRST, len(sizes))), sizes[FIRST:])
        print(
            f"{sizes[FIRST] / 1e6:.1f} MB at frame {FIRST}, {sizes[-1] / 1e6:.1f} MB at the end; "
            f"slope {slope / 1e3:.3f} kB a frame"
        )


def make(path: Path, frames: int, width: int, height: int) -> None:
    """A clip of drifting waves."""
    info = VideoInfo(width, height, rate=Fraction(RATE), time_base=Fraction(1, RATE))
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    with VideoWriter(path, info, VideoConfig(crf=23)) as writer:
        for index in range(frames):
            waves = [torch.sin(0.05 * (x + 2 * index) + c) * torch.cos(0.04 * y) for c in range(3)]
            writer.write(Frame(0.5 + 0.4 * torch.stack(waves), Fraction(index, RATE)))


def dream(source: Path, out: Path, guide: str | None, ahead: int) -> list[float]:
    """The resident size in bytes after each frame."""
    config = VideoConfig(prompt=["a coral reef"], steps=1, first_steps=1, octaves=1, catch_up=0)
    objective: Objective = Brighter()
    if guide is None:
        config = config.model_copy(update={"cutouts": 2})
    else:
        objective = create_objective(load_clip(guide, CPU), config)
    sizes: list[float] = []
    sound = SoundSource(source)
    with (
        VideoReader(source) as reader,
        VideoWriter(out, reader.info, config, sound=sound) as writer,
    ):
        for dreamed in dream_frames(
            reader,
            constant_settings([objective], config),
            flow=create_flow(config.flow, CPU, calm=True),
            is_cut=create_cut_detector(config.cut_threshold),
            ahead=ahead,
        ):
            writer.write(dreamed.frame)
            sizes.append(resident())
    sound.close()
    return sizes


def resident() -> float:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


def fit(xs: list[int], ys: list[float]) -> float:
    """Slope of the least-squares line."""
    x, y = torch.tensor(xs, dtype=torch.float64), torch.tensor(ys, dtype=torch.float64)
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / (x * x).sum())


if __name__ == "__main__":
    main()
