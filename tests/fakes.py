"""What stands in for guides and optical flow: small, exact, and open to questions."""

from __future__ import annotations

import torch
from torch import Tensor


class TowardsColour:
    """An objective whose loss is the mean squared distance of all cutouts to one colour."""

    compares = False

    def __init__(
        self, colour: tuple[float, float, float], scale: float = 1, size: int = 16
    ) -> None:
        self.size = size
        self.colour = torch.tensor(colour).view(3, 1, 1)
        self.scale = scale
        self.calls = 0

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        assert cutouts.shape[1:] == (3, self.size, self.size)
        self.calls += 1
        return self.scale * (cutouts - self.colour).square().mean()


class AwayFromSource:
    """An objective that compares: its loss falls as the cutouts grow brighter than the source's."""

    size = 16
    compares = True

    def __init__(self) -> None:
        self.differences: list[Tensor] = []

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        assert source_cutouts is not None
        self.differences.append((cutouts - source_cutouts).detach())
        return -(cutouts - source_cutouts).mean()


class KnownFlow:
    """Optical flow that is known: (dx, dy) from a frame back to an earlier one, and its opposite.

    A frame is earlier than another where its corner is darker.
    """

    def __init__(self, dx: float, dy: float = 0) -> None:
        self.back = torch.tensor([dx, dy]).view(2, 1, 1)
        self.calls = 0

    def __call__(self, current: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        is_earlier = bool(previous[0, 0, 0] < current[0, 0, 0])
        back = (self.back if is_earlier else -self.back).expand(2, *current.shape[1:])
        return back, -back
