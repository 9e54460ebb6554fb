"""A guide's image tower, and the features of whole pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dreamvid.dream.cutouts import crop, whole_window
from dreamvid.errors import GuideError
from dreamvid.guide.cuda_graph import CapturedPasses, GraphedFunction
from dreamvid.guide.folding import cast_weights


class ImageTower(nn.Module):
    """A guide's image tower: (N, 3, size, size) R'G'B' in [0, 1] → (N, D) of unit length.

    It normalises its input itself. Its weights need no gradient. It autocasts to `dtype` where that
    is not float32; its output has the input's dtype.
    """

    def __init__(
        self,
        visual: nn.Module,
        preprocess: dict[str, Any],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Wrap open_clip's `visual` with its `preprocess_cfg`: size, mean and std of its input.

        Raises GuideError where the input is not square.
        """
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
        self._graphed = GraphedFunction(self._features, CapturedPasses)

    def forward(self, images: Tensor) -> Tensor:
        normalised = self._normalised(images)
        is_replayable = images.is_cuda and not torch.cuda.is_current_stream_capturing()
        features = self._graphed if is_replayable else self._features
        unit: Tensor = F.normalize(features(normalised).to(images.dtype), dim=-1)
        return unit

    def inspected(self, images: Tensor, look: Callable[[], Tensor]) -> Tensor:
        """What `look` gives, after a pass over `images` that its hooks have followed; float32."""
        normalised = self._normalised(images)
        with self._autocast(images.device.type):
            self.visual(normalised)
            return look().float()

    def _normalised(self, images: Tensor) -> Tensor:
        normalised = torch.addcmul(self.shift, images, self.scale)
        return normalised.contiguous(memory_format=torch.channels_last)

    def _features(self, normalised: Tensor) -> Tensor:
        """Features (N, D), not normalised, in any precision."""
        with self._autocast(normalised.device.type):
            features = self.visual(normalised)
        if isinstance(features, tuple):  # CoCa: pooled features and tokens
            features = features[0]
        pooled: Tensor = features
        return pooled

    def _autocast(self, device_type: str) -> AbstractContextManager[object]:
        if self.dtype == torch.float32:
            return nullcontext()
        # A cache of cast weights would not survive the CUDA graph that is being captured.
        return torch.autocast(device_type, self.dtype, cache_enabled=False)


def see_whole(tower: ImageTower, images: Sequence[Tensor]) -> Tensor:
    """The features (K, D) of K whole pictures (3, H, W) of any sizes, on any device."""
    shown = [crop(image, whole_window(image), tower.size) for image in images]
    features: Tensor = tower(torch.cat(shown).to(tower.scale.device))
    return features
