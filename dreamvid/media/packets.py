"""Packets of an encoder as bytes, and in the order that a muxer takes.

They are stored as bytes, because containers do not keep packets exactly: Matroska has a clock of
one millisecond and no decoding times, MP4 does not take every codec. Where packets of several
encoders cannot be joined, as in GIF, the frames are stored and encoded once, at the end.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import av
from av.packet import Packet, PacketSideData, packet_sidedata_type_from_literal
from av.video.stream import VideoStream

from dreamvid.media.encoder_frames import EncoderFrame
from dreamvid.media.encoders import Encoding
from dreamvid.media.files import media_errors

if TYPE_CHECKING:
    from av.packet import PktSideDataT

Packets = Iterator["Packet[VideoStream]"]
"""Packets in decoding order."""

_PACKET = struct.Struct("<qqqBII")
"""Header of a packet: pts, dts, duration, keyframe or not, and lengths of content and alpha."""
_LENGTH = struct.Struct("<Q")
_ALPHA: PktSideDataT = "matroska_block_additional"
"""The side data in which VP8 and VP9 keep their alpha."""
_NONSENSE = 2**40
"""Number of ticks that is larger than the delay of every encoder."""


class PacketEncoder:
    """An encoder without a file; its packets are complete by themselves."""

    def __init__(self, encoding: Encoding) -> None:
        """Open the encoder. Raises MediaError where it is not available."""
        self._context = encoding.create()
        self._ticks: dict[int, int] = {}

    @property
    def header(self) -> bytes:
        """The bytes that a decoder needs first; equal for all packets that can be joined."""
        return bytes(self._context.extradata or b"")

    def encode(self, frame: EncoderFrame) -> Iterator[bytes]:
        """Encode a frame; the packets that are ready, for `read_packets`. Raises MediaError."""
        self._ticks[frame.pts] = frame.ticks
        return self._packed(frame.image)

    def finish(self) -> Iterator[bytes]:
        """The remaining packets. Raises MediaError."""
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


class FrameKeeper:
    """Stands in for an encoder whose packets cannot be joined: it keeps frames, compressed."""

    header = b""

    def encode(self, frame: EncoderFrame) -> Iterator[bytes]:
        """The frame, for `join`."""
        content = zlib.compress(frame.to_bytes())
        yield _LENGTH.pack(len(content)) + content

    def finish(self) -> Iterator[bytes]:
        """Nothing: each frame is complete by itself."""
        return iter(())


def segment_encoder(encoding: Encoding) -> PacketEncoder | FrameKeeper:
    """The encoder of one segment of a film. Raises MediaError where it is not available."""
    return PacketEncoder(encoding) if encoding.container.joins else FrameKeeper()


def join(parts: Iterable[bytes], encoding: Encoding) -> Packets:
    """All packets of a film, ready for muxing, from all bytes of its segments' encoders."""
    if encoding.container.joins:
        return in_order(chain.from_iterable(map(read_packets, parts)))
    return in_order(_encoded(parts, encoding))


def _encoded(parts: Iterable[bytes], encoding: Encoding) -> Packets:
    """The packets of all frames that a `FrameKeeper` has kept."""
    encoder = PacketEncoder(encoding)
    for data in parts:
        for content in _read_kept(data):
            for packed in encoder.encode(EncoderFrame.from_bytes(content, encoding)):
                yield from read_packets(packed)
    for packed in encoder.finish():
        yield from read_packets(packed)


def _read_kept(data: bytes) -> Iterator[bytes]:
    offset = 0
    while offset < len(data):
        (length,) = _LENGTH.unpack_from(data, offset)
        offset += _LENGTH.size
        yield zlib.decompress(data[offset : offset + length])
        offset += length


def read_packets(data: bytes) -> Packets:
    """The packets in the bytes of a `PacketEncoder`."""
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
    """The dts of a packet; the pts where dts is missing, or invalid as x265's for a short film."""
    pts = packet.pts or 0
    dts = pts if packet.dts is None else packet.dts
    return pts if dts > pts or pts - dts > _NONSENSE else dts


def in_order(packets: Packets) -> Packets:
    """Make the decoding times of joined packets increase.

    An encoder with B-frames derives the decoding times before its first frame from its own rate.
    Where frames get slower, these times overlap the packets before. There are fewer such packets
    than ticks up to the first frame, so that none is decoded too late.
    """
    last: int | None = None
    for packet in packets:
        dts = decoding_time(packet)
        last = dts if last is None else max(dts, last + 1)
        packet.dts = last
        yield packet
