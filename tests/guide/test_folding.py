"""A folded tower gives the features and gradients of the tower it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from dreamvid.guide.folding import SelfAttention, cast_weights, fold_batch_norms

SIDE = 64
TEXT = {"context_length": 4, "vocab_size": 8, "width": 64, "heads": 1, "layers": 1}
RESNET = {"image_size": SIDE, "layers": [1, 2, 1, 1], "width": 8, "patch_size": None}
TIMM = {
    **{"image_size": SIDE, "timm_model_name": "resnet10t", "timm_pool": "avg"},
    **{"timm_proj": "linear", "patch_size": None},
}
TRANSFORMER = {"image_size": SIDE, "layers": 2, "width": 64, "patch_size": 16}


def tower(vision: Mapping[str, object]) -> nn.Module:
    """With random weights and statistics, in double precision."""
    import open_clip

    torch.manual_seed(0)
    visual: nn.Module = open_clip.model.CLIP(16, dict(vision), TEXT).visual.double().eval()
    visual.requires_grad_(False)
    for values in [*visual.parameters(), *visual.buffers()]:
        if values.ndim == 1 and values.is_floating_point():
            values.copy_(0.5 + torch.rand_like(values))
    return visual


def seen(visual: nn.Module, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Features of two images, and a gradient."""
    images = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)).double()
    images = images.to(dtype).requires_grad_()
    features: Tensor = visual(images)
    (gradient,) = torch.autograd.grad((features * torch.arange(16)).sum(), images)
    return features.detach(), gradient


@pytest.mark.parametrize("vision", [RESNET, TIMM, TRANSFORMER])
def test_features_and_gradients_are_the_same(vision):
    visual = tower(vision)
    expected = seen(visual)
    assert expected[1].abs().max() > 1e-6
    folded = fold_batch_norms(deepcopy(visual))
    for found, wanted in zip(seen(folded), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9 * wanted.abs().max().item())


@pytest.mark.parametrize("vision", [RESNET, TIMM])
def test_a_resnet_loses_its_batch_norms(vision):
    folded = fold_batch_norms(tower(vision))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())


def test_of_a_transformer_only_the_attention_is_another():
    visual = tower(TRANSFORMER)
    before = [type(module) for module in visual.modules()]
    after = [type(module) for module in fold_batch_norms(visual).modules()]
    assert after == [SelfAttention if kind is nn.MultiheadAttention else kind for kind in before]
    assert SelfAttention in after


def test_the_gradient_of_attention_is_put_together_once():
    """Not added up of three that are mostly zeros."""
    attention = nn.MultiheadAttention(8, 2, batch_first=True).requires_grad_(False)
    tokens = torch.rand(2, 5, 8, requires_grad=True)
    found, _ = SelfAttention(attention)(tokens, tokens, tokens)
    wanted, _ = attention(tokens, tokens, tokens, need_weights=False)
    torch.testing.assert_close(found, wanted)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        found.sum().backward()
    names = {event.key for event in profiled.key_averages()}
    assert "aten::cat" in names
    assert "aten::select_backward" not in names


@pytest.mark.parametrize("vision", [RESNET, TIMM, TRANSFORMER])
def test_cast_weights_change_no_bit_of_what_autocast_gives(vision):
    visual = fold_batch_norms(tower(vision).float())
    low_precision = deepcopy(visual)
    cast_weights(low_precision, torch.bfloat16)
    large = [values for values in low_precision.parameters() if values.ndim > 1]
    assert sum(values.dtype == torch.bfloat16 for values in large) >= len(large) / 2
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        found, wanted = (seen(each, torch.float32) for each in (low_precision, visual))
    assert all(map(torch.equal, found, wanted))
