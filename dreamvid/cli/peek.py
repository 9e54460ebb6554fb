"""`dreamvid peek`: what is done so far of a clip, to look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.options import command
from dreamvid.cli.report import AsJson, Overwrite, Quiet, Report
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
    from dreamvid.journal import peek as make_peek
    from dreamvid.media.files import check_output

    target = to or out.with_name(f"{out.stem}.peek{out.suffix}")
    check_output(target, out, overwrite or to is None)
    report = Report(quiet, as_json=False)
    with stopping(report):
        state = make_peek(out, target, overwrite=overwrite or to is None, on_warning=report.warn)
    seconds = float(state.duration)
    if as_json:
        print(json.dumps({"output": str(target), "frames": state.frames, "seconds": seconds}))
    else:
        plural = "" if state.frames == 1 else "s"
        report.say(f"{target}: {state.frames} frame{plural}, up to {seconds:.3f} s")
