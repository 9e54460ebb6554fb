"""Dense features: what a tower would make of each part of an image, were all of it like that part.

A tower's last step is an attention that takes a weighted mean of values, one for each place of the
image. The values themselves, projected as their mean would be, lie in the texts' space and say what
is where (MaskCLIP: Zhou, Loy and Dai, 2022). For a vision transformer they are those of the last
block, without the residual and the MLP behind them, which blur them (ClearCLIP: Lan et al., 2024);
for a ResNet, those of its attention pool.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dreamvid.guide.folding import OneQueryPool
from dreamvid.guide.tower import ImageTower


@dataclass(frozen=True, eq=False)
class DenseTower:
    """A tower's features of each place: (N, 3, size, size) in [0, 1] → (N, h, w, D)."""

    tower: ImageTower
    layer: nn.Module
    """The layer that what follows is computed from."""
    of_output: bool
    """Whether from its output; else from its input."""
    values: Callable[[Tensor], Tensor]
    """(N, …) of that layer → (N, h·w, D)."""

    @classmethod
    def of(cls, tower: ImageTower) -> DenseTower | None:
        """That of a tower; None for one whose values are not known."""
        from open_clip.modified_resnet import ModifiedResNet
        from open_clip.transformer import ResidualAttentionBlock, VisionTransformer

        visual: Any = tower.visual
        if isinstance(visual, ModifiedResNet) and isinstance(visual.attnpool, OneQueryPool):
            return cls(tower, visual.attnpool, False, visual.attnpool.values)
        if not isinstance(visual, VisionTransformer) or visual.attn_pool is not None:
            return None
        block: Any = visual.transformer.resblocks[-1]
        if not isinstance(block, ResidualAttentionBlock):
            return None
        return cls(tower, block.ln_1, True, lambda tokens: _values_of_block(visual, tokens))

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Features of unit length, on a square grid."""
        held: list[Tensor] = []
        if self.of_output:
            hook = self.layer.register_forward_hook(lambda _, __, out: held.append(out))
        else:
            hook = self.layer.register_forward_pre_hook(lambda _, given: held.append(given[0]))
        try:
            features = self.tower.inspected(images, lambda: self.values(held[0]))
        finally:
            hook.remove()
        unit = F.normalize(features, dim=-1)
        side = round(unit.shape[1] ** 0.5)
        return unit.view(len(images), side, side, -1)


def _values_of_block(visual: Any, tokens: Tensor) -> Tensor:
    """The values of a vision transformer's last block, projected to the texts' space.

    `tokens` are what its attention gets, the class first.
    """
    transformer, block = visual.transformer, visual.transformer.resblocks[-1]
    tokens = tokens if transformer.batch_first else tokens.transpose(0, 1)
    projected: Tensor = visual.ln_post(attended_values(block, tokens[:, 1:]))
    return projected if visual.proj is None else projected @ visual.proj


def attended_values(block: Any, tokens: Tensor) -> Tensor:
    """What an attention adds where it attends to one token alone, for each of (N, L, C)."""
    attention, width = block.attn, tokens.shape[-1]
    values = F.linear(
        tokens, attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :]
    )
    added: Tensor = block.ls_1(attention.out_proj(values))
    return added
