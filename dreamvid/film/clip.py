"""A clip being dreamed: read, viewed, dreamed and delivered."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from dreamvid.config import Area, VideoConfig
from dreamvid.device import choose_device
from dreamvid.dream.step_graph import step_graphs
from dreamvid.dream.symmetry import Symmetry
from dreamvid.film.delivery import Delivery, coloured, outline
from dreamvid.film.keeping import KeptCarry
from dreamvid.film.listening import schedule_of
from dreamvid.film.pipeline import FilmFrame
from dreamvid.film.report import Reporter
from dreamvid.film.seam import Shared, blend_seam
from dreamvid.film.sequence import (
    Carry,
    DreamedFrame,
    FrameSettings,
    SettingsAt,
    dream_frames,
    find_shots,
)
from dreamvid.film.settings import (
    load_finder,
    load_objectives,
    mean_similarities,
    scheduled_settings,
    with_areas,
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
    from dreamvid.guide.finding import MaskFinder
    from dreamvid.guide.microbatch import Microbatches
    from dreamvid.guide.objective import FilmObjective
    from dreamvid.journal import Journal, ShotJournal
    from dreamvid.media.reader import FrameReader
    from dreamvid.media.tracks import SoundSource
    from dreamvid.types import FlowEstimator, Frame, Shot

AHEAD_PIXELS = 2**24
"""Most pixels to read ahead: 36 bytes each with their motion, 0.6 GB in all."""


@contextmanager
def open_clip(job: VideoJob, reporter: Reporter) -> Iterator[Clip]:
    """The clip of `job`, open. Raises DreamvidError."""
    config = job.config
    device = choose_device(config.device)
    with ExitStack() as opened:
        reader = opened.enter_context(open_reader(job, reporter, device))
        sound = open_sound(job, reader, reporter)
        if sound is not None:
            opened.enter_context(sound)

        def open_mask(source: Source, invert: bool = False) -> MaskReader:
            mask = _open_mask(source, job, reader, reporter, device, invert)
            return opened.enter_context(mask)

        mask = None if job.mask is None else open_mask(job.mask, config.mask_invert)
        areas = {area: open_mask(source) for area, source in job.areas.items()}
        schedule, _ = schedule_of(config, job.source, reader, reporter.tell)
        depth = None if job.depth is None else open_mask(job.depth)
        view = CameraView.of(config, reader, schedule, depth)
        delivery = Delivery(_dreamed_size(config, reader), Symmetry.of(config.symmetry))
        yield Clip(job, reader, sound, mask, areas, schedule, view, delivery, device, reporter)


@dataclass(frozen=True)
class Clip:
    """The open parts that a frame passes through from source to result."""

    job: VideoJob
    reader: FrameReader
    sound: SoundSource | None
    mask: MaskReader | None
    areas: Mapping[Area, MaskReader]
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

    @cached_property
    def objectives(self) -> Sequence[FilmObjective]:
        """The guides with their prompts, or the caller's own; loaded when first asked for."""
        own = self.job.parts.objectives
        return load_objectives(self.job.config, self.device, self.reporter, own)

    @cached_property
    def finder(self) -> MaskFinder | None:
        """The finder of --where and --where-not; None without them."""
        return load_finder(self.job.config, self.objectives, self.device)

    @cached_property
    def flow(self) -> FlowEstimator:
        """The estimator of optical flow; loaded when first asked for."""
        config = self.job.config
        return self.job.parts.flow or create_flow(
            config.flow, self.device, config.flow_weights, config.flow_size, calm=True
        )

    def find_shots(self) -> Iterator[Shot]:
        """Read the whole clip, and yield its shots as `frames` finds them; dreams nothing."""
        marks: WeakKeyDictionary[Frame, int] = WeakKeyDictionary()

        def read() -> Iterator[Frame]:
            for index, frame in enumerate(self.reader, 1):
                small = self._small(frame)
                marks[small] = self.reader.mark
                yield small
                self.reporter.progress("looking for cuts", self.info.frame_count, index)

        settings_at = scheduled_settings(self.schedule, ())
        is_cut = create_cut_detector(self.job.config.cut_threshold)
        split = self.job.config.split
        yield from find_shots(read(), settings_at, is_cut, marks.__getitem__, split)

    def first_frame(self) -> Frame:
        """The first frame as it is dreamed on; reading then continues after it."""
        self.reader.restart()
        return self._small(next(iter(self.reader)))

    def with_masks_shown(self, frame: Frame, index: int) -> Tensor:
        """A frame of the source, (3, H, W), that shows its masks; words are looked for afresh."""
        seen = self._small(frame)
        settings = self._settings_at()(seen, index)
        finder, found = settings.finder, None
        if finder is not None:
            found = finder.masks(finder.look(seen.image), seen.image)
        return _shown_masks(seen.image, settings.under(found, seen.image))

    def frames(self, result: Journal | DirectResult) -> Generator[FilmFrame, None, None]:
        """Dream the frames after those of `result`, and deliver them."""
        done, kept = result.frames, result.carry(KeptCarry, self.device)
        with closing(self._dream(result, kept)) as dreamed_frames:
            self.reporter.progress(self.stage, self.info.frame_count)
            for dreamed in dreamed_frames:
                if dreamed.carry.last >= done:
                    yield self._finished(dreamed)
        self.reporter.note_strikes()

    def shot_frames(self, result: ShotJournal, shot: Shot) -> Generator[FilmFrame, None, None]:
        """Dream the frames of a shot after those of `result`, its journal, and deliver them.

        Those that a part dreams for a seam are kept in its journal; those of a seam are blended.
        """
        if shot.kind == "seam":
            yield from self._seam_frames(result, shot)
            return
        carries = result.carry(KeptCarry, self.device), result.checkpoint(KeptCarry, self.device)
        kept = max(filter(None, carries), key=lambda each: each.last, default=None)
        lasts = [shot.first + result.frames - 1] if result.frames else []
        done = max([*lasts, *([] if kept is None else [kept.last])], default=-1)
        if kept is None:
            self._begin(shot)
        with closing(self._dream(result, kept, shot)) as dreamed_frames:
            for dreamed in dreamed_frames:
                carry = dreamed.carry
                if carry.last <= done:
                    continue
                if shot.first <= carry.last <= shot.last:
                    yield self._finished(dreamed)
                else:
                    self.delivery.skip(dreamed.frame)
                    result.share(carry.last, Shared.of(dreamed), KeptCarry.of(carry))

    def _dream(
        self,
        result: Journal | DirectResult,
        kept: KeptCarry | None,
        shot: Shot | None = None,
    ) -> Generator[DreamedFrame, None, None]:
        """Dream what comes after `kept`, of a shot or of the film; what is done comes again."""
        job, config = self.job, self.job.config
        whole = 0 if shot is None else shot.first
        first = (whole if shot is None else whole - shot.lead) if kept is None else kept.index + 1
        carry = None if kept is None else self._restored(kept)
        is_another = kept is not None and carry is None

        def sketch_at(index: int) -> Tensor | None:
            return None if is_another else result.sketch(index - whole, self.device)

        count = None if shot is None else shot.last + shot.tail + 1 - first
        return dream_frames(
            self.delivery.prepare(islice(self._read(result), count)),
            self._settings_at(),
            flow=self.flow,
            is_cut=create_cut_detector(config.cut_threshold),
            carry=carry,
            first=first,
            on_step=self.reporter.step,
            ahead=read_ahead(job.source, config, self.info.width * self.info.height),
            device=self.device,
            graphs=step_graphs(self.device),
            sketch_at=sketch_at,
        )

    def _seam_frames(self, result: ShotJournal, seam: Shot) -> Generator[FilmFrame, None, None]:
        """Blend the frames of a seam after those of `result`, and deliver them."""
        self._begin(seam)
        done = result.frames
        frames = self.delivery.prepare(islice(self._read(result), done, seam.frames))

        def shared_at(index: int) -> tuple[Shared, Shared]:
            return result.shared(Shared, index, self.device)

        for blended in blend_seam(frames, self._settings_at(), shared_at, seam, seam.first + done):
            yield replace(self._finished(blended), carry=None)  # none goes on from another

    def _settings_at(self) -> SettingsAt:
        """The settings of each frame, with masks."""
        config, parts = self.job.config, self.job.parts
        planned = scheduled_settings(self.schedule, self.objectives, parts.canvas, parts.terms)
        if self.finder is not None:
            planned = with_finder(planned, self.finder, config.mask_steers)
        if config.show_mask:
            planned = without_steps(planned)
        if self.mask is not None:
            planned = with_masks(planned, partial(self.view.mask, self.mask), config.mask_steers)
        if self.areas:
            planned = with_areas(planned, lambda area, at: self.view.mask(self.areas[area], at))
        return with_microbatches(planned, self.reporter.note_microbatch)

    def _restored(self, kept: KeptCarry) -> Carry | None:
        """The carry, with its source read again, after which the reader then stands.

        None where that is another picture, which --force accepts: nothing of the dream fits it.
        """
        sources: list[Tensor] = []

        def shows(image: Tensor) -> bool:
            seen = self.view.image(image, kept.time)
            sources.append(self.delivery.prepared(seen))
            return kept.shows(sources[-1]) or self.job.force

        self.reader.skip_past(kept.time, shows)
        return kept.restored(sources[-1]) if kept.shows(sources[-1]) else None

    def _begin(self, shot: Shot) -> None:
        """Move the reader to the first frame that a shot reads."""
        if shot.before is None:
            self.reader.restart()
            return
        self.reader.skip_past(
            shot.before, lambda image: self.job.force or self.reader.mark == shot.mark
        )

    def _read(self, result: Journal | DirectResult) -> Iterator[Frame]:
        """The source's frames as the camera sees them, on the device."""
        for frame in self.reader:
            if self.reader.is_cut_short:
                result.check_source(is_cut_short=True)
            yield self.view.frame(frame)

    def _small(self, frame: Frame) -> Frame:
        """A frame of the source as it is dreamed on."""
        seen = self.view.frame(frame)
        return seen.with_image(self.delivery.prepared(seen.image))

    def _finished(self, dreamed: DreamedFrame) -> FilmFrame:
        """A dreamed frame, delivered and judged."""
        objectives = cast("Sequence[Microbatches]", dreamed.settings.objectives)
        before, after = mean_similarities(objectives, [dreamed.source, dreamed.frame.image])
        self.reporter.tally.note_outcome(dreamed)
        finished = self.delivery.finish(dreamed.frame, dreamed.source, dreamed.mask)
        if self.job.config.show_mask:
            finished = finished.with_image(_shown_masks(finished.image, dreamed.settings))
        else:
            config = dreamed.settings.config
            finished = finished.with_image(coloured(finished.image, config, dreamed.mask))
        exposed = self.view.exposed(finished)
        delivered = exposed.with_image(self.delivery.folded(exposed.image))
        carry = None if dreamed.carry.given else partial(KeptCarry.of, dreamed.carry)
        sketch = dreamed.sketch
        if sketch is not None and sketch.numel() >= dreamed.source.numel():
            sketch = None  # the carry itself is as small
        return FilmFrame(delivered, dreamed.source, before, after, carry, sketch)


