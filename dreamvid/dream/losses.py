"""What is asked of an image besides its meaning, and the distance that meaning is measured by.

All losses are means, so that their weights survive a change of size.
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


def spherical_distance(cosine: Tensor) -> Tensor:
    """`2·asin(‖u−v‖/2)²` of unit vectors from their cosine: half the squared angle between them.

    Finite in value and gradient for all cosines; at ±1 the gradient is cut to 0.
    """
    return torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6)).square() / 2


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


def steadiness(image: Tensor, start: Tensor, trust: Tensor) -> Tensor:
    """`mean(C · (I − W)²)`: how far trusted pixels moved from their warm start."""
    return (trust * (image - start).square()).mean()


def tint_change(image: Tensor, source: Tensor, tint: Tensor) -> Tensor:
    """`mean_c (mean(I − S)_c − t_c)²`: how far what was dreamed left its mean colour t (3,).

    Against the source frame, whose own colours may change as they like.
    """
    return ((image - source).mean((1, 2)) - tint).square().mean()


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
