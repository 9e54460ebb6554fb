"""`dreamvid join`: put the shots of a film together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.display import AsJson, Display, Force, Overwrite, Quiet
from dreamvid.cli.options import command
from dreamvid.cli.stopping import stopping


@command()
def join(
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="The result whose shots were dreamed by --shot."),
    ],
    overwrite: Overwrite = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Put together a film whose shots were dreamed one by one."""
    from dreamvid.resuming import join as join_shots

    with stopping(Display(quiet, as_json)) as listener:
        join_shots(out, overwrite=overwrite, force=force, listener=listener)
