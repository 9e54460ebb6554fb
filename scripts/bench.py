"""What a dream step costs over the bare guide, a plain version over ours, a run over its steps.

    python scripts/bench.py [--json] [--rounds 5] [--device cpu] [--memory | --host]

Every figure is a ratio or a time within this run; what is compared is interleaved, and medians
are given, so that a busy machine disturbs both sides alike.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, TypeVar
from unittest.mock import patch

from dreamvid.device import torch_environment

os.environ.update(torch_environment())  # as the command line does

import open_clip
import reference
import torch
from ablation import JUDGE, SAMPLE
from journeys import HD, TAGS, Border
from torch import Tensor

from dreamvid.config import DreamConfig, PromptConfig, VideoConfig
from dreamvid.device import choose_precision
from dreamvid.dream.cutouts import draw_cutouts
from dreamvid.dream.descent import descend, frame_generator
from dreamvid.dream.octaves import resize
from dreamvid.film.delivery import Delivery
from dreamvid.film.keeping import digest_of
from dreamvid.film.sequence import constant_settings, dream_frames
from dreamvid.guide.loading import Clip, load_clip
from dreamvid.guide.names import parse_guide
from dreamvid.guide.objective import ClipObjective, create_objective
from dreamvid.guide.tower import ImageTower
from dreamvid.media.colour import Converter
from dreamvid.media.marks import mark_of, picture_digest
from dreamvid.media.reader import VideoReader
from dreamvid.media.tracks import SoundSource
from dreamvid.media.writer import VideoWriter
from dreamvid.motion.flow import create_flow
from dreamvid.motion.shots import create_cut_detector

FORMATS = ("yuv420p", "yuv420p10le")
PROMPTS = PromptConfig(prompt=["a coral reef"], negative=["text"])
T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """One guide at one size."""

    guide: str
    width: int
    height: int
    steps: int = 1
    """A round's; enough for the clock, few enough to finish."""
    precision: str = "float32"
    cutouts: int = DreamConfig().cutouts

    def __str__(self) -> str:
        return f"{self.guide} {self.width}x{self.height} {self.precision}"


CASES = (
    Case("mini", 320, 180, 8),
    Case("mini", 640, 360, 8),
    Case("mini", 320, 180, 8, "auto"),
    Case("mini", 640, 360, 8, "auto"),
    Case("ViT-B-32", 640, 360, 2),
)
MEMORY_CASES = tuple(
    Case(guide, width, height, precision="auto", cutouts=cutouts)
    for guide in ("mini", "ViT-B-32")
    for width, height in ((320, 180), (640, 360), (1280, 720))
    for cutouts in (16, 64)
)


def main() -> None:
    """Run all cases and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory", action="store_true", help="that alone")
    parser.add_argument("--host", action="store_true", help="its work beside a card, alone")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # that weights are random, or loaded from a folder
    device, rounds = torch.device(arguments.device), arguments.rounds
    figures: dict[str, Any]
    if arguments.memory:
        figures = {"peak_megabytes": peak_memory(device)}
    elif arguments.host:
        figures = {"host_ms_of_an_hd_frame": host_work(rounds)}
    else:
        figures = {
            "step_over_guide": {str(case): step_over_guide(case, rounds, device) for case in CASES},
            "reference_over_ours": reference_over_ours(rounds, device),
            "after_four_frames": apart_after_four_frames(device),
            "wall_over_steps": {
                "mini": wall_over_steps("mini", Fraction(1), device),
                "ViT-B-32": wall_over_steps("ViT-B-32", Fraction(1, 4), device),
            },
            "loop_over_steps": loop_over_steps(device),
            "hd_frame_over_full_size_motion": hd_frame_over_full_size_motion(device),
        }
    figures |= {
        "device": str(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    print(json.dumps(figures) if arguments.json else json.dumps(figures, indent=2))


def step_over_guide(case: Case, rounds: int, device: torch.device) -> dict[str, float]:
    """A whole dream step over the guide's own forward and backward pass, all losses on."""
    objective = objective_of(case.guide, device, case.precision)
    dream = _dreaming(case, objective, device)
    side = objective.size
    cutouts = torch.rand(case.cutouts, 3, side, side, device=device)

    def guide_alone() -> None:
        for _ in range(case.steps):
            leaf = cutouts.detach().requires_grad_()
            torch.autograd.grad(objective.tower(leaf).sum(), leaf)

    guide_s, steps_s = _interleaved([guide_alone, dream], rounds, clock_of(device))
    return {
        "ratio": round(median(s / g for s, g in zip(steps_s, guide_s, strict=True)), 3),
        "guide_ms": round(1e3 * median(guide_s) / case.steps, 1),
        "step_ms": round(1e3 * median(steps_s) / case.steps, 1),
    }


