"""A guide's image side, and whole pictures as it sees them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dreamvid.dream.cutouts import crop
from dreamvid.errors import GuideError
from dreamvid.guide.cuda_graph import GraphedFunction, RecordedPasses
from dreamvid.guide.folding import cast_weights


class ImageTower(nn.Module):
    """A guide's image side: (N, 3, size, size) R'G'B' in [0, 1] → (N, D) of unit length.

    Owns its normalisation and input size; frozen; autocasts to `dtype`, where that is not float32.
    """

    def __init__(
        self,
        visual: nn.Module,
        preprocess: dict[str, Any],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """`visual` and its `preprocess_cfg`, as open_clip has them. Raises GuideError."""
        super().__init__()
        size = preprocess["size"]
        sides = {size} if isinstance(size, int) else set(size)
        if len(sides) != 1:
            raise GuideError(f"the guide's input is {size}; only square ones can be used")
        self.size: int = sides.pop()
        self.dtype = dtype
        self.visual = visual.to(memory_format=torch.channels_last)
        mean, std = (torch.tensor(preprocess[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", 1 / std)
        self.register_buffer("shift", -mean / std)
        self.eval().requires_grad_(False)
        if dtype != torch.float32:
            cast_weights(self.visual, dtype)
        self._replayed = GraphedFunction(self._see, RecordedPasses)

    def forward(self, images: Tensor) -> Tensor:
        normalised = torch.addcmul(self.shift, images, self.scale)
        normalised = normalised.contiguous(memory_format=torch.channels_last)
        see = self._replayed if images.is_cuda else self._see
        unit: Tensor = F.normalize(see(normalised).to(images.dtype), dim=-1)
        return unit

    def _see(self, normalised: Tensor) -> Tensor:
        """Features (N, D) of any length and precision."""
        with self._lowered(normalised.device.type):
            features = self.visual(normalised)
        if isinstance(features, tuple):  # CoCa: pooled features and tokens
            features = features[0]
        pooled: Tensor = features
        return pooled

    def _lowered(self, device_type: str) -> AbstractContextManager[object]:
        if self.dtype == torch.float32:
            return nullcontext()
        # A cache of rounded weights would outlive the graph that is being recorded.
        return torch.autocast(device_type, self.dtype, cache_enabled=False)


def see_whole(tower: ImageTower, images: Sequence[Tensor]) -> Tensor:
    """The features (K, D) of K whole pictures (3, H, W), on any device."""
    shown = [crop(image, _whole(image), tower.size) for image in images]
    features: Tensor = tower(torch.cat(shown).to(tower.scale.device))
    return features


def _whole(image: Tensor) -> Tensor:
    """The one window (1, 4) that shows all of `image`, reflected at its longer sides."""
    height, width = image.shape[1:]
    half = max(height, width) / 2
    reach = torch.tensor([half / width, half / height], device=image.device)
    return torch.cat([0.5 - reach, 0.5 + reach])[None]
