"""How soon a text that follows another is seen, by the tests' judge, which guides nothing.

    python scripts/turns.py FILM [--out FOLDER]

Dreams 2.6 seconds of `big_buck_bunny_480p_30s.mp4`, a meadow in one shot: "a strawberry", and from
1.2 s on "a castle", with changes of several durations; and once "a castle" alone. Prints the
similarity of every fourth frame to the first text and to the second.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from dreamvid.device import torch_environment

os.environ.update(torch_environment())  # as the command line does

from canvas_study import CPU, JUDGE

import dreamvid
from dreamvid.guide.loading import load_clip

TEXTS = "a strawberry", "a castle"
BEGIN, SECONDS, TURN_S = 12.0, 2.6, 1.2
TRANSITIONS = "0", "0.5", "1", "2"
EVERY = 4


def main() -> None:
    """Dream each film, print its similarities."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("--out", type=Path, help="folder that keeps the films")
    given = parser.parse_args()
    at = [f"0 {TEXTS[0]}", f"{TURN_S} {TEXTS[1]}"]
    ways: dict[str, dict[str, Any]] = {f"alone, {TEXTS[1]}": {"prompt": TEXTS[1]}}
    ways |= {f"change of {each} s": {"at": at, "transition": each} for each in TRANSITIONS}
    with tempfile.TemporaryDirectory() as folder:
        for name, options in ways.items():
            out = (given.out or Path(folder)) / f"{name}.mkv"
            seen = similarities(given.film, out, options)
            print(f"{name}: " + " ".join(f"{one:.2f}/{other:.2f}" for one, other in seen))


def similarities(film: Path, out: Path, options: dict[str, Any]) -> list[list[float]]:
    """The judge's similarity of every fourth dreamed frame to each text."""
    judge = load_clip(JUDGE, CPU)
    dreamvid.dream_video(
        film, out, start=BEGIN, end=BEGIN + SECONDS, size="240x136", codec="ffv1", **options
    )
    with dreamvid.VideoReader(out) as reader:
        frames = [frame.image for frame in reader][::EVERY]
    found: list[list[float]] = (
        judge.embed_images(frames) @ judge.embed_texts(list(TEXTS)).T
    ).tolist()
    return found


if __name__ == "__main__":
    main()
