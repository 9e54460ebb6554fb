"""What only a card can tell: whether its dreams are right, how fast they are, what they take.

    python scripts/gpu.py [--device cuda] [--out FOLDER] [--guides mini ViT-B-32 ViT-L-14]
        [--sizes 640x360 1280x720 1920x1080] [--frames 12] [--steps 6] [--cutouts 16]

First pictures and dreams are compared with the CPU's: pictures that were decoded, converted and
brought back there, cutouts to 1e-5, a dream by a smooth guide in float32 to 1e-4, the gain by the
tests' judge to 2 %. Then steps replayed as a graph with steps taken one by one, a pass that does
not fit the memory with one that does, and a film that is read ahead on a stream of its own with
one that is read in turn. Then frames a second and memory for each guide and size, with and without
graphs. FOLDER gets `gpu.md`, a block of Markdown to
paste, and `trace.json`, a profile of one frame. The exit status is 1 where a comparison fails.
"""

from __future__ import annotations

import argparse
import copy
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from dreamvid.device import torch_environment

os.environ.update(torch_environment())  # as the command line does

import torch
from ablation import JUDGE, SAMPLE
from bench import PROMPTS, objective_of
from torch import Tensor

from dreamvid.config import DreamConfig, VideoConfig
from dreamvid.dream.cutouts import crop, draw_windows
from dreamvid.dream.descent import descend, frame_generator
from dreamvid.dream.objective import Objective
from dreamvid.dream.step_graph import StepGraphs, step_graphs
from dreamvid.film.sequence import constant_settings, dream_frames
from dreamvid.guide.loading import load_clip
from dreamvid.guide.microbatch import Microbatches, MicrobatchSize
from dreamvid.guide.objective import ClipObjective, create_objective
from dreamvid.media.colour import ColourTags, Converter
from dreamvid.media.hardware import card_decoder
from dreamvid.media.reader import VideoReader
from dreamvid.motion.flow import create_flow
from dreamvid.types import Frame

CPU = torch.device("cpu")
FORMATS = ("yuv444p", "yuv444p10le", "rgb24")
SMOOTH = "ViT-B-32"
"""A guide without ReLUs, which make rounding errors grow."""


@dataclass(frozen=True)
class Check:
    """One comparison."""

    name: str
    found: float
    most: float
    """The largest value at which the comparison holds."""

    @property
    def holds(self) -> bool:
        return self.found <= self.most

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "FAILS"
        return f"| {self.name} | {self.found:.2g} | {self.most:g} | {verdict} |"


@dataclass(frozen=True)
class Speed:
    """How fast one guide dreams at one size."""

    guide: str
    size: str
    steps_s: float
    """Seconds of a frame's steps, replayed as graphs where the device has them."""
    plain_steps_s: float
    """Seconds of the same steps, taken one by one."""
    frames_a_second: float
    """Frames a second of the loop over time: flow, warm start and steps."""
    megabytes: float
    """The device's memory at its height; 0 on the CPU."""

    def __str__(self) -> str:
        return (
            f"| {self.guide} | {self.size} | {1e3 * self.steps_s:.1f} "
            f"| {1e3 * self.plain_steps_s:.1f} | {self.frames_a_second:.2f} "
            f"| {self.megabytes:.0f} |"
        )


