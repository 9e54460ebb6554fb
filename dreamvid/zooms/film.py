"""A zoom film in one call: an endless zoom into a picture, or a loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache, partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamvid.config import ReadConfig, ScheduledConfig, ZoomConfig
from dreamvid.errors import ConfigError
from dreamvid.events import Listener
from dreamvid.film.blank import blank_image, blank_name
from dreamvid.film.checks import check_music, check_prompts, config_of, with_own_colours
from dreamvid.film.job import FilmJob, complete
from dreamvid.film.report import Reporter, Summary
from dreamvid.media.source import Source, can_resume, check_result, open_music, result_at
from dreamvid.notebook import usual_listener

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dreamvid.control.schedule import Schedule, Setting
    from dreamvid.dream.objective import Objective
    from dreamvid.dream.symmetry import Symmetry
    from dreamvid.film.pipeline import Film, FilmFrame
    from dreamvid.film.result import DirectResult
    from dreamvid.guide.objective import FilmObjective
    from dreamvid.journal import Journal
    from dreamvid.media.probing import VideoInfo
    from dreamvid.media.tracks import SoundSource
    from dreamvid.motion.camera import Camera
    from dreamvid.zooms.loop import Loop

    Result = Journal | DirectResult


def zoom(
    source: str | PathLike[str],
    out: str | PathLike[str],
    *,
    config: ZoomConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    force: bool = False,
    objectives: Sequence[Objective] | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> Summary:
    """Make a film that zooms into a picture, or out of it; a seamless loop with `loop=True`.

    `source` is a picture, a video (its frame at `start`), "grey" or "noise"; `out` is the OUT of
    `dreamvid zoom`. Each option of that command is a keyword, which overrides `config`;
    `objectives` are the caller's own and replace guides and prompts. `resume` resumes a run that
    was stopped, with `force` even where something has changed.

    Raises ConfigError, MediaError, GuideError, DeviceError, GradientError or JournalError.
    """
    job = ZoomJob.prepare(
        str(source),
        Path(out),
        config_of(ZoomConfig, config, options),
        overwrite=overwrite,
        resume=resume,
        force=force,
        objectives=objectives,
    )
    return complete(job, Reporter(listener or usual_listener()))


@dataclass(frozen=True, kw_only=True)
class ZoomJob(FilmJob):
    """One zoom to make."""

    config: ZoomConfig
    objectives: Sequence[Objective] | None = None
    """The caller's own, instead of guides and prompts."""

    @classmethod
    def prepare(
        cls,
        source: str,
        out: Path,
        config: ZoomConfig,
        *,
        overwrite: bool = False,
        resume: bool = False,
        force: bool = False,
        objectives: Sequence[Objective] | None = None,
    ) -> ZoomJob:
        """A job with checked files and options; quick, since nothing heavy is loaded.

        Raises ConfigError, MediaError or GuideError.
        """
        found = _find(source, config)
        check_result(out, found, overwrite or resume)
        config = with_own_colours(config, found, source, 1)
        check_music(out, config)
        if objectives is None:
            check_prompts(config)
        job = cls(
            source=found,
            source_name=source,
            out=result_at(out),
            config=config,
            can_resume=can_resume(found, out),
            overwrite=overwrite,
            resume=resume,
            force=force,
            objectives=objectives,
        )
        job.check_resume()
        return job

    def open(self, reporter: Reporter) -> AbstractContextManager[Film]:
        return _open_film(self, reporter)


def _find(source: str, config: ZoomConfig) -> Source | None:
    """The source, None for a blank. Raises ConfigError, MediaError."""
    if blank_name(source) is None:
        return Source.find(Path(source), ReadConfig(start=config.start))
    if config.start is not None:
        raise ConfigError(
            f"--start {float(config.start):g} is for a video, which {source} is not; "
            "allowed: a video as IN"
        )
    return None


@contextmanager
def _open_film(job: ZoomJob, reporter: Reporter) -> Iterator[Film]:
    from dreamvid.device import choose_device

    config = job.config
    device = choose_device(config.device)
    picture, size = _read(job.source_name, job.source, config, reporter)
    schedule = _schedule(config, reporter)
    with open_music(config, reporter.warn) or nullcontext() as music:
        make = _LoopFilm if config.loop else _EndlessFilm
        yield make(job, picture.to(device), size, schedule, music, device, reporter)


