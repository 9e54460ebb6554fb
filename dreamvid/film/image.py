"""One picture in one call: from a file, a tensor, grey or noise, to a file or a tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from dreamvid.config import Area, ImageConfig
from dreamvid.errors import ConfigError
from dreamvid.events import Listener
from dreamvid.film.blank import blank_image, blank_name
from dreamvid.film.checks import (
    check_prompts,
    check_where_model,
    config_of,
    in_own_colours,
    with_own_colours,
)
from dreamvid.film.job import Job, Parts, settle
from dreamvid.film.report import Reporter, Summary, Tally
from dreamvid.media.files import STANDARD, check_input, check_output, write_whole
from dreamvid.media.source import Source, check_result, result_at
from dreamvid.media.still import IMAGE_SUFFIXES
from dreamvid.notebook import usual_listener

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dreamvid.dream.canvas import Canvas
    from dreamvid.dream.descent import Step
    from dreamvid.dream.objective import Objective
    from dreamvid.dream.terms import Term
    from dreamvid.film.areas import Layout
    from dreamvid.film.result import DirectResult
    from dreamvid.guide.finding import MaskFinder
    from dreamvid.guide.microbatch import Microbatches
    from dreamvid.guide.objective import FilmObjective
    from dreamvid.journal import Journal
    from dreamvid.types import PromptWeights

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
    resume: bool = False,
    force: bool = False,
    objectives: Sequence[Objective] | None = None,
    canvas: Canvas | str | None = None,
    terms: Sequence[Term] | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> Summary | Tensor:
    """Dream a still picture, from a file, a tensor, "grey" or "noise".

    A tensor is (3, H, W), R'G'B' in [0, 1]. With `out` the picture is written there and a summary
    returned; without, the picture itself, (3, H, W) on the CPU. `film` is a video file, or a row of
    pictures, that shows how it emerges, step by step; `resume` resumes a film that was stopped,
    with `force` even where something has changed. Each option of `dreamvid image` is a keyword, on
    top of `config`; `objectives`, `canvas` and `terms` are the caller's own parts, `canvas` or the
    name of one.

    Raises ConfigError, MediaError, GuideError, DeviceError, GradientError or JournalError.
    """
    reporter = Reporter(listener or usual_listener())
    parts, options = Parts.split(options, objectives=objectives, canvas=canvas, terms=terms)
    config = config_of(ImageConfig, config, options)
    target, filmed = (None if path is None else Path(path) for path in (out, film))
    given = {"overwrite": overwrite, "resume": resume, "force": force}
    job = _prepare(source, target, filmed, config, **given)
    _check(job, target, objectives is not None)
    settled = settle(job.out, reporter) if resume else None
    if settled is not None:
        return settled
    return _make(job, source, target, parts, reporter)


def _prepare(
    source: str | PathLike[str] | Tensor,
    picture: Path | None,
    film: Path | None,
    config: ImageConfig,
    **given: bool,
) -> Job:
    """The job of the film; its `out` is standard output where no film is wanted.

    It can be resumed where the source can be read again, and both results are files.
    """
    if film is None and given["resume"]:
        raise ConfigError("--resume is given without --film; allowed with --film FILE")
    name = _name(source)
    is_blank = isinstance(source, str | PathLike) and blank_name(name) is not None
    is_file = isinstance(source, str | PathLike) and not is_blank
    out = STANDARD if film is None else result_at(film)
    if is_file:
        check_input(Path(name))  # no folder, which is a film elsewhere
    found = Source.find(Path(name)) if is_file else None
    if isinstance(source, str | PathLike):
        config = with_own_colours(config, found, name, 1)
    else:
        config = in_own_colours(config, [source])
    job = Job(
        source=found,
        source_name=name,
        out=out,
        config=config,
        can_resume=(is_file or is_blank) and picture is not None and out != STANDARD,
        **given,
    )
    job.check_resume()
    return job


def _check(job: Job, out: Path | None, has_objectives: bool) -> None:
    """Raise a DreamvidError for wrong files or options, before anything heavy is loaded."""
    path = None if job.source is None else job.source.path
    replaces = job.overwrite or job.resume
    if out is not None:
        check_output(out, path, replaces, IMAGE_SUFFIXES)
    if job.out != STANDARD:
        check_result(job.out, job.source, replaces)
    assert isinstance(job.config, ImageConfig)
    areas = [area.name for area in job.config.file_areas]
    for mask in (*filter(None, [job.config.mask]), *areas):
        check_input(Path(mask))
    check_where_model(job.config)
    if not has_objectives:
        check_prompts(job.config)


def _make(
    job: Job,
    source: str | PathLike[str] | Tensor,
    out: Path | None,
    parts: Parts,
    reporter: Reporter,
) -> Summary | Tensor:
    """Dream the picture, write it and its film, and tell of them."""
    from dreamvid.device import choose_device
    from dreamvid.dream.symmetry import Symmetry
    from dreamvid.film.settings import load_finder, load_objectives, mean_similarities

    config = job.config
    assert isinstance(config, ImageConfig)
    device = choose_device(config.device)
    start = _start(source, config).to(device)
    symmetry = Symmetry.of(config.symmetry)
    if symmetry is not None:
        start = symmetry.arrange(start)
    loaded = load_objectives(config, device, reporter, parts.objectives)
    layout = _lay_out(config, start, loaded, load_finder(config, loaded, device))
    with _filming(job, start, layout, device, out) as film:
        dream = _dream(start, layout, loaded, config, reporter, film.record, parts)
        reporter.count(*mean_similarities(loaded, [start, dream]))
        if out is not None:
            film.write_picture(out, dream)
        film.finish(reporter.tally)
    guide = config.guide if parts.objectives is None else ()
    summary = reporter.finish(out, guide=guide, device=str(device), **film.facts)
    return dream.cpu() if out is None else summary


def _lay_out(
    config: ImageConfig,
    start: Tensor,
    objectives: Sequence[FilmObjective],
    finder: MaskFinder | None,
) -> Layout:
    """What of the picture `start` (3, H, W) is dreamed by which prompts. Raises MediaError."""
    from dreamvid.control.schedule import weights_of
    from dreamvid.film.areas import Layout, parts_of, with_files

    def at(weights: PromptWeights) -> list[FilmObjective]:
        return [objective.at(weights) for objective in objectives]

    def mask_of(area: Area) -> Tensor:
        return _read_mask(area.name, config, start)

    parts = with_files(parts_of(config.areas, weights_of(config), at), mask_of)
    mask = None if config.mask is None else _read_mask(config.mask, config, start)
    if mask is not None and config.mask_invert:
        mask = 1 - mask
    found = None if finder is None else finder.masks(finder.look(start), start)
    limits = finder is not None and finder.limits
    layout = Layout(mask, mask if config.mask_steers else None)
    return layout.divided(parts, found, start, limits=limits, steers=config.mask_steers)


def _dream(
    start: Tensor,
    layout: Layout,
    objectives: Sequence[FilmObjective],
    config: ImageConfig,
    reporter: Reporter,
    record: Callable[[Step], None],
    parts: Parts,
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

    def microbatches(each: Objective) -> Microbatches:
        return Microbatches(each, MicrobatchSize(reporter.note_microbatch))

    dream = descend(
        start,
        [microbatches(each) for each in objectives],
        config,
        steps=0 if config.show_mask else None,
        canvas=parts.canvas,
        terms=parts.terms,
        on_step=on_step,
        region=layout.region,
        places=[
            replace(place, objectives=[microbatches(each) for each in place.objectives])
            for place in layout.places
        ],
    )
    return _shown(dream, start, layout, config)


def _shown(dream: Tensor, start: Tensor, layout: Layout, config: ImageConfig) -> Tensor:
    """The dream (3, H, W) of `start` where the mask lets it be seen."""
    from dreamvid.dream.symmetry import Symmetry
    from dreamvid.film.delivery import coloured, outline, show

    symmetry, mask = Symmetry.of(config.symmetry), layout.mask
    image = coloured(show(dream, start, mask), config, mask)
    if config.show_mask:
        image = outline(start, mask, [place.region for place in layout.places])
    return image if symmetry is None or mask is None else symmetry.fold(image)


def _read_mask(path: str, config: ImageConfig, start: Tensor) -> Tensor:
    """A mask (1, H, W) of the picture `start`, with its symmetry. Raises MediaError."""
    from dreamvid.dream.symmetry import Symmetry
    from dreamvid.media.still import read_image

    picture = read_image(Path(path), size=f"{start.shape[2]}x{start.shape[1]}")
    mask = picture.mean(0, keepdim=True).to(start)
    symmetry = Symmetry.of(config.symmetry)
    return mask if symmetry is None else symmetry.fold(mask)


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


class _StepFilm:
    """The film of a picture's steps, and the picture; without a result, the picture alone.

    A film that is resumed skips the steps that it shows: they are made again, from the beginning.
    """

    def __init__(
        self,
        job: Job,
        start: Tensor,
        layout: Layout,
        result: Journal | DirectResult | None,
    ) -> None:
        """Begin with the picture `start`, (3, H, W), of which `layout` says what is shown."""
        self._job, self._start, self._layout, self._result = job, start, layout, result
        self._frames = 0 if result is None else result.frames

    @property
    def facts(self) -> Mapping[str, Any]:
        """Values for the summary."""
        return {} if self._result is None else self._result.facts

    def record(self, step: Step) -> None:
        """Write a step's picture, after the start. Raises MediaError."""
        if self._result is None:
            return
        self._write(0, lambda: self._start)
        config = self._job.config
        assert isinstance(config, ImageConfig)
        shown = partial(_shown, start=self._start, layout=self._layout, config=config)
        self._write(step.index + 1, lambda: shown(step.image))

    def write_picture(self, out: Path, dream: Tensor) -> None:
        """Write the picture, if it is not there already from a run that was killed after it.

        Raises MediaError.
        """
        from dreamvid.film.recipe import metadata
        from dreamvid.media.still import encode_image

        kept, job = self._result, self._job
        made = metadata(job.config, job.source_name) if kept is None else kept.metadata
        data = encode_image(out, dream, metadata=made)
        if out.is_file() and out.read_bytes() == data:
            return
        write_whole(out, data, job.overwrite if kept is None else kept.overwrite)

    def finish(self, tally: Tally) -> None:
        """Give the film its name. Raises MediaError, JournalError."""
        if self._result is None:
            return
        self._write(0, lambda: self._start)
        self._result.finish(tally=tally.to_json())

    def _write(self, index: int, image: Callable[[], Tensor]) -> None:
        from dreamvid.types import Frame

        if self._result is not None and index == self._frames:
            frame = Frame(image(), index / FILM_RATE, 1 / FILM_RATE)
            self._result.write(frame)
            self._frames += 1


@contextmanager
def _filming(
    job: Job, start: Tensor, layout: Layout, device: torch.device, out: Path | None
) -> Iterator[_StepFilm]:
    """The film of `job`, open; `out` is the picture beside it."""
    if job.out == STANDARD:
        yield _StepFilm(job, start, layout, None)
        return

    from dreamvid.film.result import open_result
    from dreamvid.media.probing import VideoInfo

    height, width = start.shape[1:]
    info = VideoInfo(width=width, height=height, rate=FILM_RATE, time_base=1 / FILM_RATE)
    with open_result(job, info, device, picture=out) as result:
        yield _StepFilm(job, start, layout, result)
