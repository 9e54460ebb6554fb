"""The frames between two parts of a shot: both have dreamed them, and both are shown, blended.

Both dreams follow the motion of the same frames, so that each difference lies where its things are.
Their shares change evenly, from all of the earlier part's to all of the later part's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from dreamvid.dream.canvas import constrain
from dreamvid.film.sequence import Carry, DreamedFrame, SettingsAt
from dreamvid.types import Frame, Shot


@dataclass(frozen=True, eq=False)
class Shared:
    """What a part has made of a frame that it shares with another. A journal can store it."""

    difference: Tensor
    """Dream − source, (3, H, W); in half precision, whose error is below 1/8000."""
    found: Tensor | None = None
    """(1 + A, H, W) in [0, 1]: the masks that a finder has found; None without one."""

    @classmethod
    def of(cls, dreamed: DreamedFrame) -> Self:
        """What is shared of a dreamed frame."""
        found = None if dreamed.found is None else dreamed.found.half()
        return cls((dreamed.frame.image - dreamed.source).half(), found)


def blend_seam(
    frames: Iterable[Frame],
    settings_at: SettingsAt,
    shared_at: Callable[[int], tuple[Shared, Shared]],
    seam: Shot,
    first: int,
) -> Generator[DreamedFrame, None, None]:
    """Yield the frames of a seam, from the index `first` on, in order; dreams nothing.

    `frames` are those as they were dreamed on. `shared_at` gives what the earlier and the later
    part have made of the frame with an index.
    """
    for index, frame in enumerate(frames, first):
        share = (index - seam.first + 1) / (seam.frames + 1)
        earlier, later = shared_at(index)
        found = None
        if earlier.found is not None and later.found is not None:
            found = _between(earlier.found, later.found, share)
        settings = settings_at(frame, index).under(found, frame.image)
        difference = _between(earlier.difference, later.difference, share)
        source, strength = frame.image, settings.config.strength
        image = constrain(source + difference, source, strength, region=settings.region)
        mean_colour = (image - source).mean((1, 2))
        carry = Carry(index, frame.time, source, image, mean_colour, changes=settings.changes)
        yield DreamedFrame(frame.with_image(image), source, False, carry, settings, found=found)


def _between(earlier: Tensor, later: Tensor, share: float) -> Tensor:
    return torch.lerp(earlier.float(), later.float(), share)
