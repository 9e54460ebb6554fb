"""Symmetries of a picture: mirrors, a kaleidoscope, tiles; and layers whose images have one.

A symmetry shows a part of the picture several times. A fold reads every pixel from that part, by a
weighted sum that is the same for all pixels that must be equal. Folding twice is folding once, bit
for bit, so that a picture is symmetric exactly. The guides' gradient is averaged over the pixels
that are equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import torch
from torch import Tensor

from dreamvid.dream.canvas import Canvas, Layer, Task, constrain
from dreamvid.dream.octaves import resize
from dreamvid.dream.step_graph import Capturable
from dreamvid.dream.terms import Scene

NONE = "none"
_NEAR = 1e-6
"""Distance in pixels up to which a place counts as that of a pixel."""


@dataclass(frozen=True)
class Fold:
    """One size's pixels, each as a weighted sum of pixels of the part that is repeated."""

    index: Tensor
    """(H·W, K): flat indices of pixels of that part."""
    weight: Tensor | None
    """(H·W, K), summing to 1 over K; None where K is 1."""

    def to(self, device: torch.device) -> Fold:
        """The same on `device`."""
        weight = None if self.weight is None else self.weight.to(device)
        return Fold(self.index.to(device), weight)

    def __call__(self, image: Tensor) -> Tensor:
        """The symmetric image (C, H, W) of the part of an image; differentiable."""
        flat = image.flatten(1)
        read = flat.index_select(1, self.index.flatten()).view(len(flat), *self.index.shape)
        summed = read[..., 0] if self.weight is None else (read * self.weight).sum(2)
        return summed.view(image.shape)

    def mean(self, pixels: Tensor) -> Tensor:
        """(C, H, W) averaged over the pixels that are equal in a symmetric image."""
        flat = pixels.flatten(1)
        weight = self.weight
        if weight is None:
            weight = torch.ones_like(self.index, dtype=flat.dtype)
        spread = (flat[..., None] * weight).flatten(1)
        sums = torch.zeros_like(flat).index_add(1, self.index.flatten(), spread)
        counts = torch.zeros_like(flat[0]).index_add(0, self.index.flatten(), weight.flatten())
        return self((sums / counts.clamp(min=_NEAR)).view(pixels.shape))


