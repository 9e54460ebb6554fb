"""What to play and where to, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dreamvid.config import VideoConfig
from dreamvid.config.values import kebab
from dreamvid.errors import ConfigError
from dreamvid.film.checks import check_music, check_prompts, with_own_colours
from dreamvid.film.job import Parts, find_masks
from dreamvid.media.source import Source, check_result

NOT_PLAYED = ("where", "where_not", "show_mask", "split", "report", "depth")
"""Options of `dreamvid video` that have no meaning while it is played."""


@dataclass(frozen=True, kw_only=True)
class LiveJob:
    """What to play, and where to."""

    source: Source
    source_name: str
    config: VideoConfig
    out: Path | None = None
    """A film of all that is shown."""
    overwrite: bool = False
    folder: Path = Path()
    """Folder of takes and stills."""
    record: bool = False
    """Record a take from the beginning."""
    parts: Parts = field(default_factory=Parts)
    mask: Source | None = None

    @classmethod
    def prepare(
        cls,
        source: Path,
        config: VideoConfig,
        *,
        out: Path | None = None,
        overwrite: bool = False,
        folder: Path = Path(),
        record: bool = False,
        parts: Parts | None = None,
    ) -> LiveJob:
        """A job with checked files and options. Raises ConfigError, MediaError or GuideError."""
        for name in NOT_PLAYED:
            if getattr(config, name):
                raise ConfigError(
                    f"--{kebab(name)} is not for what is played; allowed in `dreamvid video`"
                )
        if config.has_areas:
            raise ConfigError(
                "--prompt TEXT@@AREA is not for what is played; allowed in `dreamvid video`"
            )
        found = Source.find(source, config)
        config = with_own_colours(config, found, str(source))
        if out is not None:
            check_result(out, found, overwrite)
            check_music(out, config)
        if not folder.is_dir():
            raise ConfigError(f"--folder '{folder}' is no folder; allowed: one that exists")
        parts = parts or Parts()
        if parts.objectives is None:
            check_prompts(config)
        return cls(
            source=found,
            source_name=str(source),
            config=config,
            out=out,
            overwrite=overwrite,
            folder=folder,
            record=record,
            parts=parts,
            mask=find_masks(config)["mask"],
        )
