"""One film to dream: its source, result, options and the caller's own parts, all checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dreamvid.config import ReadConfig, VideoConfig
from dreamvid.errors import ConfigError
from dreamvid.film.checks import check_music, check_prompts
from dreamvid.media.source import RESUMABLE_SUFFIXES, Source, can_resume, check_result

if TYPE_CHECKING:
    from dreamvid.dream.canvas import Canvas
    from dreamvid.dream.objective import Objective
    from dreamvid.dream.terms import Term
    from dreamvid.types import FlowEstimator


@dataclass(frozen=True)
class Parts:
    """A caller's own parts of the dream; None for those that the options name."""

    objectives: Sequence[Objective] | None = None
    """Objectives instead of guides and prompts."""
    flow: FlowEstimator | None = None
    canvas: Canvas | None = None
    terms: Sequence[Term] | None = None
    """Terms instead of those that the options give a weight."""


@dataclass(frozen=True)
class Job:
    """One film to dream."""

    source: Source
    out: Path
    config: VideoConfig
    overwrite: bool = False
    resume: bool = False
    force: bool = False
    """Resume although the source, options or versions have changed."""
    parts: Parts = field(default_factory=Parts)
    mask: Source | None = None

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
    ) -> Job:
        """A job with checked files and options; quick, since nothing heavy is loaded.

        Raises ConfigError, MediaError or GuideError.
        """
        found = Source.find(source, config)
        mask = None
        if config.mask is not None:
            mask = Source.find(Path(config.mask), ReadConfig(rate=config.rate))
        check_result(out, found, overwrite or resume)
        check_music(out, config)
        parts = parts or Parts()
        if parts.objectives is None:
            check_prompts(config)
        job = cls(found, out, config, overwrite, resume, force, parts, mask)
        job.check_resume()
        return job

    def check_resume(self) -> None:
        """Raise ConfigError where `force` or `resume` is given but cannot be obeyed."""
        if self.force and not self.resume:
            raise ConfigError("--force is given without --resume; allowed with --resume")
        if self.resume and not can_resume(self.source, self.out):
            raise ConfigError(
                f"--resume: '{self.source.path}' to '{self.out}' has no journal; allowed: from "
                f"files to one named {', '.join(RESUMABLE_SUFFIXES)}"
            )
