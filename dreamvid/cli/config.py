"""`dreamvid config`: the effective options of a command, to be read back by it."""

from __future__ import annotations

from collections.abc import Callable

import typer
from typer.core import TyperGroup

from dreamvid.cli.options import command
from dreamvid.config import ImageConfig, Section, VideoConfig, ZoomConfig, to_toml

MODELS: dict[str, type[Section]] = {"video": VideoConfig, "zoom": ZoomConfig, "image": ImageConfig}
DEFAULT = "video"


class _ConfigGroup(TyperGroup):
    """A group that takes options without a command's name for those of `dreamvid video`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        named = args and (not args[0].startswith("-") or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else [DEFAULT, *args])


config = typer.Typer(
    cls=_ConfigGroup,
    help=f"Print the effective options of a command as TOML, for --config; {DEFAULT}'s if none "
    "is named.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _printer(model: type[Section], name: str) -> Callable[..., None]:
    def show(config: Section) -> None:
        print(to_toml(config), end="")

    show.__doc__ = f"Print the effective options of `dreamvid {name}` as TOML, for --config."
    return command(model)(show)  # type: ignore[no-any-return]


for _name, _model in MODELS.items():
    config.command(_name)(_printer(_model, _name))
