"""Events shown to the user: progress and warnings on standard error, a summary at the end."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dreamvid.events import Event, Finished, Message, Progress, Warned

if TYPE_CHECKING:
    from dreamvid.film.report import Summary

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only errors.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print a summary as one JSON object on standard output.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the film where that was stopped.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Go on although the source, options or version changed.")
]
SharedOut = Annotated[
    str | None,
    typer.Option(
        "--workers",
        metavar="N",
        help="Share the work out to so many processes, or auto, by Ray: pip install "
        "'dreamvid[farm]'.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]

_NAMED_TIMES = 10
"""Most times of failed frames to list."""


class Display:
    """A listener that shows events to the user."""

    def __init__(self, quiet: bool, as_json: bool = False) -> None:
        self._quiet, self._as_json = quiet, as_json
        self._bar: Bar | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Message):
            self.say(event.text)
        elif isinstance(event, Warned):
            self.say(f"warning: {event.text}")
        elif isinstance(event, Progress) and not self._quiet:
            self._advance(event)
        elif isinstance(event, Finished):
            self.close()
            self._sum_up(event.summary)

    def say(self, text: str) -> None:
        """Print a line on standard error, unless quiet."""
        if not self._quiet:
            print(f"dreamvid: {text}", file=sys.stderr)

    def close(self) -> None:
        """Stop updating the last bar, which stays visible."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None

    def _advance(self, event: Progress) -> None:
        if self._bar is None or self._bar.stage != event.stage:
            self.close()
            self._bar = Bar(event)
        self._bar.update(event)

    def _sum_up(self, summary: Summary) -> None:
        """Print the summary: a JSON object on standard output, or lines on standard error."""
        if self._as_json:
            print(json.dumps(summary.to_json(), ensure_ascii=False))
            return
        plural = "" if summary.frames == 1 else "s"
        name = f"{summary.output}: " if summary.output else ""
        self.say(
            f"{name}{summary.frames} frame{plural} in {summary.seconds:.0f} s, "
            f"similarity {summary.similarity_before:.3f} -> {summary.similarity_after:.3f}"
        )
        for times, what in (
            (summary.retried, "dreamed at half the step size"),
            (summary.kept, "left at their warm start"),
        ):
            if times:
                at = ", ".join(f"{seconds:g}" for seconds in times[:_NAMED_TIMES])
                more = ", …" if len(times) > _NAMED_TIMES else ""
                self.say(f"{len(times)} with a failed gradient {what}: at {at}{more} s")


class Bar:
    """A progress bar on standard error, with rate and time left."""

    def __init__(self, begin: Progress) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self.stage = begin.stage
        self._begun_at, self._started = begin.done, time.monotonic()
        self._rich = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        fields: dict[str, Any] = {"completed": begin.done, "rate": "", "note": ""}
        self._task = self._rich.add_task(begin.stage, total=begin.total, **fields)
        self._rich.start()

    def update(self, event: Progress) -> None:
        """Show the progress of `event`."""
        done = event.done - self._begun_at
        rate = done / max(time.monotonic() - self._started, 1e-9)
        shown = f"{rate:.2f}/s" if rate >= 1 else f"{1 / rate:.1f} s each" if done else ""
        self._rich.update(self._task, completed=event.done, rate=shown, note=event.note)

    def close(self) -> None:
        """Stop updating the bar, which stays visible."""
        self._rich.stop()
