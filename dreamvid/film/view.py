"""A clip seen through a camera that moves with the film."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from dreamvid.config import IN_SPACE
from dreamvid.config.values import kebab
from dreamvid.errors import ConfigError
from dreamvid.motion.camera import Camera, Course, expose, view, view_frame
from dreamvid.motion.depth import Parallax, parallax
from dreamvid.motion.space import Move, Space, as_homography

if TYPE_CHECKING:
    from torch import Tensor

    from dreamvid.config import CameraConfig, VideoConfig, ZoomConfig
    from dreamvid.control.schedule import Schedule
    from dreamvid.media.mask import MaskReader
    from dreamvid.media.reader import FrameReader
    from dreamvid.types import Frame

USUAL_RATE = Fraction(25)
"""Assumed frames per second where a source states none."""


class Relief:
    """The depth of a clip's frames, as it looks through a camera.

    `depth` gives how near everything is, from 0 to 1, which is `far` times as near as 0.
    """

    def __init__(self, depth: MaskReader, far: float) -> None:
        self._depth, self._far = depth, far
        self._last: tuple[Fraction, tuple[int, ...], Parallax] | None = None

    def view(self, image: Tensor, camera: Camera, time: Fraction) -> Tensor:
        """The view of an `image` (C, H, W) in [0, 1] at `time`, in seconds."""
        height, width = image.shape[1:]
        pose = camera.pose(time)
        flat = replace(camera, space=None)
        if pose.is_home and not flat.moves:
            return image
        if self._last is None or self._last[:2] != (time, (height, width)):
            lens = camera.lens(time, height, width)
            back = as_homography(flat.back(time, Fraction(0), height, width))
            nearness = self._depth.at(time).to(image)
            seen = parallax(nearness, self._far, pose, lens, back.inverse().matrix @ lens)
            self._last = time, (height, width), seen
        return self._last[2](image)


@dataclass(frozen=True)
class CameraView:
    """A clip as a camera sees it."""

    camera: Camera | None
    """The camera; None where it does not move."""
    shutter: Fraction
    """Seconds for which the shutter is open."""
    relief: Relief | None = None
    """The depth of the scene; None where it is flat."""

    @classmethod
    def of(
        cls,
        config: VideoConfig,
        reader: FrameReader,
        schedule: Schedule[VideoConfig],
        depth: MaskReader | None = None,
    ) -> CameraView:
        """The view of `config`, over the length of `reader`.

        Raises ConfigError where the motion depends on a length that the source does not state, and
        where there is a `depth` and no motion that it changes.
        """
        rate = reader.info.rate or USUAL_RATE
        seconds = reader.info.frame_count and reader.info.frame_count / rate
        camera = create_camera(config, seconds or Fraction(1), schedule)
        if depth is not None and camera.space is None:
            raise ConfigError(
                "--depth: the camera does not move in space; allowed with --translation-x, "
                "--rotation-3d-y or their like, or --set of them"
            )
        if not camera.moves:
            return cls(None, Fraction(0))
        if seconds is None and config.ease != "linear":
            raise ConfigError(
                f"--ease {config.ease}: the source does not tell how long it is; allowed: linear"
            )
        relief = None if depth is None else Relief(depth, config.depth_far)
        return cls(camera, Fraction(config.shutter) / 360 / rate, relief)

    def image(self, image: Tensor, time: Fraction) -> Tensor:
        """The part of an image (C, H, W) that is seen at `time`."""
        if self.camera is None:
            return image
        if self.relief is not None:
            return self.relief.view(image, self.camera, time)
        return view(image, self.camera, time)

    def frame(self, frame: Frame) -> Frame:
        """The part of a frame that is seen, alpha included."""
        if self.camera is None:
            return frame
        if self.relief is None:
            return view_frame(frame, self.camera)
        alpha = None if frame.alpha is None else self.image(frame.alpha, frame.time)
        return replace(frame, image=self.image(frame.image, frame.time), alpha=alpha)

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
    rate = schedule.clock.rate or USUAL_RATE
    steady = steady_camera(config, seconds, rate)
    moves = _space_of(schedule, rate)
    return replace(steady, course=_course_of(schedule, rate), space=moves or steady.space)


def steady_camera(config: CameraConfig, seconds: Fraction, rate: Fraction) -> Camera:
    """The camera of a film of this length, at the same speed all the time."""
    zoom, rotate, pan = _rates_of(config, rate)
    move = move_of(config)
    return Camera(
        zoom=zoom,
        rotate=rotate,
        pan=pan,
        centre=config.centre,
        ease=config.ease,
        seconds=seconds,
        space=Space(lambda step: move, rate) if config.moves_in_space else None,
    )


def move_of(config: CameraConfig) -> Move:
    """What the camera does in space from one frame to the next."""
    return Move(
        (config.translation_x, config.translation_y, config.translation_z),
        (config.rotation_3d_x, config.rotation_3d_y, config.rotation_3d_z),
        config.fov,
    )


def _rates_of(config: CameraConfig, rate: Fraction) -> tuple[float, float, tuple[float, float]]:
    """Zoom, rotation and pan of one second, in which there are `rate` frames."""
    times, (across, down) = float(rate) if config.per_frame else 1.0, config.whole_pan
    turn = config.rotate * times - config.angle * float(rate)
    return config.zoom**times, turn, (across * times, down * times)


def _course_of(
    schedule: Schedule[VideoConfig] | Schedule[ZoomConfig], rate: Fraction
) -> Course | None:
    """Zoom, rotation and pan that change, in steps of one frame at the average rate."""
    pans = schedule.varying & {"pan-x", "pan-y"}
    if not pans and not schedule.varying & {"zoom", "rotate", "angle"}:
        return None

    def rates_at(step: int) -> tuple[float, float]:
        zoom, rotate, _ = _rates_of(_config_at(schedule, rate, step), rate)
        return zoom, rotate

    def pan_at(step: int) -> tuple[float, float]:
        return _rates_of(_config_at(schedule, rate, step), rate)[2]

    return Course(rates_at, rate, pan_at if pans else None)


def _space_of(
    schedule: Schedule[VideoConfig] | Schedule[ZoomConfig], rate: Fraction
) -> Space | None:
    """The moves in three dimensions that change, in the same steps."""
    if not schedule.varying & {kebab(name) for name in (*IN_SPACE, "fov")}:
        return None
    move_at = lru_cache(maxsize=256)(lambda step: move_of(_config_at(schedule, rate, step)))
    return Space(move_at, rate)


def _config_at(
    schedule: Schedule[VideoConfig] | Schedule[ZoomConfig], rate: Fraction, step: int
) -> CameraConfig:
    """The options in a step of one frame, from 0."""
    frames = schedule.clock.frames
    if frames is not None:
        step = min(step, frames - 1)  # a shutter may still be open after the last
    return schedule(step / rate, step).config
