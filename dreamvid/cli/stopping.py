"""Ctrl-C and SIGTERM: the first finishes the current step, the second ends at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from dreamvid.cli.display import Display
from dreamvid.events import Event, Listener, Progress

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A signal to end; `exit_code` is that of shells, 128 + its number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


class Stopper:
    """A listener that passes events on, and raises Stopped where a signal has come.

    Before the first progress of any work, a signal ends at once.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self._is_patient = False
        self._asked: int | None = None
        self.raised: Stopped | None = None
        """What `handle` has raised, wherever the program then was."""

    def __call__(self, event: Event) -> None:
        self._display(event)
        self._is_patient = self._is_patient or isinstance(event, Progress)
        if self._asked is not None:
            number, self._asked = (
                self._asked,
                None,
            )  # raise once: a film may end here and still be completed
            raise Stopped(number)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: raise Stopped at once, or after the current step."""
        if not self._is_patient or self._asked is not None:
            self.raised = Stopped(number)
            raise self.raised
        self._asked = number
        self._display.say("stopping after this step; once more stops at once")


@contextmanager
def stopping(display: Display) -> Iterator[Listener]:
    """Handle signals within the block; it must send its events to the listener given."""
    stopper = Stopper(display)
    before = {number: signal.signal(number, stopper.handle) for number in _SIGNALS}
    try:
        yield stopper
    except Exception as error:
        if stopper.raised is None or stopper.raised in _chain(error):
            raise
        # Compiled code may raise an error of its own in its place, and not say why: pydantic
        # a SchemaError, where the signal comes while it builds a model.
        for note in getattr(error, "__notes__", []):
            stopper.raised.add_note(note)
        raise stopper.raised from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        display.close()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and those in whose handling it came."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
