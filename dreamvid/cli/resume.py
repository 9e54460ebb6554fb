"""`dreamvid resume`: resume a film that was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.display import AsJson, Display, Force, Quiet, SharedOut
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
    workers: SharedOut = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Go on with a film that was stopped or killed, losing no finished frame."""
    from dreamvid.resuming import resume as go_on
    from dreamvid.workers import parse_workers

    with stopping(Display(quiet, as_json)) as listener:
        shared = None if workers is None else parse_workers(workers)
        go_on(out, force=force, workers=shared, listener=listener)
