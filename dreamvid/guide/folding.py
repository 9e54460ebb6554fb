"""The same image tower with fewer operations, as its weights never change again."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(visual: nn.Module) -> nn.Module:
    """`visual`, changed in place so that it gives the same features sooner; in eval mode.

    For ResNets, open_clip's and timm's, the built-in guide among them; other towers have nothing to
    leave out.
    """
    from open_clip.modified_resnet import ModifiedResNet

    visual.eval()
    for module in list(visual.modules()):
        if isinstance(module, (nn.Sequential, *_residual())):
            _fold_all(module)
    if isinstance(visual, ModifiedResNet):
        visual.attnpool = OneQueryPool(visual.attnpool)
    return visual


@cache
def _residual() -> tuple[type[nn.Module], ...]:
    """Networks and blocks that call their parts in the order in which they hold them."""
    from open_clip import modified_resnet
    from timm.models import resnet

    own = (modified_resnet.ModifiedResNet, modified_resnet.Bottleneck)
    return (*own, resnet.ResNet, resnet.BasicBlock, resnet.Bottleneck)


def _fold_all(module: nn.Module) -> None:
    """Fold each batch norm next to a convolution, or to a stem that ends in one."""
    for (name, before), (norm, after) in pairwise(list(module.named_children())):
        # timm's norms with an activation in them are subclasses, and more than a scale and a shift.
        if type(after) is not nn.BatchNorm2d:
            continue
        if isinstance(before, nn.Sequential):
            name, before = f"{name}.{len(before) - 1}", before[-1]
        if isinstance(before, nn.Conv2d):
            _fold(module, name, norm)


def _fold(parent: nn.Module, convolution: str, norm: str) -> None:
    """Let the convolution do what the batch norm after it does to its result."""
    before = cast("nn.Conv2d", parent.get_submodule(convolution))
    after = cast("nn.BatchNorm2d", parent.get_submodule(norm))
    parent.set_submodule(convolution, fuse_conv_bn_eval(before, after))
    parent.set_submodule(norm, nn.Identity())


def cast_weights(visual: nn.Module, dtype: torch.dtype) -> None:
    """Round the weights, in place, that autocast to `dtype` otherwise rounds in every pass.

    Not those of subclasses, which may reckon with them before, nor of pools that stay in float32.
    """
    pools = [module for module in visual.modules() if isinstance(module, OneQueryPool)]
    exact = {part for pool in pools for part in pool.modules()}
    for module in visual.modules():
        kind = type(module)
        if kind in (nn.Conv2d, nn.Linear, nn.MultiheadAttention) and module not in exact:
            module.to(dtype)


class OneQueryPool(nn.Module):
    """open_clip's AttentionPool2d, reckoned for the one query whose result is used.

    That is the mean of all places. Its keys and values need not be formed, either: with weights W
    and places x, `q·(W x) = (q W)·x` and `Σ a (W x) = W (Σ a x)`, a product for each head instead
    of one for each place. The keys' bias adds the same to all logits of a head, and cancels.
    """

    def __init__(self, pool: Any) -> None:
        super().__init__()
        self.heads: int = pool.num_heads
        self.place = pool.positional_embedding  # (1 + h·w, C)
        self.query, self.key, self.value, self.out = (
            pool.q_proj,
            pool.k_proj,
            pool.v_proj,
            pool.c_proj,
        )

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, h, w) → (N, D)."""
        # Little to do, and its sums over few places gain nothing from being rounded.
        with torch.autocast(images.device.type, enabled=False):
            return self._pool(images.flatten(2).mT.to(self.place.dtype))

    def _pool(self, places: Tensor) -> Tensor:
        count, _, width = places.shape
        places = torch.cat([places.mean(1, keepdim=True), places], 1) + self.place
        by_head = (self.heads, width // self.heads, width)
        query = self.query(places[:, 0]).view(count, *by_head[:2]) * by_head[1] ** -0.5
        asked = torch.einsum("nhd,hdc->nhc", query, self.key.weight.view(by_head))
        attention = (asked @ places.mT).softmax(-1)  # (N, heads, 1 + h·w)
        found = torch.einsum("nhc,hdc->nhd", attention @ places, self.value.weight.view(by_head))
        pooled: Tensor = self.out(found.flatten(1) + self.value.bias)
        return pooled
