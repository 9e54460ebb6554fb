"""Small films in memory, as every browser plays them: H.264 and AAC in MP4, at a bounded rate."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.packet import Packet
from av.video.stream import VideoStream

from dreamvid.config import WriteConfig
from dreamvid.media.containers import container_of
from dreamvid.media.encoder_frames import EncoderFrameMaker
from dreamvid.media.encoders import Encoding
from dreamvid.media.files import media_errors, open_input
from dreamvid.media.probing import VideoInfo, has_decoder
from dreamvid.media.recode import Recoder
from dreamvid.types import Frame

KILOBITS = 1000
"""Most kilobits a second of the pictures; sound takes 192 more."""
_QUALITY = WriteConfig(codec="libx264", crf=24, pix_fmt="yuv420p")
_OPTIONS = {
    "preset": "fast",
    "maxrate": f"{KILOBITS}k",
    "bufsize": f"{KILOBITS}k",
    "g": "48",  # so that every moment is found quickly
}


class SmallFilm:
    """A film that is encoded into memory: 7.5 MB a minute at most, and 1.5 MB of sound.

    `info` gives size, rate, time base and colour tags of its frames. Raises MediaError where it
    cannot be encoded.
    """

    def __init__(self, info: VideoInfo) -> None:
        kind = container_of("mp4")
        self._memory = io.BytesIO()
        with media_errors("a small film cannot be made"):
            self._container = av.open(self._memory, "w", format=kind.format)
            chosen = Encoding.choose(_QUALITY, info, kind, self._container)
            encoding = replace(chosen, options=chosen.options | _OPTIONS)
            stream = self._container.add_stream(
                encoding.codec.name, rate=encoding.rate, options=dict(encoding.options)
            )
            assert isinstance(stream, VideoStream)
            self._stream = stream
            encoding.configure(stream.codec_context)
            encoding.start(stream.codec_context)
        self._maker = EncoderFrameMaker(encoding)
        self._packets: list[Packet[Any]] = []

    def add(self, frame: Frame) -> None:
        """Add the next frame. Raises MediaError where it cannot be encoded."""
        made = self._maker.make(frame, frame.duration)
        with media_errors("a small film cannot be made"):
            self._packets += self._stream.encode(made.image)

    def finish(self, sound: Path | None = None) -> bytes:
        """The content of the file, with the first sound track of `sound`, if that has one.

        Raises MediaError where it cannot be encoded, or the sound cannot be read.
        """
        with ExitStack() as stack:
            stack.enter_context(media_errors("a small film cannot be made"))
            stack.callback(self._container.close)
            packets = [*self._packets, *self._stream.encode(None)]
            packets += _sound(self._container, sound) if sound is not None else []
            self._container.start_encoding()
            for packet in sorted(packets, key=_decoding_time):
                self._container.mux_one(packet)
        return self._memory.getvalue()


def _decoding_time(packet: Packet[Any]) -> Fraction:
    return (packet.dts or 0) * packet.time_base


def _sound(container: Any, path: Path) -> Iterator[Packet[Any]]:
    """The packets of the first sound track of a file, encoded for `container`."""
    with open_input(path) as source:
        tracks = source.streams.audio
        if not tracks or not has_decoder(tracks[0]):
            return
        recoder = Recoder(container, tracks[0], "aac", most_channels=2)
        for packet in source.demux(tracks[0]):
            if packet.size:
                yield from recoder.recode(packet)
        yield from recoder.finish()
