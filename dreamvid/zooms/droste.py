"""A picture that contains itself: a log-polar canvas, from which every frame of a loop is rendered.

One round of a loop multiplies the picture about the vanishing point by e^(P + iQ). P is the
logarithm of the total zoom, Q the total rotation without whole turns. In the coordinates
u = ln r / P and v = (θ − Q·u) / 2π the picture is periodic in both axes, and time only shifts it:
by one in u and by whole turns in v during a round. So the last frame leads into the first by
construction, and no frame is made from another. The map is conformal: it distorts nothing except
the size. Source: Lenstra and de Smit, "The mathematical structure of Escher's Print Gallery"
(2003).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from dreamvid.motion.camera import Camera, sample

FEWEST = 4
"""Smallest number of texels along an axis, at the coarsest level."""
RIM = 0.25
"""Width of the rim in which a copy fades, as a share of the way from border to vanishing point."""
NESTING = 4
"""Approximate ratio of the size of a planted picture to the size of the copy within it."""
SHARPER = 0.3
"""Number of levels by which the choice moves to finer ones: blending two levels blurs."""
_REACH = 2
"""Texels that bicubic interpolation reads on each side."""


@dataclass(frozen=True)
class Droste:
    """The shape of a canvas (3, rows, columns), and its motion in time."""

    period: float
    """P, above 0."""
    turn: float
    """Q in radians, from −π to π."""
    whole_turns: int
    """Whole turns of a round, which come in addition to Q."""
    direction: int
    """Direction of the zoom: 1 for in, −1 for out."""
    centre: tuple[float, float]
    """Vanishing point, in shares of the frame's width and height."""
    rows: int
    """Texels along u."""
    columns: int
    """Texels along v."""

    @classmethod
    def of(cls, camera: Camera, height: int, width: int, density: float = 1.0) -> Droste:
        """The shape for a loop of `camera`, with `density` texels a pixel at the farthest corner.

        The corner is the one of a frame of (height, width).
        """
        whole = camera.rate * float(camera.seconds)
        direction = 1 if whole.real > 0 else -1
        period, turn = direction * whole.real, direction * whole.imag
        whole_turns = round(turn / (2 * math.pi))
        turn -= 2 * math.pi * whole_turns
        columns = 2 * math.pi * _corner(camera.centre, height, width) * density
        rows = columns * math.hypot(period, turn) / (2 * math.pi)
        shape = _halvable(rows), _halvable(columns)
        return cls(period, turn, whole_turns, direction, camera.centre, *shape)

    def resized(self, scale: float) -> Droste:
        """The same picture with about `scale` times the texels along each axis."""
        rows, columns = _halvable(self.rows * scale), _halvable(self.columns * scale)
        return replace(self, rows=rows, columns=columns)

    def plant(self, picture: Tensor, height: int, width: int) -> Tensor:
        """The canvas of a `picture` (3, H, W) that contains itself at the vanishing point.

        At the beginning of a round a frame of (height, width) shows the whole picture. A round
        has so many copies that each is about `NESTING` times smaller than the next, so that none
        is enlarged too much. Each fades at an uneven rim into the larger copy around it.
        """
        u = (torch.arange(self.rows, device=picture.device) + 0.5)[:, None] / self.rows
        v = (torch.arange(self.columns, device=picture.device) + 0.5) / self.columns
        canvas = picture.new_zeros(3, self.rows, self.columns)
        cover = _cover(self.centre, height, width).to(picture)
        a_round = max(1, round(self.period / math.log(NESTING)))
        copies = math.ceil(a_round * (1 + self._span(height, width) / self.period)) + 1
        for copy in range(copies, 0, -1):  # from the back: the largest first
            past = u - copy / a_round
            radius = _corner(self.centre, height, width) * torch.exp(past * self.period)
            theta = 2 * math.pi * v + self.turn * past
            across = self.centre[0] + radius * theta.cos() / width
            down = self.centre[1] + radius * theta.sin() / height
            shown = sample(picture, across, down)
            hides = sample(cover, across.clamp(0, 1), down.clamp(0, 1)).clamp(0, 1)
            hides = torch.ones_like(hides) if copy == copies else hides
            canvas = canvas + hides * (shown - canvas)
        return canvas.clamp(0, 1)

    def _span(self, height: int, width: int) -> float:
        """Logarithm of the farthest corner's distance over that at which a copy begins to fade."""
        x, y = self.centre
        nearest = (1 - RIM) * min(x * width, (1 - x) * width, y * height, (1 - y) * height)
        return math.log(_corner(self.centre, height, width) / max(nearest, 0.5))


