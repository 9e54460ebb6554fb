"""Dreams video: gradient descent on the pixels until every frame means the prompt.

The names below are the library; each is loaded when it is first used, so that importing the
package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dreamvid.config import ImageConfig, VideoConfig
    from dreamvid.device import choose_device
    from dreamvid.dream.guide import create_objectives
    from dreamvid.dream.optimise import dream_image
    from dreamvid.errors import DreamvidError
    from dreamvid.evaluate import Evaluation
    from dreamvid.media.reader import VideoReader
    from dreamvid.media.still import read_image, write_image
    from dreamvid.media.writer import VideoWriter
    from dreamvid.motion.flow import create_flow
    from dreamvid.motion.shots import create_cut_detector
    from dreamvid.sequence import dream_frames
    from dreamvid.types import Frame

_HOMES = {
    "DreamvidError": "errors",
    "Evaluation": "evaluate",
    "Frame": "types",
    "ImageConfig": "config",
    "VideoConfig": "config",
    "VideoReader": "media.reader",
    "VideoWriter": "media.writer",
    "choose_device": "device",
    "create_cut_detector": "motion.shots",
    "create_flow": "motion.flow",
    "create_objectives": "dream.guide",
    "dream_frames": "sequence",
    "dream_image": "dream.optimise",
    "read_image": "media.still",
    "write_image": "media.still",
}

__all__ = [
    "DreamvidError",
    "Evaluation",
    "Frame",
    "ImageConfig",
    "VideoConfig",
    "VideoReader",
    "VideoWriter",
    "choose_device",
    "create_cut_detector",
    "create_flow",
    "create_objectives",
    "dream_frames",
    "dream_image",
    "read_image",
    "write_image",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dreamvid' has no attribute '{name}'")
    return getattr(import_module(f"dreamvid.{_HOMES[name]}"), name)
