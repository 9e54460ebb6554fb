"""A result, made by the function of the command whose options are given."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any

from dreamvid.config import ImageConfig, VideoConfig, ZoomConfig
from dreamvid.film.image import dream_image
from dreamvid.film.report import Summary
from dreamvid.film.video import dream_video
from dreamvid.zooms.film import zoom

if TYPE_CHECKING:
    from dreamvid.workers import Workers

_MAKERS: dict[type, Callable[..., Summary]] = {
    VideoConfig: dream_video,
    ZoomConfig: zoom,
    ImageConfig: dream_image,
}


def make(
    config: VideoConfig | ZoomConfig | ImageConfig,
    source: str | PathLike[str],
    out: str | PathLike[str],
    *,
    film: str | PathLike[str] | None = None,
    workers: Workers | None = None,
    **given: Any,
) -> Summary:
    """Make `out` of `source` by `dream_video`, `zoom` or `dream_image`, which takes `given` too.

    `film` is of pictures alone, `workers` of videos. Raises what these functions raise.
    """
    own = {"film": film, "workers": workers}
    given |= {name: value for name, value in own.items() if value is not None}
    return _MAKERS[type(config)](source, out, config=config, **given)
