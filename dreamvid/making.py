"""The functions that make results, each followed by a page about it where `report` asks for one.

One table says which makes the results of which command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dreamvid.config import (
    CommandConfig,
    ImageConfig,
    ReportConfig,
    VideoConfig,
    ZoomConfig,
    command_of,
)
from dreamvid.errors import ConfigError, DreamvidError
from dreamvid.events import Listener
from dreamvid.film.checks import config_of
from dreamvid.film.image import dream_image as _dream_image
from dreamvid.film.recipe import Recipe
from dreamvid.film.report import Reporter, Summary
from dreamvid.film.video import dream_video as _dream_video
from dreamvid.media.files import STANDARD, check_output
from dreamvid.media.image_sequence import output_pattern
from dreamvid.media.source import Source
from dreamvid.notebook import usual_listener
from dreamvid.reporting.run import PAGE_SUFFIX, Subject, page_of, write_report
from dreamvid.zooms.film import zoom as _zoom

if TYPE_CHECKING:
    from dreamvid.workers import Workers

Maker = TypeVar("Maker", bound=Callable[..., Any])


def _with_report(model: type[CommandConfig], make: Maker) -> Maker:
    """The function `make`, which also writes the page of `report`, an option of `model`."""

    @wraps(make)
    def made(source: Any, out: Any = None, **given: Any) -> Any:
        asked = given.get("report", getattr(given.get("config"), "report", False))
        if not asked or given.get("shots") is not None:  # a part of a film has no page
            return make(source, out, **given)
        config = config_of(model, given.get("config"), _options(model, given))
        overwrite = given.get("overwrite", False)
        check_page(config, source, out, overwrite or given.get("resume", False))
        summary = make(source, out, **given)
        report_after(config, str(source), Path(out), summary, overwrite, given.get("listener"))
        return summary

    return cast("Maker", made)


dream_video = _with_report(VideoConfig, _dream_video)
zoom = _with_report(ZoomConfig, _zoom)
dream_image = _with_report(ImageConfig, _dream_image)


_MAKERS: dict[type, Callable[..., Summary]] = {
    VideoConfig: dream_video,
    ZoomConfig: zoom,
    ImageConfig: dream_image,
}


def make(
    config: CommandConfig,
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


def _options(model: type[CommandConfig], given: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are options of `model`; a caller's own flow or canvas is none."""
    own = {name for name in ("flow", "canvas") if not isinstance(given.get(name, ""), str)}
    return {name: given[name] for name in given if name in model.model_fields.keys() - own}


def check_page(config: CommandConfig, source: Any, out: Any, overwrite: bool) -> None:
    """Raise ConfigError or MediaError where no page about `out`, made of `source`, can be written.

    A page is made from files that can be read again.
    """
    for given, what in ((source, "what is made of a tensor"), (out, "a tensor")):
        if not isinstance(given, str | PathLike):
            raise ConfigError(f"--report: {what} has no page; allowed: files")
    path = Path(out)
    if path == STANDARD or output_pattern(path) is not None:
        raise ConfigError(f"--report: '{out}' has no page; allowed: a video file or a picture")
    if isinstance(config, VideoConfig) and not Source.find(Path(source), config).is_stored:
        raise ConfigError(
            f"--report: '{source}' cannot be read again; allowed: a file, or pictures"
        )
    check_output(page_of(path), path, overwrite, (PAGE_SUFFIX,))


def report_after(
    config: CommandConfig,
    source: str,
    out: Path,
    summary: Summary,
    overwrite: bool,
    listener: Listener | None,
) -> None:
    """Write the page about a result that was just made of `source`; an old one may be in its way.

    Raises DreamvidError, which tells that the result itself is complete.
    """
    reporter = Reporter(listener or usual_listener())
    page = page_of(out)
    if page.exists() and not overwrite:
        reporter.warn(
            f"'{page}' exists and is left as it is; `dreamvid report {out} --overwrite` replaces it"
        )
        return
    options = config.model_dump(mode="json", by_alias=True)
    recipe = Recipe(command_of(config), source, version("dreamvid"), options)
    measuring = ReportConfig(device=config.device)
    try:
        write_report(
            Subject(out, source, recipe, config, measuring, summary), page, overwrite, reporter
        )
    except (DreamvidError, KeyboardInterrupt) as error:
        error.add_note(f"'{out}' itself is complete; `dreamvid report {out}` makes its page")
        raise
