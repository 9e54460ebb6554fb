"""Results compared: side by side, what differs in their options, and their figures in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from dreamvid.config import COMMANDS, EvalConfig, ImageConfig, ReportConfig, build_config
from dreamvid.errors import ConfigError
from dreamvid.events import Event, Listener, Message, Progress, Warned
from dreamvid.film.checks import config_of
from dreamvid.film.recipe import Recipe, find_source, read_recipe
from dreamvid.film.report import Reporter
from dreamvid.media.files import check_input, check_output
from dreamvid.media.still import IMAGE_SUFFIXES
from dreamvid.notebook import usual_listener
from dreamvid.reporting.facts import differences
from dreamvid.reporting.run import Subject, check_judge

MEASURED_WIDTH = 320
"""Largest width in pixels at which results are measured; one for all, since it counts."""


@dataclass(frozen=True)
class Compared:
    """One of the results."""

    name: str
    file: str
    options: Mapping[str, str]
    """The options in which the results differ, as text; empty where they are not known."""
    figures: Mapping[str, float | None]
    """Its figures by name; empty where its source is not found."""


@dataclass(frozen=True)
class Comparison:
    """Results beside one another."""

    results: tuple[Compared, ...]
    output: str | None
    """The film or picture of all; None where none was asked for."""
    sheet: str | None
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object of all of it, as `--json` prints it."""
        return asdict(self)


def compare(
    results: Sequence[str | PathLike[str]],
    out: str | PathLike[str] | None = None,
    *,
    sheet: str | PathLike[str] | None = None,
    columns: int | None = None,
    config: ReportConfig | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
    **options: Any,
) -> Comparison:
    """Compare results of dreamvid: films, pictures, or both.

    `out` is a film of all, side by side, each under its name and what differs in its options; of
    pictures alone, a picture. `sheet` is a picture of a few moments of all. `columns` is the number
    of results in a row. Each is measured against its own source, all at one size; what was not
    made by dreamvid is shown, and not measured. `options` are fields of `ReportConfig`.

    Raises ConfigError for options or fewer than two results, MediaError for files, GuideError.
    """
    config = config_of(ReportConfig, config, options)
    reporter = Reporter(listener or usual_listener())
    paths = [Path(result) for result in results]
    film, contacts = (None if path is None else Path(path) for path in (out, sheet))
    _check(paths, film, contacts, columns, overwrite)
    recipes = [_recipe_of(path, reporter) for path in paths]
    for path, recipe in zip(paths, recipes, strict=True):
        if recipe is not None:
            check_judge(config.judge, recipe.config(COMMANDS[recipe.command]), path)
    names = _names(paths)
    known = [recipe for recipe in recipes if recipe is not None]
    found = iter(differences(known))
    differing = [{} if recipe is None else next(found) for recipe in recipes]
    width = _measured_width(paths)
    compared = tuple(
        Compared(name, str(path), told, _figures(path, recipe, config, width, name, reporter))
        for path, name, told, recipe in zip(paths, names, differing, recipes, strict=True)
    )
    if film is not None or contacts is not None:
        from dreamvid.reporting.beside import Named, side_by_side

        side_by_side(
            [Named(Path(each.file), each.name, _words(each.options)) for each in compared],
            film,
            sheet=contacts,
            columns=columns,
            overwrite=overwrite,
            listener=reporter.tell,
        )
    return Comparison(
        compared,
        None if film is None else str(film),
        None if contacts is None else str(contacts),
        tuple(reporter.warnings),
    )


def _check(
    paths: Sequence[Path],
    film: Path | None,
    sheet: Path | None,
    columns: int | None,
    overwrite: bool,
) -> None:
    """Raise ConfigError or MediaError, before anything is read."""
    if len(paths) < 2:
        raise ConfigError(f"{len(paths)} result is compared with nothing; allowed: two or more")
    if columns is not None and columns < 1:
        raise ConfigError(f"--columns: {columns} is not allowed; allowed: a whole number from 1")
    for path in paths:
        check_input(path)
    are_pictures = all(path.suffix.lower() in IMAGE_SUFFIXES for path in paths)
    if film is not None and not are_pictures and film.suffix.lower() in IMAGE_SUFFIXES:
        raise ConfigError(
            f"--out '{film}' is a picture, and films are compared; allowed: a video file, or "
            "--sheet with a picture"
        )
    pictures = IMAGE_SUFFIXES if are_pictures else None
    for out, suffixes in ((film, pictures), (sheet, IMAGE_SUFFIXES)):
        for path in paths if out is not None else ():
            assert out is not None
            check_output(out, path, overwrite, *([] if suffixes is None else [suffixes]))
    if film is not None and film == sheet:
        raise ConfigError(f"--out and --sheet are both '{film}'; allowed: two files")


def _names(paths: Sequence[Path]) -> list[str]:
    """A name for each: the shortest by which all differ."""
    for names in ([path.stem for path in paths], [path.name for path in paths]):
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _recipe_of(path: Path, reporter: Reporter) -> Recipe | None:
    """How a result was made; None, and a warning, where it does not tell."""
    try:
        return read_recipe(path)
    except ConfigError as error:
        reporter.warn(str(error).partition(";")[0])
        return None


def _words(options: Mapping[str, str]) -> str:
    """Differing options in one line; what a result has none of is seen beside the others."""
    told = [f"{name} {value}" for name, value in options.items() if value != "none"]
    return ", ".join(told)


def _measured_width(paths: Sequence[Path]) -> int:
    """The width at which all results are measured: that of the smallest, at most the usual one."""
    from dreamvid.media.probing import probe

    return min(MEASURED_WIDTH, *(probe(path).width for path in paths))


def _figures(
    path: Path,
    recipe: Recipe | None,
    config: ReportConfig,
    width: int,
    name: str,
    reporter: Reporter,
) -> Mapping[str, float | None]:
    """The figures of one result; none, and a warning, where its source is not found."""
    if recipe is None:
        return {}
    try:
        source = find_source(recipe, path)
    except ConfigError as error:
        reporter.warn(f"'{name}' is not measured: {str(error).partition(';')[0]}")
        return {}

    def tell(event: Event) -> None:
        if isinstance(event, Progress):
            reporter.tell(replace(event, stage=f"{event.stage} {name}"))
        elif isinstance(event, Warned):
            reporter.warn(f"{name}: {event.text}")
        elif not isinstance(event, Message):
            reporter.tell(event)

    return _measure(path, source, recipe, config, width, tell)


def _measure(
    path: Path, source: str, recipe: Recipe, config: ReportConfig, width: int, tell: Listener
) -> Mapping[str, float | None]:
    from dreamvid.evaluation.run import evaluate, evaluate_loop

    if recipe.command == "video":
        measuring = build_config(EvalConfig, base=config, given={"size": str(width)})
        return evaluate(source, path, config=measuring, listener=tell).figures
    if recipe.command == "zoom":
        return asdict(evaluate_loop(path, config=config, listener=tell))
    from dreamvid.reporting.looking import measure_picture

    made = recipe.config(ImageConfig)
    return measure_picture(Subject(path, source, recipe, made, config), made)
