"""`dreamvid score`: what a guide sees in pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dreamvid.cli.display import Display, Quiet
from dreamvid.cli.options import command
from dreamvid.config import ScoreConfig

if TYPE_CHECKING:
    from dreamvid.evaluation.score import Score, Scores

WIDEST = 24
"""Most characters of a prompt above its column."""


@command(ScoreConfig)
def score(
    pictures: Annotated[
        list[Path],
        typer.Argument(metavar="PICTURES…", help="Pictures, folders or patterns of them, films."),
    ],
    config: ScoreConfig,
    quiet: Quiet = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all of it as one JSON object instead.")
    ] = False,
) -> None:
    """Rank pictures, or a film's frames, by prompts, and name the words nearest to each."""
    from dreamvid.evaluation.score import score as look

    display = Display(quiet)
    scores = look(pictures, config=config, listener=display)
    display.close()
    if as_json:
        print(json.dumps(scores.to_json(), ensure_ascii=False))
    else:
        print("\n".join(_lines(scores)))


def _lines(scores: Scores) -> list[str]:
    """A table: a line for each picture, the best first."""
    names = [_name(each) for each in scores.pictures]
    width = max(map(len, names), default=0)
    labels = [label[:WIDEST] for label in scores.prompts]
    lines = []
    if labels:
        columns = ["score", *labels] if len(labels) > 1 else labels
        lines.append("  ".join([" " * width, *(f"{label:>6}" for label in columns)]))
    for name, each in zip(names, scores.pictures, strict=True):
        values = [
            f"{value:.3f}".rjust(max(6, len(label))) for label, value in _columns(each, labels)
        ]
        words = ", ".join(word for word, _ in each.words)
        lines.append("  ".join([name.ljust(width), *values, words]).rstrip())
    return lines


def _columns(score: Score, labels: Sequence[str]) -> list[tuple[str, float]]:
    """Each value with its column's label; one prompt's similarity is the score itself."""
    own = list(zip(labels, score.similarities, strict=True))
    return own if len(own) < 2 or score.score is None else [("score", score.score), *own]


def _name(score: Score) -> str:
    return score.picture if score.time is None else f"{score.picture} {score.time:.3f} s"
