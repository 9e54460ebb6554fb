"""Frames into a video file that appears under its name only when it is whole."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.codec.codec import Codec
from av.container import OutputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from dreamvid.config import WriteConfig
from dreamvid.errors import MediaError
from dreamvid.media import encoders
from dreamvid.media.closing import Finishes
from dreamvid.media.colour import Converter, has_alpha, tags_for
from dreamvid.media.files import (
    FORMATS,
    STANDARD,
    check_output,
    media_errors,
    partial_path,
    publish,
    reason,
)
from dreamvid.media.gif import GIF_CLOCK, Palette
from dreamvid.media.info import VideoInfo
from dreamvid.media.sound import SoundSource
from dreamvid.types import Frame

if TYPE_CHECKING:
    from torch import Tensor

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
    beside `path`; leaving the `with` block by an exception removes it, as `abort` does.

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
    ) -> None:
        self._path, self._info, self._overwrite = Path(path), info, overwrite
        self._config = config
        check_output(self._path, overwrite=overwrite)
        self._is_pipe = self._path == STANDARD
        self._partial = None if self._is_pipe else partial_path(self._path)
        self._format = config.output_format if self._is_pipe else FORMATS[self._path.suffix.lower()]
        self._sound = sound
        if sound is not None and self._format in _SILENT:
            sound.leave_out(self._format)
            self._sound = None
        self._is_isom = self._format in ("mp4", "mov")
        self._clock = GIF_CLOCK if self._format == "gif" else _clock(info.time_base)
        self._waiting: Frame | None = None  # until the next one tells how long it is shown
        self._step = 1 / (info.rate or Fraction(25))
        self._durations: dict[int, int] = {}  # by pts, of pictures inside the encoder
        self._end_pts = -(2**62)
        # The last packet waits too: how long it is shown is known only at the end.
        self._held: Packet[VideoStream] | None = None
        self._first_pts, self._first_dts = 0, 0
        self._is_open = True
        self._container = self._create()
        try:
            self._describe(metadata or {})
            self._stream = self._add_stream(config)
            self._start_encoding()
        except BaseException:
            self.abort()
            raise

    @property
    def keeps_alpha(self) -> bool:
        """Whether the alpha of frames arrives in the result."""
        return has_alpha(self._pix_fmt)

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

    def _add_stream(self, config: WriteConfig) -> VideoStream:
        codec = encoders.find_codec(config, self._container)
        options = encoders.encoder_options(codec, config)
        pix_fmt = encoders.choose_pix_fmt(codec, config, self._info.alpha)
        self._palette = Palette() if pix_fmt == "pal8" else None
        rate = self._info.rate or Fraction(25)
        stream = self._container.add_stream(codec.name, rate=rate, options=options)
        assert isinstance(stream, VideoStream)
        self._configure(stream.codec_context, codec, pix_fmt)
        return stream

    def _configure(self, context: VideoCodecContext, codec: Codec, pix_fmt: str) -> None:
        self._converter = Converter(codec.canonical_name)
        width, height = self._info.width, self._info.height
        self._padding = encoders.padding(codec, pix_fmt, width, height)
        context.width, context.height = width + self._padding[0], height + self._padding[1]
        context.pix_fmt = self._pix_fmt = pix_fmt
        context.time_base = self._clock
        context.sample_aspect_ratio = self._info.sample_aspect_ratio
        context.thread_count = encoders.THREADS
        context.thread_type = "AUTO"
        if self._format == "nut":
            context.max_b_frames = 0  # it would shift all times by their delay
        encoders.set_quality(context)
        if codec.canonical_name == "hevc" and self._is_isom:
            context.codec_tag = "hvc1"  # Apple's players know no other
        self._tags = tags_for(self._info.colour, pix_fmt, context.height)
        context.color_primaries, context.color_trc = self._tags.primaries, self._tags.transfer
        context.colorspace, context.color_range = self._tags.matrix, self._tags.range

    def _start_encoding(self) -> None:
        """Open the encoder, add the sound and write the header."""
        context = self._stream.codec_context
        try:
            context.open()
        except av.FFmpegError as error:
            raise MediaError(
                f"--codec {context.name} cannot encode {context.width}x{context.height} "
                f"{self._pix_fmt}: {reason(error)}; "
                "allowed: another --codec, --pix-fmt or --size"
            ) from error
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
            self._step = frame.time - self._waiting.time
            self._encode(self._waiting, self._step)
        self._waiting = frame

    def close(self) -> None:
        """Finish the file and give it its name. Raises MediaError where that fails."""
        if not self._is_open:
            return
        try:
            self._finish()
        except BaseException:
            self.abort()
            raise
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
        if self._waiting is None:
            raise MediaError(f"'{self._path}' cannot be written: no frame has come")
        self._encode(self._waiting, self._waiting.duration or self._step)
        with self._writing():
            for packet in self._stream.encode(None):
                self._hold(packet)
            self._mux_last()
            if self._sound is not None and self._sound.ends_with_picture:
                self._sound.stop_at(self._end_pts * self._clock)
            self._mux_sound(None)
            self._container.close()

    def _encode(self, frame: Frame, duration: Fraction) -> None:
        columns, rows = self._padding
        image, alpha = frame.image, frame.alpha
        if columns or rows:
            image = _padded(image, columns, rows)
            alpha = None if alpha is None else _padded(alpha, columns, rows)
        if self._palette is None:
            picture = self._converter.to_frame(image, self._pix_fmt, self._tags, alpha)
        else:
            picture = self._palette.apply(self._converter.to_frame(image, "rgb24", self._tags))
        pts = max(round(frame.time / self._clock), self._end_pts)
        ticks = max(1, round((frame.time + duration) / self._clock) - pts)
        picture.pts, picture.time_base = pts, self._clock
        self._durations[pts], self._end_pts = ticks, pts + ticks
        with self._writing():
            for packet in self._stream.encode(picture):
                self._hold(packet)

    def _hold(self, packet: Packet[VideoStream]) -> None:
        """Mux the packet before this one, and keep this one."""
        packet.duration = self._durations.pop(packet.pts or 0, 0)
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


def _padded(image: Tensor, columns: int, rows: int) -> Tensor:
    """(C, H, W) with its last column and row repeated."""
    import torch.nn.functional as F

    return F.pad(image[None], (0, columns, 0, rows), mode="replicate")[0]
