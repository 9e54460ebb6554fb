"""`dreamvid peek`: write the frames of a film that are finished so far."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.display import AsJson, Display, Overwrite, Quiet
from dreamvid.cli.options import command
from dreamvid.cli.stopping import stopping


@command()
def peek(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The result that is in the making.")],
    to: Annotated[
        Path | None,
        typer.Argument(
            metavar="[TO]", help="The file to make; else OUT with .peek before its dot."
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Make a file of the frames done so far, also while the run goes on."""
    from dreamvid.resuming import peek as make_peek

    display = Display(quiet)
    with stopping(display) as listener:
        seen = make_peek(out, to, overwrite=overwrite, listener=listener)
    if as_json:
        facts = {"output": str(seen.output), "frames": seen.frames, "seconds": seen.seconds}
        print(json.dumps(facts))
    else:
        plural = "" if seen.frames == 1 else "s"
        display.say(f"{seen.output}: {seen.frames} frame{plural}, up to {seen.seconds:.3f} s")
