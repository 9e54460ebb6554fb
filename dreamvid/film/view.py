"""A clip seen through a camera that moves with the film."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from dreamvid.errors import ConfigError
from dreamvid.motion.camera import Camera, Course, expose, view, view_frame

if TYPE_CHECKING:
    from torch import Tensor

    from dreamvid.config import CameraConfig, VideoConfig, ZoomConfig
    from dreamvid.control.schedule import Schedule
    from dreamvid.media.mask import MaskReader
    from dreamvid.media.reader import FrameReader
    from dreamvid.types import Frame

USUAL_RATE = Fraction(25)
"""Assumed frames per second where a source states none."""


@dataclass(frozen=True)
class CameraView:
    """A clip as a camera sees it."""

    camera: Camera | None
    """The camera; None where it does not move."""
    shutter: Fraction
    """Seconds for which the shutter is open."""

    @classmethod
    def of(
        cls, config: VideoConfig, reader: FrameReader, schedule: Schedule[VideoConfig]
    ) -> CameraView:
        """The view of `config`, over the length of `reader`.

        Raises ConfigError where the motion depends on a length that the source does not state.
        """
        rate = reader.info.rate or USUAL_RATE
        seconds = reader.info.frame_count and reader.info.frame_count / rate
        camera = create_camera(config, seconds or Fraction(1), schedule)
        if not camera.moves:
            return cls(None, Fraction(0))
        if seconds is None and config.ease != "linear":
            raise ConfigError(
                f"--ease {config.ease}: the source does not tell how long it is; allowed: linear"
            )
        return cls(camera, Fraction(config.shutter) / 360 / rate)

    def image(self, image: Tensor, time: Fraction) -> Tensor:
        """The part of an image (C, H, W) that is seen at `time`."""
        return image if self.camera is None else view(image, self.camera, time)

    def frame(self, frame: Frame) -> Frame:
        """The part of a frame that is seen, alpha included."""
        return frame if self.camera is None else view_frame(frame, self.camera)

    def mask(self, mask: MaskReader, time: Fraction) -> Tensor:
        """The mask of the clip as the camera sees it at `time`, (1, H, W)."""
        return self.image(mask.at(time), time)

    def exposed(self, frame: Frame) -> Frame:
        """A frame with the blur of the camera's own motion."""
        if self.camera is None or not self.shutter:
            return frame
        return expose(frame, self.camera, self.shutter)


def create_camera(
    config: CameraConfig,
    seconds: Fraction,
    schedule: Schedule[VideoConfig] | Schedule[ZoomConfig],
) -> Camera:
    """The camera of a film of this length."""
    return Camera(
        zoom=config.zoom,
        rotate=config.rotate,
        pan=config.whole_pan,
        centre=config.centre,
        ease=config.ease,
        seconds=seconds,
        course=_course_of(schedule),
    )


def _course_of(schedule: Schedule[VideoConfig] | Schedule[ZoomConfig]) -> Course | None:
    """Zoom, rotation and pan that change, in steps of one frame at the average rate."""
    pans = schedule.varying & {"pan-x", "pan-y"}
    if not pans and not schedule.varying & {"zoom", "rotate"}:
        return None
    rate, frames = schedule.clock.rate or USUAL_RATE, schedule.clock.frames

    def config_at(step: int) -> CameraConfig:
        if frames is not None:
            step = min(step, frames - 1)  # a shutter may still be open after the last
        return schedule(step / rate, step).config

    def rates_at(step: int) -> tuple[float, float]:
        config = config_at(step)
        return config.zoom, config.rotate

    def pan_at(step: int) -> tuple[float, float]:
        return config_at(step).whole_pan

    return Course(rates_at, rate, pan_at if pans else None)
