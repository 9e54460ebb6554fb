"""Canvases: parameters that represent the dreamed difference D = I − S.

A canvas gives the layers of one image, coarse to fine. Each layer has parameters z, which an
optimizer moves, and an image that depends on them. A gradient in the image's pixels becomes a
gradient in z by the transpose of that dependence. The descent uses only this interface.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.norms import rms
from dreamvid.dream.octaves import octave_sizes, resize, split_steps
from dreamvid.dream.region import support
from dreamvid.dream.terms import Scene, detail_mask


@dataclass(frozen=True, eq=False)
class Task:
    """One image to dream, as the input of a canvas. Images are (3, H, W) in [0, 1]."""

    source: Tensor
    """The source S."""
    start: Tensor
    """The warm start W; not always within `config.strength` of the source."""
    steps: int
    """Steps of all layers together."""
    config: DreamConfig
    trust: Tensor | None = None
    """(1, H, W) in [0, 1]: reliability of the warm start."""
    mean_colour: Tensor | None = None
    """(3,): the mean of I − S that must not drift."""
    region: Tensor | None = None
    """(1, H, W) in [0, 1]: the share of the dream that is shown; None where all is."""
    tiles: int = 1
    """Number of equal tiles along each side, of ⌈side / tiles⌉ pixels."""

    def resized(self, size: tuple[int, int]) -> Task:
        """The same task at `size` (height, width)."""
        trust = None if self.trust is None else resize(self.trust, size)
        return replace(self.mapped(partial(resize, size=size)), trust=trust)

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Task:
        """The same task with its pictures, and the mask of what is shown, changed alike."""
        source = change(self.source)
        start = source if self.start is self.source else change(self.start)
        region = None if self.region is None else change(self.region)
        return replace(self, source=source, start=start, region=region)


class Layer(Protocol):
    """One stage of a canvas: parameters, and the image (3, h, w) that they represent."""

    level: int
    """Index of the layer, from 0, coarse to fine."""
    levels: int
    """Number of the canvas's layers."""
    steps: int
    """Steps of the optimizer, at least 1."""
    parameters: Tensor
    """z: real, contiguous, of any shape; the optimizer moves it in place."""

    def image(self, parameters: Tensor) -> Tensor:
        """The image (3, h, w) that `parameters` represent, differentiable in them."""

    def scene(self, image: Tensor) -> Scene:
        """The scene of `image` (3, h, w), for terms."""

    def gradient(self, pixels: Tensor) -> Tensor:
        """The gradient in the parameters, for a gradient in the image's pixels: Aᵀ · `pixels`."""
        leaf = self.parameters.detach().requires_grad_()
        with torch.enable_grad():
            image = self.image(leaf)
        (gradient,) = torch.autograd.grad(image, leaf, pixels)
        return gradient

    def settle(self) -> None:
        """Correct the parameters after a step, in place, so that the image keeps its limits.

        The limits are the share `hold` of a step for trusted pixels, [0, 1], and the strength.
        """

    def result(self, parameters: Tensor) -> Tensor:
        """The image (3, H, W) at full size, within [0, 1] and the strength; a new tensor."""


Canvas = Callable[[Task], Iterable[Layer]]
"""A function that gives the layers of one image, each created after the one before is finished.

The sum of their steps is the number of steps of the task.
"""


def constrain(
    image: Tensor,
    source: Tensor,
    strength: float,
    out: Tensor | None = None,
    region: Tensor | None = None,
) -> Tensor:
    """Clamp to [0, 1], then limit the RMS distance from `source` to `strength`.

    With `region` (1, H, W), the distance is measured there, and is 0 outside. The result is
    written to `out`, where given; `out` may be `image`.
    """
    difference = image.clamp(0, 1).sub_(source)
    if region is not None:
        difference *= support(region)
    share = (strength / rms(difference, region).clamp(min=1e-12)).clamp(max=1)
    return torch.addcmul(source, difference, share, out=out)


@dataclass(frozen=True)
class Octave:
    """The size of a layer's image, and its number of steps."""

    level: int
    levels: int
    size: tuple[int, int]
    """(height, width)."""
    steps: int


AnyLayer = TypeVar("AnyLayer", bound=Layer)


