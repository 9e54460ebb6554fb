"""What a film costs: guide evaluations a delivered frame, at equal judge's gain.

    python scripts/evaluations.py BIG_BUCK_BUNNY.mp4 BIKES.mp4 --out FOLDER
        [--clips pan …] [--settings … ] [--frames 48] [--size 240] [--judge GUIDE]

An evaluation is one forward and backward pass of one step's cutouts through the guide; they are
counted as they happen, a first frame's own steps and those that catch up included. Beside the
mean over the clip stands what each frame after the first costs, to which the mean of a longer
shot tends.

Independent frames are dreamed from their sources, with the same cutouts, octaves and losses and
with strength to spare, in N steps. Sought is the least N at which they reach the gain of ours,
for two step sizes, of which the better counts; the rate's cosine ends with the last step,
whatever N is. Between two N that were tried, gain is interpolated. Gains are compared over the
same few frames, of which none is a key frame of ours.

The clips, guide and judge are those of `coherence_study.py`. FOLDER keeps what was measured (a
row of JSON each, so that an interrupted study goes on), the films of ours and `table.md`.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from coherence_study import CLIPS, ERROR, JUDGE, Study
from torch import Tensor

from dreamvid.config import VideoConfig
from dreamvid.dream.descent import descend, frame_generator
from dreamvid.dream.objective import Objective
from dreamvid.evaluation.accumulator import Evaluation
from dreamvid.film.sequence import constant_settings, dream_frames
from dreamvid.types import Frame

BRISK = {"lr": 0.05, "first_steps": 24, "steps": 4}
"""Fewer steps, and larger ones, as independent frames take them."""
SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "every 4": {"every": 4},
    "every 8": {"every": 8},
    "every 12": {"every": 12},
    "every 8, brisk": {"every": 8, **BRISK},
    "every 12, brisk": {"every": 12, **BRISK},
    "every 12, frugal": {"every": 12, "lr": 0.08, "first_steps": 12, "steps": 2},
    "every 16, frugal": {"every": 16, "lr": 0.06, "first_steps": 12, "steps": 4},
}
STRENGTH = 0.25
"""Further than ours, which stay below the default, ever go: it holds no independent frame back."""
STEPS = (4, 8, 16, 24, 32, 48, 64, 96)
"""Of an independent frame, as far as needed."""
RATES = (0.05, 0.08)
"""Larger than the default, where fewer steps do."""
PAIRS = (5, 21, 37)
"""These frames and the ones after them are what is compared."""


def main() -> None:
    """Read the arguments, measure what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("films", nargs=2, type=Path, metavar="FILM")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips", nargs="+", choices=CLIPS, default=list(CLIPS))
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--rates", nargs="*", type=float, default=RATES)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--size", default="240")
    parser.add_argument("--judge", default=JUDGE)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.clips:
        race = Race(name, arguments.films[CLIPS[name].film], arguments)
        goal = max(race.ours(setting)["gain"] for setting in arguments.settings)
        for rate in arguments.rates:
            race.independent(rate, goal)
    report(arguments.out)


class Counted:
    """An objective that counts how often it is evaluated."""

    def __init__(self, whole: Objective) -> None:
        self.size, self.compares = whole.size, whole.compares
        self._whole, self.count = whole, 0

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        self.count += 1
        return self._whole(cutouts, source_cutouts)


