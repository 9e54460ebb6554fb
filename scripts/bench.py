"""How much a dream step costs over the bare guide, and a whole run over its steps.

    python scripts/bench.py [--json] [--rounds 5] [--device cpu]

Every figure is a ratio or a time within this run; what is compared is interleaved, and medians
are given, so that a busy machine disturbs both sides alike.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any, TypeVar
from unittest.mock import patch

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does

import torch

from dreamvid.config import DreamConfig, PromptConfig, VideoConfig
from dreamvid.dream.guide import Clip, ClipObjective, ImageTower, create_objective, load_clip
from dreamvid.dream.optimise import dream_image
from dreamvid.media.reader import VideoReader
from dreamvid.media.sound import SoundSource
from dreamvid.media.writer import VideoWriter
from dreamvid.motion.flow import create_flow
from dreamvid.motion.shots import create_cut_detector
from dreamvid.sequence import constant_plan, dream_frames

SAMPLE = Path(__file__).parent.parent / "samples" / "flight.mp4"
PROMPTS = PromptConfig(prompt=["a coral reef"], negative=["text"])
T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """One guide at one size."""

    guide: str
    width: int
    height: int
    steps: int
    """A round's; enough for the clock, few enough to finish."""


CASES = (Case("mini", 320, 180, 8), Case("mini", 640, 360, 8), Case("ViT-B-32", 640, 360, 2))


def main() -> None:
    """Run all cases and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    figures: dict[str, Any] = {
        "step_over_guide": {
            f"{case.guide} {case.width}x{case.height}": step_over_guide(
                case, arguments.rounds, device
            )
            for case in CASES
        },
        **wall_over_steps(device),
        "loop_over_steps": loop_over_steps(device),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    print(json.dumps(figures) if arguments.json else json.dumps(figures, indent=2))


def step_over_guide(case: Case, rounds: int, device: torch.device) -> dict[str, float]:
    """A whole dream step over the guide's own forward and backward pass, all losses on."""
    objective = _objective(case.guide, device)
    config = DreamConfig(octaves=1, steady=1.0, steps=case.steps)
    source = torch.rand(3, case.height, case.width, device=device)
    start = (source + 0.05 * torch.randn_like(source)).clamp(0, 1)
    trust = torch.ones(1, case.height, case.width, device=device)
    cutouts = torch.rand(config.cutouts, 3, objective.size, objective.size, device=device)

    def guide_alone() -> None:
        for _ in range(case.steps):
            leaf = cutouts.detach().requires_grad_()
            torch.autograd.grad(objective.tower(leaf).sum(), leaf)

    def whole_steps() -> None:
        dream_image(source, [objective], config, start=start, trust=trust)

    guide_s, steps_s = _interleaved([guide_alone, whole_steps], rounds, device)
    return {
        "ratio": round(median(s / g for s, g in zip(steps_s, guide_s, strict=True)), 3),
        "guide_ms": round(1e3 * median(guide_s) / case.steps, 1),
        "step_ms": round(1e3 * median(steps_s) / case.steps, 1),
    }


def _objective(guide: str, device: torch.device) -> ClipObjective:
    """A guide by name; a bare architecture gets random weights, which cost the same."""
    if guide == "mini":
        return create_objective(load_clip(guide, device), PROMPTS)
    import open_clip

    model = open_clip.create_model(guide).to(device)
    tower = ImageTower(model.visual, model.visual.preprocess_cfg).to(device)
    return create_objective(Clip(guide, model, open_clip.get_tokenizer(guide), tower), PROMPTS)


def _interleaved(
    jobs: list[Callable[[], None]], rounds: int, device: torch.device
) -> list[list[float]]:
    """Seconds of each job in each of `rounds`, in turn, after one round to warm up."""
    times: list[list[float]] = [[] for _ in jobs]
    for turn in range(rounds + 1):
        for job, seconds in zip(jobs, times, strict=True):
            started = _now(device)
            job()
            if turn:
                seconds.append(_now(device) - started)
    return times


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@dataclass
class Clock:
    """Adds up where a run's time goes."""

    now: Callable[[], float]
    """Seconds since any moment."""
    seconds: dict[str, float] = field(default_factory=dict)

    def timed(self, name: str, function: Callable[..., T]) -> Callable[..., T]:
        """`function`, its time added to `name`."""

        def run(*args: Any, **options: Any) -> T:
            started = self.now()
            try:
                return function(*args, **options)
            finally:
                spent = self.now() - started
                self.seconds[name] = self.seconds.get(name, 0.0) + spent

        return run

    def each(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """`items`, the time of fetching each added to `name`."""
        fetch = self.timed(name, iter(items).__next__)
        while True:
            try:
                yield fetch()
            except StopIteration:
                return


def wall_over_steps(device: torch.device) -> dict[str, Any]:
    """The sample at 640×360 and its defaults, without loading the guide: wall time over steps.

    Decoding, cuts and flow run beside the steps, as in the program, so that the parts of a frame
    may add up to more than its wall time.
    """
    clock = Clock(lambda: _now(device))
    frames = dream_sample(clock, device, VideoConfig(prompt=["a coral reef"]), ahead=1)
    each = {name: round(spent / frames, 4) for name, spent in clock.seconds.items()}
    return {
        "wall_over_steps": round(clock.seconds["wall"] / clock.seconds["steps"], 3),
        "seconds_per_frame": each,
    }


def loop_over_steps(device: torch.device) -> dict[str, float]:
    """What the loop's own thread does over its steps, in turn with the reading and ahead of it.

    In seconds of that thread's processor, so that it tells what a run takes where the reading has
    a core to itself, on however busy a machine.
    """
    ratios = {}
    for every in (1, 8):
        for ahead in (0, 1):
            clock = Clock(time.thread_time)
            config = VideoConfig(prompt=["a coral reef"], every=every)
            dream_sample(clock, device, config, ahead)
            how = "ahead" if ahead else "in turn"
            ratio = clock.seconds["wall"] / clock.seconds["steps"]
            ratios[f"every {every}, {how}"] = round(ratio, 3)
    return ratios


def dream_sample(clock: Clock, device: torch.device, config: VideoConfig, ahead: int) -> int:
    """Dream the sample's first second at 640×360, file to file; the number of its frames."""
    objective = _objective("mini", device)
    flow = clock.timed("flow", create_flow(config.flow, device))
    started, frames, end = clock.now(), 0, Fraction(1)
    with (
        patch("dreamvid.sequence.dream_image", clock.timed("steps", dream_image)),
        tempfile.TemporaryDirectory() as folder,
        VideoReader(SAMPLE, end=end, size="640x360") as reader,
        SoundSource(SAMPLE, end=end) as sound,
        VideoWriter(Path(folder) / "out.mp4", reader.info, config, sound=sound) as writer,
    ):
        write = clock.timed("encode", writer.write)
        source = clock.each("decode", reader)
        on_device = (frame.with_image(frame.image.to(device)) for frame in source)
        for dreamed in dream_frames(
            on_device,
            constant_plan([objective], config),
            flow=flow,
            is_cut=clock.timed("cuts", create_cut_detector(config.cut_threshold)),
            ahead=ahead,
        ):
            write(dreamed.frame)
            frames += 1
    clock.seconds["wall"] = clock.now() - started
    return frames


if __name__ == "__main__":
    main()
