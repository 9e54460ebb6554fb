"""`dreamvid rerun`: make a result again, from the options in its metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.options import command


@command()
def rerun(
    context: typer.Context,
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="A film or picture made by dreamvid.")
    ],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The OUT of the same command.")],
    source: Annotated[
        str | None,
        typer.Option("--source", help="Its IN, where that is no longer where it was."),
    ] = None,
) -> None:
    """Make a result again, with any option of the command that made it on top."""
    from dreamvid.cli.app import app
    from dreamvid.film.recipe import find_source, read_recipe

    recipe = read_recipe(result)
    found = find_source(recipe, result) if source is None else source
    typed = [recipe.command, found, str(new), "--config", str(result), *context.args]
    status = app(typed, standalone_mode=False)
    raise typer.Exit(status if isinstance(status, int) else 0)
