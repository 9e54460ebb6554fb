"""Frames out of a video file, with their exact times."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import av
from av.packet import Packet
from av.video.stream import VideoStream

from dreamvid.errors import MediaError
from dreamvid.media.colour import Converter, orientation
from dreamvid.media.files import media_errors, open_input, reason
from dreamvid.media.info import (
    VideoInfo,
    claimed_end,
    describe,
    no_picture,
    packet_time,
    parse_size,
    picture_stream,
)
from dreamvid.types import Frame

if TYPE_CHECKING:
    from torch import Tensor

_FIRST_STEP_BACK = Fraction(1)
"""Seconds before the target of a seek; more than the delay that B-frames bring."""


@dataclass(frozen=True)
class _Picture:
    """A decoded picture and when it is shown."""

    frame: av.VideoFrame
    time: Fraction
    duration: Fraction

    @property
    def end(self) -> Fraction:
        return self.time + self.duration


class VideoReader:
    """The frames of a video file in presentation order, for one pass.

    A frame's time is pts × time_base exactly, less `start` where that is given; those with
    start ≤ time < end come. With `rate` they come at k/rate instead, each showing the picture
    that the source shows at that moment. `size` is "source", "WIDTHxHEIGHT" or "WIDTH", whose
    height follows the displayed shape; any but "source" gives square pixels.

    `info` describes what is delivered; `is_cut_short` tells, once all have come, whether the file
    ended before its header said so. What is damaged is reported to `on_warning` and left
    out; the rest keeps its times. No more than two decoded pictures are held.

    Raises MediaError where the file cannot be read, or has no frame between start and end.
    """

    def __init__(
        self,
        path: Path,
        *,
        start: Fraction | None = None,
        end: Fraction | None = None,
        rate: Fraction | None = None,
        size: str = "source",
        on_warning: Callable[[str], None] = warnings.warn,
    ) -> None:
        self._path, self._warn = Path(path), on_warning
        self._start, self._end, self._rate = start, end, rate
        self._seek_to = start
        self.is_cut_short = False
        self._first: _Picture | None = None
        self._rest: Iterator[_Picture] = iter(())
        self._container = open_input(self._path)
        try:
            self._stream = picture_stream(self._container, self._path)
            self._stream.thread_type = "AUTO"
            self._time_base = self._stream.time_base or Fraction(1, 90_000)
            self._open_info(size)
        except BaseException:
            self.close()
            raise

    def _open_info(self, size: str) -> None:
        self._rest = self._selected()
        self._first = next(self._rest, None)
        if self._first is None:
            raise self._nothing()
        source = describe(self._container, self._stream, self._first.frame)
        turned = orientation(self._first.frame)
        self._converter = Converter(source.codec, turned)
        self.info = _delivered(source, self._start, self._end, self._rate, size)
        width, height = self.info.width, self.info.height
        self._coded_size = (height, width) if turned.transposed else (width, height)

    def __iter__(self) -> Iterator[Frame]:
        while self._first is not None:
            picture = self._first
            with media_errors(f"'{self._path}': {picture.frame.format.name} cannot be converted"):
                image = self._converter.to_tensor(picture.frame, self._coded_size)
            self._first = next(self._rest, None)
            yield Frame(image, picture.time, picture.duration)

    def skip_past(self, time: Fraction, image: Tensor | None = None) -> None:
        """Go on after the frame that is delivered at `time` and shows `image` (if given).

        A seek finds it, and where that does not give the same pixels, as in streams that refresh
        bit by bit, decoding from the beginning. Raises MediaError where it is not there.
        """
        for seek_to in (time + (self._start or 0), self._start):
            self._reopen()
            self._seek_to = seek_to
            self._rest = self._selected()
            found = next((shown for shown in self._rest if shown.time >= time), None)
            if found is not None and found.time == time and self._shows(found, image):
                self._first = next(self._rest, None)
                return
        raise MediaError(
            f"'{self._path}' does not show at {float(time):.3f} s what it did; "
            "allowed: the file that it was"
        )

    def _shows(self, picture: _Picture, image: Tensor | None) -> bool:
        return image is None or bool(
            (self._converter.to_tensor(picture.frame, self._coded_size) == image).all()
        )

    def close(self) -> None:
        """Let go of the file; no more frames come."""
        self._first, self._rest = None, iter(())
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # From the file to the frames delivered, each step a generator over the one before.

    def _selected(self) -> Iterator[_Picture]:
        """The pictures to deliver, at their delivered times."""
        origin = self._start or Fraction(0)
        shown = self._at_rate(origin) if self._rate else self._in_range()
        for picture in shown:
            yield replace(picture, time=picture.time - origin)

    def _in_range(self) -> Iterator[_Picture]:
        for picture in self._timed():
            if self._end is not None and picture.time >= self._end:
                return
            if self._start is not None and picture.time < self._start:
                continue
            if self._end is not None and picture.end > self._end:
                yield replace(picture, duration=self._end - picture.time)
            else:
                yield picture

    def _at_rate(self, origin: Fraction) -> Iterator[_Picture]:
        """Each moment origin + k/rate, with what is shown then."""
        assert self._rate
        step = 1 / self._rate
        index: int | None = None
        for picture in self._timed():
            if index is None:
                index = max(0, math.ceil((picture.time - origin) * self._rate))
            until = picture.end if self._end is None else min(picture.end, self._end)
            while origin + index * step < until:
                yield _Picture(picture.frame, origin + index * step, step)
                index += 1
            if self._end is not None and picture.end >= self._end:
                return

    def _timed(self) -> Iterator[_Picture]:
        """All pictures from the seek on, each shown until the next one's time."""
        held: tuple[av.VideoFrame, Fraction] | None = None
        step = 1 / (self._stream.average_rate or Fraction(25))
        for frame, time in self._increasing():
            if held is not None:
                step = time - held[1]
                yield _Picture(*held, duration=step)
            held = frame, time
        if held is not None:
            yield _Picture(*held, duration=self._last_duration(*held, step))

    def _last_duration(self, frame: av.VideoFrame, time: Fraction, step: Fraction) -> Fraction:
        """From the stream's end where the file reaches it; else what the packet said."""
        claimed = self._claimed_end()
        if self._stream.duration and claimed is not None and not self._is_short():
            remaining = claimed - time
            if remaining > 0:
                return remaining
        return frame.duration * self._time_base or step

    def _increasing(self) -> Iterator[tuple[av.VideoFrame, Fraction]]:
        """Pictures with their times; one that is not after the picture before it is left out."""
        last: Fraction | None = None
        for frame in self._decoded():
            stamp = frame.pts if frame.pts is not None else frame.dts
            if stamp is not None:
                time = stamp * self._time_base
            elif last is None:
                time = (self._stream.start_time or 0) * self._time_base
            else:
                time = last + self._guessed_step(frame)
            if last is not None and time <= last:
                self._warn(
                    f"'{self._path}': a frame at {float(time):.3f} s follows one at "
                    f"{float(last):.3f} s and is left out"
                )
                continue
            last = time
            yield frame, time

    def _guessed_step(self, frame: av.VideoFrame) -> Fraction:
        return frame.duration * self._time_base or 1 / (self._stream.average_rate or Fraction(25))

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Every picture from the seek on; the decoder is drained at the end."""
        for packet in self._packets():
            try:
                yield from self._stream.decode(packet)
            except av.FFmpegError as error:
                self._warn_of_packet(packet, reason(error))
        try:
            yield from self._stream.decode(None)
        except av.FFmpegError as error:
            self._warn(f"'{self._path}': the last packets are damaged: {reason(error)}")

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """The whole packets of the pictures; what is damaged or missing is reported."""
        self._reached = Fraction(0)
        damaged: Packet[VideoStream] | None = None
        ended_by = ""
        packets = self._demux_from_start()
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError) as error:
                packet, ended_by = None, f": {reason(error)}"
            if packet is None:
                break
            if not packet.size:  # PyAV's sign to flush, or a picture that AVI repeats
                continue
            if damaged is not None:
                self._warn_of_packet(damaged, "marked as corrupt")
                damaged = None
            self._reached = max(self._reached, _end_of(packet))
            if packet.stream_index != self._stream.index:
                continue
            if packet.is_corrupt:
                damaged = packet
            else:
                yield packet
        self.is_cut_short = bool(ended_by) or self._is_short()
        if self.is_cut_short:
            self._warn(f"'{self._path}' is cut short at {float(self._reached):.3f} s{ended_by}")
        elif damaged is not None:
            self._warn_of_packet(damaged, "marked as corrupt")

    def _warn_of_packet(self, packet: Packet[VideoStream], why: str) -> None:
        stamp = packet.pts if packet.pts is not None else packet.dts
        when = "" if stamp is None else f" at {float(stamp * self._time_base):.3f} s"
        self._warn(f"'{self._path}': a damaged packet{when} is left out ({why})")

    def _demux_from_start(self) -> Iterator[Packet[VideoStream]]:
        """Packets from a keyframe that is shown no later than what is sought."""
        first = (self._stream.start_time or 0) * self._time_base
        step = _FIRST_STEP_BACK
        while self._seek_to is not None and self._seek_to - step > first:
            packets = self._seek(self._seek_to - step)
            head = next((packet for packet in packets if _is_key(packet, self._stream)), None)
            if head is not None and packet_time(head) <= self._seek_to:
                yield head
                yield from packets
                return
            step *= 4
        if step > _FIRST_STEP_BACK:  # the seeks have moved it
            self._reopen()
        yield from self._demux()

    def _demux(self) -> Iterator[Packet[VideoStream]]:
        # Where the pictures' own duration is unknown, only all streams together tell whether
        # the file is as long as its header says.
        if self._stream.duration:
            return self._container.demux(self._stream)
        packets: Iterator[Packet[Any]] = self._container.demux()
        return packets

    def _seek(self, time: Fraction) -> Iterator[Packet[VideoStream]]:
        try:
            self._container.seek(math.floor(time / self._time_base), stream=self._stream)
        except av.FFmpegError:
            return iter(())
        return self._demux()

    def _reopen(self) -> None:
        self._container.close()
        self._container = open_input(self._path)
        self._stream = picture_stream(self._container, self._path)
        self._stream.thread_type = "AUTO"

    def _claimed_end(self) -> Fraction | None:
        return claimed_end(self._container, self._stream)

    def _is_short(self) -> bool:
        """Whether the packets end more than three frames before the header says."""
        claimed = self._claimed_end()
        slack = 3 / (self._stream.average_rate or Fraction(25))
        return claimed is not None and claimed - self._reached > max(slack, Fraction(1, 10))

    def _nothing(self) -> MediaError:
        if self._start is None and self._end is None:
            return no_picture(self._path)
        claimed = self._claimed_end()
        start = float(self._start or 0)
        until = "" if self._end is None else f" and before {float(self._end):g} s"
        lasts = "" if claimed is None else f"; allowed: times before {float(claimed):g} s"
        return MediaError(f"'{self._path}' has no frame from {start:g} s on{until}{lasts}")


def _end_of(packet: Packet[VideoStream]) -> Fraction:
    return packet_time(packet) + (packet.duration or 0) * packet.time_base


def _is_key(packet: Packet[VideoStream], stream: VideoStream) -> bool:
    return packet.stream_index == stream.index and packet.is_keyframe and packet.size > 0


def _delivered(
    source: VideoInfo,
    start: Fraction | None,
    end: Fraction | None,
    rate: Fraction | None,
    size: str,
) -> VideoInfo:
    """What a reader with these options delivers of `source`."""
    info = source
    if size != "source":
        width, height = parse_size(size, source)
        info = replace(info, width=width, height=height, sample_aspect_ratio=Fraction(1))
    if start is not None:
        info = replace(
            info,
            time_base=_common_measure(info.time_base, start) if start else info.time_base,
            start_time=max(Fraction(0), info.start_time - start),
        )
    if start is not None or end is not None:
        info = replace(info, duration=_remaining(source, start, end), frame_count=None)
    if rate is not None:
        info = replace(info, rate=rate, time_base=1 / rate, frame_count=None)
    if info.frame_count is None and info.duration and info.rate:
        info = replace(info, frame_count=math.ceil(info.duration * info.rate))
    return info


def _remaining(source: VideoInfo, start: Fraction | None, end: Fraction | None) -> Fraction | None:
    begin = max(source.start_time, start or Fraction(0))
    if source.duration is None:
        return None if end is None else end - begin
    last = source.start_time + source.duration
    return (last if end is None else min(end, last)) - begin


def _common_measure(a: Fraction, b: Fraction) -> Fraction:
    """The largest fraction of which both are multiples."""
    return Fraction(
        math.gcd(a.numerator * b.denominator, b.numerator * a.denominator),
        a.denominator * b.denominator,
    )
