"""Octaves: the sizes at which one frame is dreamed, and resizing between them."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

SMALLEST_SIDE = 32
"""Shortest side of an octave in pixels; smaller ones are left out, as a guide sees only blur."""


def octave_sizes(height: int, width: int, octaves: int, scale: float) -> list[tuple[int, int]]:
    """(height, width) of each octave, coarse to fine; the last is the frame's own size."""
    sizes = [
        (round(height / scale**level), round(width / scale**level))
        for level in reversed(range(octaves))
    ]
    return [size for size in sizes[:-1] if min(size) >= SMALLEST_SIDE] + sizes[-1:]


def split_steps(steps: int, octaves: int) -> list[int]:
    """Number of steps for each octave: equal shares, the remainder goes to the finer octaves."""
    return [(steps + level) // octaves for level in range(octaves)]


def resize(image: Tensor, size: Sequence[int]) -> Tensor:
    """Resample (C, H, W) to (C, *size): bilinear, anti-aliased where it shrinks."""
    if tuple(image.shape[1:]) == tuple(size):
        return image
    resized: Tensor = F.interpolate(
        image[None], size=tuple(size), mode="bilinear", align_corners=False, antialias=True
    )[0]
    return resized


def enlarge(image: Tensor, size: Sequence[int]) -> Tensor:
    """Resample (C, H, W) to a larger (C, *size): bicubic, because bilinear shows its grid."""
    enlarged: Tensor = F.interpolate(
        image[None], size=tuple(size), mode="bicubic", align_corners=False
    )[0]
    return enlarged