def _read(
    name: str, source: Source | None, config: ZoomConfig, reporter: Reporter
) -> tuple[Tensor, tuple[int, int]]:
    """The picture (3, H, W) and a frame's (height, width); a loop's picture keeps its own size."""
    from dreamvid.dream.octaves import resize
    from dreamvid.media.probing import parse_size

    if source is None:
        blank = blank_image(blank_name(name) or name, config.size, config.seed)
        return blank, (blank.shape[1], blank.shape[2])
    with source.open(reporter.warn) as reader:
        picture = next(iter(reader)).image
        seen = reader.info
    width = round(seen.width * seen.sample_aspect_ratio)  # pixels become square
    if config.size != "source":
        width, height = parse_size(config.size, seen)
    else:
        height = seen.height
    if not config.loop:
        picture = resize(picture, (height, width))
    return picture, (height, width)


def _schedule(config: ZoomConfig, reporter: Reporter) -> Schedule[ZoomConfig]:
    """The schedule of the film; the prompts of a loop are cyclic."""
    from dreamvid.film.listening import create_schedule, hear_music

    period = float(config.frame_count / config.fps) if config.loop else None
    sound = hear_music(config, reporter.tell)
    return create_schedule(config, config.fps, config.frame_count, sound, period=period)


@dataclass(frozen=True, eq=False)
class _ZoomFilm:
    """The film to make, and its settings at each time in seconds."""

    job: ZoomJob
    picture: Tensor
    """(3, H, W), on the device."""
    size: tuple[int, int]
    """(height, width) of a frame."""
    schedule: Schedule[ZoomConfig]
    sound: SoundSource | None
    device: torch.device
    reporter: Reporter

    origin = Fraction(0)
    stage = "dreaming"
    is_endless = False
    watches = False
    is_cut_short = False

    @property
    def config(self) -> ZoomConfig:
        return self.job.config

    @property
    def info(self) -> VideoInfo:
        from dreamvid.media.probing import VideoInfo

        height, width = self.size
        rate, count = self.config.fps, self.config.frame_count
        return VideoInfo(width, height, rate=rate, time_base=1 / rate, frame_count=count)

    @property
    def facts(self) -> Mapping[str, Any]:
        guide = self.config.guide if self.job.objectives is None else ()
        return {"loop": self.config.loop, "guide": guide}

    @property
    def times(self) -> list[Fraction]:
        """The times of its frames."""
        return [index / self.config.fps for index in range(self.config.frame_count)]

    @property
    def camera(self) -> Camera:
        """The camera that views the picture."""
        from dreamvid.film.view import create_camera

        return create_camera(self.config, self.config.frame_count / self.config.fps, self.schedule)

    @property
    def symmetry(self) -> Symmetry | None:
        """The symmetry of each frame."""
        from dreamvid.dream.symmetry import Symmetry

        return Symmetry.of(self.config.symmetry)

    @property
    def shutter(self) -> Fraction:
        """Seconds for which the shutter is open."""
        return Fraction(self.config.shutter) / 360 / self.config.fps

    def load(self) -> _Settings:
        """The settings of its frames, with the guides loaded."""
        from dreamvid.film.settings import load_objectives

        loaded = load_objectives(self.config, self.device, self.reporter, self.job.objectives)
        return _Settings(self.schedule, self.config.fps, loaded)

    def finished(
        self,
        index: int,
        before: Tensor,
        after: Tensor,
        settings: _Settings,
        carry: Callable[[], Any] | None = None,
        sketch: Tensor | None = None,
    ) -> FilmFrame:
        """Frame `index`, before it was dreamed and after, judged."""
        from dreamvid.film.delivery import coloured
        from dreamvid.film.pipeline import FilmFrame
        from dreamvid.film.settings import mean_similarities
        from dreamvid.types import Frame

        frame = Frame(after, index / self.config.fps, 1 / self.config.fps)
        objectives = settings.objectives_at(frame.time)
        similarity_before, similarity_after = mean_similarities(objectives, [before, after])
        frame = frame.with_image(coloured(after, settings.config_at(frame.time)))
        return FilmFrame(frame, before, similarity_before, similarity_after, carry, sketch)


