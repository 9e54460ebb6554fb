"""A zoom film in one call: an endless zoom into a picture, or a loop."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamvid.config import ReadConfig, ScheduledConfig, WriteConfig, ZoomConfig
from dreamvid.errors import ConfigError
from dreamvid.events import Listener
from dreamvid.film.blank import blank_image, blank_name
from dreamvid.film.checks import check_music, check_prompts, config_of
from dreamvid.film.report import Reporter, Summary
from dreamvid.media.source import Source, check_result, open_music, open_writer
from dreamvid.notebook import usual_listener

if TYPE_CHECKING:
    from torch import Tensor

    from dreamvid.control.schedule import Schedule, Setting
    from dreamvid.dream.objective import Objective
    from dreamvid.guide.objective import FilmObjective
    from dreamvid.media.image_sequence import ImageSequenceWriter
    from dreamvid.media.tracks import SoundSource
    from dreamvid.media.writer import VideoWriter
    from dreamvid.motion.camera import Camera

    Shot = tuple[Tensor, Tensor]
    """A frame before it was dreamed and after, (3, H, W) each."""


def zoom(
    source: str | PathLike[str],
    out: str | PathLike[str],
    *,
    config: ZoomConfig | None = None,
    overwrite: bool = False,
    objectives: Sequence[Objective] | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> Summary:
    """Make a film that zooms into a picture, or out of it; a seamless loop with `loop=True`.

    `source` is a picture, a video (its frame at `start`), "grey" or "noise"; `out` is the OUT of
    `dreamvid zoom`. Each option of that command is a keyword, which overrides `config`;
    `objectives` are the caller's own and replace guides and prompts.

    Raises ConfigError, MediaError, GuideError, DeviceError or GradientError.
    """
    reporter = Reporter(listener or usual_listener())
    config = config_of(ZoomConfig, config, options)
    target = Path(out)
    found = _check(str(source), target, config, overwrite, objectives is not None)

    from dreamvid.device import choose_device
    from dreamvid.film.recipe import metadata
    from dreamvid.film.settings import load_objectives

    device = choose_device(config.device)
    picture, size = _read(str(source), found, config, reporter)
    schedule = _schedule(config, reporter)
    recipe = metadata(config, str(source))
    with (
        open_music(config, reporter.warn) or nullcontext() as music,
        _open_writer(target, config, size, overwrite, music, recipe) as writer,
    ):
        loaded = load_objectives(config, device, reporter, objectives)
        _write(_Film(config, picture.to(device), size, schedule, loaded), writer, reporter)
    guide = config.guide if objectives is None else ()
    return reporter.finish(target, loop=config.loop, guide=guide, device=str(device))


def _check(
    source: str, out: Path, config: ZoomConfig, overwrite: bool, has_objectives: bool
) -> Source | None:
    """Check the arguments before anything heavy is loaded; the source, None for a blank."""
    found = None
    if blank_name(source) is None:
        found = Source.find(Path(source), ReadConfig(start=config.start))
    elif config.start is not None:
        raise ConfigError(
            f"--start {float(config.start):g} is for a video, which {source} is not; "
            "allowed: a video as IN"
        )
    check_result(out, found, overwrite)
    check_music(out, config)
    if has_objectives:
        return found
    check_prompts(config)
    return found


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


def _open_writer(
    out: Path,
    config: ZoomConfig,
    size: tuple[int, int],
    overwrite: bool,
    music: SoundSource | None,
    metadata: dict[str, str],
) -> VideoWriter | ImageSequenceWriter:
    """The writer of frames of `size` (height, width). Raises MediaError."""
    from dreamvid.media.probing import VideoInfo

    height, width = size
    info = VideoInfo(width=width, height=height, rate=config.fps, time_base=1 / config.fps)
    encoding = WriteConfig.model_validate(
        config.model_dump(include=set(WriteConfig.model_fields) & set(ZoomConfig.model_fields))
    )
    return open_writer(out, info, encoding, overwrite=overwrite, sound=music, metadata=metadata)


def _write(film: _Film, writer: VideoWriter | ImageSequenceWriter, reporter: Reporter) -> None:
    """Dream the film's frames and write them."""
    from dreamvid.film.settings import mean_similarities
    from dreamvid.types import Frame

    shots = (_loop if film.config.loop else _endless)(film, reporter)
    for index, (before, after) in enumerate(shots):
        frame = Frame(after, index / film.config.fps)
        writer.write(frame)
        similarities = mean_similarities(film.objectives_at(frame.time), [before, after])
        reporter.count(*similarities)
        reporter.frame_done(frame, before, *similarities)


