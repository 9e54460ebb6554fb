"""What is asked of an image besides its meaning, and the distance that meaning is measured by.

All losses are means, so that their weights survive a change of size. Those of how an image may
look and move are quadratic: their gradients stand here in closed form, as pulls, which costs a
quarter of differentiating them. A pull is the gradient times the image's number of values: the
guide's gradient has unit RMS at any size, while that of a mean shrinks with the number of values.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

EDGE = 0.03
"""Gradient of the blurred source, per pixel in [0, 1] units, at which the detail mask is 1/2."""
BLUR_SIGMA = 1.5
"""Blur in pixels before edges are looked for: noise goes, edges stay."""


def detail_mask(source: Tensor) -> Tensor:
    """Where `source` (3, H, W) may be smoothed: (1, H, W) in (0, 1], low at its edges.

    Perona & Malik's conductance `1 / (1 + |∇G|²/κ²)` (1990) of the blurred source G, over the
    strongest colour channel. Noise averages out in G and is smoothed; edges survive and are kept.
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


def add_variation_gradient(pull: Tensor, image: Tensor, mask: Tensor, weight: float) -> None:
    """Add that of `weight · mean(M · |∇I|²)`, the masked total variation, to `pull` in place."""
    for dim in (1, 2):
        count = image.shape[dim] - 1
        before, after = (dim, 0, count), (dim, 1, count)
        slope = image.narrow(*after) - image.narrow(*before)
        conductance = mask.narrow(*before)
        pull.narrow(*after).addcmul_(slope, conductance, value=2 * weight)
        pull.narrow(*before).addcmul_(slope, conductance, value=-2 * weight)


def add_steady_gradient(pull: Tensor, moved: Tensor, trust: Tensor, weight: float) -> None:
    """Add that of `weight · mean(C · (I − W)²)`, for how far I `moved` from its warm start W."""
    pull.addcmul_(moved, trust, value=2 * weight)


def add_drift_gradient(pull: Tensor, dreamed: Tensor, mean_colour: Tensor, weight: float) -> None:
    """Add that of `weight · mean_c (mean(D)_c − t_c)²`: of what was dreamed, D, and t (3,).

    Against the source frame, D = I − S, whose own colours may change as they like.
    """
    pull += 2 * weight * (dreamed.mean((1, 2)) - mean_colour)[:, None, None]


def _blur(image: Tensor) -> Tensor:
    """Gaussian blur of (C, H, W), borders replicated.

    As a sum of shifted copies: on the CPU ten times faster than a convolution of one channel.
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
