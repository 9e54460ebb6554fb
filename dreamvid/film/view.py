"""A clip seen through a camera that moves with the film."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from dreamvid.config import VideoConfig
from dreamvid.errors import ConfigError
from dreamvid.motion.camera import Camera, Course, view_frame

if TYPE_CHECKING:
    from dreamvid.control.schedule import Schedule
    from dreamvid.media.reader import FrameReader
    from dreamvid.types import Frame

DEFAULT_RATE = Fraction(25)
"""Frames a second of a source that tells none."""


@dataclass(frozen=True)
class CameraView:
    """A clip as a moving camera sees it; `camera` is None where it stands still."""

    camera: Camera | None
    shutter: Fraction
    """Seconds for which it is open."""

    @classmethod
    def of(
        cls, config: VideoConfig, reader: FrameReader, schedule: Schedule[VideoConfig]
    ) -> CameraView:
        """Build the view. Raises ConfigError where the motion needs a length that is unknown."""
        rate = reader.info.rate or DEFAULT_RATE
        seconds = reader.info.frame_count and reader.info.frame_count / rate
        camera = _camera_of(config, seconds or Fraction(1), schedule)
        if not camera.moves:
            return cls(None, Fraction(0))
        if seconds is None and config.ease != "linear":
            raise ConfigError(
                f"--ease {config.ease}: how long the source is, it does not tell; allowed: linear"
            )
        return cls(camera, Fraction(config.shutter) / 360 / rate)

    def frame(self, frame: Frame) -> Frame:
        """Show a frame, its alpha included, through the camera."""
        return frame if self.camera is None else view_frame(frame, self.camera)


def _camera_of(config: VideoConfig, seconds: Fraction, schedule: Schedule[VideoConfig]) -> Camera:
    """The camera of a film of so many seconds."""
    return Camera(
        zoom=config.zoom,
        rotate=config.rotate,
        pan=config.pan,
        centre=config.centre,
        ease=config.ease,
        seconds=seconds,
        course=_course_of(schedule),
    )


def _course_of(schedule: Schedule[VideoConfig]) -> Course | None:
    """Zoom and rotation over time, in steps of one frame, however long each frame is shown."""
    if not schedule.varying & {"zoom", "rotate"}:
        return None
    rate, frames = schedule.clock.rate or DEFAULT_RATE, schedule.clock.frames

    def rates_at(step: int) -> tuple[float, float]:
        if frames is not None:
            step = min(step, frames - 1)  # a shutter may still be open after the last
        config = schedule(step / rate, step).config
        return config.zoom, config.rotate

    return Course(rates_at, rate)
