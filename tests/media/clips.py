"""Tiny clips made with PyAV, whose every frame can be told from the others."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray
from torch import Tensor

from dreamvid.media import ColourTags
from dreamvid.media.colour import Converter
from dreamvid.media.encoders import quiet_svt

Samples = NDArray[Any]

REAL_CLIPS = Path(__file__).parents[3] / "shared" / "clips"
BIG_BUCK_BUNNY = REAL_CLIPS / "big_buck_bunny_480p_30s.mp4"


def steady(count: int, rate: Fraction | int = 24) -> list[Fraction]:
    return [k / Fraction(rate) for k in range(count)]


def uneven(count: int) -> list[Fraction]:
    """Times of a variable rate, on a clock of 1/600 s."""
    gaps = [25, 10, 40, 25, 75]
    times = [Fraction(0)]
    for k in range(count - 1):
        times.append(times[-1] + Fraction(gaps[k % len(gaps)], 600))
    return times


def picture(index: int, width: int = 64, height: int = 48) -> Tensor:
    """(3, H, W): the left quarter's grey tells the index (to 28), the rest is moving texture."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    waves = [torch.sin((x + 3 * index) * 0.2 + c) * torch.cos(y * 0.15 + c) for c in range(3)]
    image = 0.5 + 0.35 * torch.stack(waves)
    image[:, :, : width // 4] = (16 + 8 * index) / 255
    return image


def dyed(image: Tensor, shot: int) -> Tensor:
    """An image (3, H, W) in the colour of that shot, far from those of the shots beside it."""
    colours = [(1, 0, 0), (0, 1, 1), (1, 1, 0), (0, 0, 1), (0, 1, 0), (1, 0, 1), (1, 1, 1)]
    colour = torch.tensor(colours[shot % len(colours)]).view(3, 1, 1)
    return 0.4 * image + 0.6 * colour


def index_of(image: Tensor) -> int:
    """Which `picture` it is."""
    patch = image[:, 2:-2, 1 : max(2, image.shape[2] // 4 - 2)]
    return round((float(patch.mean()) * 255 - 16) / 8)


@dataclass(frozen=True)
class Clip:
    """What to make; the defaults are an ordinary phone-less clip with B-frames."""

    times: Sequence[Fraction] = field(default_factory=lambda: steady(24))
    time_base: Fraction = Fraction(1, 24)
    size: tuple[int, int] = (64, 48)
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=lambda: {"crf": "6", "bf": "2"})
    """x264's mbtree is always off, because with it no two runs give the same."""
    container: Mapping[str, str] = field(default_factory=dict)
    tags: ColourTags = field(default_factory=ColourTags)
    rotation: int = 0
    hflip: bool = False
    aspect: Fraction = Fraction(1)
    last: Fraction | None = None
    sound: str | None = None
    tracks: int = 1
    shots: Sequence[int] = ()
    """Numbers of frames between cuts; one shot where empty."""


def make(path: Path, clip: Clip) -> Path:
    with av.open(str(path), "w", container_options=dict(clip.container)) as container:
        options = {"preset": "veryfast", "x264-params": "mbtree=0", **clip.options}
        video = container.add_stream(clip.codec, rate=24, options=options)
        assert isinstance(video, VideoStream)
        video.width, video.height = clip.size
        video.pix_fmt = clip.pix_fmt
        context = video.codec_context
        context.thread_count = 1
        context.time_base, context.sample_aspect_ratio = clip.time_base, clip.aspect
        context.color_primaries, context.color_trc = clip.tags.primaries, clip.tags.transfer
        context.colorspace, context.color_range = clip.tags.matrix, clip.tags.range
        if clip.rotation or clip.hflip:
            video.set_display_rotation(clip.rotation, hflip=clip.hflip)
        sounds = [_add_sound(container, clip.sound) for _ in range(clip.tracks) if clip.sound]
        packets: list[Packet[Any]] = []
        with quiet_svt(clip.codec):  # the first frame opens the encoder
            for frame in _frames(clip):
                packets += video.encode(frame)
        packets += video.encode(None)
        _set_durations(packets, clip)
        for stream in sounds:
            packets += _sound(stream, float(clip.times[-1]) + 0.1)
        container.mux(sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base))
    return path


def _add_sound(container: OutputContainer, codec: str) -> AudioStream:
    options = {"strict": "experimental"} if codec == "vorbis" else {}
    stream = container.add_stream(
        codec, rate=48_000, options=options, layout="stereo", bit_rate=128_000
    )
    assert isinstance(stream, AudioStream)
    return stream


def _frames(clip: Clip) -> Iterator[av.VideoFrame]:
    converter = Converter("mjpeg" if clip.codec == "mjpeg" else "h264")
    ends = list(accumulate(clip.shots))
    for index, time in enumerate(clip.times):
        image = picture(index, *clip.size)
        if ends:
            image = dyed(image, bisect_right(ends, index))
        frame = converter.to_frame(image, clip.pix_fmt, clip.tags)
        frame.pts, frame.time_base = round(time / clip.time_base), clip.time_base
        yield frame


def _set_durations(packets: list[Packet[Any]], clip: Clip) -> None:
    step = clip.last or clip.times[-1] - clip.times[-2]
    ends = [*clip.times[1:], clip.times[-1] + step]
    durations = {
        round(time / clip.time_base): round((end - time) / clip.time_base)
        for time, end in zip(clip.times, ends, strict=True)
    }
    for packet in packets:
        packet.duration = durations[packet.pts or 0]


def _sound(stream: AudioStream, seconds: float) -> list[Packet[Any]]:
    size = stream.codec_context.frame_size or 1024
    packets: list[Packet[Any]] = []
    for begin in range(0, round(seconds * 48_000), size):
        wave = tone(np.arange(begin, begin + size))
        frame = av.AudioFrame.from_ndarray(
            np.stack([wave, wave]).astype(np.float32), format="fltp", layout="stereo"
        )
        if stream.codec_context.name.startswith("pcm"):
            frame = av.AudioFrame.from_ndarray(
                np.full((1, 2 * size), 99, np.uint8), format="u8", layout="stereo"
            )
        frame.sample_rate, frame.pts, frame.time_base = 48_000, begin, Fraction(1, 48_000)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def tone(sample: Samples) -> Samples:
    """A rising tone, at 48 kHz, in which every moment sounds different."""
    time = sample / 48_000
    return 0.4 * np.sin(2 * np.pi * (300 + 200 * time) * time)


def times_of(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        clock = container.streams.video[0].time_base or Fraction(1)
        return [(frame.pts or 0) * clock for frame in container.decode(video=0)]


def packets_of(path: Path, kind: str = "video") -> list[bytes]:
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def samples_of(path: Path, count: int, track: int = 0) -> Samples:
    """The left channel at 48 kHz from time 0 on, silence where there is none.

    Packets that a coarse clock puts a little beside the end of the last one follow it directly.
    """
    heard = np.zeros(count + 48_000, dtype=np.float32)
    end = 0
    with av.open(str(path)) as container:
        stream = container.streams.audio[track]
        clock = stream.time_base or Fraction(1)
        for frame in container.decode(stream):
            begin = round((frame.pts or 0) * clock * 48_000)
            begin = end if abs(begin - end) < 96 else begin
            part = frame.to_ndarray()[0][max(0, -begin) :]
            begin = max(0, begin)
            end = begin + len(part)
            if end > len(heard):
                break
            heard[begin:end] = part
    return heard