def _dreaming(case: Case, objective: ClipObjective, device: torch.device) -> Callable[[], Tensor]:
    """Dreams a frame of noise in one octave that follows another, all losses on."""
    config = DreamConfig(octaves=1, steady=1.0, hold=0.9, steps=case.steps, cutouts=case.cutouts)
    source = torch.rand(3, case.height, case.width, device=device)
    start = (source + 0.05 * torch.randn_like(source)).clamp(0, 1)
    trust = torch.rand(1, case.height, case.width, device=device)
    mean_colour = torch.zeros(3, device=device)
    return lambda: descend(
        source, [objective], config, start=start, trust=trust, mean_colour=mean_colour
    )


def reference_over_ours(rounds: int, device: torch.device) -> dict[str, float]:
    """The time of the plain version over ours for a frame of the demo, at its defaults.

    In float32, and in what `--precision auto` takes here; the plain version is in float32.
    "apart" is the RMS difference of that frame in float32.
    """
    config = VideoConfig(prompt=["a coral reef"])
    with VideoReader(SAMPLE, device=device) as reader:
        before, now = (frame.image for frame in islice(reader, 2))
    trust = torch.full((1, *now.shape[1:]), 0.95, device=device)
    frame = {"start": (now + 0.1 * (before - 0.5)).clamp(0, 1), "trust": trust}
    frame["mean_colour"] = torch.zeros(3, device=device)
    exact, auto = (objective_of("mini", device, precision) for precision in ("float32", "auto"))

    def dreaming(dream: Callable[..., Tensor], objective: ClipObjective) -> Callable[[], Tensor]:
        return lambda: dream(now, [objective], config, generator=frame_generator(0, 1), **frame)

    jobs = [dreaming(reference.descend, _plain_objective(device))]
    jobs += [dreaming(descend, objective) for objective in (exact, auto)]
    plain_s, exact_s, auto_s = _interleaved(jobs, rounds, clock_of(device))
    return {
        "float32": round(median(p / o for p, o in zip(plain_s, exact_s, strict=True)), 3),
        "auto": round(median(p / o for p, o in zip(plain_s, auto_s, strict=True)), 3),
        "plain_frame_s": round(median(plain_s), 3),
        "auto_frame_s": round(median(auto_s), 3),
        "apart": float(f"{(jobs[1]() - jobs[0]()).square().mean().sqrt():.2g}"),
    }


def apart_after_four_frames(device: torch.device) -> dict[str, float]:
    """What becomes of the plain version's difference and ours over time, in float32.

    A guide of ReLUs makes rounding errors grow; in double precision a test holds the difference
    below 1e-8. So beside the RMS difference stand the gains by the tests' judge.
    """
    objective, plain = objective_of("mini", device, "float32"), _plain_objective(device)
    judge = create_objective(load_clip(JUDGE, device), PROMPTS)
    config = VideoConfig(prompt=["a coral reef"])
    with VideoReader(SAMPLE, device=device) as reader:
        frames = list(islice(reader, 4))

    def last(dream: Callable[..., Tensor], objective: ClipObjective) -> Tensor:
        with patch("dreamvid.film.sequence.descend", dream):
            flow, plan = (
                create_flow(config.flow, device, calm=True),
                constant_settings([objective], config),
            )
            dreamed = dream_frames(frames, plan, flow=flow, is_cut=lambda now, before: False)
            return list(dreamed)[-1].frame.image

    ours, theirs = last(descend, objective), last(reference.descend, plain)
    before, *after = (float(judge.similarity(x)) for x in (frames[-1].image, ours, theirs))
    return {
        "apart": float(f"{(ours - theirs).square().mean().sqrt():.2g}"),
        "judge_gain": round(after[0] - before, 4),
        "judge_gain_of_plain": round(after[1] - before, 4),
    }


