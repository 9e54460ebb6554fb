"""What the commands that dream do alike before and beside it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from dreamvid.cli.report import Report
from dreamvid.config import (
    ImageConfig,
    ScheduledConfig,
    VideoConfig,
    ZoomConfig,
    split_weight,
)
from dreamvid.errors import ConfigError, MediaError
from dreamvid.guide.names import parse_guide

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dreamvid.control.schedule import Schedule
    from dreamvid.guide.objective import ClipObjective
    from dreamvid.journal import Run
    from dreamvid.motion.camera import Camera, Course

METADATA_KEY = "dreamvid"
"""Under which a result's metadata keep the options that made it, as JSON."""

BLANKS = ("grey", "noise")
"""What can stand for a picture as IN."""


def check_blank(source: str, size: str) -> None:
    """Raise ConfigError where a blank `source` has no size of its own."""
    if source in BLANKS and "x" not in size:
        raise ConfigError(f"--size: '{size}' is not enough for {source}; allowed: WIDTHxHEIGHT")


def blank_image(source: str, size: str, seed: int) -> Tensor:
    """(3, H, W): grey, or grey with noise, of "WIDTHxHEIGHT"."""
    import torch

    from dreamvid.dream.descent import frame_generator

    width, height = (int(side) for side in size.split("x"))
    blank = torch.full((3, height, width), 0.5)
    if source == "noise":
        generator = frame_generator(seed, 1)  # frame 0's draws the cutouts
        blank += 0.1 * torch.randn(blank.shape, generator=generator)
    return blank.clamp(0, 1)


def camera_of(
    config: VideoConfig | ZoomConfig,
    seconds: Fraction,
    schedule: Schedule[VideoConfig] | Schedule[ZoomConfig],
) -> Camera:
    """The camera of a film of so many seconds."""
    from dreamvid.motion.camera import Camera

    return Camera(
        zoom=config.zoom,
        rotate=config.rotate,
        pan=config.pan,
        centre=config.centre,
        ease=config.ease,
        seconds=seconds,
        course=_course_of(schedule),
    )


def _course_of(schedule: Schedule[VideoConfig] | Schedule[ZoomConfig]) -> Course | None:
    """How zoom and rotation change, in steps of a frame, however long each is really shown."""
    from dreamvid.motion.camera import Course

    if not schedule.varying & {"zoom", "rotate"}:
        return None
    rate, frames = schedule.clock.rate or Fraction(25), schedule.clock.frames

    def rates_at(step: int) -> tuple[float, float]:
        if frames is not None:
            step = min(step, frames - 1)  # a shutter may still be open after the last
        config = schedule(step / rate, step).config
        return config.zoom, config.rotate

    return Course(rates_at, rate)


def check_pipe(out: Path, as_json: bool) -> None:
    """Raise ConfigError where standard output cannot take the result."""
    from dreamvid.media.files import STANDARD

    if out == STANDARD and as_json:
        raise ConfigError("--json writes to standard output, and so does - as OUT; allowed: one")
    if out == STANDARD and sys.stdout.isatty():
        raise ConfigError("- as OUT: standard output is a terminal; allowed: a pipe or a file")


def check_music(out: Path, config: ScheduledConfig) -> None:
    """Raise MediaError where the result would take the place of its own sound."""
    if config.music is not None and out.resolve() == Path(config.music).resolve():
        raise MediaError(f"'{out}' is also --music; allowed: another name")


def check_dream(config: VideoConfig | ImageConfig | ZoomConfig) -> None:
    """Find what is wrong with prompts and guides before anything heavy is loaded."""
    from dreamvid.media.files import check_input

    if isinstance(config, ScheduledConfig):
        from dreamvid.control.schedule import asked_for

        asked_for(config)
        if config.music is not None:
            check_input(Path(config.music))
    config.require_prompt()
    for guide in config.guide:
        parse_guide(guide)
    for weighted in config.image_prompt:
        check_input(Path(split_weight(weighted)[0]))


def load_objectives(
    config: VideoConfig | ImageConfig | ZoomConfig, device: torch.device, report: Report
) -> list[ClipObjective]:
    """The prompts, pictures among them, as each guide sees them."""
    from dreamvid.guide.objective import create_objectives
    from dreamvid.media.still import read_image

    images = [read_image(Path(split_weight(text)[0])) for text in config.image_prompt]
    objectives = create_objectives(config, device, images, report.warn)
    report.say(f"dreaming on {device} with {', '.join(config.guide)}")
    return objectives


def metadata(config: VideoConfig | ImageConfig | ZoomConfig, source: str) -> dict[str, str]:
    """What a result says of how it was made; nothing where that is not wanted."""
    if not config.metadata:
        return {}
    made = {
        "version": version("dreamvid"),
        "source": source,
        "options": config.model_dump(mode="json", by_alias=True),
    }
    return {METADATA_KEY: json.dumps(made, ensure_ascii=False)}


def run_of(source: Path, config: VideoConfig, device: torch.device) -> Run:
    """What decides about the result: the files that are read, the options, and what computes."""
    import torch

    from dreamvid.journal import FileMark, Run
    from dreamvid.media.source import files_of

    marks = {"the source": FileMark.of(source, files_of(source))}
    for name, path in _other_inputs(config):
        marks[name] = FileMark.of(path, files_of(path))
    machine = {"the device": str(device)}
    if device.type == "cpu":
        machine["torch's number of threads"] = str(torch.get_num_threads())
    return Run.of(marks, config, machine)


def _other_inputs(config: VideoConfig) -> Iterator[tuple[str, Path]]:
    """The files that options name, by the option and its number."""
    if config.mask is not None:
        yield "--mask", Path(config.mask)
    if config.music is not None:
        yield "--music", Path(config.music)
    if config.flow_weights is not None:
        yield "--flow-weights", Path(config.flow_weights)
    for number, text in enumerate(config.image_prompt, 1):
        yield f"--image-prompt {number}", Path(split_weight(text)[0])
    for number, text in enumerate(config.guide, 1):
        weights = parse_guide(text).pretrained
        if weights is not None and Path(weights).is_file():
            yield f"--guide {number}", Path(weights)


def mean_similarities(objectives: Sequence[ClipObjective], images: Sequence[Tensor]) -> list[float]:
    """Of frames (3, H, W) to the prompts, over all guides."""
    by_guide = [objective.similarities(images).tolist() for objective in objectives]
    return [sum(each) / len(objectives) for each in zip(*by_guide, strict=True)]
