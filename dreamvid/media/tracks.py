"""Sound and subtitles beside the pictures, copied packet by packet where possible."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

from dreamvid.errors import MediaError
from dreamvid.media.closing import Closes
from dreamvid.media.containers import container_of
from dreamvid.media.files import open_input
from dreamvid.media.probing import has_decoder, packet_time, zero_of
from dreamvid.media.recode import Recoder, TextRecoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dreamvid.media.reader import VideoReader

_GAP = Fraction(1, 20)
"""Largest error in seconds of the times of blocks that does not count as a gap."""

_KEPT_TAGS = ("language", "title", "handler_name")


class SoundSource(Closes):
    """The sound and subtitles of `path` from `start` to `end` (seconds), moved to begin at 0.

    `origin` is the reader's origin, in the file's own clock; without it, 0 is at `start`. Packets
    of standard input come from its reader `pipe`, which has `beside`. A file without such tracks is
    no error. Packets are read on demand, so that memory does not grow. A track that is left out is
    reported to `on_warning`. Raises MediaError where the file cannot be read.
    """

    def __init__(
        self,
        path: Path,
        start: Fraction | None = None,
        end: Fraction | None = None,
        *,
        origin: Fraction | None = None,
        pipe: VideoReader | None = None,
        ends_with_picture: bool = False,
        on_warning: Callable[[str], None] = warnings.warn,
    ) -> None:
        self._path, self._warn, self._pipe = Path(path), on_warning, pipe
        self.ends_with_picture = ends_with_picture
        """Whether a muxer must stop the sound where the pictures end."""
        self._container: InputContainer = open_input(self._path) if pipe is None else pipe.container
        zero = zero_of(self._container)
        self._start = None if start is None else start + zero
        self._end = None if end is None else end + zero
        self._origin = origin
        if origin is None:
            self._origin = zero if self._start is None else self._start
        self._tracks: tuple[AudioStream, ...] = self._container.streams.audio
        self._outputs: dict[int, Stream] = {}
        self._pending: Packet[Stream] | None = None
        self._packets: Iterator[Packet[Stream] | None] = iter(())
        self._recoders: dict[int, Recoder | TextRecoder] = {}

    def attach(
        self, output: OutputContainer, path: Path, *, sound: bool = True, subtitles: bool = True
    ) -> None:
        """Add a stream to `output` for each track of the requested kinds.

        A track that the container cannot hold is re-encoded, subtitles that are pictures are left
        out, each with a warning. Raises MediaError where such sound cannot be decoded.
        """
        container = container_of(output.format.name)
        for track in self._tracks if sound else ():
            name = track.codec_context.codec.canonical_name if has_decoder(track) else ""
            try:
                if name in container.refused_sound:
                    raise ValueError
                self._add(output, track)
            except ValueError:
                self._recode(output, track, path)
        for text in self._container.streams.subtitles if subtitles else ():
            try:
                self._add(output, text)
            except ValueError:
                self._recode_text(output, text, path)
        # Sound before 0 would shift the pictures too.
        self._hides_priming = not container.begins_at_zero
        self._has_edit_list = container.is_isom
        self._packets = self._selected()

    def leave_out(self, container: str) -> None:
        """Warn that `container`, which holds only pictures, takes no sound."""
        if self._tracks:
            self._warn(f"'{self._path}': {container} holds no sound; it is left out")

    def _recode(self, output: OutputContainer, track: AudioStream, path: Path) -> None:
        encoder = container_of(output.format.name).sound_encoder
        if encoder is None or not has_decoder(track):
            raise _refusal(track, output, path)
        name = track.codec_context.name
        self._warn(f"'{path}': {output.format.name} cannot hold {name} sound; encoded as {encoder}")
        recoder = Recoder(output, track, encoder)
        keep_tags(track, recoder.stream)
        self._outputs[track.index], self._recoders[track.index] = recoder.stream, recoder

    def _recode_text(self, output: OutputContainer, track: SubtitleStream, path: Path) -> None:
        encoder = container_of(output.format.name).subtitle_encoder
        name = track.codec_context.name if has_decoder(track) else "unknown"
        problem = f"'{path}': {output.format.name} cannot hold {name} subtitles"
        if encoder is None or not has_decoder(track) or not track.codec_context.codec.text_sub:
            self._warn(f"{problem}, left out")
            return
        self._warn(f"{problem}; encoded as {encoder}")
        recoder = TextRecoder(output, track, encoder)
        keep_tags(track, recoder.stream)
        self._outputs[track.index], self._recoders[track.index] = recoder.stream, recoder

    def _add(self, output: OutputContainer, track: Stream) -> None:
        stream = output.add_stream_from_template(track)
        keep_tags(track, stream)
        self._outputs[track.index] = stream

    @property
    def sample_rates(self) -> list[int]:
        """Samples a second of each track that has a decoder."""
        rates = [track.codec_context.sample_rate for track in self._tracks if has_decoder(track)]
        return [rate for rate in rates if rate]

    def packets_until(self, time: Fraction | None) -> Iterator[Packet[Stream]]:
        """The next packets that begin no later than `time`; None means the end."""
        while True:
            if self._pending is None:
                with suppress(av.FFmpegError):  # a file cut short: the sound ends there
                    self._pending = next(self._packets, None)
            packet = self._pending
            if packet is None and time is None:
                for recoder in self._recoders.values():
                    yield from recoder.finish()
            if packet is None or (time is not None and packet_time(packet) > time):
                return
            self._pending = None
            yield packet

    def close(self) -> None:
        """Close the file; there are no more packets."""
        self._tracks, self._pending = (), None
        self._packets = iter(())
        if self._pipe is None:
            self._container.close()

    def stop_at(self, time: Fraction) -> None:
        """Leave out all packets that begin at the delivered `time` or later."""
        self._end = time + (self._origin or 0)
        if self._pending is not None and packet_time(self._pending) >= time:
            self._pending = None

    def _selected(self) -> Iterator[Packet[Stream] | None]:
        """Packets of the time range, moved, with their output stream; None while none is ready."""
        tracks = [stream for stream in self._container.streams if stream.index in self._outputs]
        if not tracks:
            return
        if self._start and self._pipe is None:
            with suppress(av.FFmpegError):  # otherwise the file is read from the beginning
                self._container.seek(math.floor((self._start - 1) * av.time_base))
        # Subtitles are rare: if there is sound, it decides when the range is fully read.
        running = {track.index for track in tracks if track.type == "audio"}
        running = running or {track.index for track in tracks}
        last: dict[int, int] = {}
        for packet in self._source(tracks):
            if packet is None:
                yield None
                continue
            if packet.stream_index not in self._outputs:
                continue
            if not packet.size or packet.is_corrupt or not self._is_wanted(packet, running):
                if not running:
                    return
                continue
            self._move(packet)
            stamp, index = packet.dts or 0, packet.stream_index
            if stamp <= last.get(index, stamp - 1):  # damaged; no container takes such times
                continue
            last[index] = stamp
            if index in self._recoders:
                yield from self._recoders[index].recode(packet)
                continue
            packet.stream = self._outputs[index]
            yield packet

    def _source(self, tracks: list[Stream]) -> Iterator[Packet[Any] | None]:
        """Packets in the order of the file; None where a pipe has none ready."""
        if self._pipe is None:
            yield from self._container.demux(tracks)
            return
        waiting = self._pipe.beside
        while waiting is not None:
            yield waiting.popleft() if waiting else None

    def _move(self, packet: Packet[Any]) -> None:
        """Move a packet to its delivered time; a subtitle that begins before 0 is cut at 0."""
        shift = round((self._origin or 0) / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - shift
        packet.dts = packet.pts if packet.dts is None else packet.dts - shift
        if packet.stream.type == "subtitle" and packet.pts is not None and packet.pts < 0:
            packet.duration = max(1, (packet.duration or 0) + packet.pts)
            packet.pts = packet.dts = 0

    def _is_wanted(self, packet: Packet[Any], running: set[int]) -> bool:
        """Whether a packet lies in the range; a track after the end is removed from `running`."""
        time = packet_time(packet)
        if self._end is not None and time >= self._end:
            running.discard(packet.stream_index)
            return False
        begin = self._origin or Fraction(0)
        end = time + (packet.duration or 0) * packet.time_base
        if packet.stream.type == "subtitle":
            return end > begin
        if self._has_edit_list:  # it hides all sound before 0
            whole = self._start is None
            return whole or end > begin
        if not self._hides_priming:
            return time >= begin
        # In a clock of milliseconds, the first packet may be up to a tick too early.
        return time > begin - _priming(packet.stream) - packet.time_base


def read_samples(
    path: Path, rate: int, *, origin: Fraction | None = None
) -> Iterator[NDArray[np.float32]]:
    """The first sound track of a file as mono samples, float32 in about [-1, 1], block by block.

    The blocks have no gaps, at `rate` samples a second, from the file's beginning, or from `origin`
    on its own clock: samples before `origin` are left out, and missing or damaged sound is replaced
    by zeros. A file without sound gives no blocks. Memory does not grow. Raises MediaError where
    the file cannot be read.
    """
    with open_input(path) as container:
        if not container.streams.audio or not has_decoder(container.streams.audio[0]):
            return
        track = container.streams.audio[0]
        origin = zero_of(container) if origin is None else origin
        done = 0
        for time, block in _resampled(_sound_frames(container, track), rate):
            begin = round((time - origin) * rate)
            if begin > done:
                yield np.zeros(begin - done, np.float32)
                done = begin
            if begin + len(block) > done:
                yield block[done - begin :]
                done = begin + len(block)


def _sound_frames(container: InputContainer, track: AudioStream) -> Iterator[av.AudioFrame]:
    """The frames that can be decoded; damaged ones are left out."""
    packets = container.demux(track)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # cut short: the sound ends there
            return
        if packet is None:
            return
        with suppress(av.FFmpegError):
            yield from packet.decode()


def _resampled(
    frames: Iterator[av.AudioFrame], rate: int
) -> Iterator[tuple[Fraction, NDArray[np.float32]]]:
    """Mono blocks with their times; a gap or a change of format begins a new resampler."""
    kind: tuple[str, str, int] | None = None
    resampler = AudioResampler("flt", "mono", rate)
    begin = end = Fraction(0)
    given = 0

    def blocks(frame: av.AudioFrame | None) -> Iterator[tuple[Fraction, NDArray[np.float32]]]:
        nonlocal given
        for block in resampler.resample(frame):
            yield begin + Fraction(given, rate), block.to_ndarray()[0]
            given += block.samples

    for frame in frames:
        base = frame.time_base or Fraction(1, frame.sample_rate)
        time = end if frame.pts is None else frame.pts * base
        own = frame.format.name, frame.layout.name, frame.sample_rate
        if own != kind or abs(time - end) > _GAP:
            if kind is not None:
                yield from blocks(None)
            resampler, kind = AudioResampler("flt", "mono", rate), own
            begin, given, end = time, 0, time
        end += Fraction(frame.samples, frame.sample_rate)
        yield from blocks(frame)
    if kind is not None:
        yield from blocks(None)


def keep_tags(track: Stream, stream: Stream) -> None:
    """Give `stream` the language, names and disposition of `track`."""
    kept = {key: track.metadata[key] for key in _KEPT_TAGS if key in track.metadata}
    stream.metadata.update(kept)
    stream.disposition = track.disposition


def _refusal(track: AudioStream, output: OutputContainer, path: Path) -> MediaError:
    name = track.codec_context.name if has_decoder(track) else "this"
    with av.open(io.BytesIO(), "w", format="matroska") as matroska:
        held = name in matroska.supported_codecs
    allowed = "an output named .mkv, or --no-sound" if held else "--no-sound"
    return MediaError(
        f"'{path}': {output.format.name} cannot hold {name} sound; allowed: {allowed}"
    )


def _priming(track: AudioStream) -> Fraction:
    """Seconds at the beginning that the stream marks as inaudible, for the decoder's start."""
    context = track.codec_context
    rate = context.sample_rate if has_decoder(track) else 0
    return Fraction(int(context.delay), rate) if rate else Fraction(0)
