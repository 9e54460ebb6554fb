"""Warping along flow, chains of flow, trust in flow, and filling what is not known.

All functions are tensor arithmetic of fixed shapes, for any device, without host synchronisation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

SOFTNESS_PX = 0.8
"""Standard deviation of the trust's softened rim, as in Ruder et al.'s code."""


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """`image` warped by backward `flow`, so that it is aligned with the flow's current frame.

    (C, H, W) and (2, H, W) in pixels → (C, H, W) of the image's type: bilinear, the border
    replicated, differentiable in `image`. An integer shift is exact to the last bit, because pixels
    are gathered by index; `grid_sample` with its normalised coordinates is not exact.
    Raises ValueError where the shapes do not fit.
    """
    if image.ndim != 3 or flow.shape != (2, *image.shape[-2:]):
        raise ValueError(
            "warp takes an image (C, H, W) and a flow (2, H, W), "
            f"not {tuple(image.shape)} and {tuple(flow.shape)}"
        )
    height, width = flow.shape[-2:]
    x, y = _positions(flow)
    left, right, across = _neighbours(x, width)
    top, bottom, down = _neighbours(y, height)
    pixels = image.flatten(1)  # (C, H·W)

    def take(row: Tensor, column: Tensor) -> Tensor:
        index = torch.add(column, row, alpha=width).flatten()
        return pixels.index_select(1, index).view(-1, height, width)

    across, down = across.to(image.dtype), down.to(image.dtype)
    upper = torch.lerp(take(top, left), take(top, right), across)
    lower = torch.lerp(take(bottom, left), take(bottom, right), across)
    return torch.lerp(upper, lower, down)


def trust(backward: Tensor, forward: Tensor) -> Tensor:
    """Reliability of `backward` (current → previous), checked by `forward` (previous → current).

    (2, H, W) twice, in pixels → float32 (1, H, W) in [0, 1]: 0 where the pixel was hidden or out
    of the frame, and on motion edges; 1 well inside the rest. The rule and its constants are
    those of Ruder, Dosovitskiy and Brox, "Artistic style transfer for videos" (2016), with two
    deviations. Their code blurs the mask in both directions; here only the trusted side is
    softened, so that hidden pixels stay at 0 and leave no ghosts. And a pixel is out of the frame
    when it leaves the frame's area, half a pixel beyond the outermost centres, so that noise in
    the flow of a still scene does not lower the trust at its border.
    Raises ValueError where the shapes do not fit.
    """
    if backward.shape != forward.shape:
        raise ValueError(
            "trust takes two flows of one shape (2, H, W), "
            f"not {tuple(backward.shape)} and {tuple(forward.shape)}"
        )
    backward, forward = backward.detach().float(), forward.detach().float()
    # Each comparison is false for NaN, so that such flow is not trusted.
    reliable = _is_consistent(backward, forward) & _is_smooth(backward) & _is_inside(backward)
    return _soften(reliable.float())[None]


def chain(steps: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Flow and trust from one frame back to each of several earlier ones.

    `steps` are the backward flow (2, H, W) in pixels and the trust (1, H, W) between neighbours,
    newest first; the n-th result leads n frames back. Each step is read at the end of the chain so
    far, `F ← F + f(x + F)`, so that no step is interpolated twice. The trust of a chain is the
    product of its steps' trust, so that a pixel that is hidden or out of the frame at any step
    stays untrusted.
    """
    reached: tuple[Tensor, Tensor] | None = None
    for flow, step_trust in steps:
        if reached is None:
            reached = flow, step_trust
        else:
            flow_so_far, trust_so_far = reached
            step = warp(torch.cat([flow, step_trust]), flow_so_far)  # (3, H, W)
            reached = flow_so_far + step[:2], trust_so_far * step[2:]
        yield reached


