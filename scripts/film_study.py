"""Films dreamed on the usual canvas and on octaves, with a hardened guide and an ordinary one.

    python scripts/film_study.py OUT --clips FOLDER [--ordinary FOLDER] [--guides NAME…]

Dreams four short stretches, three of `big_buck_bunny_480p_30s.mp4` in the clips' folder, and
measures them as `dreamvid eval` does, by the tests' judge, which guides nothing. FOLDER of
--ordinary is that of `canvas_study.py`. Writes OUT/films.md, and a sheet beside each film; what is
there already is kept, so that a stopped study goes on.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from dreamvid.device import torch_environment

os.environ.update(torch_environment())  # as the command line does

from canvas_study import CANVASES, CPU, JUDGE, ROOT, by_clip, classifier_of

import dreamvid
from dreamvid.dream.objective import Objective
from dreamvid.guide.loading import load_clip

FIGURES = {
    "judge_gain": "gain",
    "relative_dream_warp_error": "relative dream warp error",
    "relative_dream_warp_error_8": "8 frames back",
    "strength": "RMS",
    "colour_drift": "drift",
}


@dataclass(frozen=True)
class Stretch:
    """Seconds of a film that are dreamed, and what of."""

    name: str
    film: Path
    prompt: str
    start: float
    seconds: float


def stretches(clips: Path) -> list[Stretch]:
    """A moving camera and a cut, a still one twice, and a fade from black."""
    bunny = clips / "big_buck_bunny_480p_30s.mp4"
    return [
        Stretch("flight", ROOT / "samples" / "flight.mp4", "a coral reef", 0, 3),
        Stretch("bunny, 12 s", bunny, "a strawberry", 12, 1.2),
        Stretch("bunny, 22 s", bunny, "a castle", 22, 1.2),
        Stretch("bunny, a fade", bunny, "a volcano", 1, 1.2),
    ]


def main() -> None:
    """Dream what is missing, measure it, write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path, help="folder for films, sheets and the table")
    parser.add_argument("--clips", type=Path, required=True, help="folder of the films")
    parser.add_argument("--ordinary", type=Path, help="folder of a network that is not hardened")
    parser.add_argument("--guides", nargs="+", choices=("mini", "ordinary"), help="usually all")
    parser.add_argument("--canvases", nargs="+", choices=CANVASES, default=["octaves", "spectrum"])
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    rows = [f"| guide | stretch | canvas | {' | '.join(FIGURES.values())} |"]
    rows.append("|---" * (len(FIGURES) + 3) + "|")
    for name, guide in guides(given.ordinary):
        if given.guides is not None and name not in given.guides:
            continue
        for stretch, canvas in product(stretches(given.clips), given.canvases):
            film = given.out / f"{name}, {stretch.name}, {canvas}.mkv"
            found = measured(film, stretch, guide(stretch.prompt), CANVASES[canvas])
            cells = " | ".join(f"{found[figure]:.4f}" for figure in FIGURES)
            rows.append(f"| {name} | {stretch.name}, {stretch.prompt} | {canvas} | {cells} |")
            print(rows[-1], flush=True)
    (given.out / "films.md").write_text("\n".join(rows) + "\n", encoding="utf-8")


def guides(ordinary: Path | None) -> Iterator[tuple[str, Callable[[str], Objective]]]:
    """The built-in guide, and the ordinary network where its folder is given."""
    yield "mini", by_clip(load_clip("mini", CPU))
    if ordinary is not None:
        yield "ordinary", classifier_of(ordinary)


def measured(
    film: Path, stretch: Stretch, objective: Objective, options: dict[str, Any]
) -> dict[str, float]:
    """The figures of a film, which is dreamed and measured where that is not done yet."""
    figures = film.with_suffix(".json")
    if not film.exists():
        dreamvid.dream_video(
            stretch.film,
            film,
            resume=True,
            objectives=[objective],
            prompt=stretch.prompt,
            size="320x180",
            start=stretch.start,
            end=stretch.start + stretch.seconds,
            codec="ffv1",
            **options,
        )
    if not figures.exists():
        result = dreamvid.evaluate(
            stretch.film, film, judge=JUDGE, sheet=film.with_suffix(".png"), overwrite=True
        )
        figures.write_text(json.dumps(result.figures), encoding="utf-8")
    found: dict[str, float] = json.loads(figures.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    main()
