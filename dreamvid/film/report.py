"""Sums over a run's frames, events for its listener, and the summary at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamvid.errors import JournalError
from dreamvid.events import (
    Event,
    Finished,
    FrameDone,
    Listener,
    Message,
    Progress,
    StepDone,
    Warned,
)

if TYPE_CHECKING:
    from torch import Tensor

    from dreamvid.dream.descent import Step
    from dreamvid.film.sequence import DreamedFrame
    from dreamvid.types import Frame

ENOUGH = 0.8
"""Share of a strength that rises at once from which on the dream is said to reach it."""


@dataclass
class Tally:
    """Sums over all frames of a result, over one or more runs."""

    frames: int = 0
    before: float = 0.0
    """Sum of the sources' similarity to the prompts."""
    after: float = 0.0
    """Sum of the dreams' similarity to the prompts."""
    shots: int = 0
    retried: list[float] = field(default_factory=list)
    """Times in seconds of the frames that were dreamed at half the step size."""
    kept: list[float] = field(default_factory=list)
    """Times in seconds of the frames that were left at their warm start."""
    strikes: int = 0
    """Frames whose strength rises at once, on a beat."""
    reached: float = 0.0
    """Sum over those of the share of the strength that the dream reached."""

    def note_outcome(self, dreamed: DreamedFrame) -> None:
        """Count its shot, a strength that rises at once, and a gradient that failed."""
        self.shots += dreamed.begins_shot
        if dreamed.reached is not None:
            self.strikes += 1
            self.reached += dreamed.reached
        if dreamed.outcome != "dreamed":
            times = self.retried if dreamed.outcome == "retried" else self.kept
            times.append(round(float(dreamed.frame.time), 3))

    @property
    def strength_reached(self) -> float | None:
        """The mean share of the strength that is reached where it rises at once; None if never."""
        return round(self.reached / self.strikes, 4) if self.strikes else None

    def __add__(self, other: Tally) -> Tally:
        """The sums over both, those of `other` later."""
        here, there = asdict(self), asdict(other)
        return Tally(**{name: here[name] + there[name] for name in here})

    def to_json(self) -> dict[str, Any]:
        """A JSON object of all sums, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any] | None) -> Tally:
        """The tally of an earlier run. Raises JournalError where `facts` are of another kind."""
        try:
            return cls(**{name: _KINDS[name](value) for name, value in (facts or {}).items()})
        except (KeyError, TypeError, ValueError):
            raise JournalError(
                f"the journal's tally {facts} is of another kind; allowed: the same command with "
                "--overwrite, which begins anew"
            ) from None

    def summary(self) -> dict[str, Any]:
        """The fields of a `Summary`: means, and counts and times that are not empty."""
        frames = max(self.frames, 1)
        failures = {"retried": self.retried, "kept": self.kept}
        strikes = {"strikes": self.strikes, "strength_reached": self.strength_reached}
        return {
            "frames": self.frames,
            "similarity_before": round(self.before / frames, 4),
            "similarity_after": round(self.after / frames, 4),
            **({"shots": self.shots} if self.shots else {}),
            **(strikes if self.strikes else {}),
            **{name: times for name, times in failures.items() if times},
        }


_KINDS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("frames", "shots", "strikes"), int),
    **dict.fromkeys(("before", "after", "reached"), float),
    **dict.fromkeys(("retried", "kept"), lambda times: [float(time) for time in times]),
}
"""The types of a tally's fields: `facts` may be somebody else's file."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The outcome of a run."""

    output: str
    """The result's path; empty where none was written."""
    seconds: float
    """Duration of this run."""
    seconds_per_frame: float
    frames: int
    """Frames of the result, over all runs."""
    similarity_before: float
    """Mean similarity of the sources to the prompts, over frames and guides."""
    similarity_after: float
    """Mean similarity of the dreams."""
    shots: int = 0
    retried: tuple[float, ...] = ()
    """Times in seconds of frames dreamed at half the step size, after a gradient that failed."""
    kept: tuple[float, ...] = ()
    """Times in seconds of frames left at their warm start, where the second gradient failed too."""
    strikes: int = 0
    """Frames whose strength rises at once, on a beat."""
    strength_reached: float | None = None
    """Mean share of the strength that the dream reached on those frames; None without any."""
    digest: str | None = None
    """Hash over all frames as the encoder was given them; None where no journal was kept."""
    loop: bool | None = None
    """Whether the film joins its beginning; None unless it is a zoom."""
    guide: tuple[str, ...] = ()
    device: str | None = None
    """None where nothing was computed."""
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON object of all known values, as `--json` prints it."""
        rare = ("shots", "retried", "kept", "strikes")
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
            if value is not None and (value or name not in rare)
        }


class _EndedByListener(BaseException):  # noqa: N818: no error
    """The listener has ended a source that has no end of its own."""


class Reporter:
    """Tells a listener what a run does, and keeps what its summary needs."""

    def __init__(self, listener: Listener) -> None:
        self.tally = Tally()
        self.warnings: list[str] = []
        self._listener = listener
        self._started = time.monotonic()
        self._begun_at = 0
        """Frames that earlier runs had finished."""
        self._is_memory_short = False

    def tell(self, event: Event) -> None:
        """Pass an event on; the summary repeats warnings."""
        if isinstance(event, Warned):
            self.warnings.append(event.text)
        self._listener(event)

    @contextmanager
    def ends_on_interrupt(self) -> Iterator[None]:
        """Take a listener's KeyboardInterrupt for the end of what is done within the block.

        The source is one without an end of its own. Where no frame is done yet, the interrupt
        stays one.
        """
        listener = self._listener

        def ending(event: Event) -> None:
            try:
                listener(event)
            except KeyboardInterrupt as stop:
                raise _EndedByListener from stop

        self._listener = ending
        try:
            yield
        except _EndedByListener as ended:
            if not self.tally.frames and ended.__cause__ is not None:
                raise ended.__cause__ from None
        finally:
            self._listener = listener

    def say(self, text: str) -> None:
        """Send a message."""
        self.tell(Message(text))

    def warn(self, text: str) -> None:
        """Send a warning: something went wrong without ending the run."""
        self.tell(Warned(text))

    def step(self, step: Step) -> None:
        """Report a gradient step."""
        self.tell(StepDone(step))

    def note_microbatch(self, count: int) -> None:
        """Warn, once, that the device's memory does not hold all cutouts at once."""
        if not self._is_memory_short:
            self._is_memory_short = True
            self.warn(
                f"the device is out of memory; its guide now sees {count} cutouts at once or "
                "fewer, to the same effect"
            )

    def note_strikes(self) -> None:
        """Warn where the dream falls short of a strength that rises at once."""
        reached = self.tally.strength_reached
        if reached is not None and reached < ENOUGH:
            plural = "" if self.tally.strikes == 1 else "s"
            self.warn(
                f"the strength rises at once on {self.tally.strikes} frame{plural}, where the "
                f"dream reaches {reached:.0%} of it; more --first-steps or a larger --lr reach more"
            )

    def go_on(self, tally: Tally) -> None:
        """Continue the sums of earlier runs."""
        self.tally, self._begun_at = tally, tally.frames
        plural = "" if tally.frames == 1 else "s"
        self.say(f"going on after {tally.frames} frame{plural}")

    def progress(
        self, stage: str, total: int | None, done: int | None = None, note: str = ""
    ) -> None:
        """Report the progress of a stage; without `done`, the frames that earlier runs finished."""
        self.tell(Progress(stage, self._begun_at if done is None else done, total, note))

    def count(self, before: float, after: float) -> None:
        """Add a frame, with the similarity of its source and its dream to the prompts."""
        self.tally.frames += 1
        self.tally.before += before
        self.tally.after += after

    def frame_done(
        self, index: int, frame: Frame, source: Tensor, before: float, after: float
    ) -> None:
        """Report the frame of this index, which is counted and written."""
        self.tell(FrameDone(index, frame, source, before, after))

    def total(self, tallies: Iterable[Tally], made: int) -> None:
        """Let the summary be about these sums together, of which this run made `made` frames."""
        self.tally = sum(tallies, Tally())
        self._begun_at = self.tally.frames - made

    def finish(self, out: Path | None, **facts: Any) -> Summary:
        """Report that the result is complete, and return the summary of the run."""
        seconds = time.monotonic() - self._started
        done = max(self.tally.frames - self._begun_at, 1)
        told: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in (self.tally.summary() | facts).items()
        }
        summary = Summary(
            output="" if out is None else str(out),
            seconds=round(seconds, 3),
            seconds_per_frame=round(seconds / done, 4),
            warnings=tuple(self.warnings),
            **told,
        )
        self.tell(Finished(summary))
        return summary
