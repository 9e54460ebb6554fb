"""Frames into a video file that appears under its name only when it is whole."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from dreamvid.config import WriteConfig
from dreamvid.errors import MediaError
from dreamvid.media.closing import Finishes
from dreamvid.media.colour import has_alpha
from dreamvid.media.encoders import Encoding
from dreamvid.media.files import (
    FORMATS,
    STANDARD,
    check_output,
    media_errors,
    open_input,
    partial_path,
    publish,
)
from dreamvid.media.gif import GIF_CLOCK
from dreamvid.media.info import VideoInfo
from dreamvid.media.pictures import PictureMaker, decoding_time
from dreamvid.media.sound import SoundSource
from dreamvid.types import Frame

_MAX_TIMESCALE = 2**31 - 1
_FALLBACK_CLOCK = Fraction(1, 705_600_000)
"""A multiple of every common frame and sample rate."""
_FRAGMENTED = "use_metadata_tags+frag_keyframe+delay_moov+default_base_moof"
_SILENT = {"gif", "rawvideo"}
_NOT_COPIED = {"compatible_brands", "dreamvid", "encoder", "major_brand", "minor_version"}
"""Metadata that tell of the source's file, or of how the source was dreamed."""


class VideoWriter(Finishes):
    """A video file being written: pictures encoded, sound and subtitles copied beside them.

    `info` gives size, rate, time base, colour tags, pixel shape, metadata and chapters. Times are
    kept exactly in .mp4 and .mov, to the nearest millisecond in .mkv and .webm, to the nearest
    hundredth of a second in .gif. The path `-` is standard output. Where the encoder takes only
    even sides, the last row or column is repeated. Until `close` the result has a hidden name
    beside `path` (`partial`, where given); leaving the `with` block by an exception removes it, as
    `abort` does.

    Raises MediaError, before any frame, for a path that may not be written, an unknown codec, or
    a codec, pixel format, quality or sound that do not go together; later, where writing fails.
    """

    def __init__(
        self,
        path: Path,
        info: VideoInfo,
        config: WriteConfig,
        *,
        overwrite: bool = False,
        sound: SoundSource | None = None,
        metadata: Mapping[str, str] | None = None,
        partial: Path | None = None,
    ) -> None:
        self._path, self._info, self._overwrite = Path(path), info, overwrite
        self._config = config
        check_output(self._path, overwrite=overwrite)
        self._is_pipe = self._path == STANDARD
        self._partial = None if self._is_pipe else partial or partial_path(self._path)
        self._format = config.output_format if self._is_pipe else FORMATS[self._path.suffix.lower()]
        self._sound = sound
        if sound is not None and self._format in _SILENT:
            sound.leave_out(self._format)
            self._sound = None
        self._is_isom = self._format in ("mp4", "mov")
        self._clock = GIF_CLOCK if self._format == "gif" else _clock(info.time_base)
        self._waiting: Frame | None = None  # until the next one tells how long it is shown
        self._durations: dict[int, int] = {}  # by pts, of pictures inside the encoder
        self._end_pts = -(2**62)
        # The last packet waits too: how long it is shown is known only at the end.
        self._held: Packet[VideoStream] | None = None
        self._first_pts, self._first_dts = 0, 0
        self._is_open, self._is_complete = True, False
        self._container = self._create()
        try:
            self._describe(metadata or {})
            self.encoding = Encoding.choose(config, info, self._clock, self._container)
            self._pictures = PictureMaker(self.encoding)
            self._stream = self._add_stream()
            self._start_encoding()
        except BaseException:
            self.abort()
            raise

    @property
    def keeps_alpha(self) -> bool:
        """Whether the alpha of frames arrives in the result."""
        return has_alpha(self.encoding.pix_fmt)

    # Setting up

    def _create(self) -> OutputContainer:
        with media_errors(f"'{self._path}' cannot be written"):
            return av.open(
                "pipe:1" if self._is_pipe else f"file:{self._partial}",
                "w",
                format=self._format,
                container_options=self._container_options(),
            )

    def _container_options(self) -> dict[str, str]:
        if not self._is_isom:
            return {}
        timescale = self._clock.denominator
        while timescale < 10_000:  # as FFmpeg does by itself where none is named
            timescale *= 2
        common = math.lcm(timescale, *self._sample_rates())
        return {
            "movflags": _FRAGMENTED if self._is_pipe else "use_metadata_tags",
            "video_track_timescale": str(timescale),
            # Edit lists count in it: a coarser one would move the start of pictures or sound.
            "movie_timescale": str(common if common <= _MAX_TIMESCALE else timescale),
        }

    def _sample_rates(self) -> list[int]:
        return self._sound.sample_rates if self._sound and self._config.sound else []

    def _describe(self, metadata: Mapping[str, str]) -> None:
        """What the source said of itself, `metadata` over it, and its chapters."""
        copied = {key: text for key, text in self._info.metadata.items() if key not in _NOT_COPIED}
        self._container.metadata.update({**copied, **metadata})
        self._container.set_chapters(
            [
                {
                    "id": number,
                    "start": round(chapter.start * av.time_base),
                    "end": round(chapter.end * av.time_base),
                    "time_base": Fraction(1, av.time_base),
                    "metadata": dict(chapter.metadata),
                }
                for number, chapter in enumerate(self._info.chapters, 1)
            ]
        )

    def _add_stream(self) -> VideoStream:
        stream = self._container.add_stream(
            self.encoding.codec.name, rate=self.encoding.rate, options=dict(self.encoding.options)
        )
        assert isinstance(stream, VideoStream)
        self.encoding.configure(stream.codec_context)
        return stream

    def _start_encoding(self) -> None:
        """Open the encoder, add the sound and write the header."""
        self.encoding.start(self._stream.codec_context)
        if self._sound is not None:
            self._sound.attach(
                self._container,
                self._path,
                sound=self._config.sound,
                subtitles=self._config.subtitles,
            )
        self._write_header()

    def _write_header(self) -> None:
        try:
            with self._writing():
                self._container.start_encoding()
        except MediaError as error:
            if isinstance(error.__cause__, OSError):
                raise
            # What FFmpeg's list of codecs for the container had promised.
            sound = " and this sound" if self._sound and self._config.sound else ""
            raise MediaError(
                f"'{self._path}': {self._container.format.name} cannot hold "
                f"{self._stream.codec_context.name}{sound}; "
                "allowed: an output named .mkv, another --codec, or --no-sound"
            ) from error

    # Writing

    def write(self, frame: Frame) -> None:
        """Add a frame, which must be shown later than the one before.

        Raises ValueError for a wrong size or time, MediaError where the file cannot be written.
        """
        shape = (3, self._info.height, self._info.width)
        if tuple(frame.image.shape) != shape:
            raise ValueError(f"a frame here is {shape}, not {tuple(frame.image.shape)}")
        if self._waiting is not None:
            if frame.time <= self._waiting.time:
                raise ValueError(f"frame at {frame.time} s after one at {self._waiting.time} s")
            self._encode(self._waiting, frame.time - self._waiting.time)
        self._waiting = frame

    def mux(self, packet: Packet[VideoStream]) -> None:
        """Add a packet of an encoder of this `encoding`, in decoding order, its duration set.

        Raises MediaError where the file cannot be written.
        """
        packet.stream, packet.time_base = self._stream, self._clock
        self._end_pts = max(self._end_pts, (packet.pts or 0) + (packet.duration or 0))
        with self._writing():
            self._hold(packet)

    def complete(self) -> None:
        """Finish the file, but leave it under its hidden name. Raises MediaError."""
        if self._is_complete:
            return
        try:
            self._finish()
        except BaseException:
            self.abort()
            raise
        self._is_complete = True

    def close(self) -> None:
        """Finish the file and give it its name. Raises MediaError where that fails."""
        if not self._is_open:
            return
        self.complete()
        self._is_open = False
        if self._partial is not None:
            publish(self._partial, self._path, self._overwrite)

    def abort(self) -> None:
        """Give up and leave no file; without effect after `close`."""
        if not self._is_open:
            return
        self._is_open = False
        with suppress(av.FFmpegError, OSError):
            self._container.close()
        with suppress(OSError):
            if self._partial is not None:
                self._partial.unlink(missing_ok=True)

    def _writing(self) -> AbstractContextManager[None]:
        return media_errors(f"'{self._path}' cannot be written")

    def _finish(self) -> None:
        if self._waiting is not None:
            self._encode(self._waiting, self._waiting.duration)
        elif self._held is None:
            raise MediaError(f"'{self._path}' cannot be written: no frame has come")
        with self._writing():
            if self._waiting is not None:
                for packet in self._stream.encode(None):
                    self._hold_encoded(packet)
            self._mux_last()
            if self._sound is not None and self._sound.ends_with_picture:
                self._sound.stop_at(self._end_pts * self._clock)
            self._mux_sound(None)
            self._container.close()

    def _encode(self, frame: Frame, duration: Fraction | None) -> None:
        picture = self._pictures.make(frame, duration)
        self._durations[picture.pts], self._end_pts = picture.ticks, picture.pts + picture.ticks
        with self._writing():
            for packet in self._stream.encode(picture.image):
                self._hold_encoded(packet)

    def _hold_encoded(self, packet: Packet[VideoStream]) -> None:
        packet.duration = self._durations.pop(packet.pts or 0, 0)
        packet.dts = decoding_time(packet)
        self._hold(packet)

    def _hold(self, packet: Packet[VideoStream]) -> None:
        """Mux the packet before this one, and keep this one."""
        if self._held is None:
            self._first_pts, self._first_dts = packet.pts or 0, packet.dts or 0
        else:
            self._mux_held(self._held)
        self._held = packet

    def _mux_held(self, packet: Packet[VideoStream]) -> None:
        self._mux_sound((packet.dts or 0) * self._clock)
        self._container.mux_one(packet)

    def _mux_last(self) -> None:
        packet = self._held
        if packet is None:
            return
        if self._is_isom:
            # The track is as long as its decoding times say, and with B-frames the last packet
            # is not the last picture.
            shown = self._end_pts - self._first_pts
            packet.duration = max(packet.duration or 0, shown - (packet.dts or 0) + self._first_dts)
        self._mux_held(packet)

    def _mux_sound(self, until: Fraction | None) -> None:
        if self._sound is not None:
            for packet in self._sound.packets_until(until):
                self._container.mux_one(packet)


