"""Places: parts of one picture with objectives of their own, dreamed in one descent.

The cutouts of a step are shared out among the places, and those of each are drawn around it. The
gradient of its objectives acts only there, weighed by its mask: it is scaled to unit RMS within, so
that a small place is dreamed as much as a large one, and then by the place's weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.cutouts import Cutouts, draw_cutouts, seen_size
from dreamvid.dream.norms import rms
from dreamvid.dream.objective import Objective, guide_gradient
from dreamvid.dream.octaves import resize
from dreamvid.dream.region import Box
from dreamvid.travel import to_device


@dataclass(frozen=True, eq=False)
class Placed:
    """Objectives, and where in the picture they act."""

    objectives: Sequence[Objective]
    region: Tensor | None = None
    """(1, H, W) in [0, 1]: how much they act at each pixel; None for all of the picture."""
    weight: float = 1.0
    """How strongly, relative to other places; from 0."""

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Placed:
        """The same place of a picture that is changed in this way, as its mask is."""
        return self if self.region is None else replace(self, region=change(self.region))

    @property
    def is_black(self) -> bool:
        """Whether it is nowhere in the picture."""
        return self.region is not None and Box.around(self.region) is None

    def box(self, size: tuple[int, int]) -> Box | None:
        """The box around it in a picture of (height, width); None where it is black."""
        return Box(0, 0, *size) if self.region is None else Box.around(self.region)


@dataclass(frozen=True, eq=False)
class Sight:
    """What the objectives of all places are shown in one picture, drawn ahead."""

    places: Sequence[Placed]
    """Those that are not black."""
    cutouts: Sequence[Cutouts]
    """Those of each place."""
    size: tuple[int, int]
    """(height, width) of the picture beyond which no guide sees more."""

    @classmethod
    def draw(
        cls,
        places: Sequence[Placed],
        config: DreamConfig,
        steps: int,
        picture: Tensor,
        generator: Generator,
    ) -> Sight:
        """The sight of a `picture` (3, H, W): as many cutouts in all as without places."""
        height, width = picture.shape[1:]
        boxed = [(place, place.box((height, width))) for place in places]
        seen = [(place, box) for place, box in boxed if box is not None]
        cutouts, scale = [], 0.0
        for number, (place, box) in enumerate(seen):
            count = (config.cutouts + number) // len(seen)
            sizes = {each.size for each in place.objectives}
            own = config.model_copy(update={"cutouts": max(1, count)})
            drawn = draw_cutouts(own, steps, box.size, sizes, generator, picture.device)
            cutouts.append(_placed(drawn, box, (height, width)))
            scale = max(scale, seen_size(config, box.size, sizes)[0] / box.size[0])
        size = (max(1, round(scale * height)), max(1, round(scale * width)))
        return cls([place for place, _ in seen], cutouts, size if scale < 1 else (height, width))

    def gradient(
        self, image: Tensor, source: Tensor, config: DreamConfig, step: int
    ) -> tuple[Tensor, Tensor]:
        """The gradient (3, h, w) of all objectives in an image of any size, and their losses."""
        total, covered = torch.zeros_like(image), torch.zeros_like(image[:1])
        losses = []
        for place, cutouts in zip(self.places, self.cutouts, strict=True):
            pixels, theirs = guide_gradient(image, source, place.objectives, config, cutouts, step)
            region = torch.ones_like(covered)
            if place.region is not None:
                region = resize(place.region, image.shape[1:])
            pixels = pixels * region
            if config.normalize_gradient:
                pixels = pixels / rms(pixels, region).clamp(min=1e-20)
            total += place.weight * pixels
            covered = (covered + region).clamp(max=1)
            losses.append(theirs)
        if config.normalize_gradient:
            total = total / rms(total, covered).clamp(min=1e-20)
        return total, torch.cat(losses)


def _placed(cutouts: Cutouts, box: Box, size: tuple[int, int]) -> Cutouts:
    """The cutouts of a box, in shares of the whole picture of (height, width)."""
    height, width = size
    rows, columns = box.size
    scale = torch.tensor([columns / width, rows / height]).repeat(2)
    corner = torch.tensor([box.left / width, box.top / height]).repeat(2)
    device = cutouts.windows.device
    windows = cutouts.windows * to_device(scale, device) + to_device(corner, device)
    return replace(cutouts, windows=windows)