def scaled(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """A flow (2, h, w) on a grid of `size` (height, width), in pixels of that."""
    if tuple(flow.shape[1:]) == size:
        return flow
    (h, w), (height, width) = flow.shape[1:], size
    result = resized(flow, size)
    result[0] *= width / w  # as numbers: a tensor of them would wait for the device
    result[1] *= height / h
    return result


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """An image (C, h, w) at `size` (height, width), anti-aliased."""
    if tuple(image.shape[1:]) == size:
        return image
    result: Tensor = F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
    return result


def fill_in(image: Tensor, weight: Tensor) -> Tensor:
    """`image` (C, H, W) where `weight` (1, H, W) is 1, and smoothly continued where it is 0.

    The pull-push algorithm of Gortler, Grzeszczuk, Szeliski and Cohen, "The lumigraph" (1996):
    the image is halved until its known pixels cover everything, then enlarged again beneath them.
    Gives 0 where no pixel is known.
    """
    height, width = image.shape[1:]
    if max(height, width) == 1:
        return image * weight
    seen = F.avg_pool2d(torch.cat([image * weight, weight])[None], 2, ceil_mode=True)[0]
    coarse_weight = seen[-1:]
    coarse = fill_in(seen[:-1] / coarse_weight.clamp(min=1e-6), (4 * coarse_weight).clamp(max=1))
    beneath = F.interpolate(coarse[None], (height, width), mode="bilinear")[0]
    return weight * image + (1 - weight) * beneath


def gaussian(deviation: float, radius: int, like: Tensor) -> Tensor:
    """Weights (2·radius + 1,) of a Gaussian blur, of sum 1, as a tensor such as `like`."""
    offsets = torch.arange(-radius, radius + 1, device=like.device, dtype=like.dtype)
    kernel = torch.exp(-0.5 * (offsets / deviation) ** 2)
    return kernel / kernel.sum()


def _positions(flow: Tensor) -> tuple[Tensor, Tensor]:
    """Columns and rows at which each pixel was, (H, W) each, in pixels."""
    height, width = flow.shape[-2:]
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype)
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype)
    return flow[0] + columns, flow[1] + rows[:, None]


def _neighbours(position: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The two indices in the frame around each position, and the second one's share in [0, 1)."""
    floor = position.floor()
    index = floor.long()
    # Indices are clamped instead of positions: both give the same pixel beyond the border, but a
    # position of NaN stays NaN, and its index would read memory outside the image.
    return index.clamp(0, size - 1), (index + 1).clamp(0, size - 1), position - floor


def _square(flow: Tensor) -> Tensor:
    """Squared length of each vector: (2, H, W) → (H, W)."""
    return flow.square().sum(0)


def _is_consistent(backward: Tensor, forward: Tensor) -> Tensor:
    """Whether the flow to the previous frame and back returns to its start: bool (H, W)."""
    returned = warp(forward, backward)
    tolerance = 0.01 * (_square(returned) + _square(backward)) + 0.5
    return _square(returned + backward) < tolerance


def _is_smooth(backward: Tensor) -> Tensor:
    """Whether there is no motion edge, by central differences: bool (H, W)."""
    padded = F.pad(backward, (1, 1, 1, 1), mode="replicate")  # (2, H + 2, W + 2)
    along_x = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    along_y = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    return _square(along_x) + _square(along_y) <= 0.01 * _square(backward) + 0.002


def _is_inside(backward: Tensor) -> Tensor:
    """Whether the pixel was in the frame's area: bool (H, W)."""
    height, width = backward.shape[-2:]
    x, y = _positions(backward)
    return (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)


def _soften(reliable: Tensor) -> Tensor:
    """Let trust rise gently from 0 at the rim of reliable regions: (H, W) of 0 and 1 → (H, W).

    The *doubt*, 1 − `reliable`, is blurred and subtracted, so that trust is exactly 1 elsewhere.
    """
    doubt = (1 - reliable)[None, None]  # (1, 1, H, W)
    radius = math.ceil(2.5 * SOFTNESS_PX)
    kernel = gaussian(SOFTNESS_PX, radius, doubt)
    doubt = F.pad(doubt, (radius, radius, radius, radius), mode="replicate")
    doubt = F.conv2d(F.conv2d(doubt, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
    return (reliable - doubt[0, 0]).clamp(0, 1)