def peak_memory(device: torch.device) -> dict[str, int]:
    """Megabytes that a dream takes at its height: a GPU's own, else all of a fresh process."""
    spawn = get_context("spawn")
    peaks = {}
    for case in MEMORY_CASES:
        with spawn.Pool(1) as pool:
            peak = pool.apply(_peak_of, (case, str(device)))
        peaks[f"{case}, {case.cutouts} cutouts"] = round(peak / 1e6)
    return peaks


def _peak_of(case: Case, device_name: str) -> int:
    """Bytes; to be called in a process of its own."""
    device = torch.device(device_name)
    dream = _dreaming(case, objective_of(case.guide, device, case.precision), device)
    dream()
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def objective_of(guide: str, device: torch.device, precision: str = "auto") -> ClipObjective:
    """A guide by name; a bare architecture gets random weights, which cost the same."""
    if guide == "mini":
        return create_objective(load_clip(guide, device, precision), PROMPTS)
    model = open_clip.create_model(guide).to(device)
    dtype = choose_precision(precision, device, is_convolutional=False)
    tower = ImageTower(model.visual, model.visual.preprocess_cfg, dtype).to(device)
    return create_objective(Clip(guide, model, open_clip.get_tokenizer(guide), tower), PROMPTS)


def _plain_objective(device: torch.device) -> ClipObjective:
    """The built-in guide as open_clip loads it."""
    clip = load_clip("mini", device)
    model = open_clip.create_model(parse_guide("mini").model, device=device)
    tower = ImageTower(model.visual, model.visual.preprocess_cfg).to(device)
    return create_objective(replace(clip, tower=tower), PROMPTS)


def _interleaved(
    jobs: Sequence[Callable[[], object]], rounds: int, now: Callable[[], float]
) -> list[list[float]]:
    """Seconds by `now` of each job in each of `rounds`, in turn, after one round to warm up."""
    times: list[list[float]] = [[] for _ in jobs]
    for turn in range(rounds + 1):
        for job, seconds in zip(jobs, times, strict=True):
            started = now()
            job()
            if turn:
                seconds.append(now() - started)
    return times


def clock_of(device: torch.device) -> Callable[[], float]:
    """Tells seconds, after all that the device was asked for is done."""

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return now


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


def wall_over_steps(guide: str, end: Fraction, device: torch.device) -> dict[str, Any]:
    """The sample at 640×360 and its defaults, without loading the guide: wall time over steps.

    Decoding, cuts and flow run beside the steps, as in the program, so that the parts of a frame
    may add up to more than its wall time.
    """
    clock, objective = Clock(clock_of(device)), objective_of(guide, device)
    config = VideoConfig(prompt=["a coral reef"], end=end)
    frames = dream_sample(clock, objective, config, device, ahead=1)
    each = {name: round(spent / frames, 4) for name, spent in clock.seconds.items()}
    ratio = clock.seconds["wall"] / clock.seconds["steps"]
    return {"ratio": round(ratio, 3), "frames": frames, "seconds_per_frame": each}


def loop_over_steps(device: torch.device) -> dict[str, float]:
    """What the loop's own thread does over its steps, in turn with the reading and ahead of it.

    In seconds of that thread's processor, so that it tells what a run takes where the reading has
    a core to itself, on however busy a machine.
    """
    ratios, objective = {}, objective_of("mini", device)
    for every in (1, 8):
        for ahead in (0, 1):
            clock = Clock(time.thread_time)
            config = VideoConfig(prompt=["a coral reef"], every=every, end=Fraction(1))
            dream_sample(clock, objective, config, device, ahead)
            how = "ahead" if ahead else "in turn"
            ratio = clock.seconds["wall"] / clock.seconds["steps"]
            ratios[f"every {every}, {how}"] = round(ratio, 3)
    return ratios


