"""Animated WebP, which FFmpeg's decoder does not know, through Pillow."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from dreamvid.errors import MediaError
from dreamvid.media.colour import FULL_RANGE, RGB_MATRIX
from dreamvid.media.files import reason

if TYPE_CHECKING:
    from PIL.Image import Image

WEBP_CLOCK = Fraction(1, 1000)
_HEAD = 30
"""Bytes of the RIFF header and the VP8X chunk, whose flags stand at 20."""
_ANIMATION = 0x02
_FRAME_HEAD = 16
"""Bytes of an ANMF chunk before its picture; the duration stands at 12."""
_UNSAID_MS = 100
"""How long a frame of no duration is shown, as browsers do."""


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
    """How long each frame is shown, in seconds, as its chunk's header says.

    Raises MediaError where there is none.
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
                    milliseconds = int.from_bytes(head[12:15], "little") or _UNSAID_MS
                    found.append(milliseconds * WEBP_CLOCK)
                file.seek(begin + size + size % 2)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not found:
        raise _unreadable(path, EOFError("it holds no frame"))
    return found


def decode_frames(path: Path) -> Iterator[av.VideoFrame]:
    """The frames in order, each whole: what it leaves out is filled from those before it.

    Holds the compressed file in memory. Raises MediaError where one cannot be decoded.
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
        with warnings.catch_warnings():  # of pictures that would fill the memory
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(path, formats=["WEBP"])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(str(error)) from error


def _frame(picture: Image) -> av.VideoFrame:
    """In the format of FFmpeg's decoder of GIF, where alpha counts if the first picture uses it."""
    bgra = np.asarray(picture.convert("RGBA"))[..., [2, 1, 0, 3]]
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(bgra), "bgra")
    frame.colorspace, frame.color_range = RGB_MATRIX, FULL_RANGE
    return frame


def _unreadable(path: Path, error: BaseException) -> MediaError:
    return MediaError(f"'{path}' cannot be read; allowed: an animated WebP file: {reason(error)}")
