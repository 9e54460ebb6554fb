"""A limit of processor time, which no busy machine can reach by waiting."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TooSlow(BaseException):
    """Raised in the middle of what takes too long; a handler of Exception does not take it."""


@contextmanager
def limited(seconds: float = 2.0) -> Iterator[None]:
    """Raise TooSlow where the block takes more than so many seconds of this process's time.

    What takes a second takes up to two where another program has the other half of the core.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"more than {seconds:g} s of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
