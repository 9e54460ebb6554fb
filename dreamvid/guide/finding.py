"""Masks from words: where in a picture a guide sees a thing.

Windows of two sizes, all over the picture, are compared with the thing's words and with a list of
others; with a guide that tells what is where in a window (`dense`), each place of larger ones. What
counts is by how many standard deviations of that list the thing is nearer than the mean: the same
number means the same for every guide. Each pixel gets the mean of the windows around it, and the
soft mask is sharpened to the picture's edges by a guided filter (He, Sun and Tang, 2013).

In a film a frame looks through a part of the windows only, and takes the rest from the frame
before, along the motion: that is quick, and a mask does not flicker.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from dreamvid.dream.cutouts import crop
from dreamvid.dream.octaves import resize
from dreamvid.guide.dense import DenseTower
from dreamvid.guide.loading import Clip
from dreamvid.guide.tower import ImageTower
from dreamvid.guide.words import word_list

SHARES = (0.3, 0.5)
"""Sides of windows, as shares of the picture's shorter side."""
DENSE_SHARES = (0.5, 0.8)
"""The same for a guide with dense features."""
STRIDE = 0.7
"""Distance of neighbouring windows, as a share of their side."""
REACH = 0.3
"""Standard deviation of the weight about a window's middle, as a share of its side."""
TURNS = 16
"""Frames of a film that look through all windows together; the share of the frame before that
counts in the next is one less a part of so many."""
FINEST = 120
"""Longer side in texels of what is remembered, and at which masks are sharpened."""
STEEPNESS = 4.0
"""Slope of a mask at the threshold, in its own unit."""
BLACK, WHITE = 0.3, 0.7
"""Values of a sharpened mask that become 0 and 1: its faint flanks would let a dream through."""
RADIUS = 0.05
"""Radius of the guided filter, as a share of the longer side."""
FLAT = 1e-3
"""Variance of a picture up to which the guided filter blurs."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """What words name, but not what others name."""

    wanted: Tensor
    """(P, D), as its finder knows them; all of the picture is wanted where there are none."""
    unwanted: Tensor
    """(Q, D)."""

    @classmethod
    def of(cls, clip: Clip, wanted: Sequence[str], unwanted: Sequence[str]) -> Wanted:
        """The words as a guide knows them, of unit length."""
        return cls(clip.embed_texts(wanted), clip.embed_texts(unwanted))

    @property
    def is_all(self) -> bool:
        """Whether there are no words."""
        return not len(self.wanted) and not len(self.unwanted)


@dataclass(frozen=True, eq=False)
class MaskFinder(ABC):
    """Finds what is to be dreamed, and the areas of prompts, by words."""

    wanted: Sequence[Wanted]
    """What is to be dreamed, then each area."""
    threshold: float
    """How clearly it must be seen, in the finder's unit; there a mask is one half."""

    @property
    def limits(self) -> bool:
        """Whether it says what is to be dreamed, beside areas."""
        return not self.wanted[0].is_all

    def at(self, threshold: float) -> Self:
        """The same finder at another threshold."""
        return replace(self, threshold=threshold)

    @abstractmethod
    def look(self, image: Tensor, before: Tensor | None = None, turn: int = 0) -> Tensor:
        """What is seen in an image (3, H, W): weighted sums of nearness, and their weights.

        (2·(1 + A) + 1, h, w): for the wanted and the unwanted of each, and the weights. `before` is
        what was seen in the frame before, on this frame's grid; `turn` counts the frames.
        """

    def masks(self, seen: Tensor, image: Tensor) -> Tensor:
        """Masks (1 + A, H, W) in [0, 1] of an image (3, H, W), from what is seen in it."""
        means = seen[:-1] / seen[-1:].clamp(min=1e-6)
        soft = torch.sigmoid(STEEPNESS * (means - self.threshold))
        found = []
        for each, of_wanted, of_unwanted in zip(self.wanted, soft[::2], soft[1::2], strict=True):
            wanted = of_wanted if len(each.wanted) else torch.ones_like(of_wanted)
            unwanted = of_unwanted if len(each.unwanted) else torch.zeros_like(of_unwanted)
            found.append(
                torch.ones_like(image[:1])
                if each.is_all
                else clearer(sharpened((wanted * (1 - unwanted))[None], image))
            )
        return torch.cat(found)


