"""Marks of decoded pictures, by which one is found again on any machine."""

from __future__ import annotations

import zlib
from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext


def mark_of(frame: av.VideoFrame) -> int:
    """CRC-32 of a picture's code values, without the padding of its rows.

    Made of what the decoder gave, since sums in float32 differ from one kind of processor to
    another.
    """
    context = av.CodecContext.create("rawvideo", "w")  # which knows the layout of every format
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
    context.time_base = Fraction(1, 25)
    mark = 0
    for packet in context.encode(frame):
        mark = zlib.crc32(packet, mark)
    return mark
