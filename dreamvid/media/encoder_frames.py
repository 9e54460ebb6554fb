"""Frames in the form that an encoder takes, in memory and as bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

from dreamvid.media.colour import Converter
from dreamvid.media.encoders import Encoding
from dreamvid.media.palette import Palette
from dreamvid.types import Frame

if TYPE_CHECKING:
    from torch import Tensor

_HEAD = struct.Struct("<qqI")
"""Header of a frame: pts, ticks and the number of planes; each plane's length and bytes follow."""
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class EncoderFrame:
    """A frame in the form that an encoder takes; times are in ticks of the encoding's clock."""

    image: av.VideoFrame
    pts: int
    ticks: int
    """Duration of the frame."""

    def to_bytes(self) -> bytes:
        """The frame as bytes: everything that the encoder reads, except the colour tags."""
        parts = [_HEAD.pack(self.pts, self.ticks, len(self.image.planes))]
        for plane in self.image.planes:
            content = bytes(plane)
            parts += [_LENGTH.pack(len(content)), content]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes, encoding: Encoding) -> EncoderFrame:
        """The frame of `to_bytes`, with the colour tags of `encoding`.

        Raises ValueError where the planes do not fit the pixel format.
        """
        pts, ticks, count = _HEAD.unpack_from(data)
        columns, rows = encoding.padding
        width, height = encoding.info.width + columns, encoding.info.height + rows
        image = av.VideoFrame(width, height, encoding.pix_fmt)
        if len(image.planes) != count:
            raise ValueError(f"{count} planes are not {encoding.pix_fmt}")
        offset = _HEAD.size
        for plane in image.planes:
            (length,) = _LENGTH.unpack_from(data, offset)
            offset += _LENGTH.size
            # The padding of rows may differ.
            stored = np.frombuffer(data, np.uint8, length, offset).reshape(plane.height, -1)
            target = np.asarray(memoryview(plane)).reshape(plane.height, -1)
            common = min(stored.shape[1], target.shape[1])
            target[:, :common] = stored[:, :common]
            offset += length
        tags = encoding.tags
        image.color_primaries, image.color_trc = tags.primaries, tags.transfer
        image.colorspace, image.color_range = tags.matrix, tags.range
        image.pts, image.time_base = pts, encoding.clock
        return cls(image, pts, ticks)


class EncoderFrameMaker:
    """Maker of frames for an encoder, one after the other, each at its exact tick.

    `end_pts` is the tick at which the previous frame ends, `step` its duration in seconds.
    """

    def __init__(
        self, encoding: Encoding, end_pts: int = -(2**62), step: Fraction | None = None
    ) -> None:
        self._encoding = encoding
        self._converter = Converter(encoding.codec.canonical_name)
        self._palette = Palette() if encoding.pix_fmt == "pal8" else None
        self.end_pts = end_pts
        self.step = 1 / encoding.rate if step is None else step

    def make(self, frame: Frame, duration: Fraction | None) -> EncoderFrame:
        """A frame shown for `duration` seconds; None repeats the duration of the one before."""
        self.step = self.step if duration is None else duration
        made = self._image(frame)
        clock = self._encoding.clock
        pts = max(round(frame.time / clock), self.end_pts)
        ticks = max(1, round((frame.time + self.step) / clock) - pts)
        made.pts, made.time_base = pts, clock
        self.end_pts = pts + ticks
        return EncoderFrame(made, pts, ticks)

    def _image(self, frame: Frame) -> av.VideoFrame:
        encoding = self._encoding
        image, alpha = frame.image, frame.alpha
        if any(encoding.padding):
            image = _padded(image, *encoding.padding)
            alpha = None if alpha is None else _padded(alpha, *encoding.padding)
        if self._palette is not None:
            return self._palette.apply(self._converter.to_frame(image, "rgb24", encoding.tags))
        return self._converter.to_frame(image, encoding.pix_fmt, encoding.tags, alpha)


def _padded(image: Tensor, columns: int, rows: int) -> Tensor:
    """(C, H, W) with its last column and row repeated."""
    import torch.nn.functional as F

    return F.pad(image[None], (0, columns, 0, rows), mode="replicate")[0]
