"""Marks and digests of pictures as decoders give and encoders take them: of code values alone."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.video.codeccontext import VideoCodecContext

if TYPE_CHECKING:
    from av.packet import Packet


def mark_of(frame: av.VideoFrame) -> int:
    """CRC-32 of a picture's code values, by which it is found again on any machine.

    Made of what the decoder gave, since sums in float32 differ from one kind of processor to
    another.
    """
    mark = 0
    for packet in _code_values(frame):
        mark = zlib.crc32(packet, mark)
    return mark


def picture_digest(frame: av.VideoFrame) -> str:
    """SHA-256 of a picture as an encoder is given it: format, size and code values."""
    digest = hashlib.sha256(f"{frame.format.name} {frame.width}x{frame.height}\n".encode())
    for packet in _code_values(frame):
        digest.update(packet)
    return digest.hexdigest()


def _code_values(frame: av.VideoFrame) -> Sequence[Packet[Any]]:
    """The bytes of a picture's planes, without the padding of their rows."""
    context = av.CodecContext.create("rawvideo", "w")  # which knows the layout of every format
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
    # PyAV brings the picture's time to the encoder's clock, and gives it one where it has none.
    pts, context.time_base = frame.pts, frame.time_base or Fraction(1, 25)
    packets = context.encode(frame)
    frame.pts = pts
    return packets
