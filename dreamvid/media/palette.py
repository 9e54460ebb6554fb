"""Frames of 256 colours for GIF, each with its own palette."""

from __future__ import annotations

from fractions import Fraction

import av
from av.filter import Graph

_TIME_BASE = Fraction(1, 100)
"""A value that the filters need; frames get their times after the filters."""


class Palette:
    """FFmpeg's palettegen and paletteuse, one palette a frame; keeps the filters."""

    def __init__(self) -> None:
        self._graph: Graph | None = None

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        """An rgb24 frame as pal8, dithered."""
        self._graph = self._graph or _palette_graph(frame)
        self._graph.vpush(frame)
        return self._graph.vpull()


def _palette_graph(frame: av.VideoFrame) -> Graph:
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=_TIME_BASE
    )
    split = graph.add("split")
    # An ordered dither is the same in each frame, so that still parts of the film stay still.
    generate = graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
    use = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=3")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(generate, 0, 0)
    split.link_to(use, 1, 0)
    generate.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph
