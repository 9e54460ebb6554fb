"""What the loop over time remembers, as a journal keeps it: the source by its hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from torch import Tensor

from dreamvid.errors import JournalError
from dreamvid.film.sequence import Carry
from dreamvid.travel import to_host


@dataclass(frozen=True, eq=False)
class KeptCarry:
    """A `Carry` whose source is told by its hash: it can be read again at its time.

    Holds only tensors, numbers, fractions, texts and None, so that a journal can store it.
    """

    index: int
    time: Fraction
    source: str
    """SHA-256 of the source of the key frame, as it was dreamed on."""
    dream: Tensor
    mean_colour: Tensor
    keys: int
    given: int
    strength: float | None
    changes: float
    found: Tensor | None

    @classmethod
    def of(cls, carry: Carry) -> Self:
        """The same as `carry`."""
        return cls(**{**vars(carry), "source": digest_of(carry.source)})

    @property
    def last(self) -> int:
        """Index of the last frame that has been yielded."""
        return self.index + self.given

    def shows(self, source: Tensor) -> bool:
        """Whether `source` (3, H, W) is that of the key frame."""
        return digest_of(source) == self.source

    def restored(self, source: Tensor) -> Carry:
        """The carry, with the `source` (3, H, W) of its key frame.

        Raises JournalError where they do not fit.
        """
        shapes = self.dream.shape, self.mean_colour.shape
        kinds = {self.dream.dtype, self.mean_colour.dtype}
        if shapes != (source.shape, source.shape[:1]) or kinds != {source.dtype}:
            raise JournalError(
                f"the journal's dream is {tuple(self.dream.shape)}, its source "
                f"{tuple(source.shape)}; allowed: the same command with --overwrite, which begins "
                "anew"
            )
        return Carry(**{**vars(self), "source": source})


def digest_of(image: Tensor) -> str:
    """SHA-256 of the bytes of an image (3, H, W)."""
    return hashlib.sha256(to_host(image.detach().contiguous()).numpy().data).hexdigest()
