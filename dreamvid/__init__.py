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
    from dreamvid.dream.descent import descend
    from dreamvid.errors import DreamvidError
    from dreamvid.evaluation.accumulator import Evaluation
    from dreamvid.film.sequence import FrameSettings, constant_settings, dream_frames
    from dreamvid.film.settings import scheduled_settings
    from dreamvid.guide.objective import create_objectives
    from dreamvid.media.reader import VideoReader
    from dreamvid.media.still import read_image, write_image
    from dreamvid.media.writer import VideoWriter
    from dreamvid.motion.camera import Camera
    from dreamvid.motion.flow import create_flow
    from dreamvid.motion.shots import create_cut_detector
    from dreamvid.types import Frame
    from dreamvid.zooms.endless import dream_zoom
    from dreamvid.zooms.loop import Loop, dream_loop, film_loop

_HOMES = {
    "Camera": "motion.camera",
    "Clock": "control.clock",
    "DreamvidError": "errors",
    "Evaluation": "evaluation.accumulator",
    "Frame": "types",
    "ImageConfig": "config",
    "Loop": "zooms.loop",
    "FrameSettings": "film.sequence",
    "Schedule": "control.schedule",
    "VideoConfig": "config",
    "VideoReader": "media.reader",
    "VideoWriter": "media.writer",
    "ZoomConfig": "config",
    "choose_device": "device",
    "constant_settings": "film.sequence",
    "create_cut_detector": "motion.shots",
    "create_flow": "motion.flow",
    "create_objectives": "guide.objective",
    "scheduled_settings": "film.settings",
    "dream_frames": "film.sequence",
    "descend": "dream.descent",
    "dream_loop": "zooms.loop",
    "dream_zoom": "zooms.endless",
    "film_loop": "zooms.loop",
    "read_image": "media.still",
    "write_image": "media.still",
}

__all__ = [
    "Camera",
    "Clock",
    "DreamvidError",
    "Evaluation",
    "Frame",
    "FrameSettings",
    "ImageConfig",
    "Loop",
    "Schedule",
    "VideoConfig",
    "VideoReader",
    "VideoWriter",
    "ZoomConfig",
    "choose_device",
    "constant_settings",
    "create_cut_detector",
    "create_flow",
    "create_objectives",
    "descend",
    "dream_frames",
    "dream_loop",
    "dream_zoom",
    "film_loop",
    "read_image",
    "scheduled_settings",
    "write_image",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dreamvid' has no attribute '{name}'")
    return getattr(import_module(f"dreamvid.{_HOMES[name]}"), name)
