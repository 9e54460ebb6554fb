"""A whole film in one call, from a file to a file."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamvid.config import VideoConfig
from dreamvid.events import Listener
from dreamvid.film.checks import config_of
from dreamvid.film.job import Parts, VideoJob, complete
from dreamvid.film.report import Reporter, Summary
from dreamvid.notebook import usual_listener

if TYPE_CHECKING:
    from dreamvid.dream.canvas import Canvas
    from dreamvid.dream.objective import Objective
    from dreamvid.dream.terms import Term
    from dreamvid.types import FlowEstimator
    from dreamvid.workers import Workers


def dream_video(
    source: str | PathLike[str],
    out: str | PathLike[str],
    *,
    config: VideoConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    force: bool = False,
    shots: Sequence[int] | None = None,
    workers: Workers | None = None,
    objectives: Sequence[Objective] | None = None,
    flow: FlowEstimator | str | None = None,
    canvas: Canvas | str | None = None,
    terms: Sequence[Term] | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> Summary:
    """Dream a video clip; its times and sound stay.

    `source` and `out` are what `dreamvid video` takes as IN and OUT. Each option of that command
    is a keyword (`prompt="a coral reef"`, `strength=0.2`), on top of `config`. `objectives`,
    `flow`, `canvas` and `terms` are the caller's own parts in place of those that options name;
    `flow` and `canvas` may be such a name too.
    `listener` gets all events; without one, a notebook shows a progress bar. `resume` resumes a
    run that was stopped, with `force` even where something has changed.

    With `shots`, numbers from 1 as `find_shots` has them, these shots alone are dreamed into the
    journal of `out`, and those of other processes are waited for; `join` puts all together. What
    is there of them is gone on with. With `workers`, a number or "auto", Ray shares the shots out.

    Raises ConfigError for options, MediaError for files, GuideError, DeviceError and
    JournalError; all are DreamvidError, and say in one line what is allowed.
    """
    reporter = Reporter(listener or usual_listener())
    parts, options = Parts.split(
        options, objectives=objectives, flow=flow, canvas=canvas, terms=terms
    )
    job = VideoJob.prepare(
        Path(source),
        Path(out),
        config_of(VideoConfig, config, options),
        overwrite=overwrite,
        resume=resume,
        force=force,
        parts=parts,
    )
    if workers is not None:
        from dreamvid.film.sharing import share_film

        return share_film(job, workers, shots, reporter)
    if shots is not None:
        from dreamvid.film.shots import dream_shots

        return dream_shots(job, shots, reporter)
    return complete(job, reporter)
