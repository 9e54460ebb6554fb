"""What a journal costs of a run: time from the first frame to the last, and bytes.

    python scripts/journal_cost.py [--size 320x180] [--seconds 1] [--every 1] [--guide mini]

Dreams the sample with the default options, and measures within that run, so that it holds on a busy
machine, too, and needs no second run to compare with: how long `write` holds up the thread that
dreams; and what the thread that writes does beside making and encoding pictures, which a run
without a journal would do, too. Its bytes are those that the system counts for it (Linux), in all
files.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from dreamvid.cli.display import Display
from dreamvid.config import VideoConfig, build_config
from dreamvid.film.video import dream_video
from dreamvid.journal.film import OpenSegment
from dreamvid.journal.writing import Journal
from dreamvid.media.encoder_frames import EncoderFrameMaker

SAMPLE = Path(__file__).parent.parent / "samples" / "flight.mp4"


class Stopwatch:
    """Sums what happens within the functions that it wraps, call by call."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.seconds: list[float] = []
        self.processor_s: list[float] = []
        """Of the thread that calls."""
        self.bytes: list[int] = []
        """Written by the thread that calls."""

    def timing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            before = time.perf_counter(), time.thread_time(), bytes_written()
            try:
                return function(*arguments, **options)
            finally:
                self.begun.append(before[0])
                self.seconds.append(time.perf_counter() - before[0])
                self.processor_s.append(time.thread_time() - before[1])
                self.bytes.append(bytes_written() - before[2])

        return timed


def bytes_written() -> int:
    """Bytes that this thread has written to files so far."""
    counts = Path(f"/proc/self/task/{threading.get_native_id()}/io").read_text()
    return int(dict(line.split(": ") for line in counts.splitlines())["wchar"])


def main() -> None:
    """Dream and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--seconds", default="1")
    parser.add_argument("--every", default=1, type=int)
    parser.add_argument("--guide", default="mini")
    arguments = parser.parse_args()
    given = {"prompt": ["a coral reef"], "size": arguments.size, "end": arguments.seconds}
    given |= {"every": arguments.every, "guide": [arguments.guide]}
    config = build_config(VideoConfig, given=given)
    holding, writing, anyway = Stopwatch(), Stopwatch(), Stopwatch()
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(Journal, "write", holding.timing(Journal.write)),
        patch.object(Journal, "_write", writing.timing(Journal._write)),
        patch.object(EncoderFrameMaker, "make", anyway.timing(EncoderFrameMaker.make)),
        patch.object(OpenSegment, "encode", anyway.timing(OpenSegment.encode)),
    ):
        dream_video(SAMPLE, Path(folder) / "out.mp4", config=config, listener=Display(False))
    # Between the end of the first frame, which has more steps, and that of the last.
    wall = holding.begun[-1] + holding.seconds[-1] - holding.begun[0] - holding.seconds[0]
    frames = len(holding.seconds) - 1
    held = sum(holding.seconds[1:])
    own = sum(writing.seconds[1:]) - sum(anyway.seconds[2:])
    processor = sum(writing.processor_s[1:]) - sum(anyway.processor_s[2:])
    print(f"{frames} frames of {arguments.size}: {wall / frames * 1000:.0f} ms each")
    print(f"the journal holds up the dream: {held / frames * 1000:.2f} ms, {held / wall:.2%}")
    print(
        f"its thread, making and encoding pictures aside: {own / frames * 1000:.2f} ms, "
        f"{processor / frames * 1000:.2f} ms of processor time, {processor / wall:.2%}"
    )
    told = ", ".join(f"{each / 1e6:.2f}" for each in writing.bytes)
    print(f"bytes: {sum(writing.bytes) / len(writing.bytes) / 1e6:.2f} MB a frame ({told})")


if __name__ == "__main__":
    main()
