"""Packets and sound muxed into a video file that gets its name when it is complete."""

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
from dreamvid.media.containers import MAX_TIMESCALE, container_at, container_of
from dreamvid.media.encoders import Encoding
from dreamvid.media.files import (
    STANDARD,
    check_output,
    media_errors,
    open_input,
    partial_path,
    publish,
)
from dreamvid.media.probing import VideoInfo
from dreamvid.media.tracks import SoundSource

_FRAGMENTED = "use_metadata_tags+frag_keyframe+delay_moov+default_base_moof"
_NOT_COPIED = {"compatible_brands", "dreamvid", "encoder", "major_brand", "minor_version"}
"""Metadata keys that describe the source's file, or how the source itself was dreamed."""


class Muxer(Finishes):
    """A video file that takes encoded packets, with sound and subtitles beside them.

    `info` gives size, rate, time base, colour tags, pixel shape, metadata and chapters; `encoding`
    is the chosen encoding, and `stream` the video stream, whose encoder is open. The path `-` is
    standard output. Until `close` the result has a hidden name beside `path` (`partial`, where
    given); leaving the `with` block by an exception removes it, as `abort` does.

    Raises MediaError, before any packet, for a path that may not be written, an unknown codec, or
    a codec, pixel format, quality and sound that are incompatible; later, where writing fails.
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
        self._path, self._config, self._overwrite = Path(path), config, overwrite
        check_output(self._path, overwrite=overwrite)
        self._is_pipe = self._path == STANDARD
        self._partial = None if self._is_pipe else partial or partial_path(self._path)
        self._kind = (
            container_of(config.output_format) if self._is_pipe else container_at(self._path)
        )
        self._sound = sound
        if sound is not None and not self._kind.holds_sound:
            sound.leave_out(self._kind.format)
            self._sound = None
        self._clock = self._kind.clock_for(info.time_base)
        self._end_pts = -(2**62)
        # The last packet waits, because its duration is known only at the end.
        self._held: Packet[VideoStream] | None = None
        self._first_pts, self._first_dts = 0, 0
        self._is_open, self._is_complete = True, False
        self._container = self._create()
        try:
            self._describe(info, metadata or {})
            self.encoding = Encoding.choose(config, info, self._kind, self._container)
            self.stream = self._add_stream()
            self._attach_sound()
            self._write_header()
        except BaseException:
            self.abort()
            raise

    # Setting up

    def _create(self) -> OutputContainer:
        with media_errors(f"'{self._path}' cannot be written"):
            return av.open(
                "pipe:1" if self._is_pipe else f"file:{self._partial}",
                "w",
                format=self._kind.format,
                container_options=self._container_options(),
            )

    def _container_options(self) -> dict[str, str]:
        if not self._kind.is_isom:
            return {}
        timescale = self._clock.denominator
        while timescale < 10_000:  # FFmpeg's own default
            timescale *= 2
        rates = self._sound.sample_rates if self._sound and self._config.sound else []
        common = math.lcm(timescale, *rates)
        return {
            "movflags": _FRAGMENTED if self._is_pipe else "use_metadata_tags",
            "video_track_timescale": str(timescale),
            # The unit of edit lists: a coarser one would move the start of pictures or sound.
            "movie_timescale": str(common if common <= MAX_TIMESCALE else timescale),
        }

    def _describe(self, info: VideoInfo, metadata: Mapping[str, str]) -> None:
        """Set the source's metadata, overridden by `metadata`, and the source's chapters."""
        copied = {key: text for key, text in info.metadata.items() if key not in _NOT_COPIED}
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
                for number, chapter in enumerate(info.chapters, 1)
            ]
        )

    def _add_stream(self) -> VideoStream:
        """A video stream whose encoder is open, because the header needs its parameters."""
        stream = self._container.add_stream(
            self.encoding.codec.name, rate=self.encoding.rate, options=dict(self.encoding.options)
        )
        assert isinstance(stream, VideoStream)
        self.encoding.configure(stream.codec_context)
        self.encoding.start(stream.codec_context)
        return stream

    def _attach_sound(self) -> None:
        if self._sound is not None:
            self._sound.attach(
                self._container,
                self._path,
                sound=self._config.sound,
                subtitles=self._config.subtitles,
            )

    def _write_header(self) -> None:
        try:
            with self.writing():
                self._container.start_encoding()
        except MediaError as error:
            if isinstance(error.__cause__, OSError):
                raise
            # FFmpeg lists codecs for the container that its muxer refuses.
            sound = " and this sound" if self._sound and self._config.sound else ""
            raise MediaError(
                f"'{self._path}': {self._kind.format} cannot hold "
                f"{self.encoding.codec.name}{sound}; "
                "allowed: an output named .mkv, another --codec, or --no-sound"
            ) from error

    # Writing

    def mux(self, packet: Packet[VideoStream]) -> None:
        """Add a packet of an encoder of this `encoding`, in decoding order, with its duration.

        Raises MediaError where the file cannot be written.
        """
        packet.stream, packet.time_base = self.stream, self._clock
        self._end_pts = max(self._end_pts, (packet.pts or 0) + (packet.duration or 0))
        with self.writing():
            if self._held is None:
                self._first_pts, self._first_dts = packet.pts or 0, packet.dts or 0
            else:
                self._mux_with_sound(self._held)
            self._held = packet

    def complete(self) -> None:
        """Finish the file, but keep its hidden name. Raises MediaError where that fails."""
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
        """Stop and remove the unfinished file; no effect after `close`."""
        if not self._is_open:
            return
        self._is_open = False
        with suppress(av.FFmpegError, OSError):
            self._container.close()
        with suppress(OSError):
            if self._partial is not None:
                self._partial.unlink(missing_ok=True)

    def writing(self) -> AbstractContextManager[None]:
        """A context that turns errors of FFmpeg and the system into a MediaError."""
        return media_errors(f"'{self._path}' cannot be written")

    def _finish(self) -> None:
        if self._held is None:
            raise MediaError(f"'{self._path}' cannot be written: no frame has come")
        with self.writing():
            self._mux_last(self._held)
            if self._sound is not None and self._sound.ends_with_picture:
                self._sound.stop_at(self._end_pts * self._clock)
            self._mux_sound(None)
            self._container.close()

    def _mux_last(self, packet: Packet[VideoStream]) -> None:
        if self._kind.is_isom:
            # Decoding times decide the length of the track, and with B-frames the last packet
            # is not the last picture.
            shown = self._end_pts - self._first_pts
            packet.duration = max(packet.duration or 0, shown - (packet.dts or 0) + self._first_dts)
        self._mux_with_sound(packet)

    def _mux_with_sound(self, packet: Packet[VideoStream]) -> None:
        self._mux_sound((packet.dts or 0) * self._clock)
        self._container.mux_one(packet)

    def _mux_sound(self, until: Fraction | None) -> None:
        if self._sound is not None:
            for packet in self._sound.packets_until(until):
                self._container.mux_one(packet)


def check_whole(path: Path, packets: Iterable[Packet[Any]], clock: Fraction) -> None:
    """Raise MediaError unless `path` has the pictures and length of `packets`, in `clock` ticks."""
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
        # MP4 has packet durations only between decoding times; others have no stream duration.
        is_isom = container.format.name not in ("matroska,webm", "gif")
        lasts = (stream.duration or 0) * tick if is_isom else got_end - first
        if abs(lasts - (end - first)) > 2 * tick:
            raise MediaError(f"'{path}' is not whole: it lasts {lasts} s, not {end - first} s")
