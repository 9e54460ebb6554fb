"""`dreamvid resume`: resume a film that was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.display import AsJson, Display, Force, Quiet
from dreamvid.cli.options import command
from dreamvid.cli.stopping import stopping


@command()
def resume(
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="The result that was not finished: of video or zoom, or --film of image.",
        ),
    ],
    force: Force = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Go on with a film that was stopped or killed, losing no finished frame."""
    from dreamvid.resuming import resume as go_on

    with stopping(Display(quiet, as_json)) as listener:
        go_on(out, force=force, listener=listener)
