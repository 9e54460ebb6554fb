"""A whole film in one call, from a file to a file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import chdir, nullcontext
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamvid.config import VideoConfig
from dreamvid.events import Listener
from dreamvid.film.checks import config_of
from dreamvid.film.job import Job, Parts
from dreamvid.film.report import Reporter, Summary, Tally
from dreamvid.notebook import usual_listener

if TYPE_CHECKING:
    from dreamvid.dream.canvas import Canvas
    from dreamvid.dream.objective import Objective
    from dreamvid.dream.terms import Term
    from dreamvid.types import FlowEstimator


def dream_video(
    source: str | PathLike[str],
    out: str | PathLike[str],
    *,
    config: VideoConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    force: bool = False,
    objectives: Sequence[Objective] | None = None,
    flow: FlowEstimator | None = None,
    canvas: Canvas | None = None,
    terms: Sequence[Term] | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> Summary:
    """Dream a video clip; its times and sound stay.

    `source` and `out` are what `dreamvid video` takes as IN and OUT. Each option of that command
    is a keyword (`prompt="a coral reef"`, `strength=0.2`), on top of `config`. `objectives`,
    `flow`, `canvas` and `terms` are the caller's own parts in place of those that options name.
    `listener` gets all events; without one, a notebook shows a progress bar. `resume` resumes a
    run that was stopped, with `force` even where something has changed.

    Raises ConfigError for options, MediaError for files, GuideError, DeviceError and
    JournalError; all are DreamvidError, and say in one line what is allowed.
    """
    reporter = Reporter(listener or usual_listener())
    parts = Parts(objectives, flow, canvas, terms)
    job = Job.prepare(
        Path(source),
        Path(out),
        config_of(VideoConfig, config, options),
        overwrite=overwrite,
        resume=resume,
        force=force,
        parts=parts,
    )
    return (_settle(job.out, reporter) if resume else None) or _run(job, reporter)


def resume(
    out: str | PathLike[str], *, force: bool = False, listener: Listener | None = None
) -> Summary:
    """Resume the film `out` that was stopped or killed, losing no finished frame.

    `force` resumes although the source, options or versions have changed. The process works in
    the folder in which the run was begun until this returns. Raises JournalError where there is
    nothing to resume, and what `dream_video` raises.
    """
    from dreamvid.journal import nothing_finished, read_state
    from dreamvid.media.files import check_output

    reporter = Reporter(listener or usual_listener())
    path = Path(out).absolute()
    settled = _settle(Path(out), reporter)
    if settled is not None:
        return settled
    state = read_state(Path(out))
    if state is None:
        raise nothing_finished(Path(out))
    begun_in = Path(state.run.folder)
    with chdir(begun_in) if begun_in.is_dir() else nullcontext():  # options name files from there
        source = Path(state.run.source.path)
        job = Job.prepare(source, path, state.run.config, resume=True, force=force)
        check_output(path, source, overwrite=True)
        return _run(job, reporter)


@dataclass(frozen=True)
class Peek:
    """A file of the frames of a film that are finished so far."""

    output: Path
    frames: int
    seconds: float
    """Time at which its last frame ends."""


def peek(
    out: str | PathLike[str],
    to: str | PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> Peek:
    """Make a file of the frames of `out` that are finished so far, also while its run continues.

    The file is `to`, or else `out` with .peek before its dot, which is replaced. Raises
    JournalError where no frame is finished or `out` is complete, MediaError where the file cannot
    be written.
    """
    from dreamvid.journal import peek as show
    from dreamvid.media.files import check_output

    reporter = Reporter(listener or usual_listener())
    path = Path(out)
    target = path.with_name(f"{path.stem}.peek{path.suffix}") if to is None else Path(to)
    overwrite = overwrite or to is None
    check_output(target, path, overwrite)
    state = show(path, target, overwrite=overwrite, on_warning=reporter.warn)
    return Peek(target, state.frames, float(state.duration))


def _run(job: Job, reporter: Reporter) -> Summary:
    from dreamvid.film.pipeline import run

    return run(job, reporter)


def _settle(out: Path, reporter: Reporter) -> Summary | None:
    """Remove the journal of a complete result and return its summary; None where incomplete."""
    from dreamvid.journal import folder_of, read_mark, remove_folder

    mark = read_mark(out)
    if mark is None:
        return None
    remove_folder(folder_of(out))
    reporter.say("only the journal of a whole result was left, and is removed")
    reporter.tally = Tally.from_json(mark["tally"])
    return reporter.finish(out, **mark["summary"])
