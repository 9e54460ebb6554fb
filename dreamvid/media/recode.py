"""Sound and subtitles re-encoded for containers that cannot hold them as they are."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.subtitles.codeccontext import SubtitleCodecContext
from av.subtitles.stream import SubtitleStream

_RATE = 48_000
_BITS_A_CHANNEL = 96_000


class Recoder:
    """One track of sound, decoded, resampled to 48 kHz and encoded; its times are kept.

    More than `most_channels` become stereo.
    """

    def __init__(
        self, output: OutputContainer, track: AudioStream, encoder: str, most_channels: int = 8
    ) -> None:
        self._decoder = track.codec_context
        layout = self._decoder.layout.name
        known = layout in ("mono", "stereo", "5.1", "7.1")
        known = known and self._decoder.channels <= most_channels
        stream = output.add_stream(encoder, rate=_RATE, layout=layout if known else "stereo")
        assert isinstance(stream, AudioStream)
        self.stream = stream
        context = stream.codec_context
        context.bit_rate = _BITS_A_CHANNEL * max(1, context.channels)
        context.open()
        self._resampler = AudioResampler(
            context.format, context.layout, _RATE, frame_size=context.frame_size or None
        )

    def recode(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """The encoded packets of one packet of the source; a damaged one gives none."""
        try:
            frames = self._decoder.decode(packet)
        except av.FFmpegError:
            return
        for frame in frames:
            yield from self._encode(frame)

    def finish(self) -> Iterator[Packet[Any]]:
        """The packets that decoder, resampler and encoder still hold."""
        try:
            for frame in self._decoder.decode(None):
                yield from self._encode(frame)
        except av.FFmpegError:
            pass
        yield from self._encode(None)
        yield from self.stream.encode(None)

    def _encode(self, frame: av.AudioFrame | None) -> Iterator[Packet[Any]]:
        for block in self._resampler.resample(frame):
            yield from self.stream.encode(block)


class TextRecoder:
    """One track of subtitles in another format; texts, emphasis and times are kept."""

    def __init__(self, output: OutputContainer, track: SubtitleStream, encoder: str) -> None:
        self._decoder = track.codec_context
        self._decoder.open(strict=False)
        self.stream = output.add_stream(encoder)
        context = self.stream.codec_context
        assert isinstance(context, SubtitleCodecContext)
        self._encoder = context
        context.subtitle_header = self._decoder.subtitle_header
        context.time_base = track.time_base or Fraction(1, 1000)
        context.open()

    def recode(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """The same text as a packet of the new format; none for a damaged or empty packet."""
        try:
            texts = self._decoder.decode2(packet)
            if texts is None or not len(texts):
                return
            encoded = self._encoder.encode_subtitle(texts)
        except (av.FFmpegError, RuntimeError):
            return
        encoded.pts, encoded.dts, encoded.duration = packet.pts, packet.dts, packet.duration
        encoded.time_base, encoded.stream = packet.time_base, self.stream
        yield encoded

    def finish(self) -> Iterator[Packet[Any]]:
        """No packets, because none is held back."""
        yield from ()