@dataclass(frozen=True, eq=False)
class WordFinder(MaskFinder):
    """Finds words as a guide sees them, in standard deviations of other words' nearness."""

    tower: ImageTower
    others: Tensor
    """(W, D): words to compare with, of unit length."""
    dense: DenseTower | None = None
    """The tower's features of each place of a window; None where it has none."""

    @classmethod
    def of(
        cls,
        clip: Clip,
        wanted: Sequence[str],
        unwanted: Sequence[str],
        threshold: float,
        tower: ImageTower | None = None,
        areas: Sequence[tuple[Sequence[str], Sequence[str]]] = (),
    ) -> WordFinder:
        """The finder of a guide, of which only the image tower is kept, or the same `tower`.

        `areas` are the wanted and the unwanted words of each.
        """
        words = [Wanted.of(clip, *each) for each in ((wanted, unwanted), *areas)]
        tower = tower or clip.tower
        dense = DenseTower.of(tower)
        return cls(words, threshold, tower, clip.embed_texts(word_list()), dense)

    @torch.no_grad()
    def look(self, image: Tensor, before: Tensor | None = None, turn: int = 0) -> Tensor:
        """Sums over windows: over all without `before`, otherwise over those of this `turn`."""
        windows, sides = _windows(image, SHARES if self.dense is None else DENSE_SHARES)
        turns = min(TURNS, len(windows))
        if before is not None:
            mine = slice(turn % turns, None, turns)
            windows, sides = windows[mine], sides[mine]
        shown = crop(image, windows.to(image), self.tower.size)
        if self.dense is None:
            features = self.tower(shown)
        else:
            places = self.dense(shown)  # (N, h, w, D)
            windows, sides = _divided(windows, sides, places.shape[1])
            features = places.flatten(0, 2)
        near = torch.stack(
            [
                self._nearness(features, words)
                for each in self.wanted
                for words in (each.wanted, each.unwanted)
            ]
        )
        rows, columns = size_seen(image)
        down = _weights(windows[:, 1::2], sides[:, 1], rows).to(image)
        across = _weights(windows[:, 0::2], sides[:, 0], columns).to(image)
        values = torch.cat([near, torch.ones_like(near[:1])])
        seen = torch.einsum("cn,nh,nw->chw", values, down, across)
        return seen if before is None else seen + (1 - 1 / turns) * before

    def _nearness(self, features: Tensor, words: Tensor) -> Tensor:
        """By how many standard deviations windows (N, D) are nearest to one of `words`, (N,)."""
        if not len(words):
            return torch.zeros_like(features[:, 0])
        others = features @ self.others.T
        nearest = (features @ words.T).amax(1)
        return (nearest - others.mean(1)) / others.std(1).clamp(min=1e-6)


def clearer(mask: Tensor) -> Tensor:
    """A mask in [0, 1] with more contrast: a smoothstep from `BLACK` to `WHITE`."""
    share = ((mask - BLACK) / (WHITE - BLACK)).clamp(0, 1)
    return share * share * (3 - 2 * share)


def sharpened(mask: Tensor, image: Tensor) -> Tensor:
    """A coarse mask (1, h, w) brought to the edges of an image (3, H, W): (1, H, W) in [0, 1].

    The guided filter: within a neighbourhood, the mask is a linear function of the colours. Its
    coefficients are found at the mask's size and enlarged.
    """
    small = resize(image, mask.shape[1:])
    radius = max(1, round(RADIUS * max(mask.shape[1:])))
    mean, mean_mask = _blurred(small, radius), _blurred(mask, radius)
    covariance = _blurred(small * mask, radius) - mean * mean_mask  # (3, h, w)
    pairs = (small[:, None] * small[None]).flatten(0, 1)
    spread = _blurred(pairs, radius).view(3, 3, *mask.shape[1:]) - mean[:, None] * mean[None]
    matrix = spread.permute(2, 3, 0, 1) + FLAT * torch.eye(3, device=image.device)
    slopes = torch.linalg.solve(matrix, covariance.permute(1, 2, 0)).permute(2, 0, 1)
    base = mean_mask - (slopes * mean).sum(0, keepdim=True)
    line = resize(_blurred(torch.cat([slopes, base]), radius), image.shape[1:])
    return ((line[:3] * image).sum(0, keepdim=True) + line[3:]).clamp(0, 1)


def _blurred(image: Tensor, radius: int) -> Tensor:
    """The mean of (C, H, W) over a square of 2·radius + 1 pixels a side."""
    side = 2 * radius + 1
    for size, padding in (((side, 1), (radius, 0)), ((1, side), (0, radius))):
        image = F.avg_pool2d(image[None], size, 1, padding, count_include_pad=False)[0]
    return image


def size_seen(image: Tensor) -> tuple[int, int]:
    """(rows, columns) of what is remembered of an image (C, H, W)."""
    scale = min(1.0, FINEST / max(image.shape[1:]))
    rows, columns = (max(1, round(scale * side)) for side in image.shape[1:])
    return rows, columns


def _divided(windows: Tensor, sides: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Windows (N, 4) and sides (N, 2) of `count`² parts of each window, row by row."""
    down, across = torch.meshgrid(torch.arange(count), torch.arange(count), indexing="ij")
    step = sides[:, None] / count  # (N, 1, 2)
    corners = windows[:, None, :2] + step * torch.stack([across, down], -1).view(1, -1, 2)
    parts = torch.cat([corners, corners + step], -1)
    return parts.flatten(0, 1), step.expand_as(corners).flatten(0, 1)


def _windows(image: Tensor, shares: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Windows (N, 4) all over an image, in shares of its sides, and their own sides (N, 2).

    Neighbours follow one another, so that every so manieth window is everywhere.
    """
    height, width = image.shape[1:]
    found, sides = [], []
    for share in shares:
        side = share * min(height, width)
        x, y = side / width, side / height
        down, across = (_places(length, STRIDE * side) for length in (height, width))
        for row in down:
            for column in across:
                found.append([column - x / 2, row - y / 2, column + x / 2, row + y / 2])
                sides.append([x, y])
    return torch.tensor(found), torch.tensor(sides)


def _places(length: float, stride: float) -> list[float]:
    """Middles of windows, evenly over a side, in shares of it."""
    count = max(1, round(length / stride))
    return [(number + 0.5) / count for number in range(count)]


def _weights(ends: Tensor, sides: Tensor, count: int) -> Tensor:
    """The weight (N, count) of each window at texels along an axis, from its ends (N, 2)."""
    texels = (torch.arange(count) + 0.5) / count
    away = (texels - ends.mean(1, keepdim=True)) / (REACH * sides[:, None])
    return torch.exp(-away.square() / 2)
