"""A camera that zooms, turns and pans: exact, so that its flow is known and need not be estimated.

A moving picture under it obeys `dx/dt = a·(x − c) − p` for points of the frame as complex numbers
x + iy (y down): a = ln(zoom) + i·rotation, c the centre, p the pan. Solved, a point that is now at
x was, s seconds of motion earlier, at `c + e^(−as)·(x − c) + p·(1 − e^(−as))/a`: a similarity,
and moves one after the other are one move. Where a changes with time, it is even within steps so
short that a film has one for each frame, and the moves are those of the steps one after the other.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from dreamvid.types import Frame

Ease = Literal["linear", "in", "out", "in-out"]

_EASES: dict[str, Callable[[float], float]] = {
    "linear": lambda share: share,
    "in": lambda share: share**2,
    "out": lambda share: share * (2 - share),
    "in-out": lambda share: share**2 * (3 - 2 * share),
}


MOST_EXPOSURES = 32


@dataclass(frozen=True)
class Similarity:
    """`x ↦ factor·x + shift` of points x + iy in pixels; (0, 0) is the first pixel's centre."""

    factor: complex = 1
    shift: complex = 0

    def __call__(self, point: complex) -> complex:
        return self.factor * point + self.shift

    def after(self, first: Similarity) -> Similarity:
        """`first`, then this one."""
        return Similarity(self.factor * first.factor, self(first.shift))

    def inverse(self) -> Similarity:
        """What undoes this one."""
        return Similarity(1 / self.factor, -self.shift / self.factor)

    def flow(self, height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
        """From each pixel to its image: (2, H, W), pixels, channels (dx, dy).

        Of a camera's `back`, that is the backward flow.
        """
        turn, shift = self.factor - 1, self.shift
        x = torch.arange(width, dtype=torch.float32, device=device)
        y = torch.arange(height, dtype=torch.float32, device=device)[:, None]
        across = turn.real * x - turn.imag * y + shift.real
        down = turn.imag * x + turn.real * y + shift.imag
        return torch.stack([across, down])


class Course:
    """Zoom and rotation that change over time.

    `rates_at(k)` are the factor and the degrees a second with which time k / `per_second` is
    reached from (k − 1) / `per_second`: a frame's own rates lead to it, so that what strikes on a
    beat is seen on the beat. What holds at 0 also holds before.
    """

    def __init__(
        self, rates_at: Callable[[int], tuple[float, float]], per_second: Fraction
    ) -> None:
        self.per_second = per_second
        self._rate_at = lru_cache(maxsize=256)(lambda step: _rate(*rates_at(max(step, 0))))

    def rate(self, one: Fraction, other: Fraction) -> complex:
        """Between two times of one step: ln(zoom) + i·rotation, in 1/s and radians a second."""
        return self._rate_at(math.ceil(max(one, other) * self.per_second))

    def stations(self, one: Fraction, other: Fraction) -> list[Fraction]:
        """Both times, and those between at which a step ends, on the way from one to the other."""
        first, last = sorted((one, other))
        steps = range(math.floor(first * self.per_second) + 1, math.ceil(last * self.per_second))
        between = [step / self.per_second for step in steps]
        return [one, *(between if one <= other else reversed(between)), other]


@dataclass(frozen=True)
class Camera:
    """How the view moves; all rates are a second of film."""

    zoom: float = 1.0
    """Factor by which what is seen grows; above 0."""
    rotate: float = 0.0
    """Degrees by which what is seen turns clockwise."""
    pan: tuple[float, float] = (0.0, 0.0)
    """Frame widths to the right and frame heights down that the view moves."""
    centre: tuple[float, float] = (0.5, 0.5)
    """About which it zooms and turns, in shares of the frame's width and height."""
    ease: Ease = "linear"
    """Even speed, or slow at the beginning, the end or both."""
    seconds: Fraction = Fraction(1)
    """Length of the film, over which `ease` spreads the motion."""
    course: Course | None = None
    """Where it is given, zoom and rotation at each time, instead of `zoom` and `rotate`."""
    _reached: list[tuple[int, Similarity]] = field(
        default_factory=lambda: [(0, Similarity())], init=False, repr=False, compare=False
    )
    """How far the course has been followed from 0, and the way back from there."""

    @property
    def rate(self) -> complex:
        """ln(zoom) + i·rotation, in 1/s and radians a second."""
        return _rate(self.zoom, self.rotate)

    @property
    def moves(self) -> bool:
        """Whether it does anything at all."""
        return self.course is not None or self.rate != 0 or any(self.pan)

    def travelled(self, time: Fraction) -> float:
        """Seconds of even motion done at `time`: 0 at 0, all at the end, whatever the ease.

        After the end it begins again, as a loop does.
        """
        rounds, rest = divmod(time, self.seconds)
        return float(self.seconds) * (rounds + _EASES[self.ease](float(rest / self.seconds)))

    def back(self, now: Fraction, before: Fraction, height: int, width: int) -> Similarity:
        """Where what is seen at a point at time `now` was at `before`, for a frame of that size."""
        way = self._way_back(now, before)
        pan = complex(self.pan[0] * width, self.pan[1] * height)
        centre = centre_px(self.centre, height, width)
        return Similarity(way.factor, centre - way.factor * centre + pan * way.shift)

    def _way_back(self, now: Fraction, before: Fraction) -> Similarity:
        """`back` for points seen from the centre and a pan of 1 a second."""
        if self.course is None:
            return self._leg_back(now, before, self.rate)
        way = Similarity()
        if before == 0 < now:
            steps = math.floor(now * self.course.per_second)
            way, before = self._way_from(steps, self.course), steps / self.course.per_second
        for earlier, later in pairwise(self.course.stations(before, now)):
            way = way.after(self._leg_back(later, earlier, self.course.rate(earlier, later)))
        return way

    def _leg_back(self, now: Fraction, before: Fraction, rate: complex) -> Similarity:
        past = self.travelled(now) - self.travelled(before)
        factor = cmath.exp(-rate * past)
        return Similarity(factor, (1 - factor) / rate if abs(rate) > 1e-9 else past)

    def _way_from(self, steps: int, course: Course) -> Similarity:
        """The way from the end of so many steps back to 0.

        Always by the same sums, whatever was asked before: a film that is gone on with sees the
        same to the last bit.
        """
        done, way = self._reached[0] if self._reached[0][0] <= steps else (0, Similarity())
        for step in range(done + 1, steps + 1):
            later, earlier = step / course.per_second, (step - 1) / course.per_second
            way = way.after(self._leg_back(later, earlier, course.rate(earlier, later)))
        self._reached[0] = steps, way
        return way

    def flow(
        self,
        now: Fraction,
        before: Fraction,
        height: int,
        width: int,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """The backward flow (2, H, W) from `now` to `before`, in pixels."""
        return self.back(now, before, height, width).flow(height, width, device)

    def exposures(
        self, now: Fraction, shutter: Fraction, height: int, width: int
    ) -> list[Fraction]:
        """Moments about `now` that a shutter open for so many seconds sees, evenly spread.

        As many that nothing in a frame of that size moves by more than a pixel between two, but
        no more than `MOST_EXPOSURES`.
        """
        move = self.back(now + shutter / 2, now - shutter / 2, height, width)
        corners = [complex(x, y) for x in (0, width) for y in (0, height)]
        furthest = max(abs(move(corner) - corner) for corner in corners)
        count = min(max(1, math.ceil(furthest)), MOST_EXPOSURES)
        return [
            now + shutter * (Fraction(2 * k + 1, 2 * count) - Fraction(1, 2)) for k in range(count)
        ]


def _rate(zoom: float, rotate: float) -> complex:
    return complex(math.log(zoom), math.radians(rotate))


def view(image: Tensor, camera: Camera, time: Fraction) -> Tensor:
    """What `camera` sees at `time` of an `image` (C, H, W) in [0, 1] that it saw whole at 0.

    What lies beyond the border is the reflection.
    """
    height, width = image.shape[1:]
    to_image = camera.back(time, Fraction(0), height, width)
    return resample(image, to_image, height, width).clamp(0, 1)


def view_frame(frame: Frame, camera: Camera) -> Frame:
    """A clip's frame as `camera` sees it, on top of the clip's own motion."""
    alpha = None if frame.alpha is None else view(frame.alpha, camera, frame.time)
    return replace(frame, image=view(frame.image, camera, frame.time), alpha=alpha)


def expose(frame: Frame, camera: Camera, shutter: Fraction) -> Frame:
    """`frame` as a shutter sees it that is open for so many seconds while the camera moves."""
    height, width = frame.image.shape[1:]
    moments = camera.exposures(frame.time, shutter, height, width)
    if len(moments) == 1:
        return frame
    views = [
        resample(frame.image, camera.back(moment, frame.time, height, width), height, width)
        for moment in moments
    ]
    return frame.with_image(torch.stack(views).mean(0).clamp(0, 1))


def centre_px(centre: tuple[float, float], height: int, width: int) -> complex:
    """Shares of a frame's width and height as a point x + iy in pixels."""
    return complex(centre[0] * width - 0.5, centre[1] * height - 0.5)


def seen_in(flow: Tensor, height: int, width: int) -> Tensor:
    """1 where `flow` (2, H, W) leads into a frame of (height, width), else 0; (1, H, W)."""
    x = flow[0] + torch.arange(flow.shape[2], device=flow.device)
    y = flow[1] + torch.arange(flow.shape[1], device=flow.device)[:, None]
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return inside.float()[None]


def resample(image: Tensor, to_image: Similarity, height: int, width: int) -> Tensor:
    """The view of `image` (C, H, W) of which each pixel looks at its point under `to_image`.

    (C, height, width); beyond its border the image is reflected. Bicubic; where the view makes
    the image smaller, it is shrunk to the view's density first, anti-aliased.
    """
    rows, columns = image.shape[1:]
    shrink = abs(to_image.factor)
    if shrink > 1:
        # Sizes are whole; positions stay exact, because they are in shares of the size.
        size = [max(1, math.ceil(side / shrink)) for side in (rows, columns)]
        image = F.interpolate(image[None], size=size, mode="bicubic", antialias=True)[0]
    flow = to_image.flow(height, width, image.device)
    x = flow[0] + torch.arange(width, device=image.device)
    y = flow[1] + torch.arange(height, device=image.device)[:, None]
    return sample(image, (x + 0.5) / columns, (y + 0.5) / rows)


def sample(image: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """`image` (C, H, W) at shares of its width and height, (H', W') each → (C, H', W').

    Bicubic, the border reflected; differentiable.
    """
    grid = torch.stack([across, down], -1) * 2 - 1
    sampled: Tensor = F.grid_sample(
        image[None], grid[None], mode="bicubic", padding_mode="reflection", align_corners=False
    )[0]
    return sampled
