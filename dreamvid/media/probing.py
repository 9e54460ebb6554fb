"""Description of a video file from its header and first picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from dreamvid.errors import MediaError
from dreamvid.media.colour import ColourTags, is_transparent, orientation, tags_of
from dreamvid.media.files import DEVICES, media_errors, open_input

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_BROADCAST = {"mpeg", "mpegts"}
_BROADCAST_CLOCK = 90_000


@dataclass(frozen=True)
class Chapter:
    """A named part of a film; times in seconds."""

    start: Fraction
    end: Fraction
    metadata: Mapping[str, str] = field(default_factory=dict)
    """FFmpeg's keys, for example `title`."""


@dataclass(frozen=True)
class SubtitleTrack:
    """One track of subtitles."""

    codec: str
    language: str | None = None


@dataclass(frozen=True)
class SoundTrack:
    """One track of sound."""

    codec: str
    rate: int
    """Samples a second."""
    channels: int
    layout: str
    """FFmpeg's name, for example stereo or 5.1."""
    duration: Fraction | None
    """Seconds; None where the header does not state it."""
    language: str | None = None


@dataclass(frozen=True)
class VideoInfo:
    """Description of a video from its header and first picture; times in seconds."""

    width: int
    """Pixels as displayed, after rotation."""
    height: int
    rate: Fraction | None = None
    """Average frames a second."""
    time_base: Fraction = Fraction(1, 90_000)
    """Unit of the frames' times, in seconds."""
    frame_count: int | None = None
    """The header's count, or its duration times its rate; None where unknown."""
    duration: Fraction | None = None
    start_time: Fraction = Fraction(0)
    """Time at which the first frame is shown."""
    codec: str = ""
    pix_fmt: str = ""
    sample_aspect_ratio: Fraction = Fraction(1)
    """Width over height of a pixel, as displayed."""
    rotation: int = 0
    """Degrees clockwise that the pixels are turned for display."""
    interlaced: bool = False
    """Whether the picture is two fields of different moments; the reader deinterlaces it."""
    alpha: bool = False
    """Whether frames may be transparent."""
    colour: ColourTags = field(default_factory=ColourTags)
    sound: tuple[SoundTrack, ...] = ()
    subtitles: tuple[SubtitleTrack, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    container: str = ""
    """FFmpeg's name of the container's format."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The container's metadata, with keys in lower case (Matroska writes them in upper case)."""


def probe(
    path: Path,
    input_format: str | None = None,
    on_warning: Callable[[str], None] = lambda text: None,
) -> VideoInfo:
    """Description of a video file or a pipe; only the first picture is decoded.

    `on_warning` is told where a pipe brings nothing. Raises MediaError where it cannot be read or
    holds no picture.
    """
    with open_input(path, input_format, on_warning=on_warning) as container:
        stream = picture_stream(container, path)
        with media_errors(f"'{path}' cannot be decoded"):
            decoder = create_decoder(stream)
            for packet in container.demux(stream):
                try:
                    frames = decoder.decode(packet)
                except av.InvalidDataError:
                    continue
                if frames:
                    return describe(container, stream, frames[0])
    raise no_picture(path)


def no_picture(path: Path) -> MediaError:
    """The error for a file without a picture that can be decoded."""
    return MediaError(f"'{path}' holds no picture that can be decoded; allowed: a video file")


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first stream of moving pictures. Raises MediaError where there is none."""
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    if not streams:
        raise MediaError(f"'{path}' has no picture stream; allowed: a video file")
    if not has_decoder(streams[0]):
        raise MediaError(f"'{path}' has pictures that this build of FFmpeg cannot decode")
    return streams[0]


def create_decoder(stream: VideoStream) -> VideoStream | VideoCodecContext:
    """The stream's own decoder; another for VP8 and VP9 with alpha, as FFmpeg's drop alpha."""
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode") != "1":
        return stream
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, VideoCodecContext)
    return decoder


def describe(container: InputContainer, stream: VideoStream, frame: av.VideoFrame) -> VideoInfo:
    """Description of `stream` from its header and first decoded frame."""
    turned = orientation(frame)
    aspect = stream.sample_aspect_ratio or Fraction(1)
    width, height = frame.width, frame.height
    if turned.transposed:
        width, height, aspect = height, width, 1 / aspect
    time_base = stream.time_base or Fraction(1, 90_000)
    rate = stream.average_rate or stream.guessed_rate
    duration = _duration(container, stream)
    return VideoInfo(
        width=width,
        height=height,
        rate=rate,
        time_base=time_base,
        frame_count=stream.frames or (round(duration * rate) if duration and rate else None),
        duration=duration,
        start_time=(stream.start_time or 0) * time_base,
        codec=stream.codec_context.codec.canonical_name,
        pix_fmt=frame.format.name,
        sample_aspect_ratio=aspect,
        rotation=turned.rotation,
        interlaced=frame.interlaced_frame,
        alpha=is_transparent(frame),
        colour=tags_of(frame),
        sound=tuple(_sound_track(container, track) for track in container.streams.audio),
        subtitles=tuple(
            SubtitleTrack(track.codec_context.codec.canonical_name, track.language)
            for track in container.streams.subtitles
            if has_decoder(track)
        ),
        chapters=tuple(_chapter(chapter) for chapter in container.chapters()),
        container=container.format.name,
        metadata={key.lower(): value for key, value in container.metadata.items()},
    )


def claimed_end(container: InputContainer, stream: VideoStream | AudioStream) -> Fraction | None:
    """End time of the stream, or else of the file, by the header; None where it states neither."""
    if stream.duration and stream.time_base:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base
    if not container.duration:
        return None
    # Matroska's duration counts from 0, the duration of other containers from their start.
    begin = 0 if "matroska" in container.format.name else container.start_time or 0
    return Fraction(begin + container.duration, av.time_base)


def zero_of(container: InputContainer) -> Fraction:
    """The file's time that users call 0.

    It is the first time of a broadcast or a device, whose clock begins anywhere, otherwise 0.
    """
    if not set(DEVICES).isdisjoint(container.format.name.split(",")):
        begins = [
            stream.start_time * stream.time_base
            for stream in container.streams
            if stream.start_time is not None and stream.time_base is not None
        ]
        return min(begins, default=Fraction(0))
    if container.format.name in _BROADCAST and container.start_time is not None:
        ticks = round(Fraction(container.start_time * _BROADCAST_CLOCK, av.time_base))
        return Fraction(ticks, _BROADCAST_CLOCK)
    return Fraction(0)


def moved_chapters(
    chapters: Sequence[Chapter], origin: Fraction, end: Fraction | None
) -> tuple[Chapter, ...]:
    """Chapters between `origin` and `end` (seconds), cut to that range, with `origin` as 0."""
    last = max((chapter.end for chapter in chapters), default=origin)
    stop = last if end is None else min(last, end)
    return tuple(
        replace(
            chapter,
            start=max(chapter.start, origin) - origin,
            end=min(chapter.end, stop) - origin,
        )
        for chapter in chapters
        if chapter.start < stop and chapter.end > origin
    )


def _duration(container: InputContainer, stream: VideoStream | AudioStream) -> Fraction | None:
    end = claimed_end(container, stream)
    begin = (stream.start_time or 0) * (stream.time_base or 0)
    return None if end is None else end - begin


def _sound_track(container: InputContainer, stream: AudioStream) -> SoundTrack:
    duration = _duration(container, stream)
    if not has_decoder(stream):
        return SoundTrack("unknown", 0, 0, "unknown", duration, stream.language)
    context = stream.codec_context
    return SoundTrack(
        codec=context.codec.canonical_name,
        rate=context.sample_rate,
        channels=context.channels,
        layout=context.layout.name,
        duration=duration,
        language=stream.language,
    )


def _chapter(chapter: Any) -> Chapter:
    time_base = chapter["time_base"]
    metadata = {key.lower(): value for key, value in chapter["metadata"].items()}
    return Chapter(chapter["start"] * time_base, chapter["end"] * time_base, metadata)


def has_decoder(stream: Stream) -> bool:
    """Whether this build of FFmpeg can decode the stream's codec."""
    return stream.codec_context is not None


def packet_time(packet: Packet[Any]) -> Fraction:
    """Time at which a packet's picture or sound begins, in seconds."""
    stamp = packet.pts if packet.pts is not None else packet.dts
    return (stamp or 0) * packet.time_base


def parse_size(size: str, source: VideoInfo) -> tuple[int, int]:
    """(width, height) of "WIDTHxHEIGHT", or of "WIDTH" in the displayed shape of `source`.

    A height computed from the width is even. Raises ValueError where `size` is neither.
    """
    width, _, height = size.partition("x")
    if height:
        return int(width), int(height)
    shape = source.height / (source.width * source.sample_aspect_ratio)
    return int(width), max(2, 2 * round(int(width) * shape / 2))
