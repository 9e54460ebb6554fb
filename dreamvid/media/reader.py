"""Frames of a video file, with their exact times."""

from __future__ import annotations

import itertools
import math
import warnings
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from dreamvid.errors import MediaError
from dreamvid.media.closing import Closes
from dreamvid.media.colour import Converter, orientation, refuse_hdr
from dreamvid.media.files import DEVICES, is_pipe, media_errors, open_input, reason, silence
from dreamvid.media.hardware import as_decoded_by_host, card_decoder
from dreamvid.media.interlace import TimedFrame, progressive
from dreamvid.media.marks import mark_of
from dreamvid.media.probing import (
    VideoInfo,
    claimed_end,
    create_decoder,
    describe,
    moved_chapters,
    no_picture,
    packet_time,
    parse_size,
    picture_stream,
    zero_of,
)
from dreamvid.types import Frame

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_FIRST_STEP_BACK = Fraction(1)
"""First distance in seconds of a seek before its target; longer than the delay of B-frames."""


class FrameReader(Closes):
    """Frames in presentation order, for one pass, from any kind of source.

    A subclass gives all its pictures by `_timed`. They are delivered from `start` to `end`, or at
    the moments k/rate. `info` describes the delivered frames, and `origin` is the time at which
    they begin, on the source's own clock. All tensors are on the device that it was given.
    """

    info: VideoInfo
    origin = Fraction(0)
    is_cut_short = False
    """Whether the source ended earlier than its header states; known after the last frame."""
    _start: Fraction | None = None
    _end: Fraction | None = None
    _rate: Fraction | None = None
    _seek_to: Fraction | None = None
    _first: TimedFrame | None = None
    _shown: TimedFrame | None = None
    _rest: Iterator[TimedFrame] = iter(())

    @abstractmethod
    def _timed(self) -> Iterator[TimedFrame]:
        """All pictures, each shown until the next one's time."""

    @abstractmethod
    def _image(self, picture: TimedFrame) -> Tensor:
        """A decoded picture as float32 (3, H, W), of the size in `info`."""

    @abstractmethod
    def _alpha(self, picture: TimedFrame) -> Tensor | None:
        """The alpha as float32 (1, H, W), if `info` has alpha."""

    def __iter__(self) -> Iterator[Frame]:
        while self._first is not None:
            picture = self._shown = self._first
            image, alpha = self._image(picture), self._alpha(picture)
            self._first = next(self._rest, None)
            yield Frame(image, picture.time, picture.duration, alpha)

    @property
    def mark(self) -> int:
        """CRC-32 of the picture of the last frame, as decoded: the same on all machines.

        Also of the picture that `skip_past` shows.
        """
        assert self._shown is not None  # there has been a frame
        return mark_of(self._shown.frame)

    def skip_past(
        self, time: Fraction, shows: Callable[[Tensor], bool] = lambda image: True
    ) -> None:
        """Continue after the frame at the delivered `time`, if `shows` accepts its (3, H, W) image.

        A seek finds the frame. If that gives other pixels, as in streams with gradual refresh, the
        source is decoded from its beginning. Raises MediaError where the frame is not found.
        """
        for seek_to in (time + self.origin, self._start):
            self._rewind()
            self._seek_to = seek_to
            self._rest = self._selected()
            found = next((picture for picture in self._rest if picture.time >= time), None)
            self._shown = found
            if found is not None and found.time == time and shows(self._image(found)):
                self._first = next(self._rest, None)
                return
        raise MediaError(
            f"the source does not show at {float(time):.3f} s what it did; allowed: what it was"
        )

    def restart(self) -> None:
        """Continue at the first frame; not for pipes and devices."""
        self._rewind()
        self._seek_to = self._start
        self._rest = self._selected()
        self._first = next(self._rest, None)

    def _rewind(self) -> None:
        """Prepare to read from another time."""

    def close(self) -> None:
        """Close the source; there are no more frames."""
        self._first, self._shown, self._rest = None, None, iter(())

    # From the source to the frames delivered, each step a generator over the one before.

    def _selected(self) -> Iterator[TimedFrame]:
        """The pictures to deliver, at their delivered times."""
        pictures = self._timed()
        first = next(pictures, None)
        if first is None:
            return
        if self._start is None:
            self.origin = min(self.origin, first.time)
        pictures = itertools.chain((first,), pictures)
        for picture in self._at_rate(pictures) if self._rate else self._in_range(pictures):
            yield replace(picture, time=picture.time - self.origin)

    def _in_range(self, pictures: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
        for picture in pictures:
            if self._end is not None and picture.time >= self._end:
                return
            if self._start is not None and picture.time < self._start:
                continue
            if self._end is not None and picture.end > self._end:
                yield replace(picture, duration=self._end - picture.time)
            else:
                yield picture

    def _at_rate(self, pictures: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
        """A picture for each moment origin + k/rate: the one that is shown at that moment."""
        assert self._rate
        origin, step = self.origin, 1 / self._rate
        index: int | None = None
        for picture in pictures:
            if index is None:
                index = max(0, math.ceil((picture.time - origin) * self._rate))
            until = picture.end if self._end is None else min(picture.end, self._end)
            while origin + index * step < until:
                yield replace(picture, time=origin + index * step, duration=step)
                index += 1
            if self._end is not None and picture.end >= self._end:
                return

    def _delivered(self, source: VideoInfo, size: str) -> VideoInfo:
        """Description of the frames that this reader delivers of `source`."""
        info, origin = source, self.origin
        if size != "source":
            width, height = parse_size(size, source)
            info = replace(info, width=width, height=height, sample_aspect_ratio=Fraction(1))
        if origin:
            info = replace(
                info,
                time_base=_common_measure(info.time_base, origin),
                start_time=max(Fraction(0), info.start_time - origin),
            )
        if self._start is not None or self._end is not None:
            info = replace(
                info, duration=_remaining(source, self._start, self._end), frame_count=None
            )
        if self._rate is not None:
            info = replace(info, rate=self._rate, time_base=1 / self._rate, frame_count=None)
        if info.frame_count is None and info.duration and info.rate:
            info = replace(info, frame_count=math.ceil(info.duration * info.rate))
        chapters = moved_chapters(info.chapters, origin, self._end)
        return replace(info, interlaced=False, chapters=chapters)


class VideoReader(FrameReader):
    """The frames of a video file in presentation order, for one pass.

    A frame's time is exactly pts × time_base, minus `start` where given; frames with
    start ≤ time < end are delivered. Times of broadcast streams (MPEG-TS and PS), whose clock
    begins anywhere, count from their own beginning. If the first frame is before 0 and there is no
    `start`, times count from that frame, because not every container can hold negative times.
    `origin` gives the offset in all cases. With `rate`, frames come at k/rate instead, each with
    the picture that the source shows at that moment. `size` is "source", "WIDTHxHEIGHT" or "WIDTH",
    with a height by the displayed shape; any size except "source" gives square pixels.

    Interlaced pictures are deinterlaced, at the same rate; pictures of another size than the first
    are scaled to the first one's size. The path `-` is standard input, in `input_format`. If
    `input_format` is a device, `path` is its name and `options` are its options. With `beside`,
    packets of the other tracks of standard input or a device are kept in the queue `beside`,
    because they can be read only together with the pictures. `info` describes the delivered
    frames, whose tensors are on `device`, a card that decodes them too where it gives the same.
    Damaged packets are reported to `on_warning` and left out; the others keep their times.
    At most two decoded pictures are in memory, five of an interlaced stream.

    Raises MediaError where the file cannot be read, is HDR, or has no frame between start and end.
    """

    def __init__(
        self,
        path: Path,
        *,
        start: Fraction | None = None,
        end: Fraction | None = None,
        rate: Fraction | None = None,
        size: str = "source",
        input_format: str | None = None,
        options: Mapping[str, str] | None = None,
        beside: bool = False,
        device: torch.device | str = "cpu",
        on_warning: Callable[[str], None] = warnings.warn,
    ) -> None:
        self._path, self._warn, self._device = Path(path), on_warning, device
        self._is_pipe = is_pipe(self._path) or input_format in DEVICES
        self.beside: deque[Packet[Any]] | None = deque() if beside and self._is_pipe else None
        """Packets of other tracks, where they can be read only together with the pictures."""
        self._rate = rate
        self._decoder = None if self._is_pipe else card_decoder(self._path, device)
        self.container = self._container = self._open(input_format, options)
        try:
            self._stream = picture_stream(self._container, self._path)
            self._stream.thread_type = "AUTO"
            self._time_base = self._stream.time_base or Fraction(1, 90_000)
            self._zero = zero_of(self._container)
            self._start = None if start is None else start + self._zero
            self._end = None if end is None else end + self._zero
            self._seek_to = self._start
            self.origin = self._zero if self._start is None else self._start
            """Time 0 of the delivered frames, in seconds of the file's own clock."""
            self._open_info(size)
        except BaseException:
            self.close()
            raise

    def _open(
        self, input_format: str | None = None, options: Mapping[str, str] | None = None
    ) -> InputContainer:
        if self._decoder is not None:
            return self._decoder.open(self._path)
        return open_input(self._path, input_format, options, self._warn)

    def _open_info(self, size: str) -> None:
        self._rest = self._selected()
        self._first = next(self._rest, None)
        if self._first is None:
            raise self._nothing()
        source = describe(self._container, self._stream, self._first.frame)
        refuse_hdr(source.colour, self._path)
        turned = orientation(self._first.frame)
        self._converter = Converter(source.codec, turned, self._device)
        self.info = self._delivered(source, size)
        width, height = self.info.width, self.info.height
        self._coded_size = (height, width) if turned.transposed else (width, height)

    def _image(self, picture: TimedFrame) -> Tensor:
        frame = picture.frame
        with media_errors(f"'{self._path}': {frame.format.name} cannot be converted"):
            return self._converter.to_tensor(frame, self._coded_size)

    def _alpha(self, picture: TimedFrame) -> Tensor | None:
        if not self.info.alpha:
            return None
        return self._converter.to_alpha(picture.frame, self._coded_size)

    def close(self) -> None:
        """Close the file; there are no more frames."""
        super().close()
        if self.beside is not None:
            self.beside.clear()  # a packet must not outlive its container
        silence()  # the decoder's threads end here
        self._container.close()

    def _timed(self) -> Iterator[TimedFrame]:
        """All pictures from the seek on, each shown until the next one's time."""
        held: TimedFrame | None = None
        step = 1 / (self._stream.average_rate or Fraction(25))
        for picture in progressive(self._noting_sizes(self._increasing())):
            if held is not None:
                step = picture.time - held.time
                yield replace(held, duration=step)
            held = picture
        if held is not None:
            yield replace(held, duration=self._last_duration(held, step))

    def _last_duration(self, picture: TimedFrame, step: Fraction) -> Fraction:
        """The time to the stream's end, if the file is complete; else the packet's duration."""
        claimed = self._claimed_end()
        if self._stream.duration and claimed is not None and not self._is_short():
            remaining = claimed - picture.time
            if remaining > 0:
                return remaining
        return picture.duration or step

    def _increasing(self) -> Iterator[TimedFrame]:
        """Pictures with their times; a picture that is not later than the last one is left out."""
        last: Fraction | None = None
        is_back = False
        for frame in self._decoded():
            stamp = frame.pts if frame.pts is not None else frame.dts
            if stamp is not None:
                time = stamp * self._time_base
            elif last is None:
                time = (self._stream.start_time or 0) * self._time_base
            else:
                time = last + self._guessed_step(frame)
            if last is not None and time <= last:
                if not is_back:  # one warning is enough for an hour of them
                    self._warn(
                        f"'{self._path}': a frame at {float(time):.3f} s follows one at "
                        f"{float(last):.3f} s and is left out, with all until a later one"
                    )
                is_back = True
                continue
            last, is_back = time, False
            yield TimedFrame(frame, time, frame.duration * self._time_base)

    def _noting_sizes(self, pictures: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
        """The same pictures, with a warning at the first change of size."""
        size: tuple[int, int] | None = None
        warned = False
        for picture in pictures:
            frame = picture.frame
            if size not in (None, (frame.width, frame.height)) and not warned:
                warned = True
                self._warn(
                    f"'{self._path}': the size changes to {frame.width}x{frame.height} at "
                    f"{float(picture.time):.3f} s; all is scaled to that of the first frame"
                )
            size = frame.width, frame.height
            yield picture

    def _guessed_step(self, frame: av.VideoFrame) -> Fraction:
        return frame.duration * self._time_base or 1 / (self._stream.average_rate or Fraction(25))

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """All pictures from the seek on; where a card fails, the host decodes the others."""
        last: int | None = None
        if self._decoder is not None:
            try:
                for frame in self._decoded_by_card():
                    yield frame
                    last = frame.pts
                return
            except av.FFmpegError as error:
                self._warn(f"'{self._path}': the card fails ({reason(error)}); the host decodes on")
            self._decoder = None
            self._rewind()
        for frame in self._decoded_by_host():
            if last is None or frame.pts is None or frame.pts > last:
                yield frame

    def _decoded_by_card(self) -> Iterator[av.VideoFrame]:
        """All pictures from the seek on. Raises FFmpegError also where the host would conceal."""
        decoder = create_decoder(self._stream)
        for packet in itertools.chain(self._packets(), (None,)):
            yield from map(as_decoded_by_host, decoder.decode(packet))

    def _decoded_by_host(self) -> Iterator[av.VideoFrame]:
        """All pictures from the seek on; the decoder is flushed at the end."""
        decoder = create_decoder(self._stream)
        for packet in self._packets():
            try:
                yield from decoder.decode(packet)
            except av.FFmpegError as error:
                self._warn_of_packet(packet, reason(error))
        try:
            yield from decoder.decode(None)
        except av.FFmpegError as error:
            self._warn(f"'{self._path}': the last packets are damaged: {reason(error)}")

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """The undamaged packets of the pictures; damaged and missing ones are reported."""
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
        """Packets from a keyframe that is shown no later than the time sought."""
        first = (self._stream.start_time or 0) * self._time_base
        step = _FIRST_STEP_BACK
        sought = None if self._is_pipe else self._seek_to
        while sought is not None and sought - step > first:
            packets = self._seek(sought - step)
            head = next((packet for packet in packets if _is_key(packet, self._stream)), None)
            if head is not None and packet_time(head) <= sought:
                yield head
                yield from packets
                return
            step *= 4
        if step > _FIRST_STEP_BACK:  # the seeks have moved the file's position
            self._rewind()
        yield from self._demux()

    def _demux(self) -> Iterator[Packet[VideoStream]]:
        # If the stream has no duration, only all streams together show whether the file is as
        # long as its header states.
        if self._stream.duration and self.beside is None:
            return self._container.demux(self._stream)
        packets: Iterator[Packet[Any]] = self._container.demux()
        return packets if self.beside is None else self._setting_aside(packets, self.beside)

    def _setting_aside(
        self, packets: Iterator[Packet[Any]], beside: deque[Packet[Any]]
    ) -> Iterator[Packet[VideoStream]]:
        for packet in packets:
            if packet.stream_index == self._stream.index:
                yield packet
            elif packet.size and packet.stream.type in ("audio", "subtitle"):
                beside.append(packet)

    def _seek(self, time: Fraction) -> Iterator[Packet[VideoStream]]:
        try:
            self._container.seek(math.floor(time / self._time_base), stream=self._stream)
        except av.FFmpegError:
            return iter(())
        return self._demux()

    def _rewind(self) -> None:
        self._container.close()
        self._container = self._open()
        self._stream = picture_stream(self._container, self._path)
        self._stream.thread_type = "AUTO"

    def _claimed_end(self) -> Fraction | None:
        return claimed_end(self._container, self._stream)

    def _is_short(self) -> bool:
        """Whether the packets end more than three frames before the end in the header."""
        claimed = self._claimed_end()
        slack = 3 / (self._stream.average_rate or Fraction(25))
        return claimed is not None and claimed - self._reached > max(slack, Fraction(1, 10))

    def _nothing(self) -> MediaError:
        if self._start is None and self._end is None:
            return no_picture(self._path)
        claimed = self._claimed_end()
        start = float((self._start or self._zero) - self._zero)
        until = "" if self._end is None else f" and before {float(self._end - self._zero):g} s"
        lasts = (
            "" if claimed is None else f"; allowed: times before {float(claimed - self._zero):g} s"
        )
        return MediaError(f"'{self._path}' has no frame from {start:g} s on{until}{lasts}")


def _end_of(packet: Packet[VideoStream]) -> Fraction:
    return packet_time(packet) + (packet.duration or 0) * packet.time_base


def _is_key(packet: Packet[VideoStream], stream: VideoStream) -> bool:
    return packet.stream_index == stream.index and packet.is_keyframe and packet.size > 0


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
