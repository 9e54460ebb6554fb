"""Events of the library, shown on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from dreamvid.cli.report import Progress as Bar
from dreamvid.cli.report import Report
from dreamvid.events import Event, Listener, Message, Progress, Warned


@contextmanager
def shown(report: Report) -> Iterator[Listener]:
    """Give a listener that shows events on standard error; progress bars end with the context."""
    bars: list[Bar] = []

    def show(event: Event) -> None:
        if isinstance(event, Message):
            report.say(event.text)
        elif isinstance(event, Warned):
            report.warn(event.text)
        elif isinstance(event, Progress) and event.done == 0:
            bars.append(stack.enter_context(report.progress(event.stage, event.total)))
        elif isinstance(event, Progress):
            bars[-1].advance(event.note)

    with ExitStack() as stack:
        yield show
