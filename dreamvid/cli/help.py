"""Two helps for commands with many options: the most used on one screen, and all by groups."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperOption

from dreamvid.config import ImageConfig, Option, Section, VideoConfig, ZoomConfig, options


class ShortHelp(NamedTuple):
    """Content of a short help: the options most used, by parameter, in their order."""

    model: type[Section]
    model_name: str
    """Name of the model's command, as `dreamvid config` takes it."""
    most_used: tuple[str, ...]


_PROMPTS = ("prompt", "negative")
_ALWAYS = ("size", "guide", "preset", "overwrite")
SHORT_HELPS = {
    "video": ShortHelp(
        VideoConfig,
        "video",
        (*_PROMPTS, "at", "strength", "steps", "every", "start", "end", *_ALWAYS),
    ),
    "plan": ShortHelp(
        VideoConfig,
        "video",
        (*_PROMPTS, "at", "set_", "music", "start", "end", "plot", *_ALWAYS),
    ),
    "shots": ShortHelp(
        VideoConfig,
        "video",
        (
            *("cuts", "cut_threshold", "every", "steps", "first_steps", "start", "end", "fps"),
            *("split", "size", "rate", "preset"),
        ),
    ),
    "zoom": ShortHelp(
        ZoomConfig,
        "zoom",
        (*_PROMPTS, "zoom", "rotate", "loop", "seconds", "strength", "music", *_ALWAYS),
    ),
    "live": ShortHelp(
        VideoConfig,
        "video",
        (*_PROMPTS, "set_", "strength", "steps", "out", "record", "osc", *_ALWAYS),
    ),
    "image": ShortHelp(
        ImageConfig,
        "image",
        (*_PROMPTS, "image_prompt", "strength", "steps", "cutouts", "seed", "film", *_ALWAYS),
    ),
}
"""The short help of each command that has one; the others show all at once."""


class ShortHelpCommand(TyperCommand):
    """A command whose --help shows the options most used, and whose --help-all shows all."""

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        self._shortened().format_full_help(ctx, formatter)

    def format_full_help(self, ctx: typer.Context, formatter: Any) -> None:
        """Print every option by groups."""
        super().format_help(ctx, formatter)

    def _shortened(self) -> ShortHelpCommand:
        """This command with nothing but its arguments and the options most used."""
        content = SHORT_HELPS[self.name or ""]
        described = {option.field: option for option in options(content.model)}
        by_name = {param.name: param for param in self.params}
        short = copy.copy(self)
        short.params = [param for param in self.params if param.param_type_name == "argument"]
        for name in (*content.most_used, "help_all"):
            param = copy.copy(by_name[name])
            assert isinstance(param, TyperOption)
            param.rich_help_panel = "Most used options"
            if param.default is not True:
                param.secondary_opts = []  # --no-… of an option that is off by default
            if name in described:
                param.help = short_help(described[name])
            short.params.append(param)
        short.add_help_option = False
        short.epilog = (
            f"`dreamvid {self.name} --help-all` shows all options, `dreamvid config "
            f"{content.model_name}` prints them as a file for --config, README.md sorts them by "
            "task."
        )
        return short


def print_full_help(ctx: typer.Context, value: bool) -> None:
    """Print the help of --help-all and exit."""
    if not value:
        return
    command, formatter = ctx.command, ctx.make_formatter()
    if isinstance(command, ShortHelpCommand):
        command.format_full_help(ctx, formatter)
    else:
        command.format_help(ctx, formatter)
    print(formatter.getvalue(), end="")
    raise typer.Exit


def short_help(option: Option) -> str:
    """The first sentence of an option's description, and its default."""
    sentence = option.help.partition(". ")[0].rstrip(".") + "."
    default = shown_default(option)
    return f"{sentence} ({default})" if default and not option.is_flag else sentence


def full_help(option: Option) -> str:
    """The description of an option, with what is allowed and its default."""
    allowed = "" if option.is_flag or option.allowed == "a text" else option.allowed
    both = "; ".join(part for part in (allowed, shown_default(option)) if part)
    return f"{option.help} ({both})" if both else option.help


def shown_default(option: Option) -> str:
    """`default: …` in the form that the command line takes; empty if there is none."""
    if option.default in (None, []):
        return ""
    if option.is_flag:
        return f"default: {'on' if option.default else 'off'}"
    if isinstance(option.default, (list, tuple)):
        separator = ", " if option.is_list else ","
        return f"default: {separator.join(f'{part}' for part in option.default)}"
    return f"default: {option.default}"


def metavar(option: Option) -> str:
    """The placeholder of an option's value in help texts."""
    first = option.allowed.split(",")[0]
    if first.startswith("a "):
        return "TEXT" if first == "a text" else "N"
    if first[:2].isupper():
        return first.split(" or ")[0]
    if first.startswith("seconds"):
        return "TIME"
    return "CHOICE" if "," in option.allowed and " " not in first else "VALUE"


def choices(option: Option) -> list[str]:
    """The values of an option that takes one of a few; those that stand for many are left out."""
    if metavar(option) != "CHOICE":
        return []
    return [choice for choice in option.allowed.split(", ") if " " not in choice]
