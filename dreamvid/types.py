"""The data that crosses module borders, and the interfaces that alternatives implement.

A frame's image is float32 (3, H, W), R'G'B' as coded, in [0, 1]. Flow is float32 (2, H, W) in
pixels, channels (dx, dy). *Backward* flow lives on the current frame's grid and says where each
pixel was: `current[:, y, x] ≈ previous[:, y + dy, x + dx]`. Trust is float32 (1, H, W), 1 where
the flow is reliable and 0 where it is not; the literature calls it consistency mask or
reliability. Time is an exact Fraction of seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Frame:
    """An image and the time at which it is shown."""

    image: Tensor
    """float32 (3, H, W), R'G'B' as coded, in [0, 1]."""
    time: Fraction
    """Presentation time in seconds: pts × time_base."""
    duration: Fraction | None = None
    """Seconds for which it is shown; None where the container does not say."""
    alpha: Tensor | None = None
    """float32 (1, H, W) in [0, 1], straight, not multiplied into the image; None where opaque."""

    def __post_init__(self) -> None:
        check_image(self.image)

    def with_image(self, image: Tensor) -> Frame:
        """The same frame with another image."""
        return replace(self, image=image)

    def __repr__(self) -> str:
        return f"Frame({tuple(self.image.shape)}, time={self.time})"


@dataclass(frozen=True)
class Shot:
    """A part of a film that is dreamed independently of what comes before: the frames between cuts.

    A long one may be split into parts, with a seam between two of them: frames that both dream, and
    that then show both dreams, blended. All numbers and times are those of the whole film.
    """

    number: int
    """Its place in the film, from 1."""
    first: int
    """Index of its first frame, from 0."""
    last: int
    """Index of its last frame."""
    begin: Fraction
    """Time of its first frame."""
    end: Fraction
    """End of its last frame; the time of that frame where its duration is not known."""
    steps: int
    """Gradient steps of its key frames, without the extra ones for what comes into view."""
    before: Fraction | None = None
    """Time of the frame before the first that it reads; None at the beginning of the film."""
    mark: int = 0
    """CRC-32 of that frame as decoded, by which a reader knows that it has found it."""
    kind: Literal["shot", "part", "seam"] = "shot"
    lead: int = 0
    """Number of frames before its first that a part dreams too, for the seam before it."""
    tail: int = 0
    """Number of frames after its last that a part dreams too, for the seam after it."""

    @property
    def frames(self) -> int:
        """Number of its frames."""
        return self.last - self.first + 1


@dataclass(frozen=True)
class Note:
    """A note of a piece of music."""

    begin: float
    """Seconds."""
    end: float
    channel: int
    """From 1 to 16; 10 is percussion."""
    number: int
    """From 0 to 127; 60 is middle C."""
    velocity: float
    """Force of the stroke, above 0, up to 1."""


@dataclass(frozen=True)
class Score:
    """The notes of a piece of music."""

    notes: tuple[Note, ...]
    """In the order of their beginnings."""
    beats: tuple[float, ...]
    """Times of all beats in seconds, at least two."""
    duration: float
    """Seconds."""


@dataclass(frozen=True)
class Mix:
    """Two neighbours in a row of texts, and their proportion."""

    first: int
    """Index of a text."""
    second: int
    """Index of the next text; the same index where one text holds alone."""
    share: float
    """Share of the second text, 0 to 1."""


@dataclass(frozen=True)
class PromptWeights:
    """Weights of all prompts at one moment, from 0 on, in the order of the options."""

    prompt: tuple[float, ...] = ()
    image_prompt: tuple[float, ...] = ()
    negative: tuple[float, ...] = ()
    to: tuple[float, ...] = ()
    mix: Mix | None = None
    """The texts that follow one another in time; None where there are none."""
    mix_weight: float = 1.0
    """Weight of the mix."""
    changes: float = 0.0
    """Changes from one text of the mix to the next that are done: it rises by 1 in each."""


class FlowEstimator(Protocol):
    """Estimates optical flow between two frames in both directions at once."""

    def __call__(self, current: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        """The flow from `current` to `previous`, and from `previous` to `current`.

        Both frames are (3, H, W) in [0, 1], of one size. Both flows are float32 (2, H, W), in
        pixels, channels (dx, dy), on the device of `current`:

        - `backward` lives on the grid of `current`:
          `current[:, y, x] ≈ previous[:, y + dy, x + dx]`;
        - `forward` lives on the grid of `previous`:
          `previous[:, y, x] ≈ current[:, y + dy, x + dx]`.

        So dx = −2 in `backward` and dx = 2 in `forward` say that the scene moved 2 pixels to the
        right. The two frames may be any two of a shot, also in reverse order of time.
        """


CutDetector = Callable[["Tensor", "Tensor"], bool]
"""(current, previous), both (3, H, W) in [0, 1] → whether a new shot begins with `current`."""


def check_image(image: Tensor) -> None:
    """Raise ValueError unless `image` is a floating-point (3, H, W)."""
    if image.ndim != 3 or image.shape[0] != 3 or not image.is_floating_point():
        raise ValueError(
            f"an image is floating-point (3, H, W), not {image.dtype} {tuple(image.shape)}"
        )
