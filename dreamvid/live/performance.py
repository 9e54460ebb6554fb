"""Playing from beginning to end, in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamvid.config import VideoConfig
from dreamvid.events import Listener
from dreamvid.film.checks import config_of
from dreamvid.film.job import Parts
from dreamvid.film.report import Reporter
from dreamvid.live.job import LiveJob
from dreamvid.live.opening import open_session
from dreamvid.live.recording import FilmFile
from dreamvid.live.session import Session, Shown
from dreamvid.notebook import usual_listener

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from dreamvid.dream.canvas import Canvas
    from dreamvid.dream.objective import Objective
    from dreamvid.dream.terms import Term
    from dreamvid.types import FlowEstimator

STAGE = "playing"
TOLD_S = 0.5
"""Seconds from one report of progress to the next."""

Surface = Callable[[Session], "AbstractContextManager[object]"]
"""Something that shows a session or sets its numbers while it is played, as a page does."""


@dataclass(frozen=True)
class Performance:
    """What became of playing."""

    frames: int
    """Frames shown."""
    seconds: float
    """From the first to the last of them."""
    dreams: int
    """Differences that were dreamed."""
    delay_ms: float
    """Median of the time from a frame's taking to its showing."""
    left_out: int
    """Frames of the source that came while another was shown."""

    def to_json(self) -> dict[str, Any]:
        """All values as a JSON object."""
        return asdict(self)


def play(
    source: str | PathLike[str],
    *,
    config: VideoConfig | None = None,
    out: str | PathLike[str] | None = None,
    overwrite: bool = False,
    folder: str | PathLike[str] = ".",
    duration: float | None = None,
    record: bool = False,
    surfaces: Sequence[Surface] = (),
    objectives: Sequence[Objective] | None = None,
    flow: FlowEstimator | None = None,
    canvas: Canvas | None = None,
    terms: Sequence[Term] | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> Performance:
    """Show a source at its own rate, and dream on it as fast as that goes.

    `source` is what `dreamvid video` takes as IN; a file is played in a loop. Each option of that
    command is a keyword, on top of `config`. `out` is a film of all that is shown, "-" for
    standard output. `surfaces` are open while it is played. Takes and stills go into `folder`,
    with `record` a take from the beginning on. It ends after `duration` seconds, with the source,
    or with a KeyboardInterrupt, in the thread that calls this.

    Raises ConfigError for options, MediaError for files, GuideError and DeviceError.
    """
    reporter = Reporter(listener or usual_listener())
    job = LiveJob.prepare(
        Path(source),
        config_of(VideoConfig, config, options),
        out=None if out is None else Path(out),
        overwrite=overwrite,
        folder=Path(folder),
        record=record,
        parts=Parts(objectives, flow, canvas, terms),
    )
    with open_session(job, reporter) as session, ExitStack() as stack:
        film = _film(job, session)
        for surface in surfaces:
            stack.enter_context(surface(session))
        tally = _Tally(session, reporter)
        try:
            for shown in session:
                if film is not None:
                    film.add(shown.frame)
                tally.add(shown)
                if duration is not None and shown.frame.time >= duration:
                    break
        except KeyboardInterrupt:
            if tally.is_empty:
                raise
        finally:
            if film is not None:
                film.close()
        session.close()
        if film is not None and film.left_out:
            reporter.warn(f"'{out}' is slow to write: {film.left_out} frames are left out")
        for line in session.take_news():
            reporter.say(line)
    return tally.performance()


def _film(job: LiveJob, session: Session) -> FilmFile | None:
    if job.out is None:
        return None
    return FilmFile(job.out, session.info, job.config, job.source_name, job.overwrite)


class _Tally:
    """Counts what is shown, and reports it now and then."""

    def __init__(self, session: Session, reporter: Reporter) -> None:
        self._session, self._reporter = session, reporter
        self._first: Shown | None = None
        self._last: Shown | None = None
        self._told_at = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether nothing was shown."""
        return self._last is None

    def add(self, shown: Shown) -> None:
        """Count a frame."""
        self._first = self._first or shown
        self._last = shown
        if shown.at - self._told_at < TOLD_S:
            return
        self._told_at = shown.at
        for line in self._session.take_news():
            self._reporter.say(line)
        figures = self._session.figures
        note = f"{figures.rate:.1f} shown, {figures.dream_rate:.1f} dreamed a second"
        self._reporter.progress(STAGE, None, figures.shown, note)

    def performance(self) -> Performance:
        """What became of it."""
        figures = self._session.figures
        seconds = 0.0
        if self._first is not None and self._last is not None:
            seconds = self._last.at - self._first.at
        return Performance(
            figures.shown,
            round(seconds, 3),
            figures.dreams,
            round(figures.delay_ms, 2),
            figures.left_out,
        )
