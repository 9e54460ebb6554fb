"""A picture with depth, seen from elsewhere: what is near moves further, and hides what is far.

The picture's points are projected into the view, where the nearest at each pixel gives its depth.
From that, each pixel of the view looks back into the picture and is resampled there once. What no
point falls on was hidden: it is filled smoothly from its surroundings, the far ones first, for the
dream to paint over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dreamvid.motion.camera import sample
from dreamvid.motion.space import Matrix, Pose
from dreamvid.motion.warp import fill_in

BEHIND = 0.02
"""Distance from the camera, in distances of the scene, within which nothing is seen."""
SURFACE = 1.04
"""Ratio of depths up to which points that fall on one pixel belong to one surface."""
EDGE = 0.08
"""Rise of nearness within a few pixels that makes an edge, where one thing hides another."""
FINEST = 4
"""Most points along an axis for each pixel of the picture, where the view magnifies it."""


@dataclass(frozen=True, eq=False)
class Parallax:
    """Where each pixel of a view is in the picture."""

    across: Tensor
    down: Tensor
    """(H, W) each, in shares of the picture's width and height."""
    seen: Tensor
    """(1, H, W): 1 where the picture shows it, 0 where it was hidden."""
    far: Tensor
    """(1, H, W) in [0, 1]: how much a seen pixel counts where a hidden one beside it is filled."""

    def __call__(self, image: Tensor) -> Tensor:
        """The view of an image (C, H, W) in [0, 1]."""
        there = sample(image, self.across, self.down).clamp(0, 1)
        return torch.where(self.seen > 0, there, fill_in(there, self.far))


def distances(nearness: Tensor, far: float) -> Tensor:
    """The depth of each pixel, from 1, where `nearness` is 1, to `far`, where it is 0.

    In between, its inverse is linear, as in what most networks estimate and as in a stereo pair.
    """
    return 1 / (nearness + (1 - nearness) / far)


def parallax(nearness: Tensor, far: float, pose: Pose, lens: Matrix, view: Matrix) -> Parallax:
    """Where each pixel of a view lies in a picture, of which `nearness` is (1, H, W) in [0, 1].

    `pose` takes points from where the picture was seen to where it is seen now, through `lens`
    (3, 3) then and `view` (3, 3) now.
    """
    height, width = nearness.shape[1:]
    forward = view @ np.column_stack([pose.rotation @ np.linalg.inv(lens), pose.translation])
    margin = _margin(forward, far, height, width)
    points, depth = _points(with_edges(nearness), far, forward, margin)
    surface = _surface(points, depth, height, width)
    seen = surface.isfinite()
    reached = torch.where(seen, surface, torch.ones_like(surface))
    back = lens @ pose.rotation.T @ np.linalg.inv(view)
    start = lens @ pose.rotation.T @ pose.translation
    y, x = torch.meshgrid(
        *(torch.arange(side, device=nearness.device).float() for side in (height, width)),
        indexing="ij",
    )
    across, down, ahead = (
        (row[0] * x + row[1] * y + row[2]) * reached - offset
        for row, offset in zip(back.tolist(), start.tolist(), strict=True)
    )
    ahead = ahead.clamp(min=BEHIND)
    share = (reached / reached.max()).pow(4)[None]
    return Parallax(
        (across / ahead + 0.5) / width,
        (down / ahead + 0.5) / height,
        seen[None].float(),
        seen[None] * share,
    )


def with_edges(nearness: Tensor) -> Tensor:
    """Nearness (1, H, W) whose soft edges are steps: nothing floats between near and far."""
    most = F.max_pool2d(nearness[None], 5, 1, 2)[0]
    least = -F.max_pool2d(-nearness[None], 5, 1, 2)[0]
    nearest = torch.where(nearness > (most + least) / 2, most, least)
    return torch.where(most - least > EDGE, nearest, nearness)


def _margin(forward: Matrix, far: float, height: int, width: int) -> int:
    """Width in pixels of the reflection around the picture that may come into view."""
    furthest = 0.0
    for x, y in ((0, 0), (width, 0), (0, height), (width, height)):
        for depth in (1.0, far):
            u, v, ahead = forward[:, :3] @ np.array([x, y, 1]) * depth + forward[:, 3]
            ahead = max(float(ahead), BEHIND)
            furthest = max(furthest, abs(u / ahead - x), abs(v / ahead - y))
    return min(math.ceil(furthest) + 2, height - 1, width - 1)


def _points(nearness: Tensor, far: float, forward: Matrix, margin: int) -> tuple[Tensor, Tensor]:
    """Pixels of the view (2, N) on which the picture's points fall, and their depth there (N,)."""
    padded = F.pad(nearness[None], (margin,) * 4, mode="reflect")[0, 0]
    depth = distances(padded, far)
    nearest = float(depth.min())
    magnified = nearest / max(nearest + float(forward[2, 3]), BEHIND)
    fine = min(max(1, math.ceil(magnified / 1.5)), FINEST)
    depth = depth.repeat_interleave(fine, 0).repeat_interleave(fine, 1)
    y, x = (
        (torch.arange(side, device=depth.device) + 0.5) / fine - 0.5 - margin
        for side in depth.shape
    )
    u, v, ahead = (
        (row[0] * x + row[1] * y[:, None] + row[2]) * depth + row[3] for row in forward.tolist()
    )
    is_ahead = ahead > BEHIND
    ahead = ahead[is_ahead]
    return torch.stack([u[is_ahead] / ahead, v[is_ahead] / ahead]), ahead


def _surface(points: Tensor, depth: Tensor, height: int, width: int) -> Tensor:
    """The depth (H, W) of what is nearest at each pixel; infinite where there is nothing.

    A point counts at the four pixels around it, by how near they are.
    """
    left, top = points.floor()
    indices, shares, depths = [], [], []
    for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):
        column, row = left + x, top + y
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        share = (1 - (points[0] - column).abs()) * (1 - (points[1] - row).abs())
        indices.append((row * width + column)[inside].long())
        shares.append(share[inside])
        depths.append(depth[inside])
    index, share, there = torch.cat(indices), torch.cat(shares) + 1e-6, torch.cat(depths)
    nearest = depth.new_full((height * width,), math.inf).scatter_reduce(0, index, there, "amin")
    share = share * (there <= SURFACE * nearest[index])
    total = torch.zeros_like(nearest).index_add(0, index, share)
    mean = torch.zeros_like(nearest).index_add(0, index, share * there) / total
    return torch.where(total > 0, mean, nearest).view(height, width)
