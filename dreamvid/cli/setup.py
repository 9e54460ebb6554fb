"""What `video` and `image` do alike before and beside dreaming."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from dreamvid.cli.report import Report
from dreamvid.config import ImageConfig, VideoConfig, split_weight
from dreamvid.dream.names import parse_guide

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dreamvid.dream.guide import ClipObjective

METADATA_KEY = "dreamvid"
"""Under which a result's metadata keep the options that made it, as JSON."""


def check_dream(config: VideoConfig | ImageConfig) -> None:
    """Find what is wrong with prompts and guides before anything heavy is loaded."""
    from dreamvid.media.files import check_input

    config.require_prompt()
    for guide in config.guide:
        parse_guide(guide)
    for weighted in config.image_prompt:
        check_input(Path(split_weight(weighted)[0]))


def start_device(config: VideoConfig | ImageConfig, report: Report) -> torch.device:
    """The device, told to the user."""
    from dreamvid.device import choose_device

    device = choose_device(config.device)
    report.say(f"dreaming on {device} with {', '.join(config.guide)}")
    return device


def load_objectives(config: VideoConfig | ImageConfig, device: torch.device) -> list[ClipObjective]:
    """The prompts, pictures among them, as each guide sees them."""
    from dreamvid.dream.guide import create_objectives
    from dreamvid.media.still import read_image

    images = [read_image(Path(split_weight(text)[0])) for text in config.image_prompt]
    return create_objectives(config, device, images)


def metadata(config: VideoConfig | ImageConfig, source: str) -> dict[str, str]:
    """What a result says of how it was made; nothing where that is not wanted."""
    if not config.metadata:
        return {}
    made = {
        "version": version("dreamvid"),
        "source": source,
        "options": config.model_dump(mode="json", by_alias=True),
    }
    return {METADATA_KEY: json.dumps(made, ensure_ascii=False)}


def note_similarity(
    report: Report, objectives: Sequence[ClipObjective], before: Tensor, after: Tensor
) -> str:
    """Count a frame and the guides' mean similarity to the prompts, before and after; in words."""
    was, became = (
        sum(float(o.similarity(image)) for o in objectives) / len(objectives)
        for image in (before, after)
    )
    report.tally.note_similarity(was, became)
    return f"similarity {was:.3f} -> {became:.3f}"
