"""The data that crosses module borders, and the seams that alternatives fill.

A frame's image is float32 (3, H, W), R'G'B' as coded, in [0, 1]. Flow is float32 (2, H, W) in
pixels, channels (dx, dy), *backward*: it lives on the current frame's grid and says where each
pixel was, `current[:, y, x] ≈ previous[:, y + dy, x + dx]`. Trust is float32 (1, H, W), 1 where
the flow can be believed. Time is an exact Fraction of seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture and when it is shown."""

    image: Tensor
    """float32 (3, H, W), R'G'B' as coded, in [0, 1]."""
    time: Fraction
    """Presentation time in seconds: pts × time_base."""
    duration: Fraction | None = None
    """How long it is shown, in seconds, where the container says so."""
    alpha: Tensor | None = None
    """float32 (1, H, W) in [0, 1], straight, not multiplied into the image; None where opaque."""

    def __post_init__(self) -> None:
        check_image(self.image)

    def with_image(self, image: Tensor) -> Frame:
        """The same moment with another picture."""
        return replace(self, image=image)

    def __repr__(self) -> str:
        return f"Frame({tuple(self.image.shape)}, time={self.time})"


@dataclass(frozen=True)
class Mix:
    """Two neighbours of a row of texts, and how far the way from one to the other is gone."""

    first: int
    """Index of a text."""
    second: int
    share: float
    """Of the second, 0 to 1."""


@dataclass(frozen=True)
class PromptWeights:
    """What of the prompts holds at one moment: weights from 0 on, in the order of the options."""

    prompt: tuple[float, ...] = ()
    image_prompt: tuple[float, ...] = ()
    negative: tuple[float, ...] = ()
    to: tuple[float, ...] = ()
    mix: Mix | None = None
    """Of the texts that follow one another in time; None where there are none."""
    mix_weight: float = 1.0


class FlowEstimator(Protocol):
    """Estimates backward optical flow; see the module's docstring for sign and units."""

    def __call__(self, current: Tensor, previous: Tensor) -> Tensor:
        """(3, H, W) twice → (2, H, W) in pixels, on the device of `current`."""


CutDetector = Callable[["Tensor", "Tensor"], bool]
"""(current, previous), both (3, H, W) → whether a new shot begins with `current`."""


def check_image(image: Tensor) -> None:
    """Raise ValueError unless `image` is a floating-point (3, H, W)."""
    if image.ndim != 3 or image.shape[0] != 3 or not image.is_floating_point():
        raise ValueError(
            f"an image is floating-point (3, H, W), not {image.dtype} {tuple(image.shape)}"
        )
