"""Areas: the parts of the picture in which prompts act, from the options to the descent.

A prompt with an area acts there alone, one without acts everywhere. Negatives act wherever prompts
do. Where no prompt acts, nothing is dreamed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dreamvid.config import Area
from dreamvid.dream.objective import Objective
from dreamvid.dream.octaves import resize
from dreamvid.dream.places import Placed
from dreamvid.types import PromptWeights


@dataclass(frozen=True, eq=False)
class Part:
    """The prompts of one area at one moment."""

    area: Area | None
    """None for all of the picture."""
    objectives: Sequence[Objective]
    weight: float
    """The sum of the prompts' weights."""
    mask: Tensor | None = None
    """(1, H, W) in [0, 1], of the delivered size: an area from a file, once it is read."""


def parts_of(
    areas: Sequence[Area | None],
    prompts: PromptWeights,
    objectives_at: Callable[[PromptWeights], Sequence[Objective]],
) -> list[Part]:
    """The parts of the picture, by the area of each prompt; none where no prompt has one.

    `objectives_at` gives the objectives for other weights of the prompts.
    """
    if not any(areas):
        return []
    parts = []
    for area in dict.fromkeys(areas):
        own = tuple(
            weight if each == area else 0.0
            for each, weight in zip(areas, prompts.prompt, strict=True)
        )
        if area is not None:
            parts.append(Part(area, objectives_at(_only(prompts, own)), sum(own)))
    everywhere = tuple(
        0.0 if area else weight for area, weight in zip(areas, prompts.prompt, strict=True)
    )
    mixed = (prompts.mix_weight,) if prompts.mix is not None else ()
    weights = (*everywhere, *prompts.image_prompt, *prompts.to, *mixed)
    if None in areas or prompts.image_prompt or prompts.to or mixed:
        whole = replace(prompts, prompt=everywhere)
        parts.insert(0, Part(None, objectives_at(whole), sum(weights)))
    return parts


def with_files(parts: Sequence[Part], mask_of: Callable[[Area], Tensor]) -> list[Part]:
    """The parts, those whose areas are files with their masks (1, H, W)."""
    return [
        replace(part, mask=mask_of(part.area))
        if part.area is not None and part.area.is_of_file
        else part
        for part in parts
    ]


def _only(prompts: PromptWeights, own: tuple[float, ...]) -> PromptWeights:
    """The weights of these prompts and of all negatives."""
    return replace(
        prompts,
        prompt=own,
        image_prompt=(0.0,) * len(prompts.image_prompt),
        to=(0.0,) * len(prompts.to),
        mix=None,
    )


@dataclass(frozen=True, eq=False)
class Layout:
    """What of one image (3, H, W) is dreamed, and by which prompts."""

    mask: Tensor | None
    """(1, h, w) in [0, 1], of any size: the share of the dream that is shown; None where all is."""
    region: Tensor | None
    """(1, H, W): where it is dreamed; None for all of the image."""
    places: Sequence[Placed] = ()
    """The areas of prompts; none where all act everywhere."""

    def divided(
        self,
        parts: Sequence[Part],
        found: Tensor | None,
        image: Tensor,
        *,
        limits: bool,
        steers: bool,
    ) -> Layout:
        """This layout, divided among `parts`, under the masks that a finder has found, if any.

        Of these, (1 + A, H, W), the first limits the dream, if it `limits` at all, and says where
        to dream, if it `steers`; the others are areas, in their order.
        """
        limit = found[:1] if found is not None and limits else None
        masks = masks_of(parts, [] if found is None else list(found[1:, None]))
        covered, within = union(masks), product(self.region, limit if steers else None)
        return Layout(
            product(product(self.mask, covered), limit),
            product(_fitting(covered, image), within),
            [
                Placed(part.objectives, product(_fitting(mask, image), within), part.weight)
                for part, mask in zip(parts, masks, strict=True)
            ],
        )


def masks_of(parts: Sequence[Part], found: Sequence[Tensor] = ()) -> list[Tensor | None]:
    """The mask (1, H, W) of each part, each of its own size; None for all of the picture.

    `found` are the masks of the areas from words, in the order of the parts.
    """
    words = iter(found)
    masks = [
        next(words) if part.area is not None and part.area.is_of_words else part.mask
        for part in parts
    ]
    rest = union([mask for mask in masks if mask is not None])
    return [
        1 - rest if part.area == Area("rest") and rest is not None else mask
        for part, mask in zip(parts, masks, strict=True)
    ]


def union(masks: Sequence[Tensor | None]) -> Tensor | None:
    """The sum of masks (1, H, W), at most 1, at the largest size; None where one is all or none is.

    There is no seam where the soft edges of two meet.
    """
    given = [mask for mask in masks if mask is not None]
    if not given or len(given) < len(masks):
        return None
    size = max((mask.shape[1:] for mask in given), key=lambda shape: shape[0] * shape[1])
    return torch.stack([resize(mask, size) for mask in given]).sum(0).clamp(max=1)


def product(mask: Tensor | None, other: Tensor | None) -> Tensor | None:
    """The product of two masks (1, H, W), at the size of the first; None stands for all."""
    if mask is None or other is None:
        return other if mask is None else mask
    return mask * resize(other, mask.shape[1:])


def _fitting(mask: Tensor | None, image: Tensor) -> Tensor | None:
    """A mask (1, H, W) at the size of an image (3, h, w), on its device."""
    return None if mask is None else resize(mask, image.shape[1:]).to(image)
