"""`dreamvid report`: write a page about a result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.display import Display, Overwrite, Quiet
from dreamvid.cli.options import command
from dreamvid.cli.stopping import stopping
from dreamvid.config import ReportConfig


@command(ReportConfig)
def report(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A film or picture made by dreamvid.")],
    config: ReportConfig,
    page: Annotated[
        Path | None,
        typer.Argument(metavar="[PAGE]", help="The page to write: .html; else OUT with .html."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", help="Its IN, where that is no longer where it was."),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as one JSON object.")
    ] = False,
) -> None:
    """Write a page about a result, in one file: source and dream, curves, figures, options."""
    from dreamvid.reporting.run import report as write

    with stopping(Display(quiet)) as listener:
        written = write(
            out, page, source=source, config=config, overwrite=overwrite, listener=listener
        )
    if as_json:
        print(json.dumps(written.to_json(), ensure_ascii=False))
