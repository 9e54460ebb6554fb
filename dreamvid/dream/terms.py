"""Terms: losses of an image that do not depend on its meaning, but on its look and motion.

All losses are means, so that their weights mean the same at every size. The terms here are
quadratic and have gradients in closed form, at a quarter of the cost of autograd. A term's gradient
is multiplied by the image's number of values: the guide's gradient has unit RMS at any size, but
the gradient of a mean shrinks with the number of values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.palette import Palette

EDGE = 0.03
"""Gradient of the blurred source, per pixel in [0, 1] units, at which the detail mask is 1/2."""
BLUR_SIGMA = 1.5
"""Standard deviation in pixels of the blur before edge detection; it removes noise, not edges."""


@dataclass(frozen=True, eq=False)
class Scene:
    """The inputs of a term, apart from the image; every tensor has the image's size."""

    image: Tensor
    """(3, h, w): the image of this scene."""
    source: Tensor
    """(3, h, w): the source."""
    start: Tensor
    """(3, h, w): the warm start."""
    mask: Tensor
    """(1, h, w): the source's `detail_mask`."""
    trust: Tensor | None = None
    """(1, h, w) in [0, 1]: reliability of the warm start; None without a warm start."""
    mean_colour: Tensor | None = None
    """(3,): the mean of `image − source` over the shot so far; None at its beginning."""
    mask_around: Tensor | None = None
    """(1, h + 2, w + 2): the mask of a seamless image, whose opposite borders join, extended by
    one pixel on each side; None for an image that ends at its borders."""
    origin: Tensor | None = None
    """(3, h, w): the image before dreaming; None for the source."""
    region: Tensor | None = None
    """(1, h, w) in [0, 1]: the share of the dream that is shown; None where all is."""
    difference: Tensor | None = None
    """(3, h, w): `image − origin`, where the canvas already has it."""

    @cached_property
    def dreamed(self) -> Tensor:
        """The dreamed difference (3, h, w): the image minus its origin.

        It is computed when a term first uses it, and shared by all terms.
        """
        if self.difference is not None:
            return self.difference
        return self.image - (self.source if self.origin is None else self.origin)

    def buffers(self) -> list[Tensor]:
        """Its tensors, the image aside, always in the same order."""
        return [value for _, value in self._fields()]

    def on(self, buffers: Sequence[Tensor]) -> Scene:
        """The same scene on other `buffers`."""
        names = [name for name, _ in self._fields()]
        return replace(self, **dict(zip(names, buffers, strict=True)))

    def _fields(self) -> list[tuple[str, Tensor]]:
        names = (
            *("source", "start", "mask", "trust", "mean_colour", "mask_around", "origin"),
            "region",
        )
        return [(name, getattr(self, name)) for name in names if getattr(self, name) is not None]

    def showing(self, image: Tensor, difference: Tensor | None = None) -> Scene:
        """The same scene with another `image` (3, h, w)."""
        return replace(self, image=image, difference=difference)


class Term(Protocol):
    """A loss of the image. Autograd computes its gradient, unless it is a `ClosedFormTerm`."""

    def __call__(self, image: Tensor, scene: Scene) -> Tensor:
        """The weighted loss, a scalar mean; `image` is `scene.image`, (3, h, w)."""


@runtime_checkable
class ClosedFormTerm(Term, Protocol):
    """A term with a gradient in closed form."""

    def add_gradient(self, gradient: Tensor, image: Tensor, scene: Scene) -> None:
        """Add the loss's gradient in `image`, times its number of values, in place."""


def terms_of(config: DreamConfig) -> list[Term]:
    """The terms whose weight in `config` is not 0."""
    terms: list[tuple[float, Term]] = [
        (config.tv, TotalVariation(config.tv, config.tv_of)),
        (config.steady, Steadiness(config.steady)),
        (config.colour_drift, ColourDrift(config.colour_drift)),
    ]
    palette = Palette.of(config)
    if palette is not None:
        terms.append((config.palette_weight, PalettePull(config.palette_weight, palette)))
    return [term for weight, term in terms if weight]


def add_gradients(terms: Sequence[Term], gradient: Tensor, image: Tensor, scene: Scene) -> None:
    """Add the gradients of `terms` to `gradient` in place, each times the number of values."""
    for term in terms:
        if isinstance(term, ClosedFormTerm):
            term.add_gradient(gradient, image, scene)
        else:
            gradient += differentiated(term, image, scene)


def differentiated(term: Term, image: Tensor, scene: Scene) -> Tensor:
    """The gradient (3, h, w) of `term` in `image` by autograd, times the number of values."""
    leaf = image.detach().requires_grad_()
    with torch.enable_grad():
        loss = term(leaf, scene.showing(leaf))
    if not loss.requires_grad:
        return torch.zeros_like(image)
    (gradient,) = torch.autograd.grad(loss, leaf)
    return gradient * image.numel()


@dataclass(frozen=True)
class TotalVariation:
    """Masked total variation, `weight · mean(M · |∇I|²)`: smooths image or dreamed difference."""

    weight: float
    of: Literal["image", "difference"]

    def __call__(self, image: Tensor, scene: Scene) -> Tensor:
        smoothed = self._smoothed(image, scene)
        if scene.mask_around is None:
            return self.weight * masked_total_variation(smoothed, scene.mask)
        around = _continued(smoothed)
        down = (around[:, 2:, 1:-1] - smoothed).square() * scene.mask
        across = (around[:, 1:-1, 2:] - smoothed).square() * scene.mask
        return self.weight * (down.sum() + across.sum()) / around.numel()

    def add_gradient(self, gradient: Tensor, image: Tensor, scene: Scene) -> None:
        """Add the gradient in closed form; the mean of a seamless image includes its rim."""
        smoothed = self._smoothed(image, scene)
        if scene.mask_around is None:
            add_variation_gradient(gradient, smoothed, scene.mask, self.weight)
            return
        around = _continued(smoothed)
        added = torch.zeros_like(around)
        weight = self.weight * smoothed.numel() / around.numel()
        add_variation_gradient(added, around, scene.mask_around, weight)
        gradient += added[:, 1:-1, 1:-1]

    def _smoothed(self, image: Tensor, scene: Scene) -> Tensor:
        return image if self.of == "image" else scene.dreamed


