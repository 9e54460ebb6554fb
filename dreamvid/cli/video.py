"""`dreamvid video`: dream a whole clip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.checks import check_pipe
from dreamvid.cli.display import AsJson, Display, Force, Overwrite, Quiet, Resume, SharedOut
from dreamvid.cli.options import command
from dreamvid.cli.pages import LOCAL, Browser, Host, Port, Watch, Watching
from dreamvid.cli.stopping import stopping
from dreamvid.config import VideoConfig


@command(VideoConfig)
def video(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="A video, a picture, a folder, pattern (%04d, *) or .txt list of pictures, - , or "
            "a device of --input-format.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="The result: .mp4, .mov, .mkv, .webm, .gif, pictures (%05d.png, a folder) or -.",
        ),
    ],
    config: VideoConfig,
    overwrite: Overwrite = False,
    resume: Resume = False,
    force: Force = False,
    shot: Annotated[
        list[str] | None,
        typer.Option(
            metavar="K",
            help="Dream this shot alone, 3 or 3-7, as `dreamvid shots` numbers them, beside others "
            "who dream the rest; `dreamvid join OUT` puts all together. Repeatable.",
        ),
    ] = None,
    workers: SharedOut = None,
    watch: Watch = False,
    browser: Browser = True,
    host: Host = LOCAL,
    port: Port = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Dream a video clip; its times and sound stay."""
    from dreamvid.film.shots import parse_shots
    from dreamvid.making import dream_video
    from dreamvid.workers import parse_workers

    check_pipe(out, as_json)
    display = Display(quiet, as_json)
    page = Watching(display, watch, browser, host, port)
    with stopping(display) as shown, page(shown, source, out) as listener:
        dream_video(
            source,
            out,
            config=config,
            overwrite=overwrite,
            resume=resume,
            force=force,
            shots=parse_shots(shot) if shot else None,
            workers=None if workers is None else parse_workers(workers),
            listener=listener,
        )
