"""A clip being dreamed: read, viewed, dreamed and delivered."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from dreamvid.config import VideoConfig
from dreamvid.device import choose_device
from dreamvid.dream.step_graph import step_graphs
from dreamvid.dream.symmetry import Symmetry
from dreamvid.film.delivery import Delivery, outline
from dreamvid.film.listening import schedule_of
from dreamvid.film.pipeline import FilmFrame
from dreamvid.film.report import Reporter
from dreamvid.film.sequence import Carry, DreamedFrame, dream_frames
from dreamvid.film.settings import (
    load_finder,
    load_objectives,
    mean_similarities,
    scheduled_settings,
    with_finder,
    with_masks,
    with_microbatches,
    without_steps,
)
from dreamvid.film.view import CameraView
from dreamvid.media.mask import MaskReader
from dreamvid.media.probing import VideoInfo, parse_size
from dreamvid.media.source import Source, open_music
from dreamvid.motion.flow import create_flow
from dreamvid.motion.shots import create_cut_detector

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dreamvid.control.schedule import Schedule
    from dreamvid.film.job import VideoJob
    from dreamvid.film.result import DirectResult
    from dreamvid.guide.microbatch import Microbatches
    from dreamvid.journal import Journal
    from dreamvid.media.reader import FrameReader
    from dreamvid.media.tracks import SoundSource
    from dreamvid.types import Frame

AHEAD_PIXELS = 2**24
"""Most pixels to read ahead: 36 bytes each with their motion, 0.6 GB in all."""


@contextmanager
def open_clip(job: VideoJob, reporter: Reporter) -> Iterator[Clip]:
    """The clip of `job`, open. Raises DreamvidError."""
    config = job.config
    changes = {"size": "source"} if config.deliver == "source" else {}
    with (
        job.source.open(reporter.warn, **changes) as reader,
        _open_sound(job, reader, reporter) or nullcontext() as sound,
        _open_mask(job, reader, reporter) or nullcontext() as mask,
    ):
        schedule, _ = schedule_of(config, job.source, reader, reporter.tell)
        device = choose_device(config.device)
        view = CameraView.of(config, reader, schedule)
        delivery = Delivery(_dreamed_size(config, reader), Symmetry.of(config.symmetry))
        yield Clip(job, reader, sound, mask, schedule, view, delivery, device, reporter)


@dataclass(frozen=True)
class Clip:
    """The open parts that a frame passes through from source to result."""

    job: VideoJob
    reader: FrameReader
    sound: SoundSource | None
    mask: MaskReader | None
    schedule: Schedule[VideoConfig]
    view: CameraView
    delivery: Delivery
    device: torch.device
    reporter: Reporter

    stage = "dreaming"

    @property
    def info(self) -> VideoInfo:
        return self.reader.info

    @property
    def origin(self) -> Fraction:
        return self.reader.origin

    @property
    def is_endless(self) -> bool:
        return self.job.source.is_endless

    @property
    def watches(self) -> bool:
        return self.job.source.kind in ("video", "animation")

    @property
    def is_cut_short(self) -> bool:
        return self.reader.is_cut_short

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"guide": self.job.config.guide if self.job.parts.objectives is None else ()}

    def frames(self, result: Journal | DirectResult) -> Generator[FilmFrame, None, None]:
        """Dream the frames after those of `result`, and deliver them."""
        job, config, parts, reporter = self.job, self.job.config, self.job.parts, self.reporter
        carry = result.carry(Carry, self.device)
        if carry is not None:
            self._skip_past(carry)
        flow = parts.flow or create_flow(
            config.flow, self.device, config.flow_weights, config.flow_size
        )
        objectives = load_objectives(config, self.device, reporter, parts.objectives)
        planned = scheduled_settings(self.schedule, objectives, parts.canvas, parts.terms)
        finder = load_finder(config, objectives, self.device)
        if finder is not None:
            planned = with_finder(planned, finder, config.mask_steers)
        if config.show_mask:
            planned = without_steps(planned)
        if self.mask is not None:
            planned = with_masks(planned, partial(self.view.mask, self.mask), config.mask_steers)
        dreamed_frames = dream_frames(
            self.delivery.prepare(self._read(result)),
            with_microbatches(planned, reporter.note_microbatch),
            flow=flow,
            is_cut=create_cut_detector(config.cut_threshold),
            carry=carry,
            on_step=reporter.step,
            ahead=read_ahead(job.source, config, self.info.width * self.info.height),
            graphs=step_graphs(self.device),
        )
        with closing(dreamed_frames):
            reporter.progress(self.stage, self.info.frame_count)
            for dreamed in dreamed_frames:
                yield self._finished(dreamed)

    def _skip_past(self, carry: Carry) -> None:
        """Move the reader past the last key frame, whose picture it must have."""

        def shows(image: Tensor) -> bool:
            seen = self.view.image(image.to(self.device), carry.time)
            return self.job.force or bool((self.delivery.prepared(seen) == carry.source).all())

        self.reader.skip_past(carry.time, shows)

    def _read(self, result: Journal | DirectResult) -> Iterator[Frame]:
        """The source's frames as the camera sees them, on the device."""
        for frame in self.reader:
            if self.reader.is_cut_short:
                result.check_source(is_cut_short=True)
            yield self.view.frame(frame.with_image(frame.image.to(self.device)))

    def _finished(self, dreamed: DreamedFrame) -> FilmFrame:
        """A dreamed frame, delivered and judged."""
        objectives = cast("Sequence[Microbatches]", dreamed.settings.objectives)
        before, after = mean_similarities(objectives, [dreamed.source, dreamed.frame.image])
        self.reporter.tally.note_outcome(dreamed)
        finished = self.delivery.finish(dreamed.frame, dreamed.source, dreamed.mask)
        if self.job.config.show_mask and dreamed.mask is not None:
            finished = finished.with_image(outline(finished.image, dreamed.mask))
        exposed = self.view.exposed(finished)
        delivered = exposed.with_image(self.delivery.folded(exposed.image))
        return FilmFrame(delivered, dreamed.source, before, after, dreamed.carry)


def read_ahead(source: Source, config: VideoConfig, pixels: int) -> int:
    """The number of key frames, 0 or 1, to read ahead while one is dreamed.

    `pixels` is the number of pixels of a frame. 0 for a pipe or a device, where a thread might wait
    without end, and where a span of frames with its motion would take much memory.
    """
    return int(source.is_stored and config.every * pixels <= AHEAD_PIXELS)


def _open_sound(job: VideoJob, reader: FrameReader, reporter: Reporter) -> SoundSource | None:
    music = open_music(job.config, reporter.warn)
    return music or job.source.open_sound(reader, reporter.warn)


def _open_mask(job: VideoJob, reader: FrameReader, reporter: Reporter) -> MaskReader | None:
    if job.mask is None:
        return None
    return MaskReader(
        job.mask,
        (reader.info.width, reader.info.height),
        start=job.config.start,
        invert=job.config.mask_invert,
        on_warning=reporter.warn,
    )


def _dreamed_size(config: VideoConfig, reader: FrameReader) -> tuple[int, int] | None:
    """(height, width) to dream at, where the reader delivers the source's size."""
    if config.deliver == "dreamed" or config.size == "source":
        return None
    width, height = parse_size(config.size, reader.info)
    return height, width
