"""Whether the picture keeps its rate while it is dreamed on, and what becomes of the dream.

python scripts/live.py FOLDER [--seconds 60] [--source samples/flight.mp4] [--prompt "a coral reef"]
    [--judge local-dir:tests/judge]

Plays a file as if it were a camera and records it into FOLDER: frames shown a second, their gaps,
the delay from due to shown, new differences a second, memory; then measures the last third of
what was shown against `dreamvid video` at the same settings. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dreamvid.config import ReadConfig
from dreamvid.evaluation.run import evaluate
from dreamvid.evaluation.sheet import ContactSheet
from dreamvid.events import ignore
from dreamvid.film.video import dream_video
from dreamvid.live.performance import play
from dreamvid.live.session import Session, Shown
from dreamvid.media.source import Source
from dreamvid.media.still import write_image

if TYPE_CHECKING:
    from collections.abc import Iterator

WARM_UP_S = 2.0
"""Seconds at the beginning, while everything is loaded, that do not count."""
SHEET_S = 5.0
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


def measure(
    source: Path, result: Path, start: float | None, arguments: argparse.Namespace
) -> dict[str, float | None]:
    """Figures of a result from `start` seconds on."""
    del start
    found = evaluate(
        source, result, judge=arguments.judge, prompt=[arguments.prompt], listener=ignore
    )
    return {name: found.figures[name] for name in FIGURES}


def main() -> None:
    """Play, measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--source", type=Path, default=Path("samples/flight.mp4"))
    parser.add_argument("--prompt", default="a coral reef")
    parser.add_argument("--judge", default="local-dir:tests/judge")
    parser.add_argument("--only-play", action="store_true", help="leave out the evaluation")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    watch = Watch()
    play(
        arguments.source,
        prompt=[arguments.prompt],
        duration=arguments.seconds,
        folder=arguments.folder,
        record=not arguments.only_play,
        surfaces=[watch],
        listener=ignore,
    )
    figures = watch.figures()
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}, indent=1))
    if not arguments.only_play:
        compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    """Measure the last third of the newest take against a film of the same frames."""
    take = sorted(arguments.folder.glob("take-*.toml"))[-1].with_suffix("")
    source, shown = take.with_suffix(".source.mkv"), take.with_suffix(".mp4")
    sheet(source, shown, take.with_suffix(".png"))
    begin = arguments.seconds * 2 / 3
    late_source, late_shown, film = (
        take.with_name(f"late-{name}.mkv") for name in ("source", "shown", "film")
    )
    for whole, late in ((source, late_source), (shown, late_shown)):
        dream_video(
            whole, late, prompt=["x"], steps=0, first_steps=0, carry="none", start=begin,
            codec="ffv1", metadata=False, overwrite=True, listener=ignore,
        )  # fmt: skip
    dream_video(
        late_source, film, prompt=[arguments.prompt], codec="ffv1", overwrite=True, listener=ignore
    )
    for name, result in (("shown", late_shown), ("film", film)):
        print(name, json.dumps(measure(late_source, result, None, arguments)))


def sheet(source: Path, shown: Path, out: Path) -> None:
    """A contact sheet of the first seconds."""
    contacts = ContactSheet(12, 12)
    seen = [
        frame.image
        for path in (source, shown)
        for frame in Source.find(path, ReadConfig(end=SHEET_S)).open(print, fps=12 / SHEET_S)
    ]
    half = len(seen) // 2
    for pair in zip(seen[:half], seen[half:], strict=True):
        contacts.add(list(pair))
    write_image(out, contacts.image(), overwrite=True)


if __name__ == "__main__":
    main()
