"""Masks that say where a clip is dreamed: a picture or a film in grey."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from dreamvid.media.closing import Closes
from dreamvid.media.source import Source
from dreamvid.types import Frame

if TYPE_CHECKING:
    from torch import Tensor
_TICK = Fraction(1, 1000)
"""Seconds by which Matroska's clock may put a frame later than another container's."""


class MaskReader(Closes):
    """Masks (1, H, W) in [0, 1], for rising times: white 1, black 0, colours by their mean.

    A film gives what it shows at the time asked for, and after its end its last picture. `start`
    is the clip's first moment in it, in seconds, `size` is (width, height) to scale to. Raises
    MediaError where it is not readable.
    """

    def __init__(
        self,
        source: Source,
        size: tuple[int, int],
        *,
        start: Fraction | None,
        invert: bool,
        on_warning: Callable[[str], None],
    ) -> None:
        # A picture has one moment alone, and stays from wherever the clip starts.
        begin = None if source.is_still else start
        self._invert = invert
        self._reader = source.open(on_warning, start=begin, size=f"{size[0]}x{size[1]}")
        self._frames: Iterator[Frame] = iter(self._reader)
        self._next = next(self._frames, None)
        self._mask: Tensor | None = None

    def at(self, time: Fraction) -> Tensor:
        """The mask shown at `time`, no earlier than the time asked for before."""
        while self._next is not None and (self._mask is None or self._next.time <= time + _TICK):
            grey = self._next.image.mean(0, keepdim=True)
            self._mask = 1 - grey if self._invert else grey
            self._next = next(self._frames, None)
        assert self._mask is not None  # a reader has at least one frame
        return self._mask

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()
