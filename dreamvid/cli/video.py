"""`dreamvid video`: dream a whole clip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.clip import Job, dream_clip
from dreamvid.cli.options import command
from dreamvid.cli.report import AsJson, Force, Overwrite, Quiet, Report
from dreamvid.cli.resume import is_settled
from dreamvid.cli.setup import check_dream, check_music, check_pipe
from dreamvid.config import ReadConfig, VideoConfig
from dreamvid.errors import ConfigError


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
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with OUT where that was stopped.")
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Dream a video clip; its times and sound stay."""
    _check(source, out, config, overwrite or resume, as_json)
    _check_resume(source, out, config, resume, force)

    report = Report(quiet, as_json)
    if not (resume and is_settled(out, report)):
        dream_clip(Job(source, out, config, overwrite, resume, force), report)


def _check(source: Path, out: Path, config: VideoConfig, overwrite: bool, as_json: bool) -> None:
    """Find what is wrong with files and options before anything heavy is loaded."""
    from dreamvid.media.source import check_result, check_source

    check_source(source, config)
    if config.mask is not None:
        check_source(Path(config.mask), ReadConfig())
    check_result(out, source, config, overwrite)
    check_music(out, config)
    check_pipe(out, as_json)
    check_dream(config)


def _check_resume(source: Path, out: Path, config: VideoConfig, resume: bool, force: bool) -> None:
    from dreamvid.media.source import RESUMABLE_SUFFIXES, can_resume

    if force and not resume:
        raise ConfigError("--force is given without --resume; allowed with --resume")
    if resume and not can_resume(source, out, config):
        raise ConfigError(
            f"--resume: '{source}' to '{out}' has no journal; allowed: from files to one named "
            f"{', '.join(RESUMABLE_SUFFIXES)}"
        )