@dataclass(frozen=True, eq=False)
class DrosteView:
    """Sampling positions of the frames of one size on a canvas; made once, used for any time.

    A pixel at radius r needs 2πr texels along its circle. The canvas has as many for the farthest
    corner. Pixels further in sample smaller levels of the canvas, blended between the two nearest.
    """

    canvas: Droste
    size: tuple[int, int]
    """(height, width)."""
    layers: tuple[tuple[Tensor, Tensor, Tensor, Tensor], ...]
    """Layer of each level: flat indices of the frame's pixels, their weights, their u and v."""

    @classmethod
    def of(
        cls, canvas: Droste, height: int, width: int, device: torch.device | str = "cpu"
    ) -> DrosteView:
        """The view of `canvas` through a frame of (height, width)."""
        x = torch.arange(width, device=device) + 0.5 - canvas.centre[0] * width
        y = torch.arange(height, device=device)[:, None] + 0.5 - canvas.centre[1] * height
        radius = torch.hypot(x, y).clamp(min=0.5).flatten()
        u = torch.log(radius / _corner(canvas.centre, height, width)) / canvas.period
        theta = torch.atan2(y, x).flatten()
        v = (theta - canvas.turn * u) / (2 * math.pi)
        finest = torch.log2(canvas.columns / (2 * math.pi * radius)) - SHARPER
        level = finest.clamp(0, _halvings(canvas.columns))
        layers = []
        for index in range(_halvings(canvas.columns) + 1):
            share = (1 - (level - index).abs()).clamp(min=0)
            pixels = share.nonzero()[:, 0]
            layers.append((pixels, share[pixels], u[pixels], v[pixels]))
        return cls(canvas, (height, width), tuple(layers))

    def at(self, levels: Sequence[Tensor], phase: float) -> Tensor:
        """The frame (3, H, W) after the share `phase` of a round.

        `levels` are the results of `halved`; the frame is differentiable in them.
        """
        height, width = self.size
        frame = levels[0].new_zeros(3, height * width)
        past = phase * self.canvas.direction
        for level, (pixels, share, u, v) in zip(levels, self.layers, strict=True):
            if len(pixels):
                seen = _wrapped(level, u - past, v - past * self.canvas.whole_turns)
                frame = frame.index_add(1, pixels, seen * share)
        return frame.view(3, height, width)


def halved(canvas: Tensor) -> list[Tensor]:
    """`canvas` (3, rows, columns) and its smaller levels, down to `FEWEST`; differentiable."""
    levels = [canvas]
    most = [_halvings(side) for side in canvas.shape[1:]]
    for level in range(most[1]):
        by = (2 if level < most[0] else 1, 2)
        levels.append(F.avg_pool2d(levels[-1][None], by)[0])
    return levels


def wrap(canvas: Tensor, rim: int) -> Tensor:
    """`canvas` (C, rows, columns) extended periodically by `rim` texels on each side."""
    rows, columns = (
        torch.arange(-rim, side + rim, device=canvas.device) % side for side in canvas.shape[1:]
    )
    return canvas.index_select(1, rows).index_select(2, columns)


def resized(canvas: Tensor, shape: Droste) -> Tensor:
    """`canvas` (C, H, W), periodic in both axes, resized to `shape`; anti-aliased, bicubic."""
    if (shape.rows, shape.columns) == canvas.shape[1:]:
        return canvas
    levels = halved(canvas)
    shrink = canvas.shape[2] / shape.columns
    level = levels[min(len(levels) - 1, max(0, round(math.log2(shrink))))]
    down = (torch.arange(shape.rows, device=canvas.device) + 0.5) / shape.rows
    across = (torch.arange(shape.columns, device=canvas.device) + 0.5) / shape.columns
    u, v = torch.meshgrid(down, across, indexing="ij")
    return _wrapped(level, u.flatten(), v.flatten()).view(-1, shape.rows, shape.columns)


def _wrapped(canvas: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Samples (C, N) of a periodic `canvas` (C, H, W) at u down and v across, N each."""
    height, width = canvas.shape[1:]
    rim = _REACH
    down = (torch.remainder(u, 1) * height + rim) / (height + 2 * rim)
    across = (torch.remainder(v, 1) * width + rim) / (width + 2 * rim)
    return sample(wrap(canvas, rim), across[None], down[None])[:, 0]


def _cover(centre: tuple[float, float], height: int, width: int) -> Tensor:
    """Opacity of each pixel of a copy: (1, height, width) in [0, 1].

    It is 0 at the border and 1 further in. The rim between them is uneven, because a straight rim
    would be visible.
    """
    away = []
    for side, middle in ((height, centre[0 + 1]), (width, centre[0])):
        share = (torch.arange(side) + 0.5) / side
        room = torch.where(share < middle, middle, 1 - middle)
        away.append(((share - middle).abs() / room).clamp(0, 1))
    rounded = (away[0][:, None] ** 4 + away[1] ** 4) ** 0.25  # 0 in the middle, 1 at the border
    generator = torch.Generator().manual_seed(0)
    uneven = torch.zeros(1, 1, height, width)
    for grain, weight in ((8, 0.7), (24, 0.5)):
        noise = torch.rand(1, 1, grain, grain, generator=generator)
        uneven += weight * F.interpolate(noise, (height, width), mode="bicubic")
    ramp = ((1 - rounded) / RIM * 2 - uneven[0, 0] - 0.1).clamp(0, 1)
    return (ramp * ramp * (3 - 2 * ramp))[None]


def _corner(centre: tuple[float, float], height: int, width: int) -> float:
    """Distance in pixels from the vanishing point to a frame's farthest corner."""
    x, y = centre
    return math.hypot(max(x, 1 - x) * width, max(y, 1 - y) * height)


def _halvings(side: int) -> int:
    """Number of times that a side from `_halvable` can be halved."""
    return max(0, math.floor(math.log2(side / FEWEST)))


def _halvable(side: float) -> int:
    """The smallest whole number from `side` on that can be halved down to about `FEWEST`."""
    step: int = 2 ** max(0, math.floor(math.log2(max(side, 1) / FEWEST)))
    return max(FEWEST, step * math.ceil(side / step))
