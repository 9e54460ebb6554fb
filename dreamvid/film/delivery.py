"""Delivery of a dream: limited to a mask, or added to the full-size source."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.octaves import resize
from dreamvid.dream.palette import Palette
from dreamvid.dream.symmetry import Symmetry
from dreamvid.travel import used_here
from dreamvid.types import Frame

HIDDEN = 0.35
"""Brightness of what a shown mask hides."""
TINTS = ((1.0, 0.3, 0.1), (0.1, 0.5, 1.0), (0.2, 0.8, 0.2), (0.9, 0.7, 0.0), (0.7, 0.2, 0.9))
"""Colours of areas where masks are shown, in the order of the prompts."""
TINTED = 0.45
"""Share of its colour that an area gets."""


class Delivery:
    """Frames made small for dreaming, and dreams put back on their full-size sources.

    `size` is (height, width) to dream at; None leaves frames as they are. The result is
    `full + mask · up(dream − small)`: exactly the source's pixels where the mask is 0. Holds as
    many frames as are inside the loop. With a `symmetry`, `full`, `small` and the result have it.
    """

    def __init__(
        self, size: tuple[int, int] | None = None, symmetry: Symmetry | None = None
    ) -> None:
        self._size, self._symmetry = size, symmetry
        self._inside: deque[Frame] = deque()

    def prepare(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yield the frames to dream, in order."""
        for frame in frames:
            full = self._arranged(frame.image)
            self._inside.append(frame.with_image(full))
            yield frame.with_image(self._small(full))

    def prepared(self, image: Tensor) -> Tensor:
        """What is dreamed on, for a source's image (3, H, W)."""
        return self._small(self._arranged(image))

    def _arranged(self, image: Tensor) -> Tensor:
        return image if self._symmetry is None else self._symmetry.arrange(image)

    def _small(self, image: Tensor) -> Tensor:
        return image if self._size is None else self.folded(resize(image, self._size))

    def finish(self, dream: Frame, source: Tensor, mask: Tensor | None = None) -> Frame:
        """The result for a frame; `source` (3, H, W) is what was dreamed on.

        `mask` (1, H, W) in [0, 1], of either size, is 1 where the dream is shown.
        Call it in order of time. Frames without a result, which a resumed loop reads again, are
        skipped.
        """
        full = self.skip(dream).image
        if full is source and mask is None:
            return dream.with_image(self.folded(dream.image))
        difference = resize(dream.image - source, full.shape[1:])
        return dream.with_image(self.folded(_masked(full, difference, mask)))

    def skip(self, dream: Frame) -> Frame:
        """The full-size source of a dreamed frame, which is not kept any longer."""
        return used_here(next(frame for frame in self._taken() if frame.time == dream.time))

    def folded(self, image: Tensor) -> Tensor:
        """An image (3, H, W) that has the symmetry again, where there is one."""
        return image if self._symmetry is None else self._symmetry.fold(image)

    def _taken(self) -> Iterator[Frame]:
        while self._inside:
            yield self._inside.popleft()


def show(dream: Tensor, source: Tensor, mask: Tensor | None) -> Tensor:
    """What is shown of a dream (3, H, W) where a `mask` (1, H, W) hides a part of it."""
    return dream if mask is None else _masked(source, dream - source, mask)


def coloured(image: Tensor, config: DreamConfig, mask: Tensor | None = None) -> Tensor:
    """A finished image (3, H, W) in the palette's colours, by its share, where there is one.

    What a `mask` (1, H, W) hides stays.
    """
    palette = Palette.of(config)
    if palette is None or not config.palette_share:
        return image
    moved = palette(image) - image
    if mask is not None:
        moved = moved * resize(mask, image.shape[1:]).to(image)
    return image + config.palette_share * moved


def _masked(source: Tensor, difference: Tensor, mask: Tensor | None) -> Tensor:
    if mask is not None:
        difference = difference * resize(mask, source.shape[1:]).to(difference)
    return (source + difference).clamp(0, 1)


def outline(source: Tensor, mask: Tensor | None, areas: Sequence[Tensor | None] = ()) -> Tensor:
    """A source (3, H, W) that is dark and grey where a mask (1, H, W) hides the dream.

    Each of the `areas` (1, h, w) is tinted in a colour of its own; what is None is everywhere.
    """
    shown = source
    for number, area in enumerate(area for area in areas if area is not None):
        tint = source.new_tensor(TINTS[number % len(TINTS)]).view(3, 1, 1)
        share = TINTED * resize(area, source.shape[1:]).to(source)
        shown = torch.lerp(shown, tint.expand_as(shown), share)
    if mask is None:
        return shown
    mask = resize(mask, source.shape[1:]).to(source)
    return mask * shown + (1 - mask) * HIDDEN * source.mean(0, keepdim=True)