def _clock(time_base: Fraction) -> Fraction:
    """The time base to encode in: the frames' own, where FFmpeg's integers hold it."""
    fits = max(time_base.numerator, time_base.denominator) <= _MAX_TIMESCALE
    return time_base if fits else _FALLBACK_CLOCK


def check_whole(path: Path, packets: Iterable[Packet[Any]], clock: Fraction) -> None:
    """Raise MediaError unless `path` shows what `packets` (in ticks of `clock`) do, as long."""
    with open_input(path) as container, media_errors(f"'{path}' cannot be read"):
        stream = container.streams.video[0]
        tick = stream.time_base or clock
        found = (packet for packet in container.demux(stream) if packet.size)
        first, end, got_end = Fraction(2**62), Fraction(0), Fraction(0)
        for number, (wanted, got) in enumerate(zip_longest(packets, found)):
            if wanted is None or got is None:
                raise MediaError(f"'{path}' is not whole: it has not the frames that were made")
            time = (wanted.pts or 0) * clock
            if abs((got.pts or 0) * tick - time) > tick / 2:
                raise MediaError(f"'{path}' is not whole: its packet {number} is not at {time} s")
            first, end = min(first, time), max(end, time + (wanted.duration or 0) * clock)
            got_end = max(got_end, ((got.pts or 0) + (got.duration or 0)) * tick)
        # MP4 has the packets' durations between decoding times alone, and Matroska no stream's.
        is_isom = container.format.name != "matroska,webm"
        lasts = (stream.duration or 0) * tick if is_isom else got_end - first
        if abs(lasts - (end - first)) > 2 * tick:
            raise MediaError(f"'{path}' is not whole: it lasts {lasts} s, not {end - first} s")