class Race(Study):
    """One stretch of film, dreamed by us and frame by frame."""

    def ours(self, setting: str) -> dict[str, Any]:
        """A row of ours, measured unless that was done before."""
        path = self._row(f"ours-{setting}")
        if path.exists():
            return dict(json.loads(path.read_text()))
        config = VideoConfig(prompt=[self.prompt], **SETTINGS[setting])
        (whole,) = self.objectives
        counted = Counted(whole)
        results: list[Frame] = []
        counts: list[int] = []
        for dreamed in dream_frames(
            self.frames,
            constant_settings([counted], config),
            flow=self.flow,
            is_cut=lambda now, then: False,
        ):
            results.append(dreamed.frame)
            counts.append(counted.count)
        self.write(setting, config.strength, results)
        evaluation = Evaluation(self.flow, lambda now, then: False, self.judge)
        for frame, result in zip(self.frames, results, strict=True):
            evaluation.add(frame, result)
        row = {
            "setting": setting,
            "evaluations": counts[-1] / len(results),
            "later": (counts[-1] - counts[0]) / (len(results) - 1),
            "gain": self._compare({k: results[k] for k in _compared()})["judge_gain"],
            **evaluation.figures,
        }
        return self._keep(path, row)

    def independent(self, rate: float, goal: float) -> None:
        """Rows of more and more steps until their gain reaches the goal, or none is left."""
        for steps in STEPS:
            path = self._row(f"independent-{rate}-{steps}")
            row = json.loads(path.read_text()) if path.exists() else self._alone(rate, steps, path)
            if row["gain"] >= goal:
                return

    def _alone(self, rate: float, steps: int, path: Path) -> dict[str, Any]:
        config = VideoConfig(
            prompt=[self.prompt], lr=rate, steps=steps, strength=STRENGTH, hold=0.0
        )
        results = {
            k: self.frames[k].with_image(
                descend(
                    self.frames[k].image,
                    self.objectives,
                    config,
                    generator=frame_generator(config.seed, k),
                )
            )
            for k in _compared()
        }
        figures = self._compare(results)
        return self._keep(
            path, {"rate": rate, "steps": steps, "gain": figures["judge_gain"], **figures}
        )

    def _compare(self, results: dict[int, Frame]) -> dict[str, float | None]:
        """Figures of the frames that are compared, in pairs."""
        numbers = {id(self.frames[k].image): k for k in results}
        evaluation = Evaluation(
            self.flow, lambda now, then: numbers[id(now)] != numbers[id(then)] + 1, self.judge
        )
        for k, result in results.items():
            evaluation.add(self.frames[k], result)
        return evaluation.figures

    def _row(self, name: str) -> Path:
        path: Path = self.out / f"{self.name}-{name.replace(' ', '').replace(',', '-')}.json"
        return path

    def _keep(self, path: Path, row: dict[str, Any]) -> dict[str, Any]:
        row = {"clip": self.name, **row}
        path.write_text(json.dumps(row))
        print(f"{path.stem}: gain {row['gain']:.4f}", flush=True)
        return row


def _compared() -> list[int]:
    return [k for first in PAIRS for k in (first, first + 1)]


# What the rows say together


def report(out: Path) -> None:
    """Print and write the table."""
    rows = [json.loads(path.read_text()) for path in sorted(out.glob("*.json"))]
    text = "\n".join(table(rows))
    (out / "table.md").write_text(text + "\n")
    print(text)


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A row a setting and clip, in Markdown."""
    yield (
        "| clip | setting | evaluations a frame | after the first | gain | independent frames "
        "need | ratio | after the first | DWE/D² | over theirs | 8 back | 24 back |"
    )
    yield "|---" * 12 + "|"
    for clip in CLIPS:
        ours = [row for row in rows if row["clip"] == clip and "setting" in row]
        alone = [row for row in rows if row["clip"] == clip and "steps" in row]
        if not alone:
            continue
        for row in sorted(ours, key=lambda row: list(SETTINGS).index(row["setting"])):
            yield _line(row, alone)


def _line(ours: dict[str, Any], alone: Sequence[dict[str, Any]]) -> str:
    most = max(row["steps"] for row in alone)
    needed = min(least_steps(_curve(alone, rate), ours["gain"]) for rate in RATES)
    bound, least = ("> ", most) if math.isinf(needed) else ("", needed)
    nearest = min(alone, key=lambda row: abs(row["steps"] - least))
    cells = [
        ours["clip"],
        ours["setting"],
        f"{ours['evaluations']:.2f}",
        f"{ours['later']:.2f}",
        f"{ours['gain']:.3f}",
        f"{bound}{least:.0f}",
        f"{bound}{least / ours['evaluations']:.0f}",
        f"{bound}{least / ours['later']:.0f}",
        f"{ours[ERROR]:.5f}",
        f"{ours[ERROR] / nearest[ERROR]:.4f}",
        f"{ours[f'{ERROR}_8']:.4f}",
        f"{ours[f'{ERROR}_24']:.4f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _curve(alone: Sequence[dict[str, Any]], rate: float) -> list[tuple[int, float]]:
    """(steps, gain) at a step size, by steps."""
    return sorted((row["steps"], row["gain"]) for row in alone if row["rate"] == rate)


def least_steps(points: Sequence[tuple[int, float]], gain: float) -> float:
    """The steps that first reach a gain, between two tried ones by interpolation; else infinity."""
    last_steps, last_gain = 0, 0.0
    for steps, reached in points:
        if reached >= gain:
            share = (gain - last_gain) / (reached - last_gain)
            return last_steps + share * (steps - last_steps)
        last_steps, last_gain = steps, reached
    return math.inf


if __name__ == "__main__":
    main()
