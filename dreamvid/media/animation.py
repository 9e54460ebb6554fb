"""Films from animated WebP files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av

from dreamvid.errors import MediaError
from dreamvid.media.colour import is_transparent, tags_of
from dreamvid.media.files import check_input
from dreamvid.media.info import VideoInfo
from dreamvid.media.interlace import TimedFrame
from dreamvid.media.reader import FrameReader
from dreamvid.media.still import Still
from dreamvid.media.webp import WEBP_CLOCK, decode_frames, read_durations

if TYPE_CHECKING:
    from torch import Tensor


class AnimationReader(FrameReader):
    """The frames of an animated WebP file, once round, at its own times, exact milliseconds.

    `start`, `end`, `rate` and `size` are as for VideoReader. No more than two decoded pictures
    are held. Raises MediaError where the file cannot be read, or has no frame between start and
    end.
    """

    def __init__(
        self,
        path: Path,
        *,
        start: Fraction | None = None,
        end: Fraction | None = None,
        rate: Fraction | None = None,
        size: str = "source",
        on_warning: Callable[[str], None] = warnings.warn,
    ) -> None:
        check_input(path)
        self._path, self._warn = path, on_warning
        self._durations = read_durations(path)
        self._start, self._end, self._rate = start, end, rate
        self.origin = start or Fraction(0)
        self._rest = self._selected()
        self._first = next(self._rest, None)
        if self._first is None:
            raise MediaError(
                f"'{path}': no frame from {float(self.origin):g} s on; "
                f"allowed: times before {float(sum(self._durations)):g} s"
            )
        self.info = self._delivered(self._described(self._first.frame), size)

    def _described(self, frame: av.VideoFrame) -> VideoInfo:
        count, duration = len(self._durations), sum(self._durations, Fraction(0))
        return VideoInfo(
            width=frame.width,
            height=frame.height,
            rate=count / duration,
            time_base=WEBP_CLOCK,
            frame_count=count,
            duration=duration,
            codec="webp",
            pix_fmt=frame.format.name,
            alpha=is_transparent(frame),
            colour=tags_of(frame),
            container="webp",
        )

    def _timed(self) -> Iterator[TimedFrame]:
        time = Fraction(0)
        try:
            for frame, duration in zip(decode_frames(self._path), self._durations, strict=False):
                yield TimedFrame(frame, time, duration)
                time += duration
        except MediaError as error:
            if not time:
                raise
            self.is_cut_short = True
            self._warn(f"{error}; it is cut short at {float(time):.3f} s")

    def _image(self, picture: TimedFrame) -> Tensor:
        return Still(self._path, picture.frame).to_tensor((self.info.width, self.info.height))

    def _alpha(self, picture: TimedFrame) -> Tensor | None:
        if not self.info.alpha:
            return None
        return Still(self._path, picture.frame).to_alpha((self.info.width, self.info.height))