@dataclass(frozen=True)
class Steadiness:
    """`weight · mean(C · (I − W)²)`: keeps the image I near its warm start W where trust C is high.

    The loss is 0 without trust.
    """

    weight: float

    def __call__(self, image: Tensor, scene: Scene) -> Tensor:
        if scene.trust is None:
            return image.new_zeros(())
        return self.weight * ((image - scene.start).square() * scene.trust).mean()

    def add_gradient(self, gradient: Tensor, image: Tensor, scene: Scene) -> None:
        """Add the gradient in closed form."""
        if scene.trust is not None:
            gradient.addcmul_(image - scene.start, scene.trust, value=2 * self.weight)


@dataclass(frozen=True)
class ColourDrift:
    """`weight · mean_c (mean(D)_c − t_c)²`: keeps the mean colour of the dreamed difference D at t.

    D is relative to the source frame, whose own colours may change freely. The loss is 0 without a
    mean colour.
    """

    weight: float

    def __call__(self, image: Tensor, scene: Scene) -> Tensor:
        if scene.mean_colour is None:
            return image.new_zeros(())
        return self.weight * (scene.dreamed.mean((1, 2)) - scene.mean_colour).square().mean()

    def add_gradient(self, gradient: Tensor, image: Tensor, scene: Scene) -> None:
        """Add the gradient in closed form."""
        if scene.mean_colour is not None:
            drift = scene.dreamed.mean((1, 2)) - scene.mean_colour
            gradient += 2 * self.weight * drift[:, None, None]


@dataclass(frozen=True)
class PalettePull:
    """`weight · mean((I − P(I))²)`: draws the image I towards P(I), I in a palette's colours.

    P(I) counts as constant in each step.
    """

    weight: float
    palette: Palette

    def __call__(self, image: Tensor, scene: Scene) -> Tensor:
        return self.weight * (image - self._target(image)).square().mean()

    def add_gradient(self, gradient: Tensor, image: Tensor, scene: Scene) -> None:
        """Add the gradient in closed form."""
        gradient.add_(image - self._target(image), alpha=2 * self.weight)

    def _target(self, image: Tensor) -> Tensor:
        return self.palette(image.detach())


def detail_mask(source: Tensor) -> Tensor:
    """Smoothing mask of `source` (3, H, W): (1, H, W) in (0, 1], low at its edges.

    This is Perona & Malik's conductance `1 / (1 + |∇G|²/κ²)` (1990) of the blurred source G, for
    the strongest colour channel. The blur removes noise from G, so that noise is smoothed; edges
    remain in G and are kept.
    """
    blurred = _blur(source)
    down = F.pad(blurred[:, 1:] - blurred[:, :-1], (0, 0, 0, 1))
    across = F.pad(blurred[:, :, 1:] - blurred[:, :, :-1], (0, 1))
    slope = (down.square() + across.square()).amax(0, keepdim=True)
    return 1 / (1 + slope / EDGE**2)


def masked_total_variation(image: Tensor, mask: Tensor) -> Tensor:
    """`mean(M · |∇I|²)` with forward differences, for (C, H, W) and (1, H, W)."""
    down = (image[:, 1:] - image[:, :-1]).square() * mask[:, :-1]
    across = (image[:, :, 1:] - image[:, :, :-1]).square() * mask[:, :, :-1]
    return (down.sum() + across.sum()) / image.numel()


def add_variation_gradient(gradient: Tensor, image: Tensor, mask: Tensor, weight: float) -> None:
    """Add the gradient of `weight · masked_total_variation`, times the number of values."""
    for dim in (1, 2):
        count = image.shape[dim] - 1
        before, after = (dim, 0, count), (dim, 1, count)
        slope = image.narrow(*after) - image.narrow(*before)
        conductance = mask.narrow(*before)
        gradient.narrow(*after).addcmul_(slope, conductance, value=2 * weight)
        gradient.narrow(*before).addcmul_(slope, conductance, value=-2 * weight)


def _continued(image: Tensor) -> Tensor:
    """A seamless image (C, H, W), extended by one pixel on each side: (C, H + 2, W + 2)."""
    return F.pad(image[None], (1, 1, 1, 1), mode="circular")[0]


def _blur(image: Tensor) -> Tensor:
    """Gaussian blur of (C, H, W), borders replicated.

    It sums shifted copies, which is ten times faster on the CPU than a one-channel convolution.
    """
    radius = round(3 * BLUR_SIGMA)
    weights = [
        math.exp(-(offset**2) / (2 * BLUR_SIGMA**2)) for offset in range(-radius, radius + 1)
    ]
    for dim in (1, 2):
        padding = (radius, radius, 0, 0) if dim == 2 else (0, 0, radius, radius)
        padded = F.pad(image[None], padding, mode="replicate")[0]
        length, image = image.shape[dim], torch.zeros_like(image)
        for offset, weight in enumerate(weights):
            image.add_(padded.narrow(dim, offset, length), alpha=weight / sum(weights))
    return image
