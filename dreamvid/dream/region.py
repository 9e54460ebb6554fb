"""Regions: the part of a picture in which it is dreamed, and the box around that part.

A region is a mask (1, H, W) in [0, 1]: the share of the dream that is shown of each pixel. Where it
is not black, pixels are dreamed; it weighs the dream's strength. Only the box around it is dreamed,
as a picture of its own: cutouts are drawn there, and none is lost on what stays as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

FAINT = 0.05
"""Value of a mask up to which it counts as black: lossy films have no clean black."""
MARGIN = 0.05
"""Width of the surroundings that guides also see, as a share of the box's longer side."""
SMALLEST_BOX = 64
"""Sides of a box in pixels, at least: a guide sees nothing in less."""
NARROWEST = 0.5
"""Ratio of a box's shorter side to its longer one, at least."""
GRID = 16
"""Sides and places of boxes are multiples of so many pixels, so that they seldom change."""


def support(region: Tensor) -> Tensor:
    """1 where a region (1, H, W) is dreamed, else 0."""
    return (region > FAINT).to(region.dtype)


@dataclass(frozen=True)
class Box:
    """A part of a picture, in pixels; the last row and column are the ones before the ends."""

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def of(cls, image: Tensor) -> Box:
        """The box that is all of an image (C, H, W)."""
        return cls(0, 0, image.shape[1], image.shape[2])

    @classmethod
    def around(cls, region: Tensor) -> Box | None:
        """The box around a region (1, H, W), with a margin; None where it is black."""
        marked = region[0] > FAINT
        spans = [marked.any(axis).nonzero().flatten().tolist() for axis in (1, 0)]
        if not spans[0]:
            return None
        sides = [span[-1] + 1 - span[0] for span in spans]
        margin = MARGIN * max(sides)
        least = max(SMALLEST_BOX, NARROWEST * (max(sides) + 2 * margin))
        (top, bottom), (left, right) = (
            _widened(span[0] - margin, span[-1] + 1 + margin, least, whole)
            for span, whole in zip(spans, region.shape[1:], strict=True)
        )
        return cls(top, left, bottom, right)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.bottom - self.top, self.right - self.left

    def cut(self, image: Tensor) -> Tensor:
        """This part of an image (C, H, W)."""
        return image[:, self.top : self.bottom, self.left : self.right].contiguous()

    def put(self, part: Tensor, image: Tensor) -> Tensor:
        """A copy of an image (C, H, W) that has this `part`."""
        whole = image.clone()
        whole[:, self.top : self.bottom, self.left : self.right] = part
        return whole


def mean_within(values: Tensor, region: Tensor | None) -> Tensor:
    """The mean of `values` (1, H, W), weighed by a region; a scalar."""
    if region is None:
        return values.mean()
    return (values * region).sum() / region.sum().clamp(min=1e-12)


def _widened(begin: float, end: float, least: float, whole: int) -> tuple[int, int]:
    """A span that is at least so long, on the grid and within [0, whole)."""
    more = max(0.0, least - (end - begin)) / 2
    first = GRID * math.floor((begin - more) / GRID)
    last = GRID * math.ceil((end + more) / GRID)
    first, last = first - max(0, last - whole), last + max(0, -first)
    return max(0, first), min(whole, last)
