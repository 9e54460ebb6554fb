"""One film to make: its source, result and options, all checked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypedDict

from dreamvid.config import (
    Area,
    CommandConfig,
    ReadConfig,
    VideoConfig,
)
from dreamvid.errors import ConfigError
from dreamvid.film.checks import check_music, check_prompts, check_where_model, with_own_colours
from dreamvid.film.report import Reporter, Summary, Tally
from dreamvid.media.files import STANDARD
from dreamvid.media.source import Source, can_resume, check_result, result_at

if TYPE_CHECKING:
    from dreamvid.dream.canvas import Canvas
    from dreamvid.dream.objective import Objective
    from dreamvid.dream.terms import Term
    from dreamvid.film.clip import Clip
    from dreamvid.film.pipeline import Film
    from dreamvid.types import FlowEstimator


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every film has: where it comes from and goes to, and whether it is resumed."""

    source: Source | None
    """None for a blank, and for a tensor."""
    source_name: str
    """Name of the source in the result's metadata."""
    out: Path
    config: CommandConfig
    can_resume: bool
    """Whether a journal is kept, from which a stopped run resumes."""
    overwrite: bool = False
    resume: bool = False
    force: bool = False
    """Resume although the source, options or versions have changed."""

    def check_resume(self) -> None:
        """Raise ConfigError where `force` or `resume` is given but cannot be obeyed."""
        if self.force and not self.resume:
            raise ConfigError("--force is given without --resume; allowed with --resume")
        if self.resume and not self.can_resume:
            raise ConfigError(
                f"--resume: '{self.source_name}' to '{self.out}' has no journal; allowed: from "
                "files to files"
            )


class FilmJob(Job, ABC):
    """A job for the pipeline."""

    @abstractmethod
    def open(self, reporter: Reporter) -> AbstractContextManager[Film]:
        """The film, open. Raises DreamvidError."""


@dataclass(frozen=True)
class Parts:
    """A caller's own parts of the dream; None for those that the options name."""

    objectives: Sequence[Objective] | None = None
    """Objectives instead of guides and prompts."""
    flow: FlowEstimator | None = None
    canvas: Canvas | None = None
    terms: Sequence[Term] | None = None
    """Terms instead of those that the options give a weight."""

    @classmethod
    def split(cls, options: Mapping[str, Any], **given: Any) -> tuple[Self, dict[str, Any]]:
        """The parts among those `given` by field name, and the options.

        A part that is a text is an option: `flow="dis"` names one, an estimator is one.
        """
        named = {name: part for name, part in given.items() if isinstance(part, str)}
        own = {name: part for name, part in given.items() if name not in named}
        return cls(**own), {**options, **named}


@dataclass(frozen=True, kw_only=True)
class VideoJob(FilmJob):
    """One clip to dream."""

    source: Source
    config: VideoConfig
    parts: Parts = field(default_factory=Parts)
    mask: Source | None = None
    areas: Mapping[Area, Source] = field(default_factory=dict)
    """The masks of areas from files."""
    depth: Source | None = None

    @classmethod
    def prepare(
        cls,
        source: Path,
        out: Path,
        config: VideoConfig,
        *,
        overwrite: bool = False,
        resume: bool = False,
        force: bool = False,
        parts: Parts | None = None,
    ) -> VideoJob:
        """A job with checked files and options; quick, since nothing heavy is loaded.

        Raises ConfigError, MediaError or GuideError.
        """
        found, masks = Source.find(source, config), find_masks(config)
        check_result(out, found, overwrite or resume)
        config = with_own_colours(config, found, str(source))
        check_music(out, config)
        parts = parts or Parts()
        if parts.objectives is None:
            check_prompts(config)
        job = cls(
            source=found,
            source_name=str(source),
            out=result_at(out),
            config=config,
            can_resume=can_resume(found, out),
            overwrite=overwrite,
            resume=resume,
            force=force,
            parts=parts,
            **masks,
        )
        job.check_resume()
        return job

    @classmethod
    def without_result(cls, source: Path, config: VideoConfig) -> VideoJob:
        """A job to look at: its clip can be opened, and nothing is written.

        Raises as `prepare`, and ConfigError for standard input, which can be read only once.
        """
        found, masks = Source.find(source, config), find_masks(config)
        if not found.is_stored:
            raise ConfigError(f"'{source}' cannot be read twice; allowed: a file, or pictures")
        check_prompts(config)
        config = with_own_colours(config, found, str(source))
        return cls(
            source=found,
            source_name=str(source),
            out=STANDARD,
            config=config,
            can_resume=False,
            **masks,
        )

    @property
    def is_in_shots(self) -> bool:
        """Whether a part of the film is made, shot by shot. Raises JournalError."""
        from dreamvid.journal import read_shot_list

        return read_shot_list(self.out) is not None

    def open(self, reporter: Reporter) -> AbstractContextManager[Clip]:
        from dreamvid.film.clip import open_clip

        return open_clip(self, reporter)


class Masks(TypedDict):
    """What limits the dream of a clip and tells its depth; of the clip's size and time."""

    mask: Source | None
    areas: dict[Area, Source]
    depth: Source | None


def find_masks(config: VideoConfig) -> Masks:
    """The sources of --mask, --depth and areas; what finds others is looked at.

    Raises MediaError where one does not exist, GuideError for --where-model.
    """

    def find(path: str) -> Source:
        return Source.find(Path(path), ReadConfig(rate=config.rate))

    check_where_model(config)
    return {
        "areas": {area: find(area.name) for area in config.file_areas},
        "mask": None if config.mask is None else find(config.mask),
        "depth": None if config.depth is None else find(config.depth),
    }


def complete(job: FilmJob, reporter: Reporter) -> Summary:
    """Make the film of `job`, or resume it. Raises DreamvidError."""
    settled = settle(job.out, reporter) if job.resume else None
    if settled is not None:
        return settled
    if isinstance(job, VideoJob) and (job.config.split or (job.resume and job.is_in_shots)):
        from dreamvid.film.shots import complete_shots

        return complete_shots(job, reporter)
    from dreamvid.film.pipeline import run

    return run(job, reporter)


def settle(out: Path, reporter: Reporter) -> Summary | None:
    """Remove the journal of a complete result and return its summary; None where incomplete."""
    from dreamvid.journal import folder_of, read_mark, remove_folder

    mark = read_mark(out)
    if mark is None:
        return None
    remove_folder(folder_of(out))
    reporter.say("only the journal of a whole result was left, and is removed")
    reporter.tally = Tally.from_json(mark["tally"])
    return reporter.finish(out, **mark["summary"])
