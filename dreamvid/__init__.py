"""Dreams video: gradient descent on the pixels until every frame means the prompt.

The names below are the library; each is loaded when it is first used, so that importing the
package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dreamvid.config import ImageConfig, VideoConfig
    from dreamvid.control.clock import Clock
    from dreamvid.control.schedule import Schedule
    from dreamvid.device import choose_device
    from dreamvid.dream.guide import create_objectives
    from dreamvid.dream.optimise import dream_image
    from dreamvid.errors import DreamvidError
    from dreamvid.media.reader import VideoReader
    from dreamvid.media.still import read_image, write_image
    from dreamvid.media.writer import VideoWriter
    from dreamvid.motion.flow import create_flow
    from dreamvid.motion.shots import create_cut_detector
    from dreamvid.plan import create_plan
    from dreamvid.sequence import Moment, constant_plan, dream_frames
    from dreamvid.types import Frame

_HOMES = {
    "Clock": "control.clock",
    "DreamvidError": "errors",
    "Frame": "types",
    "ImageConfig": "config",
    "Moment": "sequence",
    "Schedule": "control.schedule",
    "VideoConfig": "config",
    "VideoReader": "media.reader",
    "VideoWriter": "media.writer",
    "choose_device": "device",
    "constant_plan": "sequence",
    "create_cut_detector": "motion.shots",
    "create_flow": "motion.flow",
    "create_objectives": "dream.guide",
    "create_plan": "plan",
    "dream_frames": "sequence",
    "dream_image": "dream.optimise",
    "read_image": "media.still",
    "write_image": "media.still",
}

__all__ = [
    "Clock",
    "DreamvidError",
    "Frame",
    "ImageConfig",
    "Moment",
    "Schedule",
    "VideoConfig",
    "VideoReader",
    "VideoWriter",
    "choose_device",
    "constant_plan",
    "create_cut_detector",
    "create_flow",
    "create_objectives",
    "create_plan",
    "dream_frames",
    "dream_image",
    "read_image",
    "write_image",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dreamvid' has no attribute '{name}'")
    return getattr(import_module(f"dreamvid.{_HOMES[name]}"), name)
