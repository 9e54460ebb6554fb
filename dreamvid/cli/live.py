"""`dreamvid live`: play a source, and dream on it while it is played."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.checks import check_pipe
from dreamvid.cli.display import AsJson, Display, Overwrite, Quiet
from dreamvid.cli.options import command
from dreamvid.cli.stopping import stopping
from dreamvid.config import VideoConfig


@command(VideoConfig)
def live(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="A video, which is played in a loop, a picture, - , or a camera or screen of "
            "--input-format.",
        ),
    ],
    config: VideoConfig,
    out: Annotated[
        Path | None,
        typer.Option(help="A film of all that is shown, or - for a pipe to another program."),
    ] = None,
    folder: Annotated[Path, typer.Option(help="Folder for takes and stills.")] = Path(),
    record: Annotated[bool, typer.Option("--record", help="Record a take from the start.")] = False,
    duration: Annotated[
        float | None, typer.Option(help="Seconds after which it ends; without it, Ctrl-C.", min=0)
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Show a source at its own rate, and dream on it as fast as that goes."""
    from dreamvid.live.performance import play

    if out is not None:
        check_pipe(out, as_json)
    with stopping(Display(quiet, as_json)) as listener:
        performance = play(
            source,
            config=config,
            out=out,
            overwrite=overwrite,
            folder=folder,
            duration=duration,
            record=record,
            listener=listener,
        )
    if as_json:
        print(json.dumps(performance.to_json()))