class _EndlessFilm(_ZoomFilm):
    """An endless zoom."""

    def frames(self, result: Result) -> Generator[FilmFrame, None, None]:
        """Dream the frames after those of `result`, each from the one before."""
        from dreamvid.motion.camera import expose
        from dreamvid.zooms.endless import ZoomCarry, dream_zoom

        carry, settings, camera = result.carry(ZoomCarry, self.device), self.load(), self.camera
        done, symmetry = result.frames, self.symmetry
        zoomed = dream_zoom(
            self.picture if symmetry is None else symmetry.arrange(self.picture),
            self.times,
            camera,
            settings.objectives_at,
            settings.config_at,
            first_steps=self.config.first_steps,
            carry=carry,
            on_step=self.reporter.step,
            sketch_at=lambda index: result.sketch(index, self.device),
        )
        self.reporter.progress(self.stage, self.config.frame_count)
        for one in zoomed:
            index = one.carry.index
            if index < done:
                continue
            after = expose(one.frame, camera, self.shutter).image
            after = after if symmetry is None else symmetry.fold(after)
            carry_of = partial(replace, one.carry)
            yield self.finished(index, one.start, after, settings, carry_of, one.sketch)


class _LoopFilm(_ZoomFilm):
    """A loop: one canvas is dreamed, and every frame is rendered from it."""

    stage = "filming"

    def frames(self, result: Result) -> Generator[FilmFrame, None, None]:
        """Dream the canvas, and render the frames after those of `result` from it."""
        from dreamvid.zooms.loop import Loop, film_loop, find_start

        camera, times, settings = self.camera, self.times, self.load()
        begun = Loop.plant(self.picture, camera, *self.size, symmetry=self.symmetry)
        # The best first frame is known only after dreaming, but prompts with times need it before:
        # they begin at the best frame of the undreamed loop, and the film begins near it.
        has_times = _has_times(self.config)
        times = _turned(times, find_start(begun, times) if has_times else 0)
        dreamed = self._dream(begun, times[0], settings, result)
        near = len(times) // 12 if has_times else len(times) // 2
        around = _turned(times, -near)
        times = _turned(around, find_start(dreamed, around, 2 * near + 1))[result.frames :]
        self.reporter.progress(self.stage, self.config.frame_count)
        shots = zip(begun.frames(times), film_loop(dreamed, times, self.shutter), strict=True)
        for index, (before, after) in enumerate(shots, result.frames):
            yield self.finished(index, before, after, settings)

    def _dream(self, begun: Loop, first: Fraction, settings: _Settings, result: Result) -> Loop:
        """The loop `begun`, dreamed; time 0 of the film's prompts is `first` in the round."""
        from dreamvid.zooms.loop import LoopCheckpoint, dream_loop

        steps, camera, reporter = self.config.loop_steps, self.camera, self.reporter
        checkpoint = result.checkpoint(LoopCheckpoint, self.device)
        reporter.progress("dreaming", steps, 0 if checkpoint is None else checkpoint.steps)
        dreamed = dream_loop(
            begun,
            lambda time: settings.objectives_at((time - first) % camera.seconds),
            self.config,
            steps=steps,
            checkpoint=checkpoint,
            on_step=lambda index, loss: reporter.progress("dreaming", steps, index + 1),
            on_checkpoint=result.keep,
        )
        if checkpoint is None or checkpoint.steps < steps:
            result.keep(lambda: LoopCheckpoint.whole(dreamed.canvas, steps), now=True)
        return dreamed


@dataclass(frozen=True, eq=False)
class _Settings:
    """The settings of a zoom at each time in seconds."""

    schedule: Schedule[ZoomConfig]
    fps: Fraction
    objectives: Sequence[FilmObjective]

    def setting_at(self, time: Fraction) -> Setting[ZoomConfig]:
        """All settings at `time`."""
        return _setting(self.schedule, time, math.floor(time * self.fps))

    def config_at(self, time: Fraction) -> ZoomConfig:
        """The options at `time`."""
        return self.setting_at(time).config

    def objectives_at(self, time: Fraction) -> list[FilmObjective]:
        """The objectives at `time`, each with the weights of its prompts then."""
        return [objective.at(self.setting_at(time).prompts) for objective in self.objectives]


@lru_cache(maxsize=2)
def _setting(schedule: Schedule[ZoomConfig], time: Fraction, index: int) -> Setting[ZoomConfig]:
    return schedule(time, index)


def _has_times(config: ScheduledConfig) -> bool:
    """Whether any setting changes during the film."""
    return bool(config.at or config.set_)


def _turned(times: list[Fraction], first: int) -> list[Fraction]:
    """The times of a round from the one with index `first` on."""
    return [*times[first:], *times[:first]]
