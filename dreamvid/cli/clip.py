"""Dreaming a clip from its first frame or from where it was stopped; for `video` and `resume`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from dreamvid.cli.report import Report
from dreamvid.cli.schedule import schedule_of
from dreamvid.cli.setup import camera_of, load_objectives, mean_similarities, metadata, run_of
from dreamvid.cli.stopping import Stopped, Stopper, stopping
from dreamvid.config import VideoConfig
from dreamvid.errors import ConfigError, MediaError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dreamvid.control.schedule import Schedule
    from dreamvid.film.delivery import Delivery, Mask
    from dreamvid.film.sequence import Carry
    from dreamvid.guide.microbatch import Microbatches
    from dreamvid.guide.objective import ClipObjective
    from dreamvid.journal import Journal
    from dreamvid.media.image_sequence import ImageSequenceWriter
    from dreamvid.media.info import VideoInfo
    from dreamvid.media.mask import MaskReader
    from dreamvid.media.reader import FrameReader
    from dreamvid.media.sound import SoundSource
    from dreamvid.media.writer import VideoWriter
    from dreamvid.motion.camera import Camera
    from dreamvid.types import Frame

AHEAD_PIXELS = 2**24
"""So many at most are read ahead: 36 bytes each with their motion, 0.6 GB in all."""


@dataclass(frozen=True)
class Job:
    """One result to make, its paths and options checked."""

    source: Path
    out: Path
    config: VideoConfig
    overwrite: bool = False
    resume: bool = False
    force: bool = False


def dream_clip(job: Job, report: Report) -> None:
    """Dream a clip, or go on with one, and say what was made."""
    from dreamvid.device import choose_device
    from dreamvid.film.delivery import Delivery
    from dreamvid.media.source import open_frames

    config = job.config
    is_full_size = config.deliver == "source"
    reading = config.model_copy(update={"size": "source"}) if is_full_size else config
    with (
        stopping(report) as stopper,
        open_frames(job.source, reading, report.warn) as reader,
        _open_sound(job, reader, report) or nullcontext() as sound,
        _open_mask(config, reader, report) or nullcontext() as mask,
    ):
        schedule, _ = schedule_of(config, job.source, reader, report)
        device = choose_device(config.device)
        with _open_result(job, reader, sound, device) as result:
            if reader.info.alpha and not result.keeps_alpha:
                report.warn(
                    f"'{job.out}' does not keep the alpha of '{job.source}'; --codec prores_ks in "
                    ".mov, ffv1 in .mkv, libvpx-vp9 in .webm and PNG pictures do"
                )
            view = View.of(config, reader, schedule)
            delivery = Delivery(_dreamed_size(config, reader), view.mask(mask) if mask else None)
            ahead = read_ahead(job.source, config, reader.info)
            stage = _Stage(reader, view, delivery, result, device, ahead)
            carry = _go_on(stage, job.force, report)
            _dream(stage, config, schedule, carry, report, stopper)
            result.finish(reader.is_cut_short, stopper.check)
    report.finish(job.out, **result.facts, guide=config.guide, device=str(device))


def _open_sound(job: Job, reader: FrameReader, report: Report) -> SoundSource | None:
    from dreamvid.media.source import open_music, open_sound

    return open_music(job.config, report.warn) or open_sound(
        job.source, job.config, reader, report.warn
    )


def _open_mask(config: VideoConfig, reader: FrameReader, report: Report) -> MaskReader | None:
    from dreamvid.media.mask import MaskReader

    if config.mask is None:
        return None
    return MaskReader(
        Path(config.mask),
        (reader.info.width, reader.info.height),
        config,
        invert=config.mask_invert,
        on_warning=report.warn,
    )


def read_ahead(source: Path, config: VideoConfig, info: VideoInfo) -> int:
    """How many key frames are read, and their motion found, while one is dreamed.

    None of a pipe or a device, where a thread might wait without end, and none where those before
    it and their motion would take much memory.
    """
    from dreamvid.media.source import is_stored

    pixels = config.every * info.width * info.height
    return int(is_stored(source, config) and pixels <= AHEAD_PIXELS)


def _dreamed_size(config: VideoConfig, reader: FrameReader) -> tuple[int, int] | None:
    """(height, width) to dream at, where the reader delivers the source's size."""
    from dreamvid.media.info import parse_size

    if config.deliver == "dreamed" or config.size == "source":
        return None
    width, height = parse_size(config.size, reader.info)
    return height, width


@dataclass(frozen=True)
class View:
    """A clip as a camera sees it that moves with the film; `camera` is None where it stands."""

    camera: Camera | None
    shutter: Fraction
    """Seconds for which it is open."""

    @classmethod
    def of(cls, config: VideoConfig, reader: FrameReader, schedule: Schedule[VideoConfig]) -> View:
        """Raises ConfigError where its motion hangs on a length that nobody knows."""
        rate = reader.info.rate or Fraction(25)
        seconds = reader.info.frame_count and reader.info.frame_count / rate
        camera = camera_of(config, seconds or Fraction(1), schedule)
        if not camera.moves:
            return cls(None, Fraction(0))
        if seconds is None and config.ease != "linear":
            raise ConfigError(
                f"--ease {config.ease}: how long the source is, it does not tell; allowed: linear"
            )
        return cls(camera, Fraction(config.shutter) / 360 / rate)

    def image(self, image: Tensor, time: Fraction) -> Tensor:
        """What is seen at `time` of an image (C, H, W)."""
        from dreamvid.motion.camera import view

        return image if self.camera is None else view(image, self.camera, time)

    def frame(self, frame: Frame) -> Frame:
        """What is seen of a frame, alpha and all."""
        from dreamvid.motion.camera import view_frame

        return frame if self.camera is None else view_frame(frame, self.camera)

    def mask(self, mask: MaskReader) -> Mask:
        """A mask of the clip, moved along."""
        return lambda time: self.image(mask.at(time), time)

    def exposed(self, frame: Frame) -> Frame:
        """With the blur of the camera's own motion."""
        from dreamvid.zooms.endless import expose

        if self.camera is None or not self.shutter:
            return frame
        return expose(frame, self.camera, self.shutter)


