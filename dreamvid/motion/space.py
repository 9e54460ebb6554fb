"""A camera in three dimensions: where it goes, and how a flat scene looks from there.

Lengths count in distances of the scene: at the start, the plane that fills the frame is at z = 1.
Axes are those of the picture: x right, y down, z ahead. Names, units and signs of the moves are
those of Deforum's 3D mode (`anim_frame_warp_3d` and `transform_image_3d` in `animation.py`), and a
move is one frame's. There, a pixel is shifted by the difference of two projections of a point that
is not where the picture shows it; here it is, so that a turn about z is a rotation and a step ahead
a zoom.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Matrix = NDArray[np.float64]

UNIT = 1 / 200
"""A translation of 1, in distances of the scene."""
NEAREST = 1e-3
"""Least denominator of a projection: what is behind the camera is as far out as can be."""


@dataclass(frozen=True)
class Move:
    """What a camera does from one frame to the next, in Deforum's units."""

    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Right, up and ahead, in 1/200 of the scene's distance."""
    rotation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Degrees: up, to the right and clockwise; what is seen moves the other way."""
    fov: float = 70.0
    """Angle of view from top to bottom, in degrees."""

    @property
    def is_none(self) -> bool:
        """Whether nothing moves."""
        return not any((*self.translation, *self.rotation))

    def part(self, share: float) -> Move:
        """A share of the move."""
        x, y, z = (share * value for value in self.translation)
        up, right, clockwise = (share * value for value in self.rotation)
        return Move((x, y, z), (up, right, clockwise), self.fov)

    @property
    def pose(self) -> Pose:
        """Where a point of the scene is afterwards, seen from the camera."""
        x, y, z = (value * UNIT for value in self.translation)
        about_x, about_y, about_z = (math.radians(value) for value in self.rotation)
        turned = _turn(0, about_x) @ _turn(1, about_y) @ _turn(2, about_z)
        return Pose(turned.T, np.array([-x, y, -z]))


@dataclass(frozen=True, eq=False)
class Pose:
    """`X ↦ rotation · X + translation` of points in space."""

    rotation: Matrix
    """(3, 3)."""
    translation: Matrix
    """(3,)."""

    @classmethod
    def home(cls) -> Pose:
        """That of a camera which has not moved."""
        return cls(np.eye(3), np.zeros(3))

    @property
    def is_home(self) -> bool:
        """Whether nothing is elsewhere."""
        return not self.translation.any() and bool((self.rotation == np.eye(3)).all())

    def after(self, first: Pose) -> Pose:
        """The composition: `first`, then this one."""
        return Pose(
            self.rotation @ first.rotation, self.rotation @ first.translation + self.translation
        )

    def inverse(self) -> Pose:
        """The pose that undoes this one."""
        return Pose(self.rotation.T, -self.rotation.T @ self.translation)

    def of_plane(self, lens: Matrix) -> Homography:
        """From pixels of the plane at z = 1 to pixels of the view, through a lens (3, 3)."""
        columns = np.column_stack([*self.rotation.T[:2], self.rotation[:, 2] + self.translation])
        return Homography(lens @ columns @ np.linalg.inv(lens))


def lens_of(fov: float, centre: complex, height: int) -> Matrix:
    """The matrix (3, 3) from directions (x, y, 1) to pixels of a frame of this height.

    `fov` is its angle in degrees, and `centre` the pixel x + iy that lies straight ahead.
    """
    focal = height / 2 / math.tan(math.radians(fov) / 2)
    return np.array([[focal, 0, centre.real], [0, focal, centre.imag], [0, 0, 1]])


@dataclass(frozen=True, eq=False)
class Homography:
    """A projective map of points x + iy in pixels; (0, 0) is the first pixel's centre."""

    matrix: Matrix
    """(3, 3)."""

    @classmethod
    def of_similarity(cls, factor: complex, shift: complex) -> Homography:
        """The map `x ↦ factor·x + shift`."""
        a, b = factor.real, factor.imag
        return cls(np.array([[a, -b, shift.real], [b, a, shift.imag], [0, 0, 1]]))

    def __call__(self, point: complex) -> complex:
        x, y, depth = self.matrix @ np.array([point.real, point.imag, 1])
        return complex(x, y) / max(float(depth), NEAREST)

    def after(self, first: Any) -> Homography:
        """The composition: `first`, a homography or a similarity, then this one."""
        return Homography(self.matrix @ as_homography(first).matrix)

    def inverse(self, about: complex = 0) -> Homography:
        """The homography that undoes this one, whose denominator at a point is 1, if it can be."""
        inverse = np.linalg.inv(self.matrix).astype(np.float64)
        depth = float(inverse[2] @ np.array([about.real, about.imag, 1]))
        return Homography(inverse * (1 / depth if depth > NEAREST else 1.0))

    def scales(self, height: int, width: int) -> list[float]:
        """Factors by which lengths grow in the middle and the corners of a frame of that size."""
        middle = complex(width - 1, height - 1) / 2
        corners = [complex(x, y) for x in (0, width - 1) for y in (0, height - 1)]
        return [self._scale(point) for point in (middle, *corners)]

    def _scale(self, point: complex) -> float:
        """The root of the factor by which an area grows: √|det M| / w^1.5."""
        depth = (self.matrix[2] @ np.array([point.real, point.imag, 1])).item()
        return math.sqrt(abs(np.linalg.det(self.matrix).item()) / max(depth, NEAREST) ** 3)

    def flow(self, height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
        """Displacement of each pixel: float32 (2, H, W), pixels, channels (dx, dy)."""
        matrix = self.matrix.tolist()
        x = torch.arange(width, dtype=torch.float64, device=device)
        y = torch.arange(height, dtype=torch.float64, device=device)[:, None]
        across, down, depth = (row[0] * x + row[1] * y + row[2] for row in matrix)
        depth = depth.clamp(min=NEAREST)
        return torch.stack([across / depth - x, down / depth - y]).float()


@dataclass(frozen=True)
class Space:
    """The moves of a camera over time.

    `move_at(k)` is that of the step from time (k − 1) / `per_second` to k / `per_second`; that of
    step 0 also holds before time 0. It must be a pure function: it is called from any thread, in
    any order.
    """

    move_at: Callable[[int], Move]
    per_second: Fraction

    def part(self, now: Fraction, past: float) -> Move:
        """The move of `past` seconds within the step that leads to the time `now`."""
        step = math.ceil(now * self.per_second)
        return self.move_at(max(step, 0)).part(past * float(self.per_second))


def as_homography(plane: Any) -> Homography:
    """A similarity, or a homography, as a homography."""
    if isinstance(plane, Homography):
        return plane
    return Homography.of_similarity(plane.factor, plane.shift)


def _turn(axis: int, angle: float) -> Matrix:
    """A rotation (3, 3) about an axis, by an angle in radians."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    turn[first, first] = turn[second, second] = math.cos(angle)
    turn[first, second], turn[second, first] = -math.sin(angle), math.sin(angle)
    return turn
