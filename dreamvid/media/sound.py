"""Sound and subtitles copied packet by packet beside the pictures; nothing is decoded."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from dreamvid.errors import MediaError
from dreamvid.media.files import open_input
from dreamvid.media.info import has_decoder, packet_time, zero_of

_KEPT_TAGS = ("language", "title", "handler_name")


class SoundSource:
    """The sound and subtitles of `path` from `start` to `end` (seconds), moved to begin at 0.

    `origin` is the reader's, in the file's own clock; without it, 0 is at `start`. A file without
    such tracks has none, which is no error. Packets are read as they are asked for, so that
    memory does not grow. What is left out is told to `on_warning`. Raises MediaError where the
    file cannot be read.
    """

    def __init__(
        self,
        path: Path,
        start: Fraction | None = None,
        end: Fraction | None = None,
        *,
        origin: Fraction | None = None,
        on_warning: Callable[[str], None] = warnings.warn,
    ) -> None:
        self._path, self._warn = Path(path), on_warning
        self._container: InputContainer = open_input(self._path)
        zero = zero_of(self._container)
        self._start = None if start is None else start + zero
        self._end = None if end is None else end + zero
        self._origin = origin
        if origin is None:
            self._origin = zero if self._start is None else self._start
        self._tracks: tuple[AudioStream, ...] = self._container.streams.audio
        self._outputs: dict[int, Stream] = {}
        self._pending: Packet[Stream] | None = None
        self._packets: Iterator[Packet[Stream]] = iter(())

    def attach(
        self, output: OutputContainer, path: Path, *, sound: bool = True, subtitles: bool = True
    ) -> None:
        """Add a stream to `output` for each track of the kinds wanted.

        Subtitles that the container cannot hold are left out with a warning. Raises MediaError
        where it cannot hold a sound track's codec.
        """
        for track in self._tracks if sound else ():
            try:
                self._add(output, track)
            except ValueError:
                raise _refusal(track, output, path) from None
        for text in self._container.streams.subtitles if subtitles else ():
            try:
                self._add(output, text)
            except ValueError:
                name = text.codec_context.name if has_decoder(text) else "unknown"
                self._warn(f"'{path}': {output.format.name} cannot hold {name} subtitles, left out")
        self._has_edit_list = output.format.name in ("mp4", "mov")
        self._packets = self._selected()

    def _add(self, output: OutputContainer, track: Stream) -> None:
        stream = output.add_stream_from_template(track)
        kept = {key: track.metadata[key] for key in _KEPT_TAGS if key in track.metadata}
        stream.metadata.update(kept)
        stream.disposition = track.disposition
        self._outputs[track.index] = stream

    @property
    def sample_rates(self) -> list[int]:
        """Of the tracks that have one."""
        rates = [track.codec_context.sample_rate for track in self._tracks if has_decoder(track)]
        return [rate for rate in rates if rate]

    def packets_until(self, time: Fraction | None) -> Iterator[Packet[Stream]]:
        """The next packets that begin no later than `time`; None stands for the end."""
        while True:
            if self._pending is None:
                with suppress(av.FFmpegError):  # a file cut short: the sound ends there
                    self._pending = next(self._packets, None)
            packet = self._pending
            if packet is None or (time is not None and packet_time(packet) > time):
                return
            self._pending = None
            yield packet

    def close(self) -> None:
        """Let go of the file; no more packets come."""
        self._tracks, self._pending = (), None
        self._packets = iter(())
        self._container.close()

    def _selected(self) -> Iterator[Packet[Stream]]:
        """Packets of the time range, moved and given to their output stream."""
        tracks = [stream for stream in self._container.streams if stream.index in self._outputs]
        if not tracks:
            return
        if self._start:
            with suppress(av.FFmpegError):  # else it is read from the beginning
                self._container.seek(math.floor((self._start - 1) * av.time_base))
        # Subtitles are few and far between: where there is sound, that tells when all is read.
        running = {track.index for track in tracks if track.type == "audio"}
        running = running or {track.index for track in tracks}
        last: dict[int, int] = {}
        packets: Iterator[Packet[Any]] = self._container.demux(tracks)
        for packet in packets:
            if not packet.size or packet.is_corrupt or not self._is_wanted(packet, running):
                if not running:
                    return
                continue
            self._move(packet)
            stamp, index = packet.dts or 0, packet.stream_index
            if stamp <= last.get(index, stamp - 1):  # damaged; no container takes it
                continue
            last[index] = stamp
            packet.stream = self._outputs[index]
            yield packet

    def _move(self, packet: Packet[Any]) -> None:
        """Put it at its delivered time; a subtitle shown before the start is shown from there."""
        shift = round((self._origin or 0) / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - shift
        packet.dts = packet.pts if packet.dts is None else packet.dts - shift
        if packet.stream.type == "subtitle" and packet.pts is not None and packet.pts < 0:
            packet.duration = max(1, (packet.duration or 0) + packet.pts)
            packet.pts = packet.dts = 0

    def _is_wanted(self, packet: Packet[Any], running: set[int]) -> bool:
        """Whether it lies in the range; a track that has passed the end leaves `running`."""
        time = packet_time(packet)
        if self._end is not None and time >= self._end:
            running.discard(packet.stream_index)
            return False
        begin = self._origin or Fraction(0)
        end = time + (packet.duration or 0) * packet.time_base
        if packet.stream.type == "subtitle":
            return end > begin
        if self._has_edit_list:  # which hides what lies before 0
            whole = self._start is None
            return whole or end > begin
        return time >= begin - _priming(packet.stream)


def _refusal(track: AudioStream, output: OutputContainer, path: Path) -> MediaError:
    name = track.codec_context.name if has_decoder(track) else "this"
    with av.open(io.BytesIO(), "w", format="matroska") as matroska:
        held = name in matroska.supported_codecs
    allowed = "an output named .mkv, or --no-sound" if held else "--no-sound"
    return MediaError(
        f"'{path}': {output.format.name} cannot hold {name} sound; allowed: {allowed}"
    )


def _priming(track: AudioStream) -> Fraction:
    """Seconds of decoder warm-up, where the stream itself says that they are not to be heard."""
    context = track.codec_context
    rate = context.sample_rate if has_decoder(track) else 0
    return Fraction(int(context.delay), rate) if rate else Fraction(0)
