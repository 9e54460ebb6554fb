"""Frames and packets as bytes, and packets of several encoders one after another."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from av.packet import Packet

from dreamvid.config import WriteConfig
from dreamvid.errors import MediaError
from dreamvid.media import VideoInfo, VideoWriter
from dreamvid.media.encoder_frames import EncoderFrame, EncoderFrameMaker
from dreamvid.media.muxer import Muxer, check_whole
from dreamvid.media.packets import PacketEncoder, in_order, join, read_packets, segment_encoder
from dreamvid.types import Frame
from tests.media.clips import packets_of, picture, steady, times_of

CLOCK = Fraction(1, 24)


def encode(muxer: Muxer, frames: Sequence[Frame], through_bytes: bool) -> list[bytes]:
    encoding = muxer.encoding
    encoder, maker = PacketEncoder(encoding), EncoderFrameMaker(encoding)
    packets: list[bytes] = []
    for frame in frames:
        made = maker.make(frame, frame.duration)
        if through_bytes:
            made = EncoderFrame.from_bytes(made.to_bytes(), encoding)
        packets += encoder.encode(made)
    return packets + list(encoder.finish())


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "size"),
    [
        ("libx264", None, (64, 48)),
        ("libx264", None, (97, 75)),
        ("libx264", "nv12", (98, 76)),
        ("libx264", "yuv444p10le", (97, 75)),
        ("ffv1", "bgr0", (97, 75)),
        ("mjpeg", None, (98, 76)),
    ],
)
def test_pictures_kept_as_bytes_are_encoded_alike(tmp_path, codec, pix_fmt, size):
    width, height = size
    info = VideoInfo(width, height, rate=Fraction(24), time_base=CLOCK)
    frames = [Frame(picture(k, *size), time, CLOCK) for k, time in enumerate(steady(8))]
    config = WriteConfig(codec=codec, pix_fmt=pix_fmt)
    straight, kept = tmp_path / "a.mkv", tmp_path / "b.mkv"
    with VideoWriter(straight, info, config) as writer:
        for frame in frames:
            writer.write(frame)
    with Muxer(kept, info, config) as muxer:
        packets = encode(muxer, frames, through_bytes=True)
        assert packets == encode(muxer, frames, through_bytes=False)
        for data in packets:
            for packet in read_packets(data):
                muxer.mux(packet)
    assert packets_of(kept) == packets_of(straight)
    assert times_of(kept) == times_of(straight)


def test_decoding_times_increase_over_segments_and_none_is_too_late():
    def packet(pts: int, dts: int) -> Packet[Any]:
        made: Packet[Any] = Packet(b"x")
        made.pts, made.dts = pts, dts
        return made

    slower = [(0, -20), (20, -10), (10, 0), (30, 10), (1030, -970), (3030, 30), (2030, 1030)]
    nonsense = [(4030, -(2**62)), (4040, 2**62), (4050, -94_429_427_036_216)]
    found = list(in_order(packet(*stamps) for stamps in slower + nonsense))
    decoded = [made.dts for made in found]
    assert decoded == [-20, -10, 0, 10, 11, 30, 1030, 4030, 4040, 4050]
    assert all((made.dts or 0) <= (made.pts or 0) for made in found)


def joined(path: Path, drop: int = 0) -> list[bytes]:
    """A file of ten packets less the last `drop`, and all ten."""
    info = VideoInfo(64, 48, rate=Fraction(24), time_base=CLOCK)
    frames = [Frame(picture(k), time, CLOCK) for k, time in enumerate(steady(10))]
    with Muxer(path, info, WriteConfig(codec="mpeg4")) as muxer:
        packets = encode(muxer, frames, through_bytes=False)
        for data in packets[: len(packets) - drop]:
            for packet in read_packets(data):
                muxer.mux(packet)
    return packets


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_result_is_checked_against_its_packets(tmp_path, suffix):
    whole, short = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    packets = b"".join(joined(whole))
    check_whole(whole, read_packets(packets), CLOCK)
    joined(short, drop=1)
    with pytest.raises(MediaError, match="is not whole: it has not the frames"):
        check_whole(short, read_packets(packets), CLOCK)
    with pytest.raises(MediaError, match="is not whole: its packet 1 is not at"):
        check_whole(whole, read_packets(packets), CLOCK * 2)


@pytest.mark.parametrize("name", ["a.gif", "a.mp4"])
def test_segments_are_joined_to_what_one_encoder_gives(tmp_path, name):
    info = VideoInfo(64, 48, rate=Fraction(24), time_base=CLOCK)
    config = WriteConfig(codec=None if name.endswith("gif") else "mjpeg")
    frames = [Frame(picture(k), time, CLOCK) for k, time in enumerate(steady(10))]
    with VideoWriter(tmp_path / name, info, config) as writer:
        for frame in frames:
            writer.write(frame)
    parts: list[bytes] = []
    with Muxer(tmp_path / f"joined-{name}", info, config) as muxer:
        maker = EncoderFrameMaker(muxer.encoding)
        for begin in (0, 4, 8):
            encoder = segment_encoder(muxer.encoding)
            for frame in frames[begin : begin + 4]:
                parts += encoder.encode(maker.make(frame, frame.duration))
            parts += encoder.finish()
        for packet in join(parts, muxer.encoding):
            muxer.mux(packet)
    joined = tmp_path / f"joined-{name}"
    check_whole(joined, join(parts, muxer.encoding), muxer.encoding.clock)
    assert joined.read_bytes() == (tmp_path / name).read_bytes()
    with pytest.raises(MediaError, match="is not whole"):
        check_whole(joined, join(parts[:-1], muxer.encoding), muxer.encoding.clock)