@dataclass(frozen=True, eq=False)
class _Film:
    """The film to make, and its settings at each time in seconds."""

    config: ZoomConfig
    picture: Tensor
    """(3, H, W), on the device."""
    size: tuple[int, int]
    """(height, width) of a frame."""
    schedule: Schedule[ZoomConfig]
    objectives: Sequence[FilmObjective]

    def setting_at(self, time: Fraction) -> Setting[ZoomConfig]:
        """All settings at `time`."""
        return _setting(self.schedule, time, math.floor(time * self.config.fps))

    def config_at(self, time: Fraction) -> ZoomConfig:
        """The options at `time`."""
        return self.setting_at(time).config

    def objectives_at(self, time: Fraction) -> list[FilmObjective]:
        """The objectives at `time`, each with the weights of its prompts then."""
        return [objective.at(self.setting_at(time).prompts) for objective in self.objectives]

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
    def shutter(self) -> Fraction:
        """Seconds for which the shutter is open."""
        return Fraction(self.config.shutter) / 360 / self.config.fps


@lru_cache(maxsize=2)
def _setting(schedule: Schedule[ZoomConfig], time: Fraction, index: int) -> Setting[ZoomConfig]:
    return schedule(time, index)


def _endless(film: _Film, reporter: Reporter) -> Iterator[Shot]:
    """Each frame before dreaming and after it."""
    from dreamvid.motion.camera import expose
    from dreamvid.zooms.endless import dream_zoom

    camera, total = film.camera, film.config.frame_count
    zoomed = dream_zoom(
        film.picture,
        film.times,
        camera,
        film.objectives_at,
        film.config_at,
        first_steps=film.config.first_steps,
        on_step=reporter.step,
    )
    reporter.progress("dreaming", total)
    for done, one in enumerate(zoomed, 1):
        yield one.start, expose(one.frame, camera, film.shutter).image
        reporter.progress("dreaming", total, done)


def _loop(film: _Film, reporter: Reporter) -> Iterator[Shot]:
    """Each frame of the loop before dreaming and after it."""
    from dreamvid.zooms.loop import Loop, film_loop, find_start

    camera, times = film.camera, film.times
    begun = Loop.plant(film.picture, camera, *film.size)
    # The best first frame is known only after dreaming, but prompts with times need it before:
    # they begin at the best frame of the undreamed loop, and the film begins near it.
    has_times = _has_times(film.config)
    times = _turned(times, find_start(begun, times) if has_times else 0)
    dreamed = _dream_loop(begun, film, times[0], reporter)
    near = len(times) // 12 if has_times else len(times) // 2
    around = _turned(times, -near)
    times = _turned(around, find_start(dreamed, around, 2 * near + 1))
    reporter.progress("filming", len(times))
    before, after = begun.frames(times), film_loop(dreamed, times, film.shutter)
    for done, shot in enumerate(zip(before, after, strict=True), 1):
        yield shot
        reporter.progress("filming", len(times), done)


def _dream_loop(begun: Any, film: _Film, first: Fraction, reporter: Reporter) -> Any:
    """The loop `begun`, dreamed; time 0 of the film's prompts is `first` in the round."""
    from dreamvid.zooms.loop import dream_loop

    steps, camera = film.config.loop_steps, film.camera
    reporter.progress("dreaming", steps)
    return dream_loop(
        begun,
        lambda time: film.objectives_at((time - first) % camera.seconds),
        film.config,
        steps=steps,
        on_step=lambda index, loss: reporter.progress("dreaming", steps, index + 1),
    )


def _has_times(config: ScheduledConfig) -> bool:
    """Whether any setting changes during the film."""
    return bool(config.at or config.set_)


def _turned(times: list[Fraction], first: int) -> list[Fraction]:
    """The times of a round from the one with index `first` on."""
    return [*times[first:], *times[:first]]
