"""Decoded frames with their times, and deinterlacing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction

import av
from av.error import BlockingIOError as NothingYetError
from av.filter import Graph

from dreamvid.media.colour import filter_graph
from dreamvid.media.profiles import PLAIN, PictureTags


@dataclass(frozen=True)
class TimedFrame:
    """A decoded picture with the time at which it is shown; times are in seconds."""

    frame: av.VideoFrame
    time: Fraction
    duration: Fraction
    """Duration in seconds; 0 where the source does not state it."""
    tags: PictureTags = PLAIN
    """Tags of the picture file from which the picture comes."""

    @property
    def end(self) -> Fraction:
        return self.time + self.duration


def progressive(pictures: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
    """The same pictures at the same times, interlaced ones deinterlaced by FFmpeg's bwdif.

    The filter uses one picture before and one after, and holds no more. Pictures flagged as
    progressive are unchanged.
    """
    weave: _Weave | None = None
    for picture in pictures:
        if weave is not None and not weave.takes(picture.frame):
            yield from weave.finish()
            weave = None
        if weave is None and picture.frame.interlaced_frame:
            weave = _Weave(picture.frame)
        if weave is None:
            yield picture
        else:
            yield from weave.push(picture)
    if weave is not None:
        yield from weave.finish()


class _Weave:
    """The filter bwdif for pictures of one size and format; gives one for each, in order."""

    def __init__(self, frame: av.VideoFrame) -> None:
        self._key = _key(frame)
        self._graph: Graph = filter_graph(frame, ("bwdif", "mode=send_frame:deint=interlaced"))
        self._inside: deque[TimedFrame] = deque()

    def takes(self, frame: av.VideoFrame) -> bool:
        return _key(frame) == self._key

    def push(self, picture: TimedFrame) -> Iterator[TimedFrame]:
        # The filter changes times and durations, so the original ones are kept here.
        self._inside.append(picture)
        self._graph.vpush(picture.frame)
        return self._ready()

    def finish(self) -> Iterator[TimedFrame]:
        self._graph.vpush(None)
        return self._ready()

    def _ready(self) -> Iterator[TimedFrame]:
        with suppress(NothingYetError, EOFError):
            while self._inside:
                whole = self._graph.vpull()
                yield replace(self._inside.popleft(), frame=whole)


def _key(frame: av.VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name
