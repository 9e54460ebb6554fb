"""Dreams video: gradient descent on the pixels until every frame means the prompt.

The names below are the library; each is loaded when it is first used, so that importing the
package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dreamvid.config import ImageConfig, VideoConfig, ZoomConfig
    from dreamvid.control.clock import Clock
    from dreamvid.control.schedule import Schedule
    from dreamvid.device import choose_device
    from dreamvid.dream.guide import create_objectives
    from dreamvid.dream.optimise import dream_image
    from dreamvid.errors import DreamvidError
    from dreamvid.evaluate import Evaluation
    from dreamvid.loop import Loop, dream_loop, film_loop
    from dreamvid.media.reader import VideoReader
    from dreamvid.media.still import read_image, write_image
    from dreamvid.media.writer import VideoWriter
    from dreamvid.motion.camera import Camera
    from dreamvid.motion.flow import create_flow
    from dreamvid.motion.shots import create_cut_detector
    from dreamvid.plan import create_plan
    from dreamvid.sequence import Moment, constant_plan, dream_frames
    from dreamvid.types import Frame
    from dreamvid.zoom import dream_zoom

_HOMES = {
    "Camera": "motion.camera",
    "Clock": "control.clock",
    "DreamvidError": "errors",
    "Evaluation": "evaluate",
    "Frame": "types",
    "ImageConfig": "config",
    "Loop": "loop",
    "Moment": "sequence",
    "Schedule": "control.schedule",
    "VideoConfig": "config",
    "VideoReader": "media.reader",
    "VideoWriter": "media.writer",
    "ZoomConfig": "config",
    "choose_device": "device",
    "constant_plan": "sequence",
    "create_cut_detector": "motion.shots",
    "create_flow": "motion.flow",
    "create_objectives": "dream.guide",
    "create_plan": "plan",
    "dream_frames": "sequence",
    "dream_image": "dream.optimise",
    "dream_loop": "loop",
    "dream_zoom": "zoom",
    "film_loop": "loop",
    "read_image": "media.still",
    "write_image": "media.still",
}

__all__ = [
    "Camera",
    "Clock",
    "DreamvidError",
    "Evaluation",
    "Frame",
    "ImageConfig",
    "Loop",
    "Moment",
    "Schedule",
    "VideoConfig",
    "VideoReader",
    "VideoWriter",
    "ZoomConfig",
    "choose_device",
    "constant_plan",
    "create_cut_detector",
    "create_flow",
    "create_objectives",
    "create_plan",
    "dream_frames",
    "dream_image",
    "dream_loop",
    "dream_zoom",
    "film_loop",
    "read_image",
    "write_image",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dreamvid' has no attribute '{name}'")
    return getattr(import_module(f"dreamvid.{_HOMES[name]}"), name)