def by_octaves(
    task: Task, size: tuple[int, int], layer_at: Callable[[Octave, Task, Tensor], AnyLayer]
) -> Iterator[AnyLayer]:
    """A layer for each octave of `size` (height, width) that has steps, coarse to fine.

    `layer_at(octave, task, image)` creates it from the image so far, at full size.
    """
    sizes = octave_sizes(*size, task.config.octaves, task.config.octave_scale)
    layer: AnyLayer | None = None
    for level, steps in enumerate(split_steps(task.steps, len(sizes))):
        if steps:
            begun = task.start if layer is None else layer.result(layer.parameters)
            layer = layer_at(Octave(level, len(sizes), sizes[level], steps), task, begun)
            yield layer


class PixelLayer(Layer):
    """A layer whose parameters are pixels or differences of pixels: Aᵀ is the identity."""

    def __init__(self, octave: Octave, parameters: Tensor, trust: Tensor | None, hold: float):
        """Hold back pixels by `trust` (1, h, w): trusted ones lose the share `hold` of a step."""
        self.level, self.levels, self.steps = octave.level, octave.levels, octave.steps
        self.parameters = parameters
        self._step_mask = None if trust is None or not hold else 1 - hold * trust
        self._settled = None if self._step_mask is None else parameters.clone()

    def gradient(self, pixels: Tensor) -> Tensor:
        return pixels

    def settle(self) -> None:
        if self._step_mask is not None and self._settled is not None:
            torch.lerp(self._settled, self.parameters, self._step_mask, out=self.parameters)
        self._constrain()
        if self._settled is not None:
            self._settled.copy_(self.parameters)

    def _constrain(self) -> None:
        """Bring the image, in place, into [0, 1] and within the strength."""
        raise NotImplementedError


class OctaveLayer(PixelLayer):
    """One octave's pixels; their change Δ is added to the image at full size, `I + up(Δ)`."""

    def __init__(self, octave: Octave, task: Task, begun: Tensor) -> None:
        self._task, self._begun = task, begun
        self._base = resize(begun, octave.size)
        source = resize(task.source, octave.size)
        trust = task.trust
        trust = None if trust is None else resize(trust, octave.size).to(source.dtype)
        self._scene = Scene(
            image=self._base,
            source=source,
            start=resize(task.start, octave.size),
            mask=detail_mask(source),
            trust=trust,
            mean_colour=task.mean_colour,
            region=None if task.region is None else resize(task.region, octave.size),
        )
        pixels = self._base.clone(memory_format=torch.contiguous_format)
        super().__init__(octave, pixels, trust, task.config.hold)

    def work_key(self) -> Hashable:
        is_held, scene = self._step_mask is not None, self._scene
        parts = scene.trust is None, scene.mean_colour is None, scene.region is None
        return type(self), self._task.config.strength, is_held, parts

    def buffers(self) -> Sequence[Tensor]:
        own = self.parameters, self._step_mask, self._settled
        return [each for each in (*own, *self._scene.buffers()) if each is not None]

    def on(self, buffers: Sequence[Tensor]) -> Self:
        twin, rest = copy(self), list(buffers)
        twin.parameters = rest.pop(0)
        if self._step_mask is not None:
            twin._step_mask, twin._settled = rest.pop(0), rest.pop(0)
        twin._scene = self._scene.on(rest)
        return twin

    def image(self, parameters: Tensor) -> Tensor:
        return parameters

    def scene(self, image: Tensor) -> Scene:
        return self._scene.showing(image)

    def result(self, parameters: Tensor) -> Tensor:
        added = resize(parameters - self._base, self._begun.shape[1:])
        task = self._task
        return constrain(self._begun + added, task.source, task.config.strength, None, task.region)

    def _constrain(self) -> None:
        strength = self._task.config.strength
        source, region = self._scene.source, self._scene.region
        constrain(self.parameters, source, strength, self.parameters, region)


def octaves(task: Task) -> Iterator[OctaveLayer]:
    """Pixels by octaves, `I = W + Σ_k up(Δ_k)`: one difference for each octave, coarse first."""
    return by_octaves(task, (task.source.shape[1], task.source.shape[2]), OctaveLayer)