def hd_frame_over_full_size_motion(device: torch.device) -> dict[str, float]:
    """The time of a frame at 1080p over its time with motion estimated at full size, with `mini`.

    "delivered": dreamed at 960x540, and its difference added to the full-size source. Motion is not
    estimated ahead here, so that all of a frame counts.
    """
    config, objective = VideoConfig(prompt=["a coral reef"]), objective_of("mini", device)
    with VideoReader(SAMPLE, size="1920x1080", device=device) as reader:
        frames = list(islice(reader, 4))

    def film(flow_size: int | None, size: tuple[int, int] | None) -> Callable[[], object]:
        delivery, plan = Delivery(size), constant_settings([objective], config)
        flow = create_flow(config.flow, device, max_side=flow_size, calm=True)
        dreamed = dream_frames(
            delivery.prepare(frames), plan, flow=flow, is_cut=lambda now, before: False
        )
        return lambda: delivery.finish((each := next(dreamed)).frame, each.source)

    ways = [film(None, None), film(config.flow_size, None), film(config.flow_size, (540, 960))]
    full_s, own_s, delivered_s = _interleaved(ways, len(frames) - 1, clock_of(device))
    return {
        "dreamed": round(median(o / f for o, f in zip(own_s, full_s, strict=True)), 3),
        "delivered": round(median(d / f for d, f in zip(delivered_s, full_s, strict=True)), 3),
    }


def host_work(rounds: int) -> dict[str, float]:
    """Processor time in ms of each part of a 1080p frame's work on the host beside a card.

    Meta tensors stand for the card's, so that only the host's share is done; what comes back from
    there is black. "Flow, DIS" is both directions at the usual size. "Digest", "delivery" and,
    every eighth frame, "a carry's source by its hash" are the journal's thread's, "cutouts'
    choices" are for 16 of a guide that sees 224 pixels.
    """
    config, meta = VideoConfig(prompt=["a coral reef"]), "meta"
    with VideoReader(SAMPLE, size="1920x1080") as reader:
        now, before = (frame.image for frame in islice(reader, 2))
    small = config.flow_size * 9 // 16, config.flow_size
    current, previous = (resize(image, small) for image in (now, before))
    thumbnails = [resize(image, (144, 256)) for image in (now, before)]
    there, generator = torch.empty(3, *HD, device=meta), frame_generator(0, 1)
    pictures = {form: Converter("h264").to_frame(now, form, TAGS) for form in FORMATS}
    reading, delivering = Converter("h264", device=meta), Converter("h264")
    flow, is_cut = create_flow("dis", "cpu", calm=True), create_cut_detector(config.cut_threshold)
    choose = partial(draw_cutouts, config, config.steps, HD, {224}, generator, torch.device(meta))
    jobs: dict[str, Callable[[], object]] = {
        "mark of a shot": partial(mark_of, pictures["yuv420p"]),
        "cuts": partial(is_cut, *thumbnails),
        "flow, DIS": partial(flow, current, previous),
        "cutouts' choices": choose,
        "a carry's source by its hash": partial(digest_of, now),
    }
    for form, picture in pictures.items():
        jobs[f"reading, {form}"] = partial(reading.to_tensor, picture)
        jobs[f"delivery, {form}"] = partial(delivering.to_frame, there, form, TAGS)
        jobs[f"digest, {form}"] = partial(picture_digest, picture)
    with Border():
        seconds = _interleaved(list(jobs.values()), rounds, time.process_time)
    return {name: round(1e3 * median(each), 1) for name, each in zip(jobs, seconds, strict=True)}


def dream_sample(
    clock: Clock, objective: ClipObjective, config: VideoConfig, device: torch.device, ahead: int
) -> int:
    """Dream the sample's beginning at 640×360, file to file; the number of its frames."""
    flow = clock.timed("flow", create_flow(config.flow, device, calm=True))
    started, frames, end = clock.now(), 0, config.end
    with (
        patch("dreamvid.film.sequence.descend", clock.timed("steps", descend)),
        tempfile.TemporaryDirectory() as folder,
        VideoReader(SAMPLE, end=end, size="640x360", device=device) as reader,
        SoundSource(SAMPLE, end=end) as sound,
        VideoWriter(Path(folder) / "out.mp4", reader.info, config, sound=sound) as writer,
    ):
        write = clock.timed("encode", writer.write)
        for dreamed in dream_frames(
            clock.each("decode", reader),
            constant_settings([objective], config),
            flow=flow,
            is_cut=clock.timed("cuts", create_cut_detector(config.cut_threshold)),
            ahead=ahead,
            device=device,
        ):
            write(dreamed.frame)
            frames += 1
    clock.seconds["wall"] = clock.now() - started
    return frames


if __name__ == "__main__":
    main()
