"""Results made again, from the options in their metadata."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from dreamvid.config import COMMANDS
from dreamvid.events import Listener
from dreamvid.film.recipe import find_source, read_recipe
from dreamvid.film.report import Summary
from dreamvid.making import make


def rerun(
    result: str | PathLike[str],
    new: str | PathLike[str],
    *,
    source: str | PathLike[str] | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
    **options: Any,
) -> Summary:
    """Make `result` again as `new`, by the options in its metadata.

    Each option of the command that made it is a keyword, on top of those. `source` is its IN,
    where that is no longer where it was. On the same machine and versions the frames are the same.

    Raises ConfigError where the metadata do not tell how it was made or the source is not found,
    and what `dream_video`, `zoom` or `dream_image` raises.
    """
    recipe = read_recipe(Path(result))
    config = recipe.config(COMMANDS[recipe.command])
    found = find_source(recipe, Path(result)) if source is None else source
    return make(config, found, new, overwrite=overwrite, listener=listener, **options)
