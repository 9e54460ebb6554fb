"""One picture in one call: from a file, a tensor, grey or noise, to a file or a tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from dreamvid.config import ImageConfig, WriteConfig
from dreamvid.events import Listener
from dreamvid.film.blank import blank_image, blank_name
from dreamvid.film.checks import check_prompts, config_of
from dreamvid.film.report import Reporter, Summary
from dreamvid.notebook import usual_listener

if TYPE_CHECKING:
    from torch import Tensor

    from dreamvid.dream.canvas import Canvas
    from dreamvid.dream.descent import Step
    from dreamvid.dream.objective import Objective
    from dreamvid.dream.terms import Term
    from dreamvid.guide.objective import FilmObjective

FILM_RATE = Fraction(24)
"""Frames a second of the film of a picture's steps."""


@overload
def dream_image(
    source: str | PathLike[str] | Tensor, out: None = None, **options: Any
) -> Tensor: ...
@overload
def dream_image(
    source: str | PathLike[str] | Tensor, out: str | PathLike[str], **options: Any
) -> Summary: ...
def dream_image(
    source: str | PathLike[str] | Tensor,
    out: str | PathLike[str] | None = None,
    *,
    film: str | PathLike[str] | None = None,
    config: ImageConfig | None = None,
    overwrite: bool = False,
    objectives: Sequence[Objective] | None = None,
    canvas: Canvas | None = None,
    terms: Sequence[Term] | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> Summary | Tensor:
    """Dream a still picture, from a file, a tensor, "grey" or "noise".

    A tensor is (3, H, W), R'G'B' in [0, 1]. With `out` the picture is written there and a summary
    returned; without, the picture itself, (3, H, W) on the CPU. `film` is a video file that shows
    how it emerges, step by step. Each option of `dreamvid image` is a keyword, on top of `config`;
    `objectives`, `canvas` and `terms` are the caller's own parts.

    Raises ConfigError, MediaError, GuideError, DeviceError or GradientError.
    """
    reporter = Reporter(listener or usual_listener())
    config = config_of(ImageConfig, config, options)
    target, filmed = (None if path is None else Path(path) for path in (out, film))
    _check(source, target, filmed, overwrite, config, objectives is not None)

    from dreamvid.device import choose_device
    from dreamvid.film.settings import load_objectives, mean_similarities

    device = choose_device(config.device)
    start = _start(source, config).to(device)
    loaded = load_objectives(config, device, reporter, objectives)
    with _filming(filmed, start, config, _name(source), overwrite) as record:
        dream = _dream(start, loaded, config, reporter, record, canvas, terms)
    reporter.count(*mean_similarities(loaded, [start, dream]))
    _write(target, dream, config, _name(source), overwrite)
    guide = config.guide if objectives is None else ()
    summary = reporter.finish(target, guide=guide, device=str(device))
    return dream.cpu() if target is None else summary


def _dream(
    start: Tensor,
    objectives: Sequence[FilmObjective],
    config: ImageConfig,
    reporter: Reporter,
    record: Callable[[Step], None],
    canvas: Canvas | None,
    terms: Sequence[Term] | None,
) -> Tensor:
    """The dream of `start` (3, H, W); `record` and the reporter get each step."""
    from dreamvid.dream.descent import descend
    from dreamvid.guide.microbatch import Microbatches, MicrobatchSize

    def on_step(step: Step) -> None:
        record(step)
        note = f"octave {step.level + 1} of {step.levels}" if step.levels > 1 else ""
        reporter.progress("dreaming", config.steps, step.index + 1, note)
        reporter.step(step)

    reporter.progress("dreaming", config.steps)
    whole = [Microbatches(each, MicrobatchSize(reporter.note_microbatch)) for each in objectives]
    return descend(start, whole, config, canvas=canvas, terms=terms, on_step=on_step)


def _write(
    out: Path | None, dream: Tensor, config: ImageConfig, source: str, overwrite: bool
) -> None:
    from dreamvid.film.recipe import metadata
    from dreamvid.media.still import write_image

    if out is not None:
        write_image(out, dream, overwrite=overwrite, metadata=metadata(config, source))


def _check(
    source: str | PathLike[str] | Tensor,
    out: Path | None,
    film: Path | None,
    overwrite: bool,
    config: ImageConfig,
    has_objectives: bool,
) -> None:
    """Raise a DreamvidError for wrong files or options, before anything heavy is loaded."""
    from dreamvid.media.files import check_input, check_output
    from dreamvid.media.still import IMAGE_SUFFIXES

    path = None
    if isinstance(source, str | PathLike) and blank_name(str(source)) is None:
        path = Path(source)
        check_input(path)
    if out is not None:
        check_output(out, path, overwrite, IMAGE_SUFFIXES)
    if film is not None:
        check_output(film, path, overwrite)
    if not has_objectives:
        check_prompts(config)


def _start(source: str | PathLike[str] | Tensor, config: ImageConfig) -> Tensor:
    """The picture (3, H, W) to dream on. Raises ValueError for a tensor that is no picture."""
    from dreamvid.dream.octaves import resize
    from dreamvid.media.probing import VideoInfo, parse_size
    from dreamvid.media.still import read_image
    from dreamvid.types import check_image

    if isinstance(source, str | PathLike):
        name = blank_name(str(source))
        if name is not None:
            return blank_image(name, config.size, config.seed)
        return read_image(Path(source), size=config.size)
    check_image(source)
    if config.size == "source":
        return source.float()
    width, height = parse_size(config.size, VideoInfo(source.shape[2], source.shape[1]))
    return resize(source.float(), (height, width))


def _name(source: str | PathLike[str] | Tensor) -> str:
    """The source's name in the result's metadata."""
    return str(source) if isinstance(source, str | PathLike) else "a tensor"


@contextmanager
def _filming(
    film: Path | None, start: Tensor, config: ImageConfig, source: str, overwrite: bool
) -> Iterator[Callable[[Step], None]]:
    """Give a function that films each step; one that does nothing where no film is wanted."""
    if film is None:
        yield lambda step: None
        return

    from dreamvid.film.recipe import metadata
    from dreamvid.media.probing import VideoInfo
    from dreamvid.media.writer import VideoWriter
    from dreamvid.types import Frame

    height, width = start.shape[1:]
    info = VideoInfo(width=width, height=height, rate=FILM_RATE, time_base=1 / FILM_RATE)
    with VideoWriter(
        film, info, WriteConfig(), overwrite=overwrite, metadata=metadata(config, source)
    ) as writer:
        writer.write(Frame(start, Fraction(0)))
        yield lambda step: writer.write(Frame(step.image, (step.index + 1) / FILM_RATE))
