"""Many results from one file: one after the other, or shared out to workers."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from dreamvid.config import (
    COMMANDS,
    CommandConfig,
    build_config,
    options,
)
from dreamvid.config.loading import listed, parse_toml
from dreamvid.errors import ConfigError, DreamvidError, shown
from dreamvid.events import Event, Finished, Listener, Message, Progress
from dreamvid.film.report import Summary
from dreamvid.making import make
from dreamvid.notebook import usual_listener
from dreamvid.workers import Done, Told, Workers, share_out

_OWN_KEYS = {"command", "in", "out", "film"}


@dataclass(frozen=True)
class BatchJob:
    """One result to make."""

    number: int
    """Its place in the file, from 1."""
    source: str
    out: Path
    config: CommandConfig
    film: Path | None = None
    """The film of a picture's steps."""

    @property
    def kept_at(self) -> Path:
        """The path of the film whose journal a stopped run leaves."""
        return self.film or self.out


@dataclass(frozen=True)
class BatchResult:
    """What became of one job."""

    job: int
    output: str
    outcome: Literal["made", "there", "failed"]
    """Made now; there already and left as it is; or failed, for the reason in `error`."""
    error: str = ""
    summary: Summary | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object of all that is known."""
        facts = {"job": self.job, "output": self.output, "outcome": self.outcome}
        made = {} if self.summary is None else {"summary": self.summary.to_json()}
        return facts | ({"error": self.error} if self.error else {}) | made


def read_jobs(file: Path) -> list[BatchJob]:
    """The jobs of a TOML file, their options checked. Raises ConfigError, which names the job.

    Each table [[job]] has `in`, `out`, `command` (video where it is left out), for a picture
    perhaps `film`, and any options of that command; those of a table [all] hold for all jobs whose
    command has them.
    """
    content = parse_toml(file)
    common, tables = content.pop("all", {}), content.pop("job", [])
    are_tables = isinstance(tables, list) and all(isinstance(table, dict) for table in tables)
    if content or not isinstance(common, dict) or not are_tables or not tables:
        raise ConfigError(f"'{file}' is no list of jobs; allowed: tables [[job]], and one [all]")
    jobs = [_read_job(number, table, common) for number, table in enumerate(tables, 1)]
    for path, count in Counter(path for job in jobs for path in {job.out, job.kept_at}).items():
        if count > 1:
            raise ConfigError(f"'{path}' is the result of {count} jobs; allowed: a name for each")
    return jobs


def _read_job(number: int, table: Mapping[str, Any], common: Mapping[str, Any]) -> BatchJob:
    command = table.get("command", "video")
    if command not in COMMANDS:
        raise ConfigError(
            f"job {number}: command '{shown(command)}' is not allowed; "
            f"allowed: {', '.join(COMMANDS)}"
        )
    own = {name: value for name, value in table.items() if name in _OWN_KEYS}
    for name in ("in", "out"):
        if not own.get(name):
            raise ConfigError(f"job {number}: '{name}' is missing; allowed: the name of a file")
    for name, value in own.items():
        if not isinstance(value, str):
            raise ConfigError(f"job {number}: {name} = {shown(value)} is no text; allowed: a text")
    if "film" in own and command != "image":
        raise ConfigError(
            f"job {number}: 'film' is of command image alone; allowed: to leave it out"
        )
    model = COMMANDS[command]
    known = {option.name for option in options(model)}
    given = {name: value for name, value in common.items() if name in known}
    given |= {name: value for name, value in table.items() if name not in _OWN_KEYS}
    try:
        config = build_config(model, given=listed(model, given))
    except ConfigError as error:
        raise ConfigError(f"job {number}: {error}") from None
    film = Path(own["film"]) if "film" in own else None
    return BatchJob(number, own["in"], Path(own["out"]), config, film)


def batch(
    file: str | PathLike[str],
    *,
    workers: Workers | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> list[BatchResult]:
    """Make all results that a TOML file lists; see `read_jobs` for its form.

    A result that is there already is left as it is, unless `overwrite`; one that was stopped is
    gone on with; one that fails does not stop the others. With `workers`, a number or "auto", Ray
    shares the jobs out. A guide is loaded once in each process. Paths are relative to the working
    folder. Raises ConfigError for the file itself, before anything is made.
    """
    jobs = read_jobs(Path(file))
    listener = listener or usual_listener()
    if workers is not None:
        return list(_shared_out(jobs, workers, overwrite, listener))
    from dreamvid.guide.loading import keeping_guides

    with keeping_guides():
        return [_make(job, len(jobs), overwrite, listener) for job in jobs]


def _make(job: BatchJob, count: int, overwrite: bool, listener: Listener) -> BatchResult:
    """Make one result, go on with it, or leave it."""
    from dreamvid.journal import folder_of

    def numbered(event: Event) -> None:
        if isinstance(event, Progress):
            listener(replace(event, stage=f"{job.number} of {count}: {event.stage}"))
        elif not isinstance(event, Finished):
            listener(event)

    begin = time.monotonic()
    try:
        is_begun = folder_of(_result_at(job.kept_at)).exists()
        if not (is_begun or overwrite) and _is_there(job.out):
            return _told(BatchResult(job.number, str(job.out), "there"), count, 0, listener)
        summary = make(
            job.config,
            job.source,
            job.out,
            film=job.film,
            overwrite=overwrite,
            resume=is_begun,
            listener=numbered,
        )
        result = BatchResult(job.number, str(job.out), "made", summary=summary)
    except Exception as error:  # a bug that one job meets must not stop the others either
        kind = "" if isinstance(error, DreamvidError) else f"{type(error).__name__}: "
        text = " ".join(f"{kind}{error}".split())
        result = BatchResult(job.number, str(job.out), "failed", text)
    return _told(result, count, time.monotonic() - begin, listener)


def _told(result: BatchResult, count: int, seconds: float, listener: Listener) -> BatchResult:
    """The result, which is told in one line."""
    what = {
        "made": f"made in {seconds:.0f} s",
        "there": "there already",
        "failed": f"failed: {result.error}",
    }[result.outcome]
    listener(Message(f"{result.job} of {count}: {result.output}: {what}"))
    return result


def _result_at(out: Path) -> Path:
    from dreamvid.media.source import result_at

    return result_at(out)


def _is_there(out: Path) -> bool:
    from dreamvid.media.image_sequence import numbered_path, output_pattern

    pattern = output_pattern(out)
    return (out if pattern is None else numbered_path(pattern, 1)).exists()


@dataclass
class BatchWork:
    """What a worker does with each job; it keeps its guides."""

    folder: Path
    """Where paths are relative to."""
    count: int
    overwrite: bool
    _kept: ExitStack = field(default_factory=ExitStack)
    _has_begun: bool = False

    def __call__(self, job: BatchJob, listener: Listener) -> BatchResult:
        from dreamvid.guide.loading import keeping_guides

        if not self._has_begun:
            os.chdir(self.folder)
            self._kept.enter_context(keeping_guides())
        self._has_begun = True
        return _make(job, self.count, self.overwrite, listener)


def _shared_out(
    jobs: Sequence[BatchJob], workers: Workers, overwrite: bool, listener: Listener
) -> Iterator[BatchResult]:
    """Yield the results in the order of the file, when all are there."""
    import torch

    on_gpu = any(job.config.device in ("auto", "cuda") for job in jobs)
    work = BatchWork(Path.cwd(), len(jobs), overwrite)
    results: dict[int, BatchResult] = {}
    threads = torch.get_num_threads()
    with closing(share_out(work, jobs, workers, on_gpu=on_gpu, threads=threads)) as happened:
        for event in happened:
            if isinstance(event, Done):
                results[event.task] = event.result
            elif isinstance(event, Message):
                listener(event)
            elif isinstance(event, Told) and not isinstance(event.event, Progress):
                listener(event.event)
            listener(Progress("jobs", len(results), len(jobs)))
    yield from (results[index] for index in range(len(jobs)))
