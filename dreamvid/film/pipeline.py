"""A film from its source to its result: read, viewed, dreamed, delivered and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from dreamvid.config import VideoConfig
from dreamvid.device import choose_device
from dreamvid.dream.step_graph import step_graphs
from dreamvid.film.delivery import Delivery
from dreamvid.film.listening import schedule_of
from dreamvid.film.report import Reporter, Summary, Tally
from dreamvid.film.result import DirectResult, open_result
from dreamvid.film.sequence import Carry, DreamedFrame, dream_frames
from dreamvid.film.settings import (
    load_objectives,
    mean_similarities,
    scheduled_settings,
    with_microbatches,
)
from dreamvid.film.view import CameraView
from dreamvid.media.mask import MaskReader
from dreamvid.media.probing import parse_size
from dreamvid.media.source import Source, open_music
from dreamvid.motion.flow import create_flow
from dreamvid.motion.shots import create_cut_detector

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dreamvid.control.schedule import Schedule
    from dreamvid.film.job import Job
    from dreamvid.guide.microbatch import Microbatches
    from dreamvid.journal import Journal
    from dreamvid.media.reader import FrameReader
    from dreamvid.media.tracks import SoundSource
    from dreamvid.types import Frame

AHEAD_PIXELS = 2**24
"""Most pixels to read ahead: 36 bytes each with their motion, 0.6 GB in all."""


def run(job: Job, reporter: Reporter) -> Summary:
    """Dream the film of `job`, or resume it. Raises DreamvidError."""
    config = job.config
    changes = {"size": "source"} if config.deliver == "source" else {}
    with (
        job.source.open(reporter.warn, **changes) as reader,
        _open_sound(job, reader, reporter) or nullcontext() as sound,
        _open_mask(job, reader, reporter) or nullcontext() as mask,
    ):
        schedule, _ = schedule_of(config, job.source, reader, reporter.tell)
        device = choose_device(config.device)
        with open_result(job, reader, sound, device) as result:
            _check_alpha(job, reader, result, reporter)
            view = CameraView.of(config, reader, schedule)
            delivery = Delivery(_dreamed_size(config, reader), view.mask(mask) if mask else None)
            stage = _Stage(job, reader, view, delivery, result, device)
            carry = _go_on(stage, reporter)
            _dream(stage, schedule, carry, reporter)
            result.finish(reader.is_cut_short, _joining(reporter))
    facts = {**result.facts, "guide": config.guide if job.parts.objectives is None else ()}
    return reporter.finish(job.out, **facts, device=str(device))


def read_ahead(source: Source, config: VideoConfig, pixels: int) -> int:
    """The number of key frames, 0 or 1, to read ahead while one is dreamed.

    `pixels` is the number of pixels of a frame. 0 for a pipe or a device, where a thread might wait
    without end, and where a span of frames with its motion would take much memory.
    """
    return int(source.is_stored and config.every * pixels <= AHEAD_PIXELS)


@dataclass(frozen=True)
class _Stage:
    """The open parts that a frame passes through from source to result."""

    job: Job
    reader: FrameReader
    view: CameraView
    delivery: Delivery
    result: Journal | DirectResult
    device: torch.device


def _open_sound(job: Job, reader: FrameReader, reporter: Reporter) -> SoundSource | None:
    music = open_music(job.config, reporter.warn)
    return music or job.source.open_sound(reader, reporter.warn)


def _open_mask(job: Job, reader: FrameReader, reporter: Reporter) -> MaskReader | None:
    if job.mask is None:
        return None
    return MaskReader(
        job.mask,
        (reader.info.width, reader.info.height),
        start=job.config.start,
        invert=job.config.mask_invert,
        on_warning=reporter.warn,
    )


def _check_alpha(
    job: Job, reader: FrameReader, result: Journal | DirectResult, reporter: Reporter
) -> None:
    if reader.info.alpha and not result.keeps_alpha:
        reporter.warn(
            f"'{job.out}' does not keep the alpha of '{job.source.path}'; --codec prores_ks in "
            ".mov, ffv1 in .mkv, libvpx-vp9 in .webm and PNG pictures do"
        )


def _dreamed_size(config: VideoConfig, reader: FrameReader) -> tuple[int, int] | None:
    """(height, width) to dream at, where the reader delivers the source's size."""
    if config.deliver == "dreamed" or config.size == "source":
        return None
    width, height = parse_size(config.size, reader.info)
    return height, width


