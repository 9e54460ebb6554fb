"""`dreamvid zoom`: fall into a picture, for ever or in a loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dreamvid.cli.options import command
from dreamvid.cli.report import AsJson, Overwrite, Quiet, Report
from dreamvid.cli.setup import (
    BLANKS,
    blank_image,
    camera_of,
    check_blank,
    check_dream,
    check_pipe,
    load_objectives,
    mean_similarity,
    metadata,
)
from dreamvid.config import ReadConfig, ScheduledConfig, WriteConfig, ZoomConfig
from dreamvid.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from dreamvid.dream.guide import ClipObjective
    from dreamvid.motion.camera import Camera

    ObjectivesAt = Callable[[Fraction], list[ClipObjective]]
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
    from dreamvid.media.source import open_writer
    from dreamvid.types import Frame

    report = Report(quiet, as_json)
    picture, (height, width) = _read(source, config, report)
    info = VideoInfo(width=width, height=height, rate=config.fps, time_base=1 / config.fps)
    encoding = WriteConfig.model_validate(
        config.model_dump(include=set(WriteConfig.model_fields) & set(ZoomConfig.model_fields))
    )
    device = choose_device(config.device)
    with open_writer(
        out, info, encoding, overwrite=overwrite, sound=None, metadata=metadata(config, source)
    ) as writer:
        objectives = load_objectives(config, device, report)
        objectives_at = _objectives_at(objectives, config)
        film = _loop if config.loop else _endless
        shots = film(picture.to(device), (height, width), objectives_at, config, report)
        for index, (before, after) in enumerate(shots):
            time = index / config.fps
            writer.write(Frame(after, time))
            then = objectives_at(time)
            report.count(mean_similarity(then, before), mean_similarity(then, after))
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


def _objectives_at(objectives: Sequence[ClipObjective], config: ZoomConfig) -> ObjectivesAt:
    """What the prompts ask for at a time; in a loop they go in a circle."""
    from dreamvid.control.clock import Clock
    from dreamvid.control.schedule import Schedule

    fields = set(ScheduledConfig.model_fields) & set(ZoomConfig.model_fields)
    scheduled = ScheduledConfig.model_validate(config.model_dump(include=fields))
    period = float(config.frame_count / config.fps) if config.loop else None
    schedule = Schedule(scheduled, Clock(config.fps, config.frame_count), period=period)

    def at(time: Fraction) -> list[ClipObjective]:
        meaning = schedule(time, round(time * config.fps)).meaning
        return [objective.at(meaning) for objective in objectives]

    return at


def _camera(config: ZoomConfig) -> Camera:
    return camera_of(config, config.frame_count / config.fps)


def _shutter(config: ZoomConfig) -> Fraction:
    """Seconds for which it is open."""
    return Fraction(config.shutter) / 360 / config.fps


def _endless(
    picture: Tensor,
    size: tuple[int, int],
    objectives_at: ObjectivesAt,
    config: ZoomConfig,
    report: Report,
) -> Iterator[Shot]:
    """Frames as they begin and as they are dreamed."""
    from dreamvid.zoom import dream_zoom, expose

    camera, shutter = _camera(config), _shutter(config)
    times = [index / config.fps for index in range(config.frame_count)]
    zoomed = dream_zoom(
        picture, times, camera, objectives_at, config, first_steps=config.first_steps
    )
    with report.progress("dreaming", len(times)) as progress:
        for one in zoomed:
            yield one.start, expose(one.frame, camera, shutter).image
            progress.advance("")


def _loop(
    picture: Tensor,
    size: tuple[int, int],
    objectives_at: ObjectivesAt,
    config: ZoomConfig,
    report: Report,
) -> Iterator[Shot]:
    """Frames as they were before dreaming and after it."""
    from dreamvid.loop import Loop, dream_loop, film_loop, find_start

    camera = _camera(config)
    begun = Loop.plant(picture, camera, *size)
    times = [index / config.fps for index in range(config.frame_count)]
    # Where the film begins is known only when it is dreamed; with prompts that have their times,
    # about where it would begin undreamed.
    times = _turned(times, find_start(begun, times) if config.at else 0)
    with report.progress("dreaming", config.loop_steps) as progress:
        dreamed = dream_loop(
            begun,
            lambda time: objectives_at((time - times[0]) % camera.seconds),
            config,
            steps=config.loop_steps,
            on_step=lambda index, loss: progress.advance(""),
        )
    near = len(times) // 12 if config.at else len(times) // 2
    around = _turned(times, -near)
    times = _turned(around, find_start(dreamed, around, 2 * near + 1))
    with report.progress("filming", len(times)) as progress:
        before, after = begun.frames(times), film_loop(dreamed, times, _shutter(config))
        for shot in zip(before, after, strict=True):
            yield shot
            progress.advance("")


def _turned(times: list[Fraction], first: int) -> list[Fraction]:
    """A round's times from another one on."""
    return [*times[first:], *times[:first]]
