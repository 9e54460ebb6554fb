"""Provenance of a result: the options and guides that made it, from its metadata."""

from __future__ import annotations

import json
from pathlib import Path

from dreamvid.config import VideoConfig, options
from dreamvid.errors import ConfigError, GuideError
from dreamvid.film.recipe import METADATA_KEY
from dreamvid.guide.names import parse_guide
from dreamvid.media.probing import VideoInfo


def read_recipe(result: Path, info: VideoInfo) -> VideoConfig | None:
    """The options that made `result`; None where its metadata do not state them.

    Raises ConfigError for a film of `dreamvid zoom`.
    """
    try:
        told = dict(json.loads(info.metadata[METADATA_KEY])["options"])
        known = {option.name for option in options(VideoConfig)}
        recipe = VideoConfig(**{name: value for name, value in told.items() if name in known})
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
    if "loop" in told:
        raise ConfigError(
            f"'{result}' was made by `dreamvid zoom`, so no source has its frames; "
            "allowed: `dreamvid eval --loop` with it alone"
        )
    return recipe


def guides_of(recipe: VideoConfig | None) -> list[str]:
    """Names of the guides that dreamed a result; empty where its metadata do not state them."""
    return recipe.guide if recipe is not None and "guide" in recipe.model_fields_set else []


def has_dreamed(judge: str, recipe: VideoConfig | None) -> bool:
    """Whether `judge` is one of the guides of `recipe`, under this name or another."""
    return _identity(judge) in map(_identity, guides_of(recipe))


def _identity(guide: str) -> tuple[str, str | None]:
    """A value that is equal for two names of one guide."""
    try:
        name = parse_guide(guide)
    except GuideError:
        return guide, None
    if name.model.startswith("local-dir:"):
        return str(Path(name.model.removeprefix("local-dir:")).resolve()), None
    if name.pretrained is not None and Path(name.pretrained).is_file():
        return name.model, str(Path(name.pretrained).resolve())
    return name.model, name.pretrained
