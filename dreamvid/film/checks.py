"""Checks of files and options, made before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dreamvid.config import (
    ImageConfig,
    ScheduledConfig,
    VideoConfig,
    ZoomConfig,
    build_config,
    split_weight,
)
from dreamvid.config.loading import Config, listed
from dreamvid.errors import MediaError
from dreamvid.guide.names import parse_guide


def config_of(model: type[Config], config: Config | None, given: Mapping[str, Any]) -> Config:
    """`config`, or the defaults, with the options `given` by field name on top.

    A single text counts as a list of one. Raises ConfigError for an unknown option or a
    value that is not allowed.
    """
    if config is not None and not given:
        return config
    return build_config(model, base=config, given=listed(model, given))


def check_prompts(config: VideoConfig | ImageConfig | ZoomConfig) -> None:
    """Raise a DreamvidError where prompts, guides or time-varying options are wrong."""
    from dreamvid.media.files import check_input

    if isinstance(config, ScheduledConfig):
        from dreamvid.control.schedule import asked_for

        asked_for(config)
        if config.music is not None:
            check_input(Path(config.music))
    config.require_prompt()
    for guide in config.guide:
        parse_guide(guide)
    for weighted in config.image_prompt:
        check_input(Path(split_weight(weighted)[0]))


def check_music(out: Path, config: ScheduledConfig) -> None:
    """Raise MediaError where the result would replace its own music."""
    if config.music is not None and out.resolve() == Path(config.music).resolve():
        raise MediaError(f"'{out}' is also --music; allowed: another name")
