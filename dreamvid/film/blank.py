"""Blank pictures that stand for IN: grey, or grey with noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_NAMES = {"grey": "grey", "gray": "grey", "noise": "noise"}
USUAL_SIDE = 512
"""Pixels per side, where no size is given."""
_NOISE = 0.1
"""Standard deviation of the noise."""


def blank_name(source: str) -> str | None:
    """The blank that `source` names, "grey" or "noise"; None where it is a file's name."""
    return _NAMES.get(source)


def blank_size(size: str) -> tuple[int, int]:
    """(width, height) of a blank for "WIDTHxHEIGHT", "WIDTH" (a square) or "source" (the usual)."""
    if size == "source":
        return USUAL_SIDE, USUAL_SIDE
    width, _, height = size.partition("x")
    return int(width), int(height or width)


def blank_image(name: str, size: str, seed: int) -> Tensor:
    """The blank of that name and size, (3, H, W) in [0, 1]."""
    import torch

    from dreamvid.dream.descent import frame_generator

    width, height = blank_size(size)
    blank = torch.full((3, height, width), 0.5)
    if name == "noise":
        generator = frame_generator(seed, 1)  # the generator of frame 0 draws the cutouts
        blank += _NOISE * torch.randn(blank.shape, generator=generator)
    return blank.clamp(0, 1)
