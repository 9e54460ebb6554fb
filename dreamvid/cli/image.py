"""`dreamvid image`: dream one picture, from another or from nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dreamvid.cli.options import command
from dreamvid.cli.report import AsJson, Overwrite, Quiet, Report
from dreamvid.cli.setup import (
    BLANKS,
    blank_image,
    check_blank,
    check_dream,
    load_objectives,
    mean_similarities,
    metadata,
)
from dreamvid.cli.stopping import stopping
from dreamvid.config import ImageConfig, WriteConfig

if TYPE_CHECKING:
    from torch import Tensor

    from dreamvid.dream.descent import OnStep, Step

FILM_RATE = Fraction(24)


@command(ImageConfig)
def image(
    source: Annotated[str, typer.Argument(metavar="IN", help="A picture file, grey or noise.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The result: .png, .jpg, .webp …")],
    config: ImageConfig,
    film: Annotated[
        Path | None, typer.Option(help="Also film how the picture emerges, step by step.")
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Dream a still picture, from a file, from grey or from noise."""
    _check(source, out, film, overwrite, config)

    from dreamvid.device import choose_device
    from dreamvid.dream.descent import descend
    from dreamvid.guide.microbatch import Microbatches, MicrobatchSize
    from dreamvid.media.still import write_image

    report = Report(quiet, as_json)
    start = _start(source, config)
    device = choose_device(config.device)
    start = start.to(device)
    objectives = load_objectives(config, device, report)
    with_microbatches = [
        Microbatches(each, MicrobatchSize(report.note_halved)) for each in objectives
    ]
    with (
        stopping(report),
        _filming(film, start, config, source, overwrite) as record,
        report.progress("dreaming", config.steps) as progress,
    ):

        def on_step(step: Step) -> None:
            record(step)
            progress.advance(f"octave {step.level + 1} of {step.levels}")

        dream = descend(start, with_microbatches, config, on_step=on_step)
    report.count(*mean_similarities(objectives, [start, dream]))
    write_image(out, dream, overwrite=overwrite, metadata=metadata(config, source))
    report.finish(out, guide=config.guide, device=str(device))


def _check(source: str, out: Path, film: Path | None, overwrite: bool, config: ImageConfig) -> None:
    """Find what is wrong with files and options before anything heavy is loaded."""
    from dreamvid.media.files import check_input, check_output
    from dreamvid.media.still import IMAGE_SUFFIXES

    check_blank(source, config.size)
    if source not in BLANKS:
        check_input(Path(source))
    check_output(out, Path(source), overwrite, IMAGE_SUFFIXES)
    if film is not None:
        check_output(film, Path(source), overwrite)
    check_dream(config)


def _start(source: str, config: ImageConfig) -> Tensor:
    """(3, H, W): the picture that is dreamed on."""
    from dreamvid.media.still import read_image

    if source in BLANKS:
        return blank_image(source, config.size, config.seed)
    return read_image(Path(source), size=config.size)


@contextmanager
def _filming(
    film: Path | None, start: Tensor, config: ImageConfig, source: str, overwrite: bool
) -> Iterator[OnStep]:
    """Give a function that films each step; one that does nothing where no film is wanted."""
    if film is None:
        yield lambda step: None
        return

    from dreamvid.media.info import VideoInfo
    from dreamvid.media.writer import VideoWriter
    from dreamvid.types import Frame

    height, width = start.shape[1:]
    info = VideoInfo(width=width, height=height, rate=FILM_RATE, time_base=1 / FILM_RATE)
    with VideoWriter(
        film, info, WriteConfig(), overwrite=overwrite, metadata=metadata(config, source)
    ) as writer:
        writer.write(Frame(start, Fraction(0)))
        yield lambda step: writer.write(Frame(step.image, (step.index + 1) / FILM_RATE))