def _open_result(
    job: Job, reader: FrameReader, sound: SoundSource | None, device: torch.device
) -> Journal | _Direct:
    from dreamvid.journal import Journal
    from dreamvid.media.source import can_resume, open_writer

    made = metadata(job.config, str(job.source))
    if can_resume(job.source, job.out, job.config):
        return Journal(
            job.out,
            run_of(job.source, job.config, device),
            reader.info,
            origin=reader.origin,
            sound=sound,
            metadata=made,
            overwrite=job.overwrite,
            resume=job.resume,
            force=job.force,
        )
    return _Direct(
        open_writer(
            job.out, reader.info, job.config, overwrite=job.overwrite, sound=sound, metadata=made
        ),
        job.out,
    )


class _Direct:
    """A result that cannot be gone on with, written as the frames come."""

    facts: Mapping[str, Any] = {}

    def __init__(self, writer: VideoWriter | ImageSequenceWriter, out: Path) -> None:
        self._writer, self._out = writer, out
        self.keeps_alpha = writer.keeps_alpha

    def write(self, frame: Frame, carry: Carry, tally: Mapping[str, Any]) -> None:
        self._writer.write(frame)

    def check_source(self, is_cut_short: bool) -> None:
        pass

    def finish(self, is_cut_short: bool, on_packet: Callable[[], None]) -> None:
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        from dreamvid.media.files import STANDARD

        if isinstance(error, Stopped) and self._out == STANDARD:  # what has gone out stays a film
            with suppress(MediaError):
                self._writer.close()
                error.add_note("what is on standard output ends there")
        if error is not None:
            self._writer.abort()


@dataclass(frozen=True)
class _Stage:
    """The way of a frame from source to result, all of it open."""

    reader: FrameReader
    view: View
    delivery: Delivery
    result: Journal | _Direct
    device: torch.device
    ahead: int
    """Key frames that are read ahead."""


def _go_on(stage: _Stage, force: bool, report: Report) -> Carry | None:
    """What the loop goes on from, the reader after the last key frame; None for afresh."""
    result = stage.result
    if isinstance(result, _Direct):
        return None
    carry = result.carry()
    if carry is None:
        return None
    carry = carry.to(stage.device)

    def shows(image: Tensor) -> bool:
        seen = stage.view.image(image.to(stage.device), carry.time)
        return force or bool((stage.delivery.shrink(seen) == carry.source).all())

    stage.reader.skip_past(carry.time, shows)
    report.go_on(result.state.tally)
    return carry


def _read(stage: _Stage) -> Iterator[Frame]:
    for frame in stage.reader:
        if stage.reader.is_cut_short:
            stage.result.check_source(is_cut_short=True)
        yield stage.view.frame(frame.with_image(frame.image.to(stage.device)))


def _dream(
    stage: _Stage,
    config: VideoConfig,
    schedule: Schedule[VideoConfig],
    carry: Carry | None,
    report: Report,
    stopper: Stopper,
) -> None:
    """Run the loop and write what it yields."""
    from dreamvid.film.sequence import dream_frames
    from dreamvid.film.settings import scheduled_settings, with_microbatches
    from dreamvid.media.source import is_device
    from dreamvid.motion.flow import create_flow
    from dreamvid.motion.shots import create_cut_detector

    check = _checking_for_end(stopper) if is_device(config) else stopper.check
    flow = create_flow(config.flow, stage.device, config.flow_weights)
    objectives = load_objectives(config, stage.device, report)
    dreamed_frames = dream_frames(
        stage.delivery.prepare(_read(stage)),
        with_microbatches(scheduled_settings(schedule, objectives), report.note_halved),
        flow=flow,
        is_cut=create_cut_detector(config.cut_threshold),
        carry=carry,
        on_step=check,
        ahead=stage.ahead,
    )
    stopper.is_patient = True
    with (
        closing(dreamed_frames),
        report.progress("dreaming", stage.reader.info.frame_count) as progress,
        _ending(report),
    ):
        for dreamed in dreamed_frames:
            then = [cast("Microbatches", each).whole for each in dreamed.settings.objectives]
            guides = cast("list[ClipObjective]", then)
            before, after = mean_similarities(guides, [dreamed.source, dreamed.frame.image])
            report.count(before, after)
            report.tally.note_frame(dreamed)
            delivered = stage.delivery.finish(dreamed.frame, dreamed.source)
            stage.result.write(stage.view.exposed(delivered), dreamed.carry, report.tally.facts())
            progress.advance(f"similarity {before:.3f} -> {after:.3f}")
            check()


class _Ended(Stopped):
    """Stopped once, where the source has no other end."""


def _checking_for_end(stopper: Stopper) -> Callable[..., None]:
    def check(*_: object) -> None:
        try:
            stopper.check()
        except Stopped as stopped:
            raise _Ended(stopped.exit_code - 128) from None

    return check


@contextmanager
def _ending(report: Report) -> Iterator[None]:
    """Take what was dreamed of an endless source until it was stopped for the whole of it."""
    try:
        yield
    except _Ended:
        if not report.tally.frames:
            raise
