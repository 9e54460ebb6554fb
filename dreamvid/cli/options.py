"""Commands from configuration models: their options, and their one-line errors."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from dreamvid.cli.help import choices, full_help, metavar, print_full_help
from dreamvid.cli.preset_files import find_preset, preset_files
from dreamvid.config import Option, Section, build_config, options
from dreamvid.errors import DreamvidError

PAIRED = "--at"
"""The option that takes two values."""
INTERRUPTED = 130
"""Exit status after Ctrl-C, as in shells."""

RESULT_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".gif", ".png", ".jpg", ".jpeg")
"""Extensions of results, whose metadata may hold the options that made them."""

FILE_OPTION = inspect.Parameter(
    "file",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="TOML file with options, or a result made with them; the command line overrides "
            "it.",
        ),
    ],
)
PRESET_OPTION = inspect.Parameter(
    "preset",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        str | None,
        typer.Option(
            "--preset",
            help="Named set of options; --config and the command line override it.",
            autocompletion=lambda incomplete: beginning_with(incomplete, preset_files()),
        ),
    ],
)
HELP_ALL_OPTION = inspect.Parameter(
    "help_all",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[
        bool,
        typer.Option(
            "--help-all", callback=print_full_help, is_eager=True, help="Show all options and exit."
        ),
    ],
)
DEBUG_OPTION = inspect.Parameter(
    "debug",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")],
)


def beginning_with(incomplete: str, words: Iterable[str]) -> list[str]:
    """What a shell completes an `incomplete` word to."""
    return [word for word in words if word.startswith(incomplete)]


def command(model: type[Section] | None = None) -> Callable[[Callable[..., None]], Any]:
    """Make a typer command of a function.

    Its parameter `config`, if it has one, becomes the options of `model`, `--config FILE` and
    `--preset NAME`, and gets the effective configuration. Expected errors end in one line and
    their exit status.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(function, eval_str=True).parameters.values()
        fields = options(model) if model else []

        @functools.wraps(function)
        def run(*, debug: bool, help_all: bool = False, **given: Any) -> None:
            try:
                if model is not None:
                    given["config"] = _configure(model, given)
                function(**given)
            except (Exception, KeyboardInterrupt) as error:
                if debug or isinstance(error, typer.Exit):
                    raise
                fail(error)

        parameters = [parameter for parameter in own if parameter.name != "config"]
        added = [
            *(_parameter(field) for field in fields),
            *([FILE_OPTION, PRESET_OPTION, HELP_ALL_OPTION] if model else []),
        ]
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            _keyword_only([*parameters, *added, DEBUG_OPTION])
        )
        run.__annotations__ = {}
        return run

    return decorate


def join_pairs(arguments: Sequence[str]) -> list[str]:
    """Join the two values that follow `--at`, TIME and TEXT, since typer has no lists of pairs."""
    joined: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        joined.append(argument)
        if argument == "--":
            return joined + rest
        pair = len(rest) > 1 and " " not in rest[0] and not rest[1].startswith("-")
        if argument == PAIRED and pair:
            joined.append(f"{rest.pop(0)} {rest.pop(0)}")
    return joined


def fail(error: BaseException) -> NoReturn:
    """Print an error in one line on standard error, and exit."""
    message, status = " ".join(str(error).split()), 1
    notes: list[str] = getattr(error, "__notes__", [])
    if isinstance(error, DreamvidError):
        status = error.exit_code
    elif isinstance(error, KeyboardInterrupt):
        message, status = "stopped", getattr(error, "exit_code", INTERRUPTED)
        notes = notes or ["no result was written"]
    elif (
        type(error).__name__ == "OutOfMemoryError"
    ):  # torch's; compared by name to avoid its slow import
        message = "the device is out of memory; a smaller --size or fewer --cutouts need less"
    else:
        message = f"this is a bug: {type(error).__name__}: {message} (--debug shows where)"
    print(f"dreamvid: {'; '.join([message, *notes])}", file=sys.stderr)
    for line in getattr(error, "excerpt", "").splitlines():
        print(f"    {line}", file=sys.stderr)
    raise SystemExit(status)


def _configure(model: type[Section], given: dict[str, Any]) -> Section:
    """Take the options of `model` out of `given`; None and [] mean that it was not typed."""
    typed = {field.field: given.pop(field.field) for field in options(model)}
    typed = {name: value for name, value in typed.items() if value not in (None, [])}
    name = given.pop("preset")
    preset = None if name is None else find_preset(name)
    file: Path | None = given.pop("file")
    if file is None or file.suffix.lower() not in RESULT_SUFFIXES:
        return build_config(model, file=file, preset=preset, given=typed)
    from dreamvid.film.recipe import read_recipe

    return build_config(model, preset=preset, base=read_recipe(file).config(model), given=typed)


def _keyword_only(parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
    return [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]


def _parameter(option: Option) -> inspect.Parameter:
    """One option for typer, as text: only the model converts and checks it."""
    names = [f"--{option.name}/--no-{option.name}" if option.is_flag else f"--{option.name}"]
    kind: Any = (
        bool | None if option.is_flag else list[str] | None if option.is_list else str | None
    )
    declared = typer.Option(
        *names,
        *([option.short] if option.short else []),
        help=full_help(option),
        metavar=None if option.is_flag else metavar(option),
        show_default=False,
        rich_help_panel=option.section,
        autocompletion=lambda incomplete: beginning_with(incomplete, choices(option)),
    )
    return inspect.Parameter(
        option.field,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind, declared],
    )
