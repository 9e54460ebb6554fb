"""Ctrl-C and SIGTERM: once, and what is at hand is finished; twice, and it ends at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from dreamvid.cli.report import Report

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """The user, or the system, wants an end. `exit_code` is as shells have it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


class Stopper:
    """What has been asked for. Until `is_patient`, the first signal ends at once, too."""

    def __init__(self, report: Report) -> None:
        self.is_patient = False
        self._report = report
        self._asked: int | None = None

    def check(self, *_: object) -> None:
        """Raise Stopped where a signal has come."""
        if self._asked is not None:
            raise Stopped(self._asked)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if not self.is_patient or self._asked is not None:
            raise Stopped(number)
        self._asked = number
        self._report.say("stopping after this step; once more stops at once")


@contextmanager
def stopping(report: Report) -> Iterator[Stopper]:
    """Take signals within the block, which asks `check` between its steps."""
    stopper = Stopper(report)
    before = {number: signal.signal(number, stopper.handle) for number in _SIGNALS}
    try:
        yield stopper
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