def main() -> None:
    """Compare, measure, and write the block."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path("out/gpu"))
    parser.add_argument("--guides", nargs="+", default=["mini", "ViT-B-32", "ViT-L-14"])
    parser.add_argument("--sizes", nargs="+", default=["640x360", "1280x720", "1920x1080"])
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--cutouts", type=int, default=16)
    parser.add_argument("--smooth", default=SMOOTH, help="the guide that is compared in float32")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    config = VideoConfig(prompt=["a coral reef"], steps=arguments.steps, cutouts=arguments.cutouts)
    arguments.out.mkdir(parents=True, exist_ok=True)
    frames = read_frames(arguments.sizes[0], 4, CPU)
    # Small steps: the larger they are, the more a guide's corners make of rounding errors.
    gentle = config.model_copy(update={"lr": 0.01})
    checks = list(compare(frames, gentle, device, arguments.smooth))
    speeds = []
    for guide in arguments.guides:
        for size in arguments.sizes:
            speeds.append(measure(guide, size, arguments.frames, config, device))
            print(speeds[-1], file=sys.stderr, flush=True)
    trace(frames[0], config, device, arguments.out / "trace.json")
    block = "\n".join(markdown(checks, speeds, device, config))
    (arguments.out / "gpu.md").write_text(block + "\n")
    print(block)
    sys.exit(not all(check.holds for check in checks))


def read_frames(size: str, count: int, device: torch.device) -> list[Frame]:
    """The first frames of the sample at a size."""
    with VideoReader(SAMPLE, size=size, device=device) as reader:
        return list(islice(reader, count))


# Is it right?


def compare(
    frames: Sequence[Frame], config: VideoConfig, device: torch.device, smooth: str
) -> Iterator[Check]:
    """All comparisons with the CPU, and of one way with another on the device."""
    torch.backends.cudnn.allow_tf32 = False  # of float32 guides; products are exact by default
    decoder = "the host" if card_decoder(SAMPLE, device) is None else "the card"
    yield Check(f"pictures that {decoder} decodes otherwise", decoded_otherwise(device), 0)
    yield Check("pictures converted there, largest difference", read_apart(frames[0], device), 1e-6)
    yield Check(
        "pictures brought back, share of values that differ", share_changed(frames[0], device), 1e-3
    )
    yield Check("cutouts, values and gradient, float32", cutouts_apart(frames[0], device), 1e-5)
    torch.manual_seed(0)
    on_cpu = objective_of(smooth, CPU, "float32")
    there = moved(on_cpu, device)
    plain = dream(frames, [on_cpu], config, CPU)
    yield Check(
        f"{smooth}, float32, RMS", apart(plain, dream(frames, [there], config, device)), 1e-4
    )
    mini = [
        objective_of("mini", where, name) for where, name in ((CPU, "float32"), (device, "auto"))
    ]
    dreams = [
        dream(frames, [each], config, where)
        for each, where in zip(mini, (CPU, device), strict=True)
    ]
    gains = [judge_gain(frames[-1].image, each[-1]) for each in dreams]
    yield Check("judge's gain, mini, relative", abs(gains[1] / gains[0] - 1), 0.02)
    graphs = step_graphs(device)
    one_by_one = dream(frames, [there], config, device)
    replayed = dream(frames, [there], config, device, graphs)
    yield Check("graphs against none, RMS", apart(one_by_one, replayed), 1e-4)
    yield Check(
        "out of memory against none, RMS",
        apart(one_by_one, cramped(frames, there, config, device)),
        1e-4,
    )
    films = []
    for ahead in (0, 1):
        with VideoReader(SAMPLE, size=size_of(frames[0]), device=device) as reader:
            read = islice(reader, len(frames))
            films.append(dream_film(read, there, config, device, graphs, ahead))
    yield Check("read ahead against in turn, RMS", apart(*films), 1e-4)


def size_of(frame: Frame) -> str:
    """WIDTHxHEIGHT of a frame."""
    height, width = frame.image.shape[1:]
    return f"{width}x{height}"


def decoded_otherwise(device: torch.device, count: int = 24) -> int:
    """Number of the sample's first pictures that are decoded otherwise for a device."""
    marks = []
    for where in (CPU, device):
        with VideoReader(SAMPLE, device=where) as reader:
            marks.append([reader.mark for _ in islice(reader, count)])
    return sum(one != other for one, other in zip(*marks, strict=True))


def read_apart(frame: Frame, device: torch.device) -> float:
    """Largest difference of a picture's tensor from the CPU's, in any of several formats."""
    found = []
    for form in FORMATS:
        picture = Converter("h264").to_frame(frame.image, form, ColourTags())
        one, other = (
            Converter("h264", device=where).to_tensor(picture).cpu() for where in (CPU, device)
        )
        found.append(float((one - other).abs().max()))
    return max(found)


def share_changed(frame: Frame, device: torch.device) -> float:
    """Largest share, in any of several formats, of a delivered picture's values that differ."""
    found, converter = [], Converter("h264")
    for form in FORMATS:
        one, other = (
            converter.to_tensor(converter.to_frame(frame.image.to(where), form, ColourTags()))
            for where in (CPU, device)
        )
        found.append(float((one != other).float().mean()))
    return max(found)


def cutouts_apart(frame: Frame, device: torch.device) -> float:
    """Largest difference of cutouts, or of a gradient of unit RMS, from the CPU's."""
    size = frame.image.shape[1], frame.image.shape[2]
    windows = draw_windows(DreamConfig(), 1, size, frame_generator(0, 0))[0]
    pull = torch.randn(len(windows), 3, 64, 64, generator=frame_generator(0, 1))
    found = []
    for where in (CPU, device):
        image = frame.image.detach().to(where, copy=True).requires_grad_()
        shown = crop(image, windows.to(where), 64)
        (gradient,) = torch.autograd.grad((shown * pull.to(where)).mean(), image)
        gradient = gradient / gradient.square().mean().sqrt()
        found.append((shown.detach().cpu(), gradient.cpu()))
    return max(float((one - other).abs().max()) for one, other in zip(*found, strict=True))


def moved(objective: ClipObjective, device: torch.device) -> ClipObjective:
    """The same guide with the same weights on a device; the first one stays where it is."""

    tower = copy.deepcopy(objective.tower).to(device)
    return ClipObjective(tower, objective.targets.to(device))


