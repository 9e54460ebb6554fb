"""`dreamvid video`: dream a whole clip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.clip import dream_clip
from dreamvid.cli.options import command
from dreamvid.cli.report import AsJson, Force, Overwrite, Quiet, Report
from dreamvid.cli.setup import check_dream
from dreamvid.config import VideoConfig


@command(VideoConfig)
def video(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A video file.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The result: .mp4, .mov or .mkv.")],
    config: VideoConfig,
    overwrite: Overwrite = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with OUT where that was stopped.")
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Dream a video clip; its times and sound stay."""
    from dreamvid.media.files import check_input, check_output

    check_input(source)
    check_output(out, source, overwrite or resume)
    check_dream(config)

    report = Report(quiet, as_json)
    if not (resume and report.is_settled(out)):
        dream_clip(source, out, config, report, overwrite=overwrite, resume=resume, force=force)
