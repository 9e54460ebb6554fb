"""Telling the user: progress and warnings on standard error, a summary at the end."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only errors.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print a summary as one JSON object on standard output.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]


@dataclass
class Report:
    """What one run has to tell."""

    quiet: bool
    as_json: bool
    started: float = field(default_factory=time.monotonic)
    frames: int = 0
    before: float = 0.0
    """Sum over frames of the source's similarity to the prompts."""
    after: float = 0.0
    """The same of what was dreamed."""
    warnings: list[str] = field(default_factory=list)

    def say(self, message: str) -> None:
        """Tell something worth knowing, unless quiet."""
        if not self.quiet:
            print(f"dreamvid: {message}", file=sys.stderr)

    def warn(self, message: str) -> None:
        """Tell what went wrong without ending the run; kept for the summary."""
        self.warnings.append(message)
        self.say(f"warning: {message}")

    def count(self, before: float, after: float) -> None:
        """One more frame is done; its similarity to the prompts, before and after."""
        self.frames += 1
        self.before += before
        self.after += after

    def progress(self, what: str, total: int | None) -> Progress:
        """A bar with rate and time left, to be entered by `with`; it shows nothing where quiet."""
        return Progress(what, total, self.quiet)

    def finish(self, out: Path, **facts: Any) -> None:
        """Say what was made: one JSON object on standard output, or a line."""
        seconds = time.monotonic() - self.started
        frames = max(self.frames, 1)
        summary = {
            "output": str(out),
            "frames": self.frames,
            "seconds": round(seconds, 3),
            "seconds_per_frame": round(seconds / frames, 4),
            "similarity_before": round(self.before / frames, 4),
            "similarity_after": round(self.after / frames, 4),
            **facts,
            "warnings": self.warnings,
        }
        if self.as_json:
            print(json.dumps(summary, ensure_ascii=False))
        else:
            plural = "" if self.frames == 1 else "s"
            self.say(
                f"{out}: {self.frames} frame{plural} in {seconds:.0f} s, similarity "
                f"{summary['similarity_before']:.3f} -> {summary['similarity_after']:.3f}"
            )


class Progress:
    """A progress bar on standard error."""

    def __init__(self, what: str, total: int | None, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            disable=quiet,
        )
        self._task = self._bar.add_task(what, total=total, rate="", note="")
        self._started = time.monotonic()
        self._done = 0

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def advance(self, note: str) -> None:
        """One more is done."""
        self._done += 1
        rate = self._done / max(time.monotonic() - self._started, 1e-9)
        shown = f"{rate:.2f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
        self._bar.update(self._task, advance=1, rate=shown, note=note)
