"""Frames between two dreamed ones: the dreams of both, moved along the source's motion.

What the dream added to a frame is its delta, `dream − source`. A frame between two key frames
gets the source plus both keys' deltas, each warped to it and weighted by its trust and by how
near its key is. Whatever two dreams of one place differ by is so spread evenly over the frames
between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional as F

from dreamvid.motion.warp import trust, warp
from dreamvid.types import FlowEstimator


@dataclass(frozen=True, eq=False)
class FlowField:
    """Where the pixels of one frame were, or will be, in another."""

    flow: Tensor
    """(2, H, W) in pixels."""
    trust: Tensor
    """(1, H, W) in [0, 1]."""

    def warp(self, image: Tensor) -> Tensor:
        """The other frame's `image` (C, H, W) on this frame's grid."""
        return warp(image, self.flow)


@dataclass(frozen=True, eq=False)
class FlowFields:
    """From each frame of a span to the two key frames around it.

    `back[k]` leads from frame k to the key before the span, `ahead[k]` to the last frame of the
    span, which is the other key; so `back[-1]` is the way from key to key.
    """

    back: Sequence[FlowField]
    ahead: Sequence[FlowField]


def chained(key: Tensor, images: Sequence[Tensor], flow: FlowEstimator) -> FlowFields:
    """The ways of a span of `images` after `key`, (3, H, W) each, by flow between neighbours.

    Motion between neighbours is small, and so told best; each frame's flow is estimated once, in
    both directions.
    """
    pairs = list(zip(images, [key, *images], strict=False))
    there = [flow(current, previous) for current, previous in pairs]
    here = [flow(previous, current) for current, previous in pairs]
    to_previous = [FlowField(*both) for both in zip(there, map(trust, there, here), strict=True)]
    to_next = [
        FlowField(*both) for both in zip(here[1:], map(trust, here[1:], there[1:]), strict=True)
    ]
    back = list(accumulate(to_previous, _continue))
    ahead = list(accumulate(reversed(to_next), _continue))
    return FlowFields(back, ahead[::-1])


def direct(key: Tensor, images: Sequence[Tensor], flow: FlowEstimator) -> FlowFields:
    """The same ways, by flow between each frame and its keys: over frames that show no motion."""
    return FlowFields(
        [_way(image, key, flow) for image in images],
        [_way(image, images[-1], flow) for image in images[:-1]],
    )


def blend(back: FlowField, ahead: FlowField, before: Tensor, after: Tensor, share: float) -> Tensor:
    """The delta (3, H, W) of a frame between two keys with the deltas `before` and `after`.

    `share` says how far it is on its way from the first to the second, in (0, 1). Where neither
    key can be trusted, as around what moves fast, it is filled in from its surroundings.
    """
    from_before = (1 - share) * back.trust
    from_after = share * ahead.trust
    total = from_before * back.warp(before) + from_after * ahead.warp(after)
    believed = from_before + from_after
    known = torch.maximum(back.trust, ahead.trust)
    return fill_in(total / believed.clamp(min=1e-6), known)


def fill_in(image: Tensor, weight: Tensor) -> Tensor:
    """`image` (C, H, W) where `weight` (1, H, W) is 1, and smoothly continued where it is 0.

    The pull-push algorithm of Gortler, Grzeszczuk, Szeliski and Cohen, "The lumigraph" (1996):
    halved until everything is covered, then enlarged again beneath what is known. Where nothing
    is known, 0.
    """
    height, width = image.shape[1:]
    if max(height, width) == 1:
        return image * weight
    seen = F.avg_pool2d(torch.cat([image * weight, weight])[None], 2, ceil_mode=True)[0]
    coarse_weight = seen[-1:]
    coarse = fill_in(seen[:-1] / coarse_weight.clamp(min=1e-6), (4 * coarse_weight).clamp(max=1))
    beneath = F.interpolate(coarse[None], (height, width), mode="bilinear")[0]
    return weight * image + (1 - weight) * beneath


def _way(image: Tensor, other: Tensor, flow: FlowEstimator) -> FlowField:
    there, here = flow(image, other), flow(other, image)
    return FlowField(there, trust(there, here))


def _continue(further: FlowField, step: FlowField) -> FlowField:
    """`step`, and then `further` from where it leads.

    One warp lengthens a way by a frame. To follow each way from its own frame anew
    (`motion.chain`) interpolates less, but takes time as the square of the span, and the dreams
    hold no stiller.
    """
    rest = warp(torch.cat([further.flow, further.trust]), step.flow)  # (3, H, W)
    return FlowField(step.flow + rest[:2], step.trust * rest[2:])
