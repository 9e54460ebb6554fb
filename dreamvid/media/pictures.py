"""Pictures as encoders take them, the packets that come of them, and both as bytes.

Bytes, because what a container says of packets is not exact: Matroska has clocks of a
millisecond and no decoding times, MP4 does not take every codec.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.packet import Packet, PacketSideData, packet_sidedata_type_from_literal
from av.video.stream import VideoStream

from dreamvid.media.colour import Converter
from dreamvid.media.encoders import Encoding
from dreamvid.media.files import media_errors
from dreamvid.media.gif import Palette
from dreamvid.types import Frame

if TYPE_CHECKING:
    from av.packet import PktSideDataT
    from torch import Tensor

Packets = Iterator["Packet[VideoStream]"]
"""In decoding order."""

_PICTURE = struct.Struct("<qqI")
"""pts, ticks and the number of planes; then each plane's length and bytes."""
_PACKET = struct.Struct("<qqqBII")
"""pts, dts, duration, whether it is a keyframe, and the lengths of content and alpha."""
_ALPHA: PktSideDataT = "matroska_block_additional"
"""Where VP8 and VP9 have theirs."""
_LENGTH = struct.Struct("<I")
_NONSENSE = 2**40
"""Ticks; no delay of an encoder is as long."""


@dataclass(frozen=True)
class Picture:
    """A frame as the encoder takes it. Times are in ticks of the encoding's clock."""

    image: av.VideoFrame
    pts: int
    ticks: int
    """How long it is shown."""

    def to_bytes(self) -> bytes:
        """Everything that the encoder reads of it but its colour tags."""
        parts = [_PICTURE.pack(self.pts, self.ticks, len(self.image.planes))]
        for plane in self.image.planes:
            content = bytes(plane)
            parts += [_LENGTH.pack(len(content)), content]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes, encoding: Encoding) -> Picture:
        """The same again, tagged as `encoding` says. Raises ValueError where it does not fit."""
        pts, ticks, count = _PICTURE.unpack_from(data)
        columns, rows = encoding.padding
        width, height = encoding.info.width + columns, encoding.info.height + rows
        image = av.VideoFrame(width, height, encoding.pix_fmt)
        if len(image.planes) != count:
            raise ValueError(f"{count} planes are not {encoding.pix_fmt}")
        offset = _PICTURE.size
        for plane in image.planes:
            (length,) = _LENGTH.unpack_from(data, offset)
            offset += _LENGTH.size
            # Rows may be padded differently.
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


class PictureMaker:
    """Makes pictures of frames, one after the other, each at its exact tick.

    `end_pts` is the tick at which the picture before them ends, `step` how long that is shown.
    """

    def __init__(
        self, encoding: Encoding, end_pts: int = -(2**62), step: Fraction | None = None
    ) -> None:
        self._encoding = encoding
        self._converter = Converter(encoding.codec.canonical_name)
        self._palette = Palette() if encoding.pix_fmt == "pal8" else None
        self.end_pts = end_pts
        self.step = 1 / encoding.rate if step is None else step

    def make(self, frame: Frame, duration: Fraction | None) -> Picture:
        """A picture shown for `duration` seconds, where that is unknown as long as the last."""
        self.step = self.step if duration is None else duration
        made = self._image(frame)
        clock = self._encoding.clock
        pts = max(round(frame.time / clock), self.end_pts)
        ticks = max(1, round((frame.time + self.step) / clock) - pts)
        made.pts, made.time_base = pts, clock
        self.end_pts = pts + ticks
        return Picture(made, pts, ticks)

    def _image(self, frame: Frame) -> av.VideoFrame:
        encoding = self._encoding
        image, alpha = frame.image, frame.alpha
        if any(encoding.padding):
            image = _padded(image, *encoding.padding)
            alpha = None if alpha is None else _padded(alpha, *encoding.padding)
        if self._palette is not None:
            return self._palette.apply(self._converter.to_frame(image, "rgb24", encoding.tags))
        return self._converter.to_frame(image, encoding.pix_fmt, encoding.tags, alpha)


class SegmentEncoder:
    """Encodes pictures to packets that stand for themselves: a segment of a longer film."""

    def __init__(self, encoding: Encoding) -> None:
        """Raises MediaError where the encoder cannot be had."""
        self._context = encoding.create()
        self._ticks: dict[int, int] = {}

    @property
    def header(self) -> bytes:
        """What decoders must know beforehand; the same for all segments that can be joined."""
        return bytes(self._context.extradata or b"")

    def encode(self, picture: Picture) -> Iterator[bytes]:
        """The packets that are ready, as `read_packets` reads them. Raises MediaError."""
        self._ticks[picture.pts] = picture.ticks
        return self._packed(picture.image)

    def finish(self) -> Iterator[bytes]:
        """The packets still to come. Raises MediaError."""
        return self._packed(None)

    def _packed(self, image: av.VideoFrame | None) -> Iterator[bytes]:
        with media_errors(f"{self._context.name} cannot encode"):
            for packet in self._context.encode(image):
                pts = packet.pts or 0
                dts = decoding_time(packet)
                content, alpha = bytes(packet), bytes(packet.get_sidedata(_ALPHA))
                lengths = len(content), len(alpha)
                fields = pts, dts, self._ticks.pop(pts, 1), packet.is_keyframe, *lengths
                yield _PACKET.pack(*fields) + content + alpha


def read_packets(data: bytes) -> Packets:
    """The packets that a `SegmentEncoder` has made."""
    offset = 0
    while offset < len(data):
        pts, dts, duration, is_keyframe, *lengths = _PACKET.unpack_from(data, offset)
        parts = []
        offset += _PACKET.size
        for length in lengths:
            parts.append(data[offset : offset + length])
            offset += length
        packet: Packet[Any] = Packet(parts[0])
        packet.pts, packet.dts, packet.duration = pts, dts, duration
        packet.is_keyframe = bool(is_keyframe)
        if parts[1]:
            packet.set_sidedata(_side_data(_ALPHA, parts[1]))
        yield packet


def _side_data(kind: PktSideDataT, content: bytes) -> PacketSideData:
    number = packet_sidedata_type_from_literal(kind)
    made = PacketSideData(number, len(content))  # type: ignore[call-arg]
    made.update(content)
    return made


def decoding_time(packet: Packet[Any]) -> int:
    """Its dts; its pts where there is none, or x265's nonsense for the first of a few pictures."""
    pts = packet.pts or 0
    dts = pts if packet.dts is None else packet.dts
    return pts if dts > pts or pts - dts > _NONSENSE else dts


def in_order(packets: Packets) -> Packets:
    """Packets of segments one after another, with decoding times that increase.

    Before its first picture an encoder with B-frames counts decoding times from its own rate;
    where pictures get slower, that reaches back into the segment before. There are fewer such
    packets than ticks up to the segment's first picture, so that none is decoded too late.
    """
    last: int | None = None
    for packet in packets:
        dts = decoding_time(packet)
        last = dts if last is None else max(dts, last + 1)
        packet.dts = last
        yield packet


def _padded(image: Tensor, columns: int, rows: int) -> Tensor:
    """(C, H, W) with its last column and row repeated."""
    import torch.nn.functional as F

    return F.pad(image[None], (0, columns, 0, rows), mode="replicate")[0]
