"""Checks of files and options, made before anything heavy is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamvid.config import (
    CommandConfig,
    DreamConfig,
    MaskConfig,
    ScheduledConfig,
    VideoConfig,
    build_config,
    parse_colour_count,
    parse_colours,
    split_palette,
    split_weight,
)
from dreamvid.config.loading import Config, listed
from dreamvid.errors import ConfigError, GuideError, MediaError, shown
from dreamvid.guide.names import parse_guide

if TYPE_CHECKING:
    from torch import Tensor

    from dreamvid.media.source import Source

GLIMPSES = 8
"""Frames of a source whose colours are those of the film."""
GLIMPSE_WIDTH = 160
"""Width in pixels at which they are read."""


def config_of(model: type[Config], config: Config | None, given: Mapping[str, Any]) -> Config:
    """`config`, or the defaults, with the options `given` by field name on top.

    A single text counts as a list of one. The texts of --lyrics become those of --at, and the
    picture of --palette its colours. Raises ConfigError for an unknown option or a value that is
    not allowed, MediaError for --lyrics and --palette.
    """
    if config is None or given:
        config = build_config(model, base=config, given=listed(model, given))
    if isinstance(config, DreamConfig) and config.palette is not None:
        config = config.model_copy(update={"palette": _colours(config.palette)})
    if isinstance(config, ScheduledConfig) and config.lyrics is not None:
        return config.model_copy(update={"at": _scenes(config, config.lyrics), "lyrics": None})
    return config


def _colours(palette: str) -> str:
    """A palette by its colours, so that a film is resumed without the picture."""
    if parse_colours(palette) is not None or parse_colour_count(palette) is not None:
        return palette
    from dreamvid.dream.palette import colours_of
    from dreamvid.media.files import check_input
    from dreamvid.media.still import read_image

    path, count = split_palette(palette)
    check_input(Path(path))
    return str(colours_of([read_image(Path(path))], count))


def with_own_colours(
    config: Config, source: Source | None, name: str, glimpses: int = GLIMPSES
) -> Config:
    """`config` with the main colours of the source, where --palette tells their number.

    They are the same for the whole film, so that it does not flicker: those of some `glimpses` of
    the source, whose name is `name`. Raises ConfigError where there are none to be had, MediaError.
    """
    palette = config.palette if isinstance(config, DreamConfig) else None
    if palette is None or parse_colour_count(palette) is None:
        return config
    if source is None or not source.is_stored:
        raise ConfigError(
            f"--palette {palette}: '{name}' cannot be looked at beforehand; allowed: colours, or a "
            "picture file"
        )
    looks = source.glimpses(glimpses, size=str(GLIMPSE_WIDTH))
    return in_own_colours(config, [frame.image for frame in looks])


def in_own_colours(config: Config, images: Sequence[Tensor]) -> Config:
    """`config` with the main colours of images (3, H, W), where --palette tells their number."""
    from dreamvid.dream.palette import colours_of

    palette = config.palette if isinstance(config, DreamConfig) else None
    count = None if palette is None else parse_colour_count(palette)
    if count is None:
        return config
    return config.model_copy(update={"palette": str(colours_of(images, count))})


def _scenes(config: ScheduledConfig, lyrics: str) -> list[tuple[str, str]]:
    """The texts of --at and of the file `lyrics`, as --at takes them.

    So a film is resumed, and its metadata are complete, without the file. Times count as in the
    sound: from --music-start on in the music, else from --start on in the source.
    """
    from dreamvid.media.lyrics import read_lyrics

    begin = config.music_start
    if not config.music and isinstance(config, VideoConfig):
        begin = config.start or Fraction(0)
    texts = sorted(read_lyrics(Path(lyrics)), key=lambda timed: timed[0])
    later = [number for number, (time, _) in enumerate(texts) if time > begin]
    first = max(0, (later[0] if later else len(texts)) - 1)  # the one that is heard at `begin`
    read = [_scene(max(time - begin, Fraction(0)), text) for time, text in texts[first:]]
    return [*config.at, *read]


def _scene(time: Fraction, text: str) -> tuple[str, str]:
    """A text as --at takes it; its own double colons separate no weight."""
    return f"{float(time):.3f}", f"{text}::1" if "::" in text else text


def check_prompts(config: CommandConfig) -> None:
    """Raise a DreamvidError where prompts, guides or time-varying options are wrong."""
    from dreamvid.media.files import check_input

    if isinstance(config, ScheduledConfig):
        from dreamvid.control.schedule import asked_for

        asked_for(config)
        for file in config.music_files:
            check_input(Path(file.path))
    config.require_prompt()
    for guide in config.guide:
        parse_guide(guide)
    for weighted in config.image_prompt:
        check_input(Path(split_weight(weighted)[0]))


def check_where_model(config: MaskConfig) -> None:
    """Raise GuideError unless --where-model is a CLIPSeg's folder that can be loaded here."""
    if config.where_model is None:
        return
    named, allowed = f"--where-model '{config.where_model}'", "a CLIPSeg, as transformers saves one"
    try:
        text = (Path(config.where_model) / "config.json").read_text(encoding="utf-8")
        kind = json.loads(text)["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        raise GuideError(
            f"{named} is no folder with the config.json of a model; allowed: {allowed}"
        ) from None
    if kind != "clipseg":
        raise GuideError(f"{named} holds a model of type '{shown(kind)}'; allowed: {allowed}")
    if find_spec("transformers") is None:
        raise GuideError(
            f"{named} needs a package that is not installed: pip install transformers; allowed: "
            "without, by the guide"
        )


def check_music(out: Path, config: ScheduledConfig) -> None:
    """Raise MediaError where the result would replace its own music."""
    if any(out.resolve() == Path(file.path).resolve() for file in config.music_files):
        raise MediaError(f"'{out}' is also --music; allowed: another name")
