"""A camera that zooms, rotates, pans and moves in space. Its flow is known exactly.

Points of the frame are complex numbers x + iy (y down). They move by `dx/dt = a·(x − c) − p`:
a = ln(zoom) + i·rotation, c the centre, p the pan. The solution: a point that is now at x was,
s seconds of motion earlier, at `c + e^(−as)·(x − c) + p·(1 − e^(−as))/a`. This is a similarity,
and the composition of two similarities is a similarity. Where a changes with time, it is constant
within steps of one frame each, as is p, and the similarities of the steps are composed. So are the
homographies of a camera that moves in three dimensions (`space`): before each step the scene is
flat, and as far away as at the start, so that one can fly ahead without end.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache, partial
from itertools import pairwise
from threading import Lock
from typing import Any, Generic, Literal, Protocol, TypeVar, overload

import torch
from torch import Tensor
from torch.nn import functional as F

from dreamvid.motion.space import Homography, Matrix, Move, Pose, Space, as_homography, lens_of
from dreamvid.types import Frame

Ease = Literal["linear", "in", "out", "in-out"]

_EASES: dict[str, Callable[[float], float]] = {
    "linear": lambda share: share,
    "in": lambda share: share**2,
    "out": lambda share: share * (2 - share),
    "in-out": lambda share: share**2 * (3 - 2 * share),
}

MOST_EXPOSURES = 32
CHECKPOINT_STEPS = 16
"""Number of steps from one stored similarity to the next: about 16 bytes a frame."""


@dataclass(frozen=True)
class Similarity:
    """`x ↦ factor·x + shift` of points x + iy in pixels; (0, 0) is the first pixel's centre."""

    factor: complex = 1
    shift: complex = 0

    def __call__(self, point: complex) -> complex:
        return self.factor * point + self.shift

    @overload
    def after(self, first: Similarity) -> Similarity: ...
    @overload
    def after(self, first: Plane) -> Plane: ...
    def after(self, first: Plane) -> Plane:
        """The composition: `first`, then this one."""
        if isinstance(first, Homography):
            return as_homography(self).after(first)
        return Similarity(self.factor * first.factor, self(first.shift))

    def inverse(self) -> Similarity:
        """The similarity that undoes this one."""
        return Similarity(1 / self.factor, -self.shift / self.factor)

    def scales(self, height: int, width: int) -> list[float]:
        """Factors by which lengths grow in parts of a frame of that size: here, the one of all."""
        return [abs(self.factor)]

    def flow(self, height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
        """Displacement of each pixel: float32 (2, H, W), pixels, channels (dx, dy).

        The flow of a camera's `back` is its backward flow.
        """
        turn, shift = self.factor - 1, self.shift
        x = torch.arange(width, dtype=torch.float32, device=device)
        y = torch.arange(height, dtype=torch.float32, device=device)[:, None]
        across = turn.real * x - turn.imag * y + shift.real
        down = turn.imag * x + turn.real * y + shift.imag
        return torch.stack([across, down])


Plane = Similarity | Homography
"""Where the points of a flat scene are in another view."""


class Course:
    """Zoom, rotation and pan that change over time.

    `rates_at(k)` gives the zoom factor and the rotation in degrees, both for one second, of the
    step from time (k − 1) / `per_second` to k / `per_second`. So the rates at a frame's time move
    the camera to that frame, and a move on the beat is visible on the beat. The rates of step 0
    also apply before time 0. `pan_at(k)`, if there is one, gives the pan of that step instead of
    the camera's own, in frame widths and heights a second. Both must be pure functions: they are
    called from any thread, in any order.
    """

    def __init__(
        self,
        rates_at: Callable[[int], tuple[float, float]],
        per_second: Fraction,
        pan_at: Callable[[int], tuple[float, float]] | None = None,
    ) -> None:
        self.per_second = per_second
        self.pans = pan_at is not None
        """Whether the pan changes."""
        self._pan_at = lru_cache(maxsize=256)(pan_at) if pan_at is not None else None
        self._rate_at = lru_cache(maxsize=256)(lambda step: _rate(*rates_at(max(step, 0))))

    def rate(self, one: Fraction, other: Fraction) -> complex:
        """Rate between two times of one step: ln(zoom) + i·rotation, in 1/s and radians/s."""
        return self._rate_at(math.ceil(max(one, other) * self.per_second))

    def pan(self, one: Fraction, other: Fraction) -> tuple[float, float]:
        """Pan between two times of one step, in frame widths and heights a second."""
        assert self._pan_at is not None
        return self._pan_at(max(math.ceil(max(one, other) * self.per_second), 0))

    def stations(self, one: Fraction, other: Fraction) -> list[Fraction]:
        """Both times and the ends of steps between them, in order from `one` to `other`."""
        return stations(one, other, self.per_second)


def stations(one: Fraction, other: Fraction, per_second: Fraction) -> list[Fraction]:
    """Two times and the ends of steps between them, in order from `one` to `other`."""
    first, last = sorted((one, other))
    steps = range(math.floor(first * per_second) + 1, math.ceil(last * per_second))
    between = [step / per_second for step in steps]
    return [one, *(between if one <= other else reversed(between)), other]


class _Composable(Protocol):
    """A map that can be composed with others of its kind."""

    def after(self, first: Any) -> Any:
        """The composition: `first`, then this one."""


Map = TypeVar("Map", bound=_Composable)


class _Path(Generic[Map]):
    """Maps from the ends of steps back to time 0, stored every `CHECKPOINT_STEPS` steps.

    `step_back(k)` is the map from the end of step k, from 1 on, to its beginning. The order
    of operations is always the same, so that a resumed film is equal to an uninterrupted one to the
    last bit. The cost does not depend on the order of calls, and threads may call at the same time.
    """

    def __init__(self, step_back: Callable[[int], Map], home: Map) -> None:
        """Begin at `home`, the map that changes nothing."""
        self._step_back = step_back
        self._checkpoints = [home]  # only ever appended to
        self._lock = Lock()

    def back(self, steps: int) -> Map:
        """The map from the end of the first `steps` steps, from 0 on, back to time 0."""
        number = steps // CHECKPOINT_STEPS
        with self._lock:
            while len(self._checkpoints) <= number:
                done = (len(self._checkpoints) - 1) * CHECKPOINT_STEPS
                reached = self._continued(self._checkpoints[-1], done, done + CHECKPOINT_STEPS)
                self._checkpoints.append(reached)
        return self._continued(self._checkpoints[number], number * CHECKPOINT_STEPS, steps)

    def _continued(self, reached: Map, done: int, steps: int) -> Map:
        """The map of `steps` steps; `reached` is that of the first `done`."""
        for step in range(done + 1, steps + 1):
            reached = reached.after(self._step_back(step))
        return reached


@dataclass(frozen=True)
class Camera:
    """The motion of the camera. All rates are for one second of film."""

    zoom: float = 1.0
    """Factor by which the picture grows; above 0."""
    rotate: float = 0.0
    """Degrees by which the picture turns clockwise."""
    pan: tuple[float, float] = (0.0, 0.0)
    """Frame widths to the right and frame heights down that the view moves."""
    centre: tuple[float, float] = (0.5, 0.5)
    """Fixed point of zoom and rotation, in shares of the frame's width and height."""
    ease: Ease = "linear"
    """Constant speed, or slow at the beginning, the end or both."""
    seconds: Fraction = Fraction(1)
    """Length of the film, over which `ease` spreads the motion."""
    course: Course | None = None
    """Zoom and rotation at each time, in place of `zoom` and `rotate`, and perhaps the pan."""
    space: Space | None = None
    """Moves in three dimensions, on top of these."""

    @property
    def rate(self) -> complex:
        """Rate of the motion: ln(zoom) + i·rotation, in 1/s and radians a second."""
        return _rate(self.zoom, self.rotate)

    @property
    def moves(self) -> bool:
        """Whether there is any motion at all."""
        is_flat = self.course is None and self.rate == 0 and not any(self.pan)
        return not is_flat or self.space is not None

    def travelled(self, time: Fraction) -> float:
        """Seconds of motion at constant speed that correspond to `time`, in seconds.

        The value is 0 at time 0 and `seconds` at the end, for every ease. The motion repeats after
        the end, as in a loop.
        """
        rounds, rest = divmod(time, self.seconds)
        return float(self.seconds) * (rounds + _EASES[self.ease](float(rest / self.seconds)))

    def back(self, now: Fraction, before: Fraction, height: int, width: int) -> Plane:
        """The map from a point at time `now` to the same point of the flat scene at `before`.

        Times are in seconds, points in pixels of a frame of that size. The cost does not depend
        on the order of calls, and threads may call at the same time.
        """
        if self.space is None:
            return self._flat_back(now, before, height, width)
        reached: Plane = Similarity()
        if before == 0 < now:
            steps = math.floor(now * self.space.per_second)
            reached = self._flight((height, width)).back(steps)
            before = steps / self.space.per_second
        for earlier, later in pairwise(stations(before, now, self.space.per_second)):
            reached = reached.after(self._flown(self.space, later, earlier, height, width))
        return reached

    def pose(self, now: Fraction) -> Pose:
        """Where a point of the scene is at `now`, in seconds, seen from the camera.

        Unlike in `back`, the scene stays where it was at time 0.
        """
        assert self.space is not None
        steps = math.floor(now * self.space.per_second)
        before = steps / self.space.per_second
        move = self._moved(self.space, now, before)
        return move.pose.after(self._poses.back(steps).inverse())

    @cached_property
    def _poses(self) -> _Path[Pose]:
        """The path of the poses, from time 0."""
        return _Path(self._pose_back, Pose.home())

    def _pose_back(self, step: int) -> Pose:
        assert self.space is not None
        later, earlier = step / self.space.per_second, (step - 1) / self.space.per_second
        return self._moved(self.space, later, earlier).pose.inverse()

    def lens(self, now: Fraction, height: int, width: int) -> Matrix:
        """The matrix (3, 3) from directions to pixels of a frame of that size, at `now`."""
        assert self.space is not None
        step = max(math.ceil(now * self.space.per_second), 0)
        centre = centre_px(self.centre, height, width)
        return lens_of(self.space.move_at(step).fov, centre, height)

    @cached_property
    def _flight(self) -> Callable[[tuple[int, int]], _Path[Plane]]:
        """The path of the camera through space, from time 0, for frames of a size."""
        return lru_cache(maxsize=8)(self._flight_for)

    def _flight_for(self, size: tuple[int, int]) -> _Path[Plane]:
        home: Plane = Similarity()
        return _Path(partial(self._step_flown, size), home)

    def _step_flown(self, size: tuple[int, int], step: int) -> Plane:
        assert self.space is not None
        later, earlier = step / self.space.per_second, (step - 1) / self.space.per_second
        return self._flown(self.space, later, earlier, *size)

    def _flown(
        self, space: Space, now: Fraction, before: Fraction, height: int, width: int
    ) -> Homography:
        """`back` within one step of the moves in space."""
        move, centre = self._moved(space, now, before), centre_px(self.centre, height, width)
        ahead = move.pose.of_plane(lens_of(move.fov, centre, height))
        return ahead.inverse(centre).after(self._flat_back(now, before, height, width))

    def _moved(self, space: Space, now: Fraction, before: Fraction) -> Move:
        """The move between two times of one step; backwards where `now` is the earlier one."""
        return space.part(max(now, before), self.travelled(now) - self.travelled(before))

    def _flat_back(self, now: Fraction, before: Fraction, height: int, width: int) -> Similarity:
        """`back` without the moves in space."""
        centre = centre_px(self.centre, height, width)
        if self.course is not None and self.course.pans:
            moved = self._unit_back(now, before, (height, width))
            return Similarity(moved.factor, centre - moved.factor * centre + moved.shift)
        unit = self._unit_back(now, before)
        pan = complex(self.pan[0] * width, self.pan[1] * height)
        return Similarity(unit.factor, centre - unit.factor * centre + pan * unit.shift)

    def _unit_back(
        self, now: Fraction, before: Fraction, size: tuple[int, int] | None = None
    ) -> Similarity:
        """`back` for points relative to the centre and a pan of 1 a second.

        With a `size`, (height, width), for the pan of the course in pixels instead.
        """
        if self.course is None:
            return self._even_back(now, before, self.rate)
        reached = Similarity()
        if before == 0 < now:
            steps = math.floor(now * self.course.per_second)
            reached, before = self._path(size).back(steps), steps / self.course.per_second
        for earlier, later in pairwise(self.course.stations(before, now)):
            reached = reached.after(self._part_back(later, earlier, size))
        return reached

    def _even_back(self, now: Fraction, before: Fraction, rate: complex) -> Similarity:
        """`_unit_back` at a constant rate."""
        past = self.travelled(now) - self.travelled(before)
        factor = cmath.exp(-rate * past)
        return Similarity(factor, (1 - factor) / rate if abs(rate) > 1e-9 else past)

    def _part_back(
        self, now: Fraction, before: Fraction, size: tuple[int, int] | None
    ) -> Similarity:
        """`_unit_back` within one step of the course."""
        assert self.course is not None
        unit = self._even_back(now, before, self.course.rate(before, now))
        if size is None:
            return unit
        across, down = self.course.pan(before, now)
        return Similarity(unit.factor, complex(across * size[1], down * size[0]) * unit.shift)

    @cached_property
    def _path(self) -> Callable[[tuple[int, int] | None], _Path[Similarity]]:
        """The path of the camera along its course, from time 0, for frames of a size."""
        return lru_cache(maxsize=8)(
            lambda size: _Path(partial(self._step_back, size), Similarity())
        )

    def _step_back(self, size: tuple[int, int] | None, step: int) -> Similarity:
        """`_unit_back` from the end of a step of the course to its beginning."""
        assert self.course is not None
        later, earlier = step / self.course.per_second, (step - 1) / self.course.per_second
        return self._part_back(later, earlier, size)

    def flow(
        self,
        now: Fraction,
        before: Fraction,
        height: int,
        width: int,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """The backward flow from `now` to `before`: float32 (2, H, W), in pixels."""
        return self.back(now, before, height, width).flow(height, width, device)

    def exposures(
        self, now: Fraction, shutter: Fraction, height: int, width: int
    ) -> list[Fraction]:
        """Evenly spaced moments, in seconds, of a shutter that is open for `shutter` around `now`.

        Their number keeps the motion from one to the next at about one pixel at most, in a frame
        of that size, but is at most `MOST_EXPOSURES`.
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
    """The view of an `image` (C, H, W) in [0, 1] at `time`, in seconds; at 0 it fills the frame.

    The result is (C, H, W) in [0, 1]. The image is reflected beyond its border.
    """
    height, width = image.shape[1:]
    to_image = camera.back(time, Fraction(0), height, width)
    return resample(image, to_image, height, width).clamp(0, 1)


def view_frame(frame: Frame, camera: Camera) -> Frame:
    """A clip's frame seen through `camera`, whose motion is added to the clip's own."""
    alpha = None if frame.alpha is None else view(frame.alpha, camera, frame.time)
    return replace(frame, image=view(frame.image, camera, frame.time), alpha=alpha)


def expose(frame: Frame, camera: Camera, shutter: Fraction) -> Frame:
    """`frame` with the camera's motion blur, for a shutter that is open for `shutter` seconds."""
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
    """The point x + iy in pixels at these shares of a frame's width and height."""
    return complex(centre[0] * width - 0.5, centre[1] * height - 0.5)


def seen_in(flow: Tensor, height: int, width: int) -> Tensor:
    """Mask (1, H, W): 1 where `flow` (2, H, W) leads into a frame of (height, width), else 0."""
    x = flow[0] + torch.arange(flow.shape[2], device=flow.device)
    y = flow[1] + torch.arange(flow.shape[1], device=flow.device)[:, None]
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return inside.float()[None]


def resample(image: Tensor, to_image: Plane, height: int, width: int) -> Tensor:
    """The view (C, height, width) of `image` (C, H, W); `to_image` maps view pixels to the image.

    Bicubic; the image is reflected beyond its border. An image that the view makes smaller is
    first shrunk to the view's density, anti-aliased.
    """
    rows, columns = image.shape[1:]
    shrink = to_image.scales(height, width)[0]
    if shrink > 1:
        # Sizes are rounded, but positions stay exact, because they are shares of the size.
        size = [max(1, math.ceil(side / shrink)) for side in (rows, columns)]
        image = F.interpolate(image[None], size=size, mode="bicubic", antialias=True)[0]
    flow = to_image.flow(height, width, image.device)
    x = flow[0] + torch.arange(width, device=image.device)
    y = flow[1] + torch.arange(height, device=image.device)[:, None]
    return sample(image, (x + 0.5) / columns, (y + 0.5) / rows)


def sample(image: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Values (C, H', W') of `image` (C, H, W) at `across` and `down`, (H', W') each.

    Positions are shares of the image's width and height. Bicubic, reflected at the border;
    differentiable.
    """
    grid = torch.stack([across, down], -1) * 2 - 1
    sampled: Tensor = F.grid_sample(
        image[None], grid[None], mode="bicubic", padding_mode="reflection", align_corners=False
    )[0]
    return sampled
