"""Whether the picture keeps its rate while it is dreamed on, and what becomes of the dream.

python scripts/live.py FOLDER [--part play|record|compare] [--seconds 60] [--compared 10]

Plays a file as if it were a camera: frames shown a second, their gaps, the delay from due to
shown, new differences a second, memory. `record` also writes a take into FOLDER, and `compare`
measures the end of the newest take there against `dreamvid video` on the same frames, and makes a
contact sheet of its first seconds. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

import numpy as np

from dreamvid.config import WriteConfig
from dreamvid.evaluation.run import evaluate
from dreamvid.evaluation.sheet import ContactSheet
from dreamvid.events import ignore
from dreamvid.film.video import dream_video
from dreamvid.live.performance import play
from dreamvid.live.session import Session, Shown
from dreamvid.media.probing import probe
from dreamvid.media.reader import VideoReader
from dreamvid.media.still import write_image
from dreamvid.media.writer import VideoWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

WARM_UP_S = 2.0
"""Seconds at the beginning, while everything is loaded, that do not count."""
SHEET_S = Fraction(5)
COLUMNS = 10
FIGURES = ("judge_gain", "relative_dream_warp_error", "strength")


class Watch:
    """Notes when each frame was due and shown, and the memory in use."""

    def __init__(self) -> None:
        self.due: list[float] = []
        self.shown: list[float] = []
        self.resident: list[int] = []
        self.dreams = 0
        self.processor_s = 0.0

    @contextmanager
    def __call__(self, session: Session) -> Iterator[None]:
        """Watch a session."""
        session.watchers.append(self._note)
        begun = time.process_time()
        yield
        self.dreams = session.figures.dreams
        self.processor_s = time.process_time() - begun

    def _note(self, shown: Shown) -> None:
        self.due.append(shown.due)
        self.shown.append(time.monotonic())
        if shown.index % 24 == 0:
            self.resident.append(resident_bytes())

    def figures(self) -> dict[str, float]:
        """The figures of all but the first seconds."""
        due, shown = np.array(self.due), np.array(self.shown)
        counted = shown > shown[0] + WARM_UP_S
        seconds = float(shown[-1] - shown[counted][0])
        gaps, delays = np.diff(shown[counted]), (shown - due)[counted]
        half = len(self.resident) // 2
        return {
            "seconds": seconds,
            "shown_per_s": (counted.sum() - 1) / seconds,
            "gap_95_ms": 1e3 * float(np.percentile(gaps, 95)),
            "gap_most_ms": 1e3 * float(gaps.max()),
            "delay_median_ms": 1e3 * float(np.median(delays)),
            "delay_95_ms": 1e3 * float(np.percentile(delays, 95)),
            "dreams_per_s": self.dreams / float(shown[-1] - shown[0]),
            "cores": self.processor_s / float(shown[-1] - shown[0]),
            "memory_mb": self.resident[-1] / 1e6,
            "memory_grown_mb": (self.resident[-1] - self.resident[half]) / 1e6,
        }


def resident_bytes() -> int:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Play, measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--source", type=Path, default=Path("samples/flight.mp4"))
    parser.add_argument("--prompt", default="a coral reef")
    parser.add_argument("--judge", default="local-dir:tests/judge")
    parser.add_argument("--compared", type=int, default=10, help="seconds at the end to compare")
    parser.add_argument("--part", choices=["play", "record", "compare"], default="play")
    arguments = parser.parse_args()
    if arguments.part == "compare":
        compare(arguments)
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    watch = Watch()
    play(
        arguments.source,
        prompt=[arguments.prompt],
        duration=arguments.seconds,
        folder=arguments.folder,
        record=arguments.part == "record",
        surfaces=[watch],
        listener=ignore,
    )
    figures = watch.figures()
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}, indent=1))


def compare(arguments: argparse.Namespace) -> None:
    """Measure the end of the newest take against a film of the same frames."""
    take = sorted(arguments.folder.glob("take-*.toml"))[-1].with_suffix("")
    source, shown = take.with_suffix(".source.mkv"), take.with_suffix(".mp4")
    sheet(source, shown, take.with_suffix(".png"))
    duration = probe(source).duration
    assert duration is not None  # it was written to its end
    begin = duration - arguments.compared
    film, prompt = take.with_suffix(".film.mkv"), [arguments.prompt]
    dream_video(
        source, film, prompt=prompt, start=begin, codec="ffv1", overwrite=True, listener=ignore
    )
    with NamedTemporaryFile(suffix=".mkv") as late:
        cut(shown, Path(late.name), begin)
        for name, result in (("shown", Path(late.name)), ("film", film)):
            found = evaluate(
                source, result, judge=arguments.judge, prompt=prompt, start=begin, listener=ignore
            )
            print(name, json.dumps({key: found.figures[key] for key in FIGURES}))


def cut(source: Path, out: Path, begin: Fraction) -> None:
    """Write a film from `begin` on, without loss."""
    with (
        VideoReader(source, start=begin) as frames,
        VideoWriter(out, frames.info, WriteConfig(codec="ffv1"), overwrite=True) as film,
    ):
        for frame in frames:
            film.write(frame)
        film.close()


def sheet(source: Path, shown: Path, out: Path) -> None:
    """A contact sheet of the first seconds."""
    contacts = ContactSheet(COLUMNS, COLUMNS)
    rate = Fraction(COLUMNS) / SHEET_S
    with (
        VideoReader(source, end=SHEET_S, rate=rate) as above,
        VideoReader(shown, end=SHEET_S, rate=rate) as below,
    ):
        for pair in zip(above, below, strict=False):
            contacts.add([frame.image for frame in pair])
    write_image(out, contacts.image(), overwrite=True)


if __name__ == "__main__":
    main()
