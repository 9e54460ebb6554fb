"""Delivery of a dream: limited to a mask, or added to the full-size source."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from torch import Tensor

from dreamvid.dream.octaves import resize
from dreamvid.types import Frame


class Delivery:
    """Frames made small for dreaming, and dreams put back on their full-size sources.

    `size` is (height, width) to dream at; None leaves frames as they are. The result is
    `full + mask · up(dream − small)`: exactly the source's pixels where the mask is 0. Holds as
    many frames as are inside the loop.
    """

    def __init__(self, size: tuple[int, int] | None = None) -> None:
        self._size = size
        self._inside: deque[Frame] = deque()

    def prepare(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yield the frames to dream, in order."""
        for frame in frames:
            self._inside.append(frame)
            yield frame.with_image(self.shrink(frame.image))

    def shrink(self, image: Tensor) -> Tensor:
        """A source's image (3, H, W) at the size to dream at."""
        return image if self._size is None else resize(image, self._size)

    def finish(self, dream: Frame, source: Tensor, mask: Tensor | None = None) -> Frame:
        """The result for a frame; `source` (3, H, W) is what was dreamed on.

        `mask` (1, H, W) in [0, 1], of the delivered size, is 1 where the dream is shown.
        Call it in order of time. Frames without a result, which a resumed loop reads again, are
        skipped.
        """
        full = next(frame for frame in self._taken() if frame.time == dream.time).image
        if full is source and mask is None:
            return dream
        difference = resize(dream.image - source, full.shape[1:])
        return dream.with_image(_masked(full, difference, mask))

    def _taken(self) -> Iterator[Frame]:
        while self._inside:
            yield self._inside.popleft()


def show(dream: Tensor, source: Tensor, mask: Tensor | None) -> Tensor:
    """What is shown of a dream (3, H, W) where a `mask` (1, H, W) hides a part of it."""
    return dream if mask is None else _masked(source, dream - source, mask)


def _masked(source: Tensor, difference: Tensor, mask: Tensor | None) -> Tensor:
    if mask is not None:
        difference = difference * mask.to(difference)
    return (source + difference).clamp(0, 1)
