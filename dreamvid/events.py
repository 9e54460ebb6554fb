"""What a running pipeline tells its listener: progress bars, pages and notebooks alike.

A listener is called in the thread that runs the pipeline, between steps. What it raises ends the
run: what is finished is kept, ready to be resumed. A KeyboardInterrupt raised while a camera or
another source without an end is dreamed ends the film there, and the result is whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from dreamvid.dream.descent import Step
    from dreamvid.film.report import Summary
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


@dataclass(frozen=True, eq=False)
class StepDone:
    """One gradient step on an image is done."""

    step: Step
    """Its index, octave and loss; its image is made when first asked for."""


@dataclass(frozen=True)
class Finished:
    """The result is whole and under its name."""

    summary: Summary


Event = Message | Warned | Progress | StepDone | FrameDone | Finished
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener of those who want to hear nothing."""
