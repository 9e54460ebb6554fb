"""`dreamvid image`: dream one picture, from another or from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.display import AsJson, Display, Force, Overwrite, Quiet, Resume
from dreamvid.cli.options import command
from dreamvid.cli.stopping import stopping
from dreamvid.config import ImageConfig


@command(ImageConfig)
def image(
    source: Annotated[str, typer.Argument(metavar="IN", help="A picture file, grey or noise.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The result: .png, .jpg, .webp …")],
    config: ImageConfig,
    film: Annotated[
        Path | None, typer.Option(help="Also film how the picture emerges, step by step.")
    ] = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Dream a still picture, from a file, from grey or from noise."""
    from dreamvid.making import dream_image

    with stopping(Display(quiet, as_json)) as listener:
        dream_image(
            source,
            out,
            film=film,
            config=config,
            overwrite=overwrite,
            resume=resume,
            force=force,
            listener=listener,
        )
