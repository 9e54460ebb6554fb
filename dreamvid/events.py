"""What a running pipeline tells its listener: progress bars, pages and notebooks alike.

A listener is called in the thread that runs the pipeline. What it raises ends the run as Ctrl-C
does: what is finished is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from dreamvid.types import Frame


@dataclass(frozen=True)
class Message:
    """Something worth knowing, in one line."""

    text: str


@dataclass(frozen=True)
class Warned:
    """Something that went wrong without ending the run, in one line."""

    text: str


@dataclass(frozen=True)
class Progress:
    """How far one stage of the work is."""

    stage: str
    """As "dreaming" or "measuring"."""
    done: int
    """0 where the stage begins; more where a resumed run begins."""
    total: int | None
    """None where it is not known."""
    note: str = ""


@dataclass(frozen=True, eq=False)
class FrameDone:
    """One more frame of the result is written."""

    index: int
    """From 0, over all runs of the result."""
    frame: Frame
    """As it is delivered."""
    source: Tensor
    """(3, H, W): what was dreamed on, at the size that it was dreamed at."""
    similarity_before: float
    """Of the source to the prompts, the mean over all guides."""
    similarity_after: float
    """Of the dream."""


@dataclass(frozen=True)
class Finished:
    """The result is whole and under its name."""

    output: str
    summary: Mapping[str, Any] = field(default_factory=dict)
    """Frames, seconds, similarities and digest, as `--json` prints them."""


Event = Message | Warned | Progress | FrameDone | Finished
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener of those who want to hear nothing."""