@dataclass(frozen=True)
class Symmetry:
    """A symmetry about the middle of the frame, at any size."""

    name: str
    """`mirror`, `quad`, `tile` or `kaleidoscope:N`."""
    shares: tuple[float, float] = (1.0, 1.0)
    """Height and width of the frame as shares of those of the picture around it."""

    @classmethod
    def of(cls, name: str) -> Symmetry | None:
        """The symmetry that an option names; None for `none`."""
        return None if name == NONE else cls(name)

    @property
    def tiles(self) -> int:
        """Number of equal tiles along each side of a picture that is all frame; else 1."""
        return 2 if self.name == "tile" and self.shares == (1, 1) else 1

    def within(self, frame: Sequence[int], size: Sequence[int]) -> Symmetry:
        """That of a `frame` (height, width) in the middle of a picture of `size`."""
        return Symmetry(self.name, (frame[0] / size[0], frame[1] / size[1]))

    def at(self, image: Tensor) -> Fold:
        """The fold of images (C, H, W) of the size of this one, on its device."""
        height, width = image.shape[1:]
        return _fold_of(self, (height, width), image.device)

    def fold(self, image: Tensor) -> Tensor:
        """The symmetric image (C, H, W) of a part of an image."""
        return self.at(image)(image)

    def arrange(self, image: Tensor) -> Tensor:
        """The symmetric image (C, H, W) to begin with; a tile shows all of an image, made small."""
        if self.name == "tile":
            rows, columns = (-(-side // 2) for side in image.shape[1:])
            tile = resize(image, (rows, columns))
            image = torch.nn.functional.pad(
                tile, (0, image.shape[2] - columns, 0, image.shape[1] - rows)
            )
        return self.fold(image)


@lru_cache(maxsize=16)
def _fold_of(symmetry: Symmetry, size: tuple[int, int], device: torch.device) -> Fold:
    sides = [side * share for side, share in zip(size, symmetry.shares, strict=True)]
    name, _, sectors = symmetry.name.partition(":")
    if sectors:
        return _kaleidoscope(int(sectors), size, sides).to(device)
    rows, columns = (
        _FOLDS[name, axis](side, frame)
        for axis, (side, frame) in enumerate(zip(size, sides, strict=True))
    )
    index = rows[:, None] * size[1] + columns
    return Fold(index.flatten()[:, None], None).to(device)


def _plain(side: int, frame: float) -> Tensor:
    return torch.arange(side)


def _mirrored(side: int, frame: float) -> Tensor:
    """The first half's pixels, for each of a side's."""
    pixels = torch.arange(side)
    return torch.minimum(pixels, side - 1 - pixels)


def _tiled(side: int, frame: float) -> Tensor:
    """The first of two tiles' pixels, for each of a side's."""
    period = max(1, math.ceil(frame / 2 - 0.01))
    first = round((side - frame) / 2)
    return (torch.arange(side) - first) % period + first


_FOLDS: dict[tuple[str, int], Callable[[int, float], Tensor]] = {
    ("mirror", 0): _plain,
    ("mirror", 1): _mirrored,
    ("quad", 0): _mirrored,
    ("quad", 1): _mirrored,
    ("tile", 0): _tiled,
    ("tile", 1): _tiled,
}
"""(name, axis) → (length of a side, of the frame's) → the pixel that each of it is read from."""


def _kaleidoscope(sectors: int, size: tuple[int, int], frame: Sequence[float]) -> Fold:
    """Sectors, each mirrored in itself, all of which are read from one half of a sector.

    It lies at the frame's longer axis, and ends where it leaves the frame; beyond that radius the
    picture is mirrored.
    """
    height, width = size
    down = (torch.arange(height, dtype=torch.float64) - (height - 1) / 2)[:, None].expand(size)
    right = (torch.arange(width, dtype=torch.float64) - (width - 1) / 2).expand(size)
    is_upright = frame[0] > frame[1]
    along, across = (down, right) if is_upright else (right, down)
    half = math.pi / sectors
    turned = torch.remainder(torch.atan2(across, along), 2 * half)
    angle = torch.minimum(turned, 2 * half - turned)
    reach = _reach(half, max(frame), min(frame))
    past = torch.remainder(torch.hypot(across, along), 2 * reach)
    radius = torch.minimum(past, 2 * reach - past)
    new_along, new_across = radius * angle.cos(), radius * angle.sin()
    is_own = (new_along - along).abs().maximum((new_across - across).abs()) < _NEAR
    rows, columns = (new_along, new_across) if is_upright else (new_across, new_along)
    return _reading(rows + (height - 1) / 2, columns + (width - 1) / 2, is_own)


def _reach(half: float, longer: float, shorter: float) -> float:
    """The distance from the middle within which a wedge from the longer axis is in the frame."""
    angles = torch.linspace(0, half, 181, dtype=torch.float64)
    sides = [(side - 1) / 2 for side in (longer, shorter)]
    room = torch.minimum(sides[0] / angles.cos().abs(), sides[1] / angles.sin().abs())
    return float(room.min())


def _reading(rows: Tensor, columns: Tensor, is_own: Tensor) -> Fold:
    """The fold that reads the places (H, W each) bilinearly, but from a part's own pixels alone."""
    height, width = is_own.shape
    top, left = rows.floor().clamp(0, height - 2), columns.floor().clamp(0, width - 2)
    index, weight = [], []
    for down in (0, 1):
        for right in (0, 1):
            at = ((top + down) * width + left + right).long().flatten()
            share = (1 - (rows - top - down).abs()) * (1 - (columns - left - right).abs())
            index.append(at)
            weight.append(share.clamp(min=0).flatten() * is_own.flatten()[at])
    indices, weights = torch.stack(index, 1), torch.stack(weight, 1)
    itself = is_own.flatten()
    indices[itself, 0] = torch.arange(len(indices))[itself]
    weights[itself] = torch.tensor([1.0, 0, 0, 0], dtype=weights.dtype)
    lost = (weights.sum(1) < _NEAR).nonzero()[:, 0]
    if len(lost):  # at the tip, between the part's pixels
        own = is_own.nonzero().double()
        places = torch.stack([rows.flatten()[lost], columns.flatten()[lost]], 1)
        nearest = torch.cdist(places, own).argmin(1)
        indices[lost, 0] = itself.nonzero()[nearest, 0]
        weights[lost] = torch.tensor([1.0, 0, 0, 0], dtype=weights.dtype)
    return Fold(indices, (weights / weights.sum(1, keepdim=True)).float())


class FoldedLayer(Layer):
    """A layer whose images are symmetric; the parameters are those of the layer within."""

    def __init__(self, layer: Layer, task: Task, symmetry: Symmetry) -> None:
        self._layer, self._task, self._symmetry = layer, task, symmetry
        self._fold = symmetry.at(layer.image(layer.parameters))

    @property
    def level(self) -> int:  # type: ignore[override]
        return self._layer.level

    @property
    def levels(self) -> int:  # type: ignore[override]
        return self._layer.levels

    @property
    def steps(self) -> int:  # type: ignore[override]
        return self._layer.steps

    @property
    def parameters(self) -> Tensor:
        return self._layer.parameters

    @parameters.setter
    def parameters(self, parameters: Tensor) -> None:
        self._layer.parameters = parameters

    def work_key(self) -> Hashable | None:
        layer = self._layer
        key = layer.work_key() if isinstance(layer, Capturable) else None
        return None if key is None else (type(self), self._symmetry, key)

    def buffers(self) -> Sequence[Tensor]:
        return self._layer.buffers() if isinstance(self._layer, Capturable) else []

    def on(self, buffers: Sequence[Tensor]) -> Self:
        assert isinstance(self._layer, Capturable)
        twin = copy(self)
        twin._layer = self._layer.on(buffers)
        return twin

    def image(self, parameters: Tensor) -> Tensor:
        return self._fold(self._layer.image(parameters))

    def scene(self, image: Tensor) -> Scene:
        return self._layer.scene(image)

    def gradient(self, pixels: Tensor) -> Tensor:
        return self._layer.gradient(self._fold.mean(pixels))

    def settle(self) -> None:
        self._layer.settle()

    def result(self, parameters: Tensor) -> Tensor:
        fold, task = self._symmetry.fold, self._task
        image = fold(self._layer.result(parameters))
        return fold(constrain(image, task.source, task.config.strength, None, task.region))


def folded(canvas: Canvas, symmetry: Symmetry) -> Canvas:
    """The canvas with images that are symmetric."""

    def layers(task: Task) -> Iterator[Layer]:
        for layer in canvas(task):
            yield FoldedLayer(layer, task, symmetry)

    return layers
