"""Motion where nothing shows it: even light for the estimator, and smooth flow where all is flat.

A sky, a wall or fog looks the same under many flows, and an estimator picks one by noise, another
one in each direction: none can be trusted, and a dream is made anew there in every frame. Light
that changes from frame to frame, as in a fade, makes it worse, for it looks like motion.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dreamvid.motion.warp import fill_in, gaussian, resized, scaled, trust, warp

LUMA = (0.299, 0.587, 0.114)
CALM_SIDE = 320
"""Longest side, in pixels, at which flow is looked at: what is smooth needs no more."""
TEXTURE = 4 / 255
"""Slope of the luma, per pixel across all directions, at which flow counts half."""
LEAST = 0.03
"""Share for which trusted flow counts without texture: a still sky is no part of the bird in it."""
TOLERANCE = 1 / 255
"""Luma by which smooth flow may explain the frame worse than the estimator's."""
TEXTURE_PX, ERROR_PX = 3.0, 1.5
"""Standard deviations of the blurs over which texture and errors are averaged."""
DARKEST = 1e-3
"""Smallest luma that is divided by."""


def evenly_lit(current: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
    """Two frames (3, H, W) brought to one mean luma, and made as bright as [0, 1] allows.

    The darker one gets the brighter one's mean. Both are then divided by the greatest value, so
    that an estimator that rounds to 8 bits sees as much of the dark as of the light.
    """
    means = [luma(frame).mean() for frame in (current, previous)]
    most = torch.maximum(*means)
    lit, other = (
        frame * (most / mean.clamp(min=DARKEST)).clamp(min=1)
        for frame, mean in zip((current, previous), means, strict=True)
    )
    peak = torch.maximum(lit.amax(), other.amax()).clamp(min=DARKEST)
    return lit / peak, other / peak


def calmed(
    current: Tensor, previous: Tensor, backward: Tensor, forward: Tensor
) -> tuple[Tensor, Tensor]:
    """Both flows (2, H, W), continued from around where the frames (3, H, W) show no motion.

    There the flow of trusted, textured pixels is filled in, and taken where it explains the frame
    about as well.
    """
    height, width = current.shape[1:]
    scale = min(CALM_SIDE / max(height, width), 1.0)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    lumas = [luma(resized(frame, size)) for frame in (current, previous)]
    flows = [scaled(flow, size) for flow in (backward, forward)]
    results = []
    for flow, (one, other), (there, back) in (
        (backward, lumas, flows),
        (forward, lumas[::-1], flows[::-1]),
    ):
        known = trust(there, back) * (LEAST + (1 - LEAST) * texture(one))
        smooth = fill_in(there, known)
        taken = error(one, other, smooth) <= error(one, other, there) + TOLERANCE
        share = resized(taken * (1 - known), (height, width))
        results.append(torch.lerp(flow, scaled(smooth, (height, width)), share))
    return results[0], results[1]


def luma(image: Tensor) -> Tensor:
    """Luma of an image (3, H, W): (1, H, W)."""
    return torch.einsum("chw,c->hw", image, image.new_tensor(LUMA))[None]


def texture(image: Tensor) -> Tensor:
    """How well a luma (1, H, W) shows motion, from 0, not at all, to 1: (1, H, W).

    By the smaller eigenvalue of the structure tensor (Shi & Tomasi, "Good features to track",
    1994): along an edge, motion does not show.
    """
    padded = F.pad(image[None], (1, 1, 1, 1), mode="replicate")[0, 0]
    along_x = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
    along_y = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    products = torch.stack([along_x * along_x, along_y * along_y, along_x * along_y])
    xx, yy, xy = blurred(products, TEXTURE_PX).unbind(0)
    least = (xx + yy) / 2 - ((xx - yy).square() / 4 + xy.square()).sqrt()
    least = least.clamp(min=0)[None]
    return least / (least + TEXTURE * TEXTURE)


def error(one: Tensor, other: Tensor, flow: Tensor) -> Tensor:
    """Mean difference around each pixel of a luma (1, H, W) and `other` moved along `flow`."""
    return blurred((warp(other, flow) - one).abs(), ERROR_PX)


def blurred(image: Tensor, deviation: float) -> Tensor:
    """An image (C, H, W) under a Gaussian blur, of a standard deviation in pixels."""
    radius = round(3 * deviation)
    kernel = gaussian(deviation, radius, image)
    padded = F.pad(image[:, None], (radius,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernel[None, None, :, None])
    smooth: Tensor = F.conv2d(rows, kernel[None, None, None, :])[:, 0]
    return smooth
