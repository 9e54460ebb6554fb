"""Films in the making: resumed after they were stopped, or looked at meanwhile."""

from __future__ import annotations

from contextlib import AbstractContextManager, chdir, nullcontext
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from dreamvid.config import VideoConfig
from dreamvid.errors import ConfigError, MediaError
from dreamvid.events import Listener
from dreamvid.film.job import VideoJob
from dreamvid.film.report import Reporter, Summary
from dreamvid.making import make, report_after
from dreamvid.notebook import usual_listener

if TYPE_CHECKING:
    from dreamvid.journal import Run
    from dreamvid.workers import Workers


def resume(
    out: str | PathLike[str],
    *,
    force: bool = False,
    workers: Workers | None = None,
    listener: Listener | None = None,
) -> Summary:
    """Resume the film `out` that was stopped or killed, losing no finished frame.

    `force` resumes although the source, options or versions have changed; `workers` share out what
    is left of a film that is made shot by shot. The process works in
    the folder in which the run was begun until this returns. Raises JournalError where there is
    nothing to resume, and what the function that began it raises.
    """
    from dreamvid.film.job import settle
    from dreamvid.journal import (
        ShotList,
        nothing_finished,
        read_checkpoint,
        read_shot_list,
        read_state,
    )
    from dreamvid.media.source import result_at

    path = result_at(Path(out)).absolute()
    settled = settle(result_at(Path(out)), Reporter(listener or usual_listener()))
    if settled is not None:
        return settled
    begun = read_shot_list(path) or read_state(path) or read_checkpoint(path)
    if begun is None:
        raise nothing_finished(result_at(Path(out)))
    if workers is not None and not isinstance(begun, ShotList):
        raise ConfigError(
            f"--workers: '{out}' was begun in one piece; allowed: to resume it without, or "
            "`dreamvid video` with --workers and --overwrite, which begins anew"
        )
    with _where_begun(begun.run):
        return _go_on(begun.run, path, force, workers, listener)


def join(
    out: str | PathLike[str],
    *,
    overwrite: bool = False,
    force: bool = False,
    listener: Listener | None = None,
) -> Summary:
    """Put together the film `out`, whose shots were dreamed one by one.

    Its sound, texts, chapters and metadata are those of a film that was made in one piece. `force`
    joins although the source, options or versions have changed. Raises JournalError, which names
    what is missing, MediaError where the file cannot be written.
    """
    from dreamvid.film.job import settle
    from dreamvid.film.shots import join_shots
    from dreamvid.journal import nothing_finished, read_shot_list
    from dreamvid.media.source import result_at

    reporter = Reporter(listener or usual_listener())
    path = result_at(Path(out)).absolute()
    settled = settle(result_at(Path(out)), reporter)
    if settled is not None:
        return settled
    shot_list = read_shot_list(path)
    if shot_list is None:
        raise nothing_finished(result_at(Path(out)))
    config = shot_list.run.config
    assert isinstance(config, VideoConfig)  # no other film has shots
    source = shot_list.run.source.path
    overwrite = overwrite or shot_list.overwrite
    with _where_begun(shot_list.run):
        job = VideoJob.prepare(
            Path(source), path, config, overwrite=overwrite, resume=force, force=force
        )
        summary = join_shots(job, reporter)
        if config.report:
            report_after(config, source, path, summary, overwrite, listener)
        return summary


def _where_begun(run: Run) -> AbstractContextManager[None]:
    """Work where the run was begun, since its options may name files from there."""
    folder = Path(run.folder)
    return chdir(folder) if folder.is_dir() else nullcontext()


def _go_on(
    run: Run, out: Path, force: bool, workers: Workers | None, listener: Listener | None
) -> Summary:
    """Call the function that began the run."""
    # The film of a picture is its second result; the journal is named after it.
    result, film = (out, None) if run.picture is None else (run.picture, out)
    return make(
        run.config,
        run.source.path,
        result,
        film=film,
        resume=True,
        force=force,
        workers=workers,
        listener=listener,
    )


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

    The file is `to`, or else `out` with .peek before its dot, which is replaced; pictures get
    names like these. Raises JournalError where no frame is finished or `out` is complete,
    MediaError where the file cannot be written.
    """
    from dreamvid.journal import peek as show
    from dreamvid.media.source import check_result, result_at

    reporter = Reporter(listener or usual_listener())
    path = result_at(Path(out))
    default = path.with_name(f"{path.stem}.peek{path.suffix}")
    target = default if to is None else result_at(Path(to))
    overwrite = overwrite or to is None
    if target.absolute() == path.absolute():
        raise MediaError(f"'{target}' is the film itself; allowed: any other name")
    check_result(target, None, overwrite)
    state = show(path, target, overwrite=overwrite, on_warning=reporter.warn)
    return Peek(target, state.frames, float(state.duration))
