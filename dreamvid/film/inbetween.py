"""Frames between two dreamed key frames: both dreams, warped along the source's motion.

The delta of a dream is `dream − source`. A frame between two key frames is its source plus both
keys' deltas, each warped to the frame and weighted by its trust and by how near its key is. A
difference between the two dreams is thus spread evenly over the frames between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from dreamvid.motion.warp import fill_in, trust, warp
from dreamvid.types import FlowEstimator


@dataclass(frozen=True, eq=False)
class FlowField:
    """Flow from one frame to another, earlier or later, and its trust."""

    flow: Tensor
    """(2, H, W) in pixels, on this frame's grid."""
    trust: Tensor
    """(1, H, W) in [0, 1]."""

    def warp(self, image: Tensor) -> Tensor:
        """The other frame's `image` (C, H, W) on this frame's grid."""
        return warp(image, self.flow)


@dataclass(frozen=True, eq=False)
class FlowFields:
    """Flow fields from each frame of a span to the two key frames around it."""

    back: Sequence[FlowField]
    """One for each frame, to the key frame before the span; the last leads from key to key."""
    ahead: Sequence[FlowField]
    """One for each frame but the last, to the last frame, which is a key frame itself."""


def chained(key: Tensor, images: Sequence[Tensor], flow: FlowEstimator) -> FlowFields:
    """Flow fields of a span of `images` after `key`, (3, H, W) each, by flow between neighbours.

    Neighbours differ by small motion, which is estimated best. Each pair is estimated once.
    """
    pairs = zip(images, [key, *images], strict=False)
    flows = [flow(current, previous) for current, previous in pairs]
    to_previous = [FlowField(backward, trust(backward, forward)) for backward, forward in flows]
    to_next = [FlowField(forward, trust(forward, backward)) for backward, forward in flows[1:]]
    back = list(accumulate(to_previous, _continue))
    ahead = list(accumulate(reversed(to_next), _continue))
    return FlowFields(back, ahead[::-1])


def direct(key: Tensor, images: Sequence[Tensor], flow: FlowEstimator) -> FlowFields:
    """Flow fields of a span, by flow between each frame and its keys.

    Serves flashes, whose neighbours show no motion that could be chained.
    """
    return FlowFields(
        [flow_field(image, key, flow) for image in images],
        [flow_field(image, images[-1], flow) for image in images[:-1]],
    )


def blend(back: FlowField, ahead: FlowField, before: Tensor, after: Tensor, share: float) -> Tensor:
    """The delta (3, H, W) of a frame between two keys with the deltas `before` and `after`.

    `share` is the frame's place between the first key, 0, and the second, 1. The delta is filled
    in from its surroundings where neither key is trusted, as around fast motion.
    """
    from_before = (1 - share) * back.trust
    from_after = share * ahead.trust
    total = from_before * back.warp(before) + from_after * ahead.warp(after)
    believed = from_before + from_after
    known = torch.maximum(back.trust, ahead.trust)
    return fill_in(total / believed.clamp(min=1e-6), known)


def flow_field(image: Tensor, other: Tensor, flow: FlowEstimator) -> FlowField:
    """The flow field from `image` to `other`, (3, H, W) each."""
    there, back = flow(image, other)
    return FlowField(there, trust(there, back))


def continued(further: Sequence[FlowField], step: FlowField) -> list[FlowField]:
    """The compositions of flow fields: `step`, then each of `further` from where `step` leads.

    One warp lengthens them all by a frame. Following each field anew from its own frame
    (`motion.chain`) interpolates less, but takes time quadratic in the span, and the dreams are
    no steadier.
    """
    parts = [part for field in further for part in (field.flow, field.trust)]
    rests = torch.split(warp(torch.cat(parts), step.flow), 3)
    return [FlowField(step.flow + rest[:2], step.trust * rest[2:]) for rest in rests]


def _continue(further: FlowField, step: FlowField) -> FlowField:
    return continued([further], step)[0]
