"""Telling the user: progress and warnings on standard error, a summary at the end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from dreamvid.film.sequence import DreamedFrame

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only errors.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print a summary as one JSON object on standard output.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Go on although the source, options or version changed.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]


@dataclass
class Tally:
    """Sums over all frames of a result, from however many runs."""

    frames: int = 0
    before: float = 0.0
    """Sum of the sources' similarity to the prompts."""
    after: float = 0.0
    """The same of what was dreamed."""
    shots: int = 0
    retried: list[float] = field(default_factory=list)
    """Seconds of the frames that were dreamed at half the step size."""
    kept: list[float] = field(default_factory=list)
    """Seconds of those left at their warm start."""

    def note_frame(self, dreamed: DreamedFrame) -> None:
        """Count its shot, and what went wrong."""
        self.shots += dreamed.begins_shot
        if dreamed.outcome != "dreamed":
            times = self.retried if dreamed.outcome == "retried" else self.kept
            times.append(round(float(dreamed.frame.time), 3))

    def facts(self) -> dict[str, Any]:
        """All of it, for `update`."""
        return asdict(self)

    def update(self, facts: Mapping[str, Any] | None) -> None:
        """Go on from the tally of an earlier run."""
        for name, value in (facts or {}).items():
            setattr(self, name, value)

    def summary(self) -> dict[str, Any]:
        """The means, and what is worth naming."""
        frames = max(self.frames, 1)
        failures = {"retried": self.retried, "kept": self.kept}
        return {
            "frames": self.frames,
            "similarity_before": round(self.before / frames, 4),
            "similarity_after": round(self.after / frames, 4),
            **({"shots": self.shots} if self.shots else {}),
            **{name: times for name, times in failures.items() if times},
        }


@dataclass
class Report:
    """What one run has to tell."""

    quiet: bool
    as_json: bool
    started: float = field(default_factory=time.monotonic)
    tally: Tally = field(default_factory=Tally)
    begun_at: int = 0
    """Frames that earlier runs had finished."""
    warnings: list[str] = field(default_factory=list)
    _is_cramped: bool = False

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
        self.tally.frames += 1
        self.tally.before += before
        self.tally.after += after

    def note_halved(self, count: int) -> None:
        """Tell, once, that the device's memory does not take all cutouts together."""
        if not self._is_cramped:
            self._is_cramped = True
            self.warn(
                f"the device is out of memory; its guide now sees {count} cutouts at once or "
                "fewer, to the same effect"
            )

    def go_on(self, tally: Mapping[str, Any] | None) -> None:
        """Count on from what earlier runs had finished."""
        self.tally.update(tally)
        self.begun_at = self.tally.frames
        plural = "" if self.begun_at == 1 else "s"
        self.say(f"going on after {self.begun_at} frame{plural}")

    def progress(self, what: str, total: int | None) -> Progress:
        """A bar with rate and time left, to be entered by `with`; it shows nothing where quiet."""
        return Progress(what, total, self.begun_at, self.quiet)

    def finish(self, out: Path, **facts: Any) -> None:
        """Say what was made: one JSON object on standard output, or a line."""
        seconds = time.monotonic() - self.started
        summary = {
            "output": str(out),
            "seconds": round(seconds, 3),
            "seconds_per_frame": round(seconds / max(self.tally.frames - self.begun_at, 1), 4),
            **self.tally.summary(),
            **facts,
            "warnings": self.warnings,
        }
        if self.as_json:
            print(json.dumps(summary, ensure_ascii=False))
        else:
            plural = "" if self.tally.frames == 1 else "s"
            self.say(
                f"{out}: {self.tally.frames} frame{plural} in {seconds:.0f} s, similarity "
                f"{summary['similarity_before']:.3f} -> {summary['similarity_after']:.3f}"
            )
            self._say_failures()

    def _say_failures(self) -> None:
        for times, what in (
            (self.tally.retried, "dreamed at half the step size"),
            (self.tally.kept, "left at their warm start"),
        ):
            if times:
                at = ", ".join(f"{seconds:g}" for seconds in times[:10])
                more = ", …" if len(times) > 10 else ""
                self.say(f"{len(times)} with a failed gradient {what}: at {at}{more} s")


class Progress:
    """A progress bar on standard error."""

    def __init__(self, what: str, total: int | None, done: int, quiet: bool) -> None:
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
        self._task = self._bar.add_task(what, total=total, completed=done, rate="", note="")
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
