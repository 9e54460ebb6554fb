"""Inference-only rewrites of an image tower: fewer operations per pass, as weights never change."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(visual: nn.Module) -> nn.Module:
    """Fold batch norms into the convolutions before them; returns `visual`, changed in place.

    Features stay the same up to rounding. This applies to open_clip's and timm's ResNets, the
    built-in guide among them; other towers have nothing to fold. open_clip's attention pool is
    replaced by `OneQueryPool`, the attention of its transformers by `SelfAttention`. The tower is
    put into eval mode, whose statistics are constant.
    """
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.transformer import VisionTransformer

    visual.eval()
    for module in list(visual.modules()):
        if isinstance(module, (nn.Sequential, *_sequential_types())):
            _fold_all(module)
    if isinstance(visual, ModifiedResNet):
        visual.attnpool = OneQueryPool(visual.attnpool)
    if isinstance(visual, VisionTransformer):
        for block in visual.transformer.resblocks:
            attention = getattr(block, "attn", None)
            if type(attention) is nn.MultiheadAttention and attention.batch_first:
                block.attn = SelfAttention(attention)
    return visual


@cache
def _sequential_types() -> tuple[type[nn.Module], ...]:
    """Network and block classes that call their children in the order of registration."""
    from open_clip import modified_resnet
    from timm.models import resnet

    open_clips = (modified_resnet.ModifiedResNet, modified_resnet.Bottleneck)
    return (*open_clips, resnet.ResNet, resnet.BasicBlock, resnet.Bottleneck)


def _fold_all(module: nn.Module) -> None:
    """Fold each batch norm that follows a convolution, or a stem that ends in one."""
    for (name, before), (norm, after) in pairwise(list(module.named_children())):
        # Subclasses are excluded: timm's contain an activation, which no convolution can absorb.
        if type(after) is not nn.BatchNorm2d:
            continue
        if isinstance(before, nn.Sequential):
            name, before = f"{name}.{len(before) - 1}", before[-1]
        if isinstance(before, nn.Conv2d):
            _fold(module, name, norm)


def _fold(parent: nn.Module, convolution: str, norm: str) -> None:
    """Replace the convolution by one that includes the batch norm, and the norm by an identity."""
    before = cast("nn.Conv2d", parent.get_submodule(convolution))
    after = cast("nn.BatchNorm2d", parent.get_submodule(norm))
    parent.set_submodule(convolution, fuse_conv_bn_eval(before, after))
    parent.set_submodule(norm, nn.Identity())


def cast_weights(visual: nn.Module, dtype: torch.dtype) -> None:
    """Cast, in place, the weights that autocast to `dtype` would otherwise cast in every pass.

    Subclasses of the usual layers are excluded, because they may compute with their weights first;
    so are pools that stay in float32.
    """
    pools = [module for module in visual.modules() if isinstance(module, OneQueryPool)]
    full_precision = {module for pool in pools for module in pool.modules()}
    for module in visual.modules():
        is_plain = type(module) in (nn.Conv2d, nn.Linear, nn.MultiheadAttention, SelfAttention)
        if is_plain and module not in full_precision:
            module.to(dtype)


class SelfAttention(nn.Module):
    """The self-attention of an open_clip block, in fewer operations backward.

    torch's own splits queries, keys and values so that each of the three gradients is written into
    zeros of the size of all, and these are then added; here they are put side by side at once.
    """

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.heads = attention.num_heads
        self.in_proj_weight, self.in_proj_bias = attention.in_proj_weight, attention.in_proj_bias
        self.out_proj = attention.out_proj

    def forward(
        self, tokens: Tensor, keys: Tensor, values: Tensor, **options: Any
    ) -> tuple[Tensor, None]:
        """Attend from all `tokens` (N, L, C) to all; `keys` and `values` are the same tokens."""
        packed = F.linear(tokens, self.in_proj_weight, self.in_proj_bias)
        by_head = (*tokens.shape[:2], self.heads, -1)
        queries, keys, values = (part.view(by_head).transpose(1, 2) for part in packed.chunk(3, -1))
        attended = F.scaled_dot_product_attention(queries, keys, values)
        return self.out_proj(attended.transpose(1, 2).flatten(2)), None


class OneQueryPool(nn.Module):
    """open_clip's AttentionPool2d, computed for the only query whose output is used.

    That query is the mean over all positions. Keys and values are not computed either: with weights
    W and positions x, `q·(W x) = (q W)·x` and `Σ a (W x) = W (Σ a x)`, which takes one product per
    head instead of one per position. The keys' bias adds the same number to all logits of a head
    and cancels in the softmax.
    """

    def __init__(self, pool: Any) -> None:
        super().__init__()
        self.heads: int = pool.num_heads
        self.positional_embedding = pool.positional_embedding  # (1 + h·w, C)
        self.query, self.key, self.value, self.out = (
            pool.q_proj,
            pool.k_proj,
            pool.v_proj,
            pool.c_proj,
        )

    def forward(self, images: Tensor) -> Tensor:
        """Pool a feature map (N, C, h, w) to (N, D)."""
        # In full precision: its few sums would gain no speed from being rounded.
        with torch.autocast(images.device.type, enabled=False):
            return self._pool(images.flatten(2).mT.to(self.positional_embedding.dtype))

    def values(self, images: Tensor) -> Tensor:
        """What would be pooled of (N, C, h, w) at each place, were that all: (N, h·w, D)."""
        with torch.autocast(images.device.type, enabled=False):
            tokens = images.flatten(2).mT.to(self.positional_embedding.dtype)
            values: Tensor = self.out(self.value(tokens + self.positional_embedding[1:]))
            return values

    def _pool(self, tokens: Tensor) -> Tensor:
        """(N, h·w, C) → (N, D)."""
        count, _, width = tokens.shape
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], 1) + self.positional_embedding
        by_head = (self.heads, width // self.heads, width)
        query = self.query(tokens[:, 0]).view(count, *by_head[:2]) * by_head[1] ** -0.5
        query_by_key = torch.einsum("nhd,hdc->nhc", query, self.key.weight.view(by_head))
        attention = (query_by_key @ tokens.mT).softmax(-1)  # (N, heads, 1 + h·w)
        by_value = self.value.weight.view(by_head)
        attended = torch.einsum("nhc,hdc->nhd", attention @ tokens, by_value)
        pooled: Tensor = self.out(attended.flatten(1) + self.value.bias)
        return pooled
