"""`dreamvid zoom`: fall into a picture, for ever or in a loop."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dreamvid.cli.options import command
from dreamvid.cli.report import AsJson, Overwrite, Quiet, Report
from dreamvid.cli.schedule import create_schedule, hear_music
from dreamvid.cli.setup import (
    BLANKS,
    blank_image,
    camera_of,
    check_blank,
    check_dream,
    check_music,
    check_pipe,
    load_objectives,
    mean_similarities,
    metadata,
)
from dreamvid.config import ReadConfig, WriteConfig, ZoomConfig
from dreamvid.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from dreamvid.control.schedule import Schedule, Setting
    from dreamvid.guide.objective import ClipObjective
    from dreamvid.motion.camera import Camera

    Shot = tuple[Tensor, Tensor]
    """What a frame began as and what it became, (3, H, W) each."""


@command(ZoomConfig)
def zoom(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN", help="A picture, a video (its frame at --start), grey or noise."
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="The result: .mp4, .mov, .mkv, .webm, .gif or pictures."
        ),
    ],
    config: ZoomConfig,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Fall into a picture, or out of it; with --loop for ever."""
    _check(source, out, config, overwrite, as_json)

    from dreamvid.device import choose_device
    from dreamvid.media.info import VideoInfo
    from dreamvid.media.source import open_music, open_writer
    from dreamvid.types import Frame

    report = Report(quiet, as_json)
    picture, (height, width) = _read(source, config, report)
    info = VideoInfo(width=width, height=height, rate=config.fps, time_base=1 / config.fps)
    encoding = WriteConfig.model_validate(
        config.model_dump(include=set(WriteConfig.model_fields) & set(ZoomConfig.model_fields))
    )
    schedule = _schedule(config, report)
    device = choose_device(config.device)
    with (
        open_music(config, report.warn) or nullcontext() as music,
        open_writer(
            out, info, encoding, overwrite=overwrite, sound=music, metadata=metadata(config, source)
        ) as writer,
    ):
        film = Film(config, schedule, load_objectives(config, device, report), (height, width))
        shots = (_loop if config.loop else _endless)(picture.to(device), film, report)
        for index, (before, after) in enumerate(shots):
            time = index / config.fps
            writer.write(Frame(after, time))
            then = film.objectives_at(time)
            report.count(*mean_similarities(then, [before, after]))
    report.finish(out, loop=config.loop, guide=config.guide, device=str(device))


def _check(source: str, out: Path, config: ZoomConfig, overwrite: bool, as_json: bool) -> None:
    """Find what is wrong with files and options before anything heavy is loaded."""
    from dreamvid.media.source import check_result, check_source

    check_blank(source, config.size)
    if source not in BLANKS:
        check_source(Path(source), ReadConfig(start=config.start))
    elif config.start is not None:
        raise ConfigError(
            f"--start {float(config.start):g} is for a video, which {source} is not; "
            "allowed: a video as IN"
        )
    check_result(out, Path(source), ReadConfig(start=config.start), overwrite)
    check_music(out, config)
    check_pipe(out, as_json)
    check_dream(config)


def _read(source: str, config: ZoomConfig, report: Report) -> tuple[Tensor, tuple[int, int]]:
    """The picture (3, H, W), at its own size for a loop, and a frame's size."""
    if source in BLANKS:
        blank = blank_image(source, config.size, config.seed)
        return blank, (blank.shape[1], blank.shape[2])

    from dreamvid.dream.octaves import resize
    from dreamvid.media.info import parse_size
    from dreamvid.media.source import open_frames

    with open_frames(Path(source), ReadConfig(start=config.start), report.warn) as reader:
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


def _schedule(config: ZoomConfig, report: Report) -> Schedule[ZoomConfig]:
    """What holds at each frame; in a loop prompts go in a circle."""
    period = float(config.frame_count / config.fps) if config.loop else None
    sound = hear_music(config, report)
    return create_schedule(config, config.fps, config.frame_count, sound, period=period)


@dataclass(frozen=True, eq=False)
class Film:
    """What is to be made, and what holds at each of its times, in seconds."""

    config: ZoomConfig
    schedule: Schedule[ZoomConfig]
    objectives: Sequence[ClipObjective]
    size: tuple[int, int]
    """(height, width)."""

    def config_at(self, time: Fraction) -> ZoomConfig:
        """The options."""
        return self._setting(time).config

    def objectives_at(self, time: Fraction) -> list[ClipObjective]:
        """What the prompts ask for."""
        return [objective.at(self._setting(time).prompts) for objective in self.objectives]

    def _setting(self, time: Fraction) -> Setting[ZoomConfig]:
        return _setting(self.schedule, time, math.floor(time * self.config.fps))

    @property
    def times(self) -> list[Fraction]:
        """Of its frames."""
        return [index / self.config.fps for index in range(self.config.frame_count)]

    @property
    def camera(self) -> Camera:
        """Through which it is seen."""
        return camera_of(self.config, self.config.frame_count / self.config.fps, self.schedule)

    @property
    def shutter(self) -> Fraction:
        """Seconds for which it is open."""
        return Fraction(self.config.shutter) / 360 / self.config.fps


@lru_cache(maxsize=2)
def _setting(schedule: Schedule[ZoomConfig], time: Fraction, index: int) -> Setting[ZoomConfig]:
    return schedule(time, index)


def _endless(picture: Tensor, film: Film, report: Report) -> Iterator[Shot]:
    """Frames as they begin and as they are dreamed."""
    from dreamvid.motion.camera import expose
    from dreamvid.zooms.endless import dream_zoom

    camera = film.camera
    zoomed = dream_zoom(
        picture,
        film.times,
        camera,
        film.objectives_at,
        film.config_at,
        first_steps=film.config.first_steps,
    )
    with report.progress("dreaming", film.config.frame_count) as progress:
        for one in zoomed:
            yield one.start, expose(one.frame, camera, film.shutter).image
            progress.advance("")


def _loop(picture: Tensor, film: Film, report: Report) -> Iterator[Shot]:
    """Frames as they were before dreaming and after it."""
    from dreamvid.zooms.loop import Loop, dream_loop, film_loop, find_start

    config, camera, times = film.config, film.camera, film.times
    begun = Loop.plant(picture, camera, *film.size)
    # Where the film begins is known only when it is dreamed; with prompts that have their times,
    # about where it would begin undreamed.
    has_times = bool(config.at or config.set_)
    times = _turned(times, find_start(begun, times) if has_times else 0)
    with report.progress("dreaming", config.loop_steps) as progress:
        dreamed = dream_loop(
            begun,
            lambda time: film.objectives_at((time - times[0]) % camera.seconds),
            config,
            steps=config.loop_steps,
            on_step=lambda index, loss: progress.advance(""),
        )
    near = len(times) // 12 if has_times else len(times) // 2
    around = _turned(times, -near)
    times = _turned(around, find_start(dreamed, around, 2 * near + 1))
    with report.progress("filming", len(times)) as progress:
        before, after = begun.frames(times), film_loop(dreamed, times, film.shutter)
        for shot in zip(before, after, strict=True):
            yield shot
            progress.advance("")


def _turned(times: list[Fraction], first: int) -> list[Fraction]:
    """A round's times from another one on."""
    return [*times[first:], *times[:first]]
