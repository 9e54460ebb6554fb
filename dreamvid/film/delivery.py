"""Delivery of a dream: limited to a mask, or added to the full-size source."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

from torch import Tensor

from dreamvid.dream.octaves import resize
from dreamvid.types import Frame

Mask = Callable[[Fraction], Tensor]
"""Time of a frame → (1, H, W) in [0, 1], of the delivered size: 1 where the dream is shown."""


class Delivery:
    """Frames made small for dreaming, and dreams put back on their full-size sources.

    `size` is (height, width) to dream at; None leaves frames as they are. The result is
    `full + mask · up(dream − small)`: exactly the source's pixels where the mask is 0. Holds as
    many frames as are inside the loop.
    """

    def __init__(self, size: tuple[int, int] | None = None, mask: Mask | None = None) -> None:
        self._size, self._mask = size, mask
        self._inside: deque[Frame] = deque()

    def prepare(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yield the frames to dream, in order."""
        for frame in frames:
            self._inside.append(frame)
            yield frame.with_image(self.shrink(frame.image))

    def shrink(self, image: Tensor) -> Tensor:
        """A source's image (3, H, W) at the size to dream at."""
        return image if self._size is None else resize(image, self._size)

    def finish(self, dream: Frame, source: Tensor) -> Frame:
        """The result for a frame; `source` (3, H, W) is what was dreamed on.

        Call it in order of time. Frames without a result, which a resumed loop reads again, are
        skipped.
        """
        full = next(frame for frame in self._taken() if frame.time == dream.time).image
        if full is source and self._mask is None:
            return dream
        difference = resize(dream.image - source, full.shape[1:])
        if self._mask is not None:
            difference = difference * self._mask(dream.time).to(difference)
        return dream.with_image((full + difference).clamp(0, 1))

    def _taken(self) -> Iterator[Frame]:
        while self._inside:
            yield self._inside.popleft()
