"""Animated WebP read as a film, by Pillow, because FFmpeg's decoder does not support it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from dreamvid.errors import MediaError
from dreamvid.media.colour import FULL_RANGE, RGB_MATRIX, Converter, is_transparent, tags_of
from dreamvid.media.files import check_input, reason
from dreamvid.media.interlace import TimedFrame
from dreamvid.media.probing import VideoInfo
from dreamvid.media.reader import FrameReader

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from torch import Tensor

WEBP_CLOCK = Fraction(1, 1000)
_HEAD = 30
"""Number of bytes of the RIFF header and the VP8X chunk, whose flags are at offset 20."""
_ANIMATION = 0x02
_FRAME_HEAD = 16
"""Number of bytes of an ANMF chunk before its frame; the duration is at offset 12."""
_DEFAULT_MS = 100
"""The duration that browsers give to a frame with duration 0."""


def is_animation(path: Path) -> bool:
    """Whether a file is an animated WebP, by its content."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    is_extended = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) == _HEAD
    return is_extended and bool(head[20] & _ANIMATION)


def read_durations(path: Path) -> list[Fraction]:
    """The duration of each frame in seconds, from the header of its chunk.

    Raises MediaError where there is no frame.
    """
    found: list[Fraction] = []
    try:
        with path.open("rb") as file:
            file.seek(12)
            while len(chunk := file.read(8)) == 8:
                size = int.from_bytes(chunk[4:], "little")
                begin = file.tell()
                if chunk[:4] == b"ANMF":
                    head = file.read(_FRAME_HEAD)
                    milliseconds = int.from_bytes(head[12:15], "little") or _DEFAULT_MS
                    found.append(milliseconds * WEBP_CLOCK)
                file.seek(begin + size + size % 2)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not found:
        raise _unreadable(path, EOFError("it holds no frame"))
    return found


def decode_frames(path: Path) -> Iterator[av.VideoFrame]:
    """The frames in order, as bgra; parts missing in a frame are filled from the frames before.

    The compressed file is held in memory. Raises MediaError where a frame cannot be decoded.
    """
    try:
        with _open(path) as picture:
            for index in range(getattr(picture, "n_frames", 1)):
                picture.seek(index)
                yield _frame(picture)
    except (OSError, EOFError, SyntaxError, ValueError, RuntimeError, MemoryError) as error:
        raise _unreadable(path, error) from error


def _open(path: Path) -> Image:
    from PIL import Image

    try:
        with warnings.catch_warnings():  # on sizes that would fill the memory
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(path, formats=["WEBP"])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(str(error)) from error


def _frame(picture: Image) -> av.VideoFrame:
    """A frame in the format of FFmpeg's GIF decoder; alpha counts if the first frame uses it."""
    bgra = np.asarray(picture.convert("RGBA"))[..., [2, 1, 0, 3]]
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(bgra), "bgra")
    frame.colorspace, frame.color_range = RGB_MATRIX, FULL_RANGE
    return frame


def _unreadable(path: Path, error: BaseException) -> MediaError:
    return MediaError(f"'{path}' cannot be read; allowed: an animated WebP file: {reason(error)}")


class AnimationReader(FrameReader):
    """The frames of an animated WebP file, played once, at its own times in whole milliseconds.

    `start`, `end`, `rate`, `size` and `device` are as for VideoReader. At most two decoded frames
    are in memory. Raises MediaError where the file cannot be read, or has no frame between start
    and end.
    """

    def __init__(
        self,
        path: Path,
        *,
        start: Fraction | None = None,
        end: Fraction | None = None,
        rate: Fraction | None = None,
        size: str = "source",
        device: torch.device | str = "cpu",
        on_warning: Callable[[str], None] = warnings.warn,
    ) -> None:
        check_input(path)
        self._path, self._warn = path, on_warning
        self._converter = Converter("webp", device=device)
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
        return self._converter.to_tensor(picture.frame, (self.info.width, self.info.height))

    def _alpha(self, picture: TimedFrame) -> Tensor | None:
        if not self.info.alpha:
            return None
        return self._converter.to_alpha(picture.frame, (self.info.width, self.info.height))
