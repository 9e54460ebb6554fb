"""What the commands that dream do alike before and beside it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from dreamvid.cli.report import Report
from dreamvid.config import ImageConfig, VideoConfig, ZoomConfig, split_weight
from dreamvid.dream.names import parse_guide
from dreamvid.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dreamvid.dream.guide import ClipObjective

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

    from dreamvid.dream.optimise import frame_generator

    width, height = (int(side) for side in size.split("x"))
    blank = torch.full((3, height, width), 0.5)
    if source == "noise":
        generator = frame_generator(seed, 1)  # frame 0's draws the cutouts
        blank += 0.1 * torch.randn(blank.shape, generator=generator)
    return blank.clamp(0, 1)


def check_pipe(out: Path, as_json: bool) -> None:
    """Raise ConfigError where standard output cannot take the result."""
    from dreamvid.media.files import STANDARD

    if out == STANDARD and as_json:
        raise ConfigError("--json writes to standard output, and so does - as OUT; allowed: one")
    if out == STANDARD and sys.stdout.isatty():
        raise ConfigError("- as OUT: standard output is a terminal; allowed: a pipe or a file")


def check_dream(config: VideoConfig | ImageConfig | ZoomConfig) -> None:
    """Find what is wrong with prompts and guides before anything heavy is loaded."""
    from dreamvid.media.files import check_input

    config.require_prompt()
    for guide in config.guide:
        parse_guide(guide)
    for weighted in config.image_prompt:
        check_input(Path(split_weight(weighted)[0]))


def load_objectives(
    config: VideoConfig | ImageConfig | ZoomConfig, device: torch.device, report: Report
) -> list[ClipObjective]:
    """The prompts, pictures among them, as each guide sees them."""
    from dreamvid.dream.guide import create_objectives
    from dreamvid.media.still import read_image

    images = [read_image(Path(split_weight(text)[0])) for text in config.image_prompt]
    objectives = create_objectives(config, device, images)
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


def mean_similarity(objectives: Sequence[ClipObjective], image: Tensor) -> float:
    """Of one frame (3, H, W) to the prompts, over all guides."""
    return sum(float(objective.similarity(image)) for objective in objectives) / len(objectives)
