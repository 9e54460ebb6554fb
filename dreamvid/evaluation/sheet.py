"""Contact sheets: a few frames side by side, each above its result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

COLUMNS = 6
COLUMN_WIDTH = 400
"""Largest width of a column, in pixels."""


def spread(total: int, count: int) -> set[int]:
    """At most `count` indices, evenly spread over `total` frames, the first and last among them."""
    return {round(i * (total - 1) / max(count - 1, 1)) for i in range(count)}


class ContactSheet:
    """`count` columns, evenly spread over `total` frames; keeps only the frames that it shows."""

    def __init__(self, total: int | None, count: int = COLUMNS) -> None:
        """Spread the columns over `total` frames; over the first `count` where it is None."""
        self._wanted = spread(total or count, count)
        self._seen = 0
        self._columns: list[Tensor] = []

    def add(self, images: Sequence[Tensor]) -> None:
        """Add the next frame's pictures, from top to bottom: (3, H, W) of one size."""
        import torch

        from dreamvid.dream.octaves import resize

        if self._seen in self._wanted:
            height, width = images[0].shape[1:]
            shrink = min(1, COLUMN_WIDTH / width)
            size = round(height * shrink), round(width * shrink)
            self._columns.append(torch.cat([resize(image, size).cpu() for image in images], 1))
        self._seen += 1

    def image(self) -> Tensor:
        """The sheet, (3, H, W). Raises ValueError where no frame was added."""
        import torch

        if not self._columns:
            raise ValueError("a contact sheet needs a frame")
        return torch.cat(self._columns, 2)
