"""The program: all commands in one, with one-line errors for typing mistakes."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.core import TyperGroup

from dreamvid.cli.batch import batch
from dreamvid.cli.compare import compare
from dreamvid.cli.config import config
from dreamvid.cli.doctor import doctor
from dreamvid.cli.eval import evaluate
from dreamvid.cli.guides import guides
from dreamvid.cli.help import SHORT_HELPS, ShortHelpCommand
from dreamvid.cli.hints import check_texts, find_hint, split_short
from dreamvid.cli.image import image
from dreamvid.cli.info import info
from dreamvid.cli.join import join
from dreamvid.cli.live import live
from dreamvid.cli.options import fail, join_pairs
from dreamvid.cli.peek import peek
from dreamvid.cli.plan import plan
from dreamvid.cli.presets import presets
from dreamvid.cli.report import report
from dreamvid.cli.rerun import rerun
from dreamvid.cli.resume import resume
from dreamvid.cli.score import score
from dreamvid.cli.shots import shots
from dreamvid.cli.video import video
from dreamvid.cli.zoom import zoom
from dreamvid.errors import ConfigError


class _ConfigLast(TyperGroup):
    """The program's commands, in the order of their use; groups would otherwise come first."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return sorted(super().list_commands(ctx), key="config".__eq__)


app = typer.Typer(
    cls=_ConfigLast,
    name="dreamvid",
    help="Dreams video: gradient descent on the pixels until every frame means the prompt.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, command in {
    "video": video,
    "zoom": zoom,
    "live": live,
    "resume": resume,
    "peek": peek,
    "join": join,
    "plan": plan,
    "shots": shots,
    "image": image,
    "batch": batch,
    "report": report,
    "compare": compare,
    "eval": evaluate,
    "score": score,
    "guides": guides,
    "presets": presets,
    "info": info,
    "doctor": doctor,
}.items():
    app.command(name, cls=ShortHelpCommand if name in SHORT_HELPS else None)(command)
app.command("rerun", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(
    rerun
)
app.add_typer(config, name="config")


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(f"dreamvid {version('dreamvid')}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    pass


def run(arguments: list[str]) -> None:
    """Run one command; usage errors end in one line and exit status 2."""
    try:
        arguments = split_short(arguments)
        check_texts(arguments)
        status = app(join_pairs(arguments), prog_name="dreamvid", standalone_mode=False)
    except ConfigError as error:
        fail(error)
    except Exception as error:
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        listing = "--help-all" if arguments and arguments[0] in SHORT_HELPS else "--help"
        hint = find_hint(message(), arguments)
        fail(ConfigError(hint or f"{message()} ({listing} lists what is allowed)"))
    raise SystemExit(status if isinstance(status, int) else 0)
