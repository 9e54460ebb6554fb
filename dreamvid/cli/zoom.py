"""`dreamvid zoom`: fall into a picture, for ever or in a loop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.checks import check_pipe
from dreamvid.cli.display import AsJson, Display, Force, Overwrite, Quiet, Resume
from dreamvid.cli.options import command
from dreamvid.cli.pages import LOCAL, Browser, Host, Port, Watch, Watching
from dreamvid.cli.stopping import stopping
from dreamvid.config import ZoomConfig


@command(ZoomConfig)
def zoom(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN", help="A picture, a video (its frame at --start), grey or noise."
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="The result: .mp4, .mov, .mkv, .webm, .gif or pictures."
        ),
    ],
    config: ZoomConfig,
    overwrite: Overwrite = False,
    resume: Resume = False,
    force: Force = False,
    watch: Watch = False,
    browser: Browser = True,
    host: Host = LOCAL,
    port: Port = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Fall into a picture, or out of it; with --loop for ever."""
    from dreamvid.making import zoom as dream_zoom

    check_pipe(out, as_json)
    display = Display(quiet, as_json)
    page = Watching(display, watch, browser, host, port)
    with stopping(display) as shown, page(shown, source, out) as listener:
        dream_zoom(
            source,
            out,
            config=config,
            overwrite=overwrite,
            resume=resume,
            force=force,
            listener=listener,
        )
