"""Frames encoded into a video file."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av

from dreamvid.config import WriteConfig
from dreamvid.media.closing import Finishes
from dreamvid.media.encoder_frames import EncoderFrameMaker
from dreamvid.media.muxer import Muxer
from dreamvid.media.packets import decoding_time
from dreamvid.media.probing import VideoInfo
from dreamvid.media.tracks import SoundSource
from dreamvid.types import Frame


class VideoWriter(Finishes):
    """A video file being written: frames are encoded, sound and subtitles are copied.

    `info` gives size, rate, time base, colour tags, pixel shape, metadata and chapters. Times are
    kept exactly in .mp4 and .mov, to the nearest millisecond in .mkv and .webm, to the nearest
    hundredth of a second in .gif. The path `-` is standard output. Where the encoder takes only
    even sides, the last row or column is repeated. Until `close` the result has a hidden name
    beside `path`; leaving the `with` block by an exception removes it, as `abort` does.

    Raises MediaError, before any frame, for a path that may not be written, an unknown codec, or
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
    ) -> None:
        self._shape = (3, info.height, info.width)
        self._muxer = Muxer(path, info, config, overwrite=overwrite, sound=sound, metadata=metadata)
        self._maker = EncoderFrameMaker(self._muxer.encoding)
        self._waiting: Frame | None = None  # until the next frame gives its duration
        self._durations: dict[int, int] = {}  # in ticks, by the pts of frames in the encoder

    @property
    def keeps_alpha(self) -> bool:
        """Whether the result keeps the alpha of frames."""
        return self._muxer.encoding.keeps_alpha

    def write(self, frame: Frame) -> None:
        """Add a frame, which must be later than the frame before.

        Raises ValueError for a wrong size or time, MediaError where the file cannot be written.
        """
        if tuple(frame.image.shape) != self._shape:
            raise ValueError(f"a frame here is {self._shape}, not {tuple(frame.image.shape)}")
        if self._waiting is not None:
            if frame.time <= self._waiting.time:
                raise ValueError(f"frame at {frame.time} s after one at {self._waiting.time} s")
            self._encode(self._waiting, frame.time - self._waiting.time)
        self._waiting = frame

    def close(self) -> None:
        """Finish the file and give it its name. Raises MediaError where that fails."""
        try:
            if self._waiting is not None:
                self._encode(self._waiting, self._waiting.duration)
                self._mux_encoded(None)
                self._waiting = None
        except BaseException:
            self.abort()
            raise
        self._muxer.close()

    def abort(self) -> None:
        """Stop and remove the unfinished file; no effect after `close`."""
        self._waiting = None
        self._muxer.abort()

    def _encode(self, frame: Frame, duration: Fraction | None) -> None:
        made = self._maker.make(frame, duration)
        self._durations[made.pts] = made.ticks
        self._mux_encoded(made.image)

    def _mux_encoded(self, image: av.VideoFrame | None) -> None:
        """Mux the packets of `image`; None flushes the encoder at the end."""
        with self._muxer.writing():
            packets = self._muxer.stream.encode(image)
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts or 0, 0)
            packet.dts = decoding_time(packet)
            self._muxer.mux(packet)
