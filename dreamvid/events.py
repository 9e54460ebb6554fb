"""Events that a running pipeline sends to its listener: a progress bar, a page or a notebook.

A listener is called in the thread that runs the pipeline, between steps. An exception
raised in it ends the run; the finished frames are kept, ready to be resumed. A KeyboardInterrupt
raised while a camera or another endless source is dreamed ends the film there, and the result is
complete. Warnings about a stored source may come from the thread that reads ahead.
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
    """Progress of one stage of the work."""

    stage: str
    """Name of the stage, for example "dreaming" or "measuring"."""
    done: int
    """Number of finished items; the first event of a resumed run begins above 0."""
    total: int | None
    """Number of all items; None where it is not known."""
    note: str = ""


@dataclass(frozen=True, eq=False)
class FrameDone:
    """One more frame of the result is written."""

    index: int
    """Number of the frame from 0, counted over all runs of the result."""
    frame: Frame
    """The delivered frame."""
    source: Tensor
    """The source that was dreamed on, (3, H, W), at the dreamed size."""
    similarity_before: float
    """Similarity of the source to the prompts, the mean over all guides."""
    similarity_after: float
    """Similarity of the dream to the prompts, the mean over all guides."""


@dataclass(frozen=True, eq=False)
class StepDone:
    """One gradient step on an image is done."""

    step: Step
    """Its index, octave and loss; its image is made when first asked for."""


@dataclass(frozen=True)
class Finished:
    """The result is complete and has its final name."""

    summary: Summary


Event = Message | Warned | Progress | StepDone | FrameDone | Finished
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """A listener that ignores all events."""
