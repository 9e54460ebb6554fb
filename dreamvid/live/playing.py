"""Frames of a source as they are due: a file in a loop, a camera, a screen, a pipe."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from dreamvid.film.prefetch import Prefetch
from dreamvid.media.closing import Closes
from dreamvid.media.live import LiveReader
from dreamvid.travel import side_stream
from dreamvid.types import Frame

if TYPE_CHECKING:
    import torch

    from dreamvid.media.reader import FrameReader
    from dreamvid.media.source import Source

AHEAD = 4
"""Frames decoded before they are due."""
PATIENCE_S = 0.5
"""Seconds of delay after which the source's time is put off, as where decoding is too slow."""
USUAL_STEP = Fraction(1, 25)
FOREVER_S = Fraction(10**8)
"""How long a single picture stays, in seconds."""


@dataclass(frozen=True, eq=False)
class Taken:
    """One frame of a source, taken when it was due."""

    frame: Frame
    """The frame; its time is that within its round."""
    index: int
    """Its index within its round."""
    round: int
    """How often the source had been played to its end before."""
    elapsed: Fraction
    """Seconds of the source since the first round's beginning."""
    due: float
    """Time by the player's clock at which it was due."""


class Player(Closes):
    """Frames of `source`, each when it is due; what is stored is played again and again.

    Frames that are late are left out where a later one is there: the newest counts. They are on
    `device`, None for the CPU. `changes` are those of the source's reader. `wait` waits for so many
    seconds, or shorter; `clock` tells seconds. Raises MediaError where the source cannot be read.
    """

    def __init__(
        self,
        source: Source,
        on_warning: Callable[[str], None],
        *,
        wait: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        device: torch.device | None = None,
        **changes: Any,
    ) -> None:
        if source.is_still and source.config.seconds is None:
            changes["seconds"] = FOREVER_S
        self._source, self._warn, self._changes = source, on_warning, changes
        self._wait, self._clock, self._device = wait, clock, device
        self._reader = self._open()
        self.info = self._reader.info
        self.origin = self._reader.origin
        self.skipped = 0
        """Number of frames that were left out."""

    def __iter__(self) -> Generator[Taken, None, None]:
        if isinstance(self._reader, LiveReader):
            yield from self._as_they_come(self._reader)
            return
        with Prefetch(self._rounds(), AHEAD, side_stream(self._device)) as ahead:
            yield from self._paced(ahead)

    def close(self) -> None:
        """Close the source."""
        self._reader.close()

    def _open(self) -> FrameReader:
        return self._source.open(self._warn, self._device or "cpu", **self._changes)

    def _as_they_come(self, reader: LiveReader) -> Iterator[Taken]:
        for index, frame in enumerate(reader):
            yield Taken(frame, index, 0, frame.time, self._clock())

    def _rounds(self) -> Iterator[Taken]:
        """All frames, without end where they can be read again; due is not known yet."""
        begun = Fraction(0)
        for number in itertools.count():
            end = Fraction(0)
            with closing(self._reader):
                for index, frame in enumerate(self._reader):
                    yield Taken(frame, index, number, begun + frame.time, 0.0)
                    end = frame.time + (frame.duration or USUAL_STEP)
            if not self._source.is_stored:
                return
            begun += end
            self._reader = self._open()

    def _paced(self, ahead: Prefetch[Taken]) -> Iterator[Taken]:
        begun: float | None = None
        for taken in ahead:
            now = self._clock()
            begun = now if begun is None else begun
            late = now - begun - float(taken.elapsed)
            if late > PATIENCE_S:
                begun += late
            elif late > (taken.frame.duration or USUAL_STEP) and ahead.has_next:
                self.skipped += 1
                continue
            elif late < 0:
                self._wait(-late)
            due = begun + float(taken.elapsed)
            yield Taken(taken.frame, taken.index, taken.round, taken.elapsed, due)
