"""What a journal costs of a run: its share of the time from the first frame to the last.

    python scripts/journal_cost.py [--size 320x180] [--seconds 1]

Dreams the sample with the built-in guide and the default options, and counts within that run what
a run without a journal would not do: everything in writing a frame but its conversion and its way
through the encoder. So it holds on a busy machine, too, and needs no second run to compare with.
"""

from __future__ import annotations

import argparse
import tempfile
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
    """Sums the time within the functions that it wraps, and notes when each call began."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.begun: list[float] = []

    def timing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            begin = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.begun.append(begin)
                self.seconds.append(time.perf_counter() - begin)

        return timed


def main() -> None:
    """Dream and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--seconds", default="1")
    arguments = parser.parse_args()
    given = {"prompt": ["a coral reef"], "size": arguments.size, "end": arguments.seconds}
    config = build_config(VideoConfig, given=given)
    writing, anyway = Stopwatch(), Stopwatch()
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(Journal, "write", writing.timing(Journal.write)),
        patch.object(EncoderFrameMaker, "make", anyway.timing(EncoderFrameMaker.make)),
        patch.object(OpenSegment, "encode", anyway.timing(OpenSegment.encode)),
    ):
        dream_video(SAMPLE, Path(folder) / "out.mp4", config=config, listener=Display(False))
    # Between the end of the first frame, which has more steps, and that of the last.
    wall = writing.begun[-1] + writing.seconds[-1] - writing.begun[0] - writing.seconds[0]
    frames = len(writing.seconds) - 1
    own = sum(writing.seconds[1:]) - sum(anyway.seconds[2:])
    print(f"{frames} frames of {arguments.size}: {wall / frames * 1000:.0f} ms each")
    print(f"of that the journal: {own / frames * 1000:.2f} ms, {own / wall:.2%}")


if __name__ == "__main__":
    main()
