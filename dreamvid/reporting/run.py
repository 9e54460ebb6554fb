"""A page about one result: what it is, what it was made of, and how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamvid.config import (
    COMMANDS,
    CommandConfig,
    ImageConfig,
    ReportConfig,
    VideoConfig,
    ZoomConfig,
)
from dreamvid.errors import ConfigError
from dreamvid.evaluation.provenance import has_dreamed
from dreamvid.events import Listener, Message
from dreamvid.film.checks import config_of
from dreamvid.film.recipe import Recipe, find_source, read_recipe
from dreamvid.film.report import Reporter, Summary
from dreamvid.guide.names import parse_guide
from dreamvid.media.files import check_output, write_whole
from dreamvid.notebook import usual_listener

if TYPE_CHECKING:
    from dreamvid.film.outlook import Outlook
    from dreamvid.reporting.footage import Meaning, Shown

PAGE_SUFFIX = ".html"


@dataclass(frozen=True)
class Report:
    """A page that was written, and what it tells."""

    output: str
    """The page's path."""
    size: int
    """Bytes."""
    figures: Mapping[str, float | None]
    """The figures of the result, by name."""
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object of all of it, as `--json` prints it."""
        return {**vars(self), "figures": dict(self.figures), "warnings": list(self.warnings)}


@dataclass(frozen=True)
class Subject:
    """A result and all that is known of how it was made."""

    result: Path
    source: str
    """IN, where it is now."""
    recipe: Recipe
    config: CommandConfig
    """The options that made it."""
    measuring: ReportConfig
    summary: Summary | None = None
    """Of the run that made it; None where that is long over."""

    @property
    def is_picture(self) -> bool:
        """Whether it is one picture, of which no frames are told."""
        return isinstance(self.config, ImageConfig)


@dataclass(frozen=True)
class Findings:
    """What looking at a result has brought."""

    shown: Shown
    figures: Mapping[str, float | None]
    about: Mapping[str, str]
    """What its file is, by name."""
    measured_at: str
    """Size in pixels at which the figures were measured."""
    meaning: Meaning | None = None
    series: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    """The figures over time; empty where there are none."""
    course: Outlook | None = None


def report(
    result: str | PathLike[str],
    page: str | PathLike[str] | None = None,
    *,
    source: str | PathLike[str] | None = None,
    config: ReportConfig | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
    **options: Any,
) -> Report:
    """Write a page about `result`, a film or picture made by dreamvid: one HTML file, complete.

    `page` is its name, else that of the result with .html. `source` is the IN of the result, where
    that is no longer where it was. `options` are fields of `ReportConfig` and override `config`.
    The listener gets `Message`, `Warned` and `Progress`.

    Raises ConfigError where the metadata do not tell how the result was made or the source is not
    found, MediaError for a file that cannot be read or written, GuideError for a judge.
    """
    path = Path(result)
    measuring = config_of(ReportConfig, config, options)
    target = page_of(path) if page is None else Path(page)
    check_output(target, path, overwrite, (PAGE_SUFFIX,))
    recipe = read_recipe(path)
    made: Any = recipe.config(COMMANDS[recipe.command])
    found = find_source(recipe, path) if source is None else str(source)
    subject = Subject(path, found, recipe, made, measuring)
    return write_report(subject, target, overwrite, Reporter(listener or usual_listener()))


def page_of(result: Path) -> Path:
    """The usual name of the page about `result`."""
    return result.with_suffix(PAGE_SUFFIX)


def write_report(subject: Subject, page: Path, overwrite: bool, reporter: Reporter) -> Report:
    """Look at a result, and write the page. Raises DreamvidError."""
    from dreamvid.reporting.page import render

    check_judge(subject.measuring.judge, subject.config, subject.result)
    findings = look_at(subject, reporter)
    data = render(subject, findings, reporter.warnings)
    write_whole(page, data, overwrite)
    reporter.tell(Message(f"{page}: {len(data) / 1e6:.1f} MB"))
    return Report(str(page), len(data), findings.figures, tuple(reporter.warnings))


def check_judge(judge: str | None, made_by: CommandConfig, result: Path) -> None:
    """Raise ConfigError where a judge dreamed the result itself, GuideError for a wrong name."""
    if judge is None:
        return
    parse_guide(judge)
    if has_dreamed(judge, VideoConfig(guide=made_by.guide)):
        raise ConfigError(
            f"--judge: '{judge}' dreamed '{result}' and would praise it; allowed: another model"
        )


def look_at(subject: Subject, reporter: Reporter) -> Findings:
    """Read a result and its source once, and measure them. Raises DreamvidError."""
    from dreamvid.reporting import looking

    if isinstance(subject.config, VideoConfig):
        return looking.look_at_video(subject, subject.config, reporter)
    if isinstance(subject.config, ZoomConfig):
        return looking.look_at_zoom(subject, subject.config, reporter)
    return looking.look_at_picture(subject, subject.config, reporter)
