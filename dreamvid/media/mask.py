"""Masks of the areas where a clip is dreamed: a picture or a film in grey."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from dreamvid.media.closing import Closes
from dreamvid.media.source import Source
from dreamvid.types import Frame

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_TICK = Fraction(1, 1000)
"""Seconds by which a frame may be later in Matroska's clock than in another container's."""


class MaskReader(Closes):
    """Masks (1, H, W) in [0, 1], for any times: white 1, black 0, colours by their mean.

    A film gives the picture shown at the requested time, and after its end the last picture. For
    ascending times it is read once.
    `start` is the time in the film at which the clip begins, in seconds. `size` is the (width,
    height) of the masks, which are on `device`. Raises MediaError where it is not readable.
    """

    def __init__(
        self,
        source: Source,
        size: tuple[int, int],
        *,
        start: Fraction | None,
        invert: bool,
        on_warning: Callable[[str], None],
        device: torch.device | str = "cpu",
    ) -> None:
        # A picture has only one moment, so it applies from any start of the clip.
        begin = None if source.is_still else start
        self._invert = invert
        self._reader = source.open(on_warning, device, start=begin, size=f"{size[0]}x{size[1]}")
        self._begin()

    def _begin(self) -> None:
        self._frames: Iterator[Frame] = iter(self._reader)
        self._next = next(self._frames, None)
        self._mask: Tensor | None = None
        self._asked = Fraction(0)

    def at(self, time: Fraction) -> Tensor:
        """The mask at `time`."""
        if time < self._asked:
            self._reader.restart()
            self._begin()
        self._asked = time
        while self._next is not None and (self._mask is None or self._next.time <= time + _TICK):
            grey = self._next.image.mean(0, keepdim=True)
            self._mask = 1 - grey if self._invert else grey
            self._next = next(self._frames, None)
        assert self._mask is not None  # a reader has at least one frame
        return self._mask

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