def _go_on(stage: _Stage, reporter: Reporter) -> Carry | None:
    """Move the reader past the last key frame and return its carry; None at the beginning."""
    result = stage.result
    carry = result.carry(Carry)
    if carry is None or isinstance(result, DirectResult):
        return None
    carry = carry.to(stage.device)
    time, source = carry.time, carry.source

    def shows(image: Tensor) -> bool:
        seen = stage.view.image(image.to(stage.device), time)
        return stage.job.force or bool((stage.delivery.shrink(seen) == source).all())

    stage.reader.skip_past(time, shows)
    reporter.go_on(Tally.from_json(result.state.tally))
    return carry


def _read(stage: _Stage) -> Iterator[Frame]:
    """The source's frames as the camera sees them, on the device."""
    for frame in stage.reader:
        if stage.reader.is_cut_short:
            stage.result.check_source(is_cut_short=True)
        yield stage.view.frame(frame.with_image(frame.image.to(stage.device)))


def _dream(
    stage: _Stage, schedule: Schedule[VideoConfig], carry: Carry | None, reporter: Reporter
) -> None:
    """Run the loop over time, and write its frames."""
    job, config, parts = stage.job, stage.job.config, stage.job.parts
    info = stage.reader.info
    flow = parts.flow or create_flow(
        config.flow, stage.device, config.flow_weights, config.flow_size
    )
    objectives = load_objectives(config, stage.device, reporter, parts.objectives)
    planned = scheduled_settings(schedule, objectives, parts.canvas, parts.terms)
    dreamed_frames = dream_frames(
        stage.delivery.prepare(_read(stage)),
        with_microbatches(planned, reporter.note_microbatch),
        flow=flow,
        is_cut=create_cut_detector(config.cut_threshold),
        carry=carry,
        on_step=reporter.step,
        ahead=read_ahead(job.source, config, info.width * info.height),
        graphs=step_graphs(stage.device),
    )
    until_stopped = reporter.ends_on_interrupt() if job.source.is_endless else nullcontext()
    with until_stopped, closing(dreamed_frames):
        reporter.progress("dreaming", info.frame_count)
        for dreamed in dreamed_frames:
            _write(stage, dreamed, reporter)


def _write(stage: _Stage, dreamed: DreamedFrame, reporter: Reporter) -> None:
    """Deliver a frame to the result, and report it."""
    images = [dreamed.source, dreamed.frame.image]
    objectives = cast("Sequence[Microbatches]", dreamed.settings.objectives)
    before, after = mean_similarities(objectives, images)
    reporter.count(before, after)
    reporter.tally.note_outcome(dreamed)
    delivered = stage.view.exposed(stage.delivery.finish(dreamed.frame, dreamed.source))
    stage.result.write(delivered, dreamed.carry, reporter.tally.to_json())
    note = f"similarity {before:.3f} -> {after:.3f}"
    total = stage.reader.info.frame_count
    reporter.progress("dreaming", total, reporter.tally.frames, note)
    reporter.frame_done(delivered, dreamed.source, before, after)


def _joining(reporter: Reporter) -> Callable[[], None]:
    """A callback that reports each packet joined to the result."""
    done = 0

    def on_packet() -> None:
        nonlocal done
        reporter.progress("joining", reporter.tally.frames, done)
        done = min(done + 1, reporter.tally.frames)

    return on_packet