def dream(
    frames: Sequence[Frame],
    objectives: Sequence[Objective],
    config: VideoConfig,
    device: torch.device,
    graphs: StepGraphs | None = None,
) -> list[Tensor]:
    """Each frame dreamed by itself, on the CPU again."""
    dreams = []
    for index, frame in enumerate(frames):
        source, generator = frame.image.to(device), frame_generator(0, index)
        dreamed = descend(source, objectives, config, generator=generator, graphs=graphs)
        dreams.append(dreamed.cpu())
    return dreams


def apart(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """RMS difference of frames."""
    return float((torch.stack(list(one)) - torch.stack(list(other))).square().mean().sqrt())


def judge_gain(source: Tensor, dreamed: Tensor) -> float:
    """Rise of the similarity by the tests' judge."""
    judge = create_objective(load_clip(JUDGE, CPU), PROMPTS)
    before, after = judge.similarities([source.cpu(), dreamed.cpu()]).tolist()
    return float(after - before)


def cramped(
    frames: Sequence[Frame], objective: ClipObjective, config: VideoConfig, device: torch.device
) -> list[Tensor]:
    """Dreams where only a part of the cutouts fits the memory at once."""
    size = MicrobatchSize()
    size.is_estimated = True  # so that the first pass does not fit
    microbatches = Microbatches(Cramped(objective, config.cutouts // 2), size)
    dreams = dream(frames, [microbatches], config, device)
    assert size.limit is not None, "all cutouts fitted"
    return dreams


class Cramped(ClipObjective):
    """A guide that runs out of memory where it is shown more than `room` cutouts."""

    def __init__(self, objective: ClipObjective, room: int) -> None:
        super().__init__(objective.tower, objective.targets)
        self._room = max(room, 1)

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        if len(cutouts) > self._room:
            exhaust(cutouts.device)
        return super().__call__(cutouts, source_cutouts)


def exhaust(device: torch.device) -> None:
    """Ask a device for more memory than it has; raises torch.OutOfMemoryError."""
    if device.type != "cuda":
        raise torch.OutOfMemoryError("there is no more memory than that")
    _, total = torch.cuda.mem_get_info(device)
    torch.empty(2 * total, dtype=torch.uint8, device=device)


# How fast is it?


def measure(guide: str, size: str, count: int, config: VideoConfig, device: torch.device) -> Speed:
    """The speed and memory of a guide with random weights, which cost the same."""
    objective, frames = objective_of(guide, device), read_frames(size, count, device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    graphs = step_graphs(device)
    film = partial(dream_film, frames, objective, config, device, graphs)
    film()  # captures, chooses kernels, fills caches
    seconds = timed(film, device)
    steps = partial(dream, frames, [objective], config, device)
    steps(graphs)
    steps()
    return Speed(
        guide,
        size,
        timed(partial(steps, graphs), device) / count,
        timed(steps, device) / count,
        count / seconds,
        torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else 0,
    )


def dream_film(
    frames: Iterable[Frame],
    objective: ClipObjective,
    config: VideoConfig,
    device: torch.device,
    graphs: StepGraphs | None,
    ahead: int = 1,
) -> list[Tensor]:
    """The loop over time, as in the program but for files; a first frame takes usual steps."""
    config = config.model_copy(update={"first_steps": config.steps})
    flow = create_flow(config.flow, device, max_side=config.flow_size, calm=True)
    plan = constant_settings([objective], config)
    found = dream_frames(
        frames,
        plan,
        flow=flow,
        is_cut=lambda now, before: False,
        ahead=ahead,
        device=device,
        graphs=graphs,
    )
    return [each.frame.image.cpu() for each in found]


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of `work`, the device's included."""
    began = now(device)
    work()
    return now(device) - began


def now(device: torch.device) -> float:
    """Seconds, after all that the device was asked for is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def trace(frame: Frame, config: VideoConfig, device: torch.device, path: Path) -> None:
    """A profile of one frame's steps by the built-in guide, replayed where there are graphs."""
    objective, graphs = objective_of("mini", device), step_graphs(device)
    steps = partial(dream, [frame], [objective], config, device, graphs)
    for _ in range(3):
        steps()
    with torch.profiler.profile() as profile:
        steps()
    profile.export_chrome_trace(str(path))


# What is told


def markdown(
    checks: Sequence[Check], speeds: Sequence[Speed], device: torch.device, config: VideoConfig
) -> Iterator[str]:
    """The block to paste."""
    yield f"{name_of(device)}, PyTorch {torch.__version__}, measured by `scripts/gpu.sh`"
    yield ""
    yield "| comparison | found | allowed | |"
    yield "|---|---|---|---|"
    yield from map(str, checks)
    yield ""
    yield f"{config.steps} steps a frame, {config.cutouts} cutouts:"
    yield ""
    yield "| guide | size | steps, ms a frame | without graphs | frames a second | MB |"
    yield "|---|---|---|---|---|---|"
    yield from map(str, speeds)


def name_of(device: torch.device) -> str:
    """A device's own name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()
