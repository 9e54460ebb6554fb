"""The way of a frame through camera, sizes and mask, before and after it is dreamed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from dreamvid.config import VideoConfig
from dreamvid.dream.octaves import resize
from dreamvid.dream.symmetry import Symmetry
from dreamvid.errors import ConfigError
from dreamvid.film.delivery import Delivery
from dreamvid.film.view import USUAL_RATE, steady_camera
from dreamvid.live.playing import Taken
from dreamvid.media.closing import Closes
from dreamvid.media.mask import MaskReader
from dreamvid.motion.camera import Camera, Plane, Similarity, expose, resample
from dreamvid.types import Frame

if TYPE_CHECKING:
    from torch import Tensor

    from dreamvid.media.probing import VideoInfo


class Picture(Closes):
    """Frames as a moving camera sees them, small for dreaming, and delivered.

    `info` describes the source's frames. `size` is (height, width) to show, `dreamed` that to
    dream at; None leaves them as they are. `open_mask` opens the mask of one round of the source.
    """

    def __init__(
        self,
        config: VideoConfig,
        info: VideoInfo,
        *,
        size: tuple[int, int] | None,
        dreamed: tuple[int, int] | None,
        open_mask: Callable[[], MaskReader] | None,
    ) -> None:
        self._size = size
        height, width = size or (info.height, info.width)
        self.info = _bare(replace(info, width=width, height=height))
        self._view = MovingView(config, info, (height, width))
        self._open_mask = open_mask
        self._mask = None if open_mask is None else open_mask()
        self._place = Fraction(0)
        """Time within the round."""
        self._delivery = Delivery(dreamed, Symmetry.of(config.symmetry))

    def see(self, taken: Taken, config: VideoConfig) -> Frame:
        """The frame to show; its time is that since the beginning."""
        place = taken.frame.time
        if place < self._place and self._open_mask is not None and self._mask is not None:
            self._mask.close()
            self._mask = self._open_mask()
        self._view.go(place, config)
        self._place = place
        image = taken.frame.image
        image = image if self._size is None else resize(image, self._size)
        return Frame(self._view.image(image), taken.elapsed, taken.frame.duration)

    def shrink(self, seen: Frame) -> Frame:
        """The frame to dream on."""
        (small,) = self._delivery.prepare([seen])
        return small

    def finish(self, dream: Frame, small: Tensor) -> Frame:
        """What is shown of a dream on `small`, (3, H, W)."""
        mask = None
        if self._mask is not None:
            mask = self._view.image(self._mask.at(self._place))
        exposed = self._view.exposed(self._delivery.finish(dream, small, mask))
        return exposed.with_image(self._delivery.folded(exposed.image))

    def close(self) -> None:
        """Close the mask."""
        if self._mask is not None:
            self._mask.close()


class MovingView:
    """A camera whose motion may change at any time; each round of the source begins anew.

    `size` is the (height, width) of all images.
    """

    def __init__(self, config: VideoConfig, info: VideoInfo, size: tuple[int, int]) -> None:
        """Raises ConfigError where the motion depends on a length that is not known."""
        self._rate, self._size = info.rate or USUAL_RATE, size
        seconds = info.frame_count and info.frame_count / self._rate
        if config.ease != "linear" and seconds is None:
            raise ConfigError(
                f"--ease {config.ease}: the source does not tell how long it is; allowed: linear"
            )
        self._seconds = seconds or Fraction(1)
        self._shutter = Fraction(config.shutter) / 360 / self._rate
        self._camera = Camera()
        self._place = Fraction(0)
        self._reached: Plane = Similarity()
        """From a point now to where it was when the round began."""

    def go(self, place: Fraction, config: VideoConfig) -> None:
        """Go on to the time `place` of the round, at the rates of `config`."""
        if place < self._place:
            self._place, self._reached = Fraction(0), Similarity()
        self._camera = steady_camera(config, self._seconds, self._rate)
        if self._camera.moves:
            step = self._camera.back(place, self._place, *self._size)
            self._reached = self._reached.after(step)
        self._place = place

    def image(self, image: Tensor) -> Tensor:
        """The part of an image (C, H, W) that is seen."""
        if self._reached == Similarity():
            return image
        return resample(image, self._reached, *self._size).clamp(0, 1)

    def exposed(self, frame: Frame) -> Frame:
        """A frame with the blur of the camera's own motion."""
        if not (self._camera.moves and self._shutter):
            return frame
        blurred = expose(replace(frame, time=self._place), self._camera, self._shutter)
        return frame.with_image(blurred.image)


def _bare(info: VideoInfo) -> VideoInfo:
    """The header of pictures alone, without end."""
    return replace(
        info,
        alpha=False,
        sound=(),
        subtitles=(),
        chapters=(),
        frame_count=None,
        duration=None,
        start_time=Fraction(0),
        metadata={},
    )
