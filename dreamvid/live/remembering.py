"""Dreams of pictures that were seen before: after a flash, in a loop, when a shot comes back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

MOST = 32
"""Pictures that are remembered."""
THUMBNAIL = (9, 16)
"""Rows and columns by which pictures are compared."""
SAME = 0.03
"""Mean difference of thumbnails up to which a picture replaces one that is remembered."""
ALIKE = 0.1
"""The same up to which a picture may be one that has moved."""


@dataclass(frozen=True)
class Effort:
    """How far a dream has come."""

    wishes: int = 0
    """The number of changes by hand up to which it follows them."""
    steps: int = 0
    """Steps made since the last of them."""


@dataclass(frozen=True, eq=False)
class Memory:
    """A picture and what was dreamed on it."""

    source: Tensor
    """(3, H, W)."""
    added: Tensor
    """(3, H, W)."""
    effort: Effort
    thumbnail: Tensor


class Memories:
    """The last pictures, each different from the others, with the newest dream of each."""

    def __init__(self) -> None:
        self._kept: deque[Memory] = deque(maxlen=MOST)

    def keep(self, source: Tensor, added: Tensor, effort: Effort) -> None:
        """Remember what is added to a picture, (3, H, W) each, in place of the most similar one."""
        thumbnail = _thumbnail(source)
        distances = self._distances(thumbnail)
        if distances and min(distances) <= SAME:
            del self._kept[distances.index(min(distances))]
        self._kept.append(Memory(source, added, effort, thumbnail))

    def like(self, source: Tensor) -> list[Memory]:
        """The memories of pictures that may be `source`, (3, H, W), moved; the nearest first."""
        distances = self._distances(_thumbnail(source))
        order = sorted(range(len(distances)), key=distances.__getitem__)
        return [self._kept[place] for place in order if distances[place] <= ALIKE]

    def _distances(self, thumbnail: Tensor) -> list[float]:
        if not self._kept:
            return []
        thumbnails = torch.stack([each.thumbnail for each in self._kept])
        distances: list[float] = (thumbnails - thumbnail).abs().mean((1, 2, 3)).tolist()
        return distances


def _thumbnail(image: Tensor) -> Tensor:
    return F.interpolate(image[None], THUMBNAIL, mode="area")[0]