def _shown_masks(image: Tensor, settings: FrameSettings) -> Tensor:
    """An image (3, H, W) that shows the masks of its settings."""
    return outline(image, settings.mask, [place.region for place in settings.places])


def read_ahead(source: Source, config: VideoConfig, pixels: int) -> int:
    """The number of key frames, 0 or 1, to read ahead while one is dreamed.

    `pixels` is the number of pixels of a frame. 0 for a pipe or a device, where a thread might wait
    without end, and where a span of frames with its motion would take much memory.
    """
    return int(source.is_stored and config.every * pixels <= AHEAD_PIXELS)


def open_reader(
    job: VideoJob, reporter: Reporter, device: torch.device | str = "cpu"
) -> FrameReader:
    """A reader of the clip's frames at the delivered size, to `device`. Raises MediaError."""
    changes = {"size": "source"} if job.config.deliver == "source" else {}
    return job.source.open(reporter.warn, device, **changes)


def open_sound(job: VideoJob, reader: FrameReader, reporter: Reporter) -> SoundSource | None:
    """The sound of the result: --music, or that of the clip; None where there is none."""
    music = open_music(job.config, reporter.warn)
    return music or job.source.open_sound(reader, reporter.warn)


def _open_mask(
    source: Source,
    job: VideoJob,
    reader: FrameReader,
    reporter: Reporter,
    device: torch.device,
    invert: bool,
) -> MaskReader:
    return MaskReader(
        source,
        (reader.info.width, reader.info.height),
        start=job.config.start,
        invert=invert,
        on_warning=reporter.warn,
        device=device,
    )


def _dreamed_size(config: VideoConfig, reader: FrameReader) -> tuple[int, int] | None:
    """(height, width) to dream at, where the reader delivers the source's size."""
    if config.deliver == "dreamed" or config.size == "source":
        return None
    width, height = parse_size(config.size, reader.info)
    return height, width
