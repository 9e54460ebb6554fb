"""Dense features of open_clip's own architectures, with random weights."""

from __future__ import annotations

from typing import Any

import open_clip
import pytest
import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from dreamvid.guide.dense import DenseTower, attended_values
from dreamvid.guide.finding import TURNS, Wanted, WordFinder
from dreamvid.guide.folding import OneQueryPool, fold_batch_norms
from dreamvid.guide.loading import Clip
from dreamvid.guide.tower import ImageTower
from tests.motion.scenes import texture

PLAIN = {"size": 64, "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}


def transformer(**changes: Any) -> ImageTower:
    """A small ViT of 4 by 4 patches."""
    torch.manual_seed(0)
    shape = {"image_size": 64, "patch_size": 16, "width": 48, "layers": 2, "heads": 4}
    return ImageTower(
        VisionTransformer(**(shape | {"mlp_ratio": 4.0, "output_dim": 32} | changes)), PLAIN
    )


def resnet() -> ImageTower:
    """A small ResNet as CLIP's, whose last map is 2 by 2."""
    torch.manual_seed(0)
    visual = ModifiedResNet(layers=[1, 1, 1, 1], output_dim=32, heads=4, image_size=64, width=16)
    return ImageTower(fold_batch_norms(visual), PLAIN)


def dense_of(tower: ImageTower) -> DenseTower:
    dense = DenseTower.of(tower)
    assert dense is not None
    return dense


def images(count: int) -> Tensor:
    return torch.stack([texture(64, 64, seed) for seed in range(count)])


@pytest.mark.parametrize(("tower", "side"), [(transformer(), 4), (resnet(), 2)])
def test_each_place_has_a_feature_in_the_texts_space(tower, side):
    features = dense_of(tower)(images(3))
    assert features.shape == (3, side, side, 32)
    assert features.shape[-1] == tower(images(1)).shape[-1]
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(3, side, side))
    assert not features.requires_grad
    torch.testing.assert_close(dense_of(tower)(images(3)[1:2])[0], features[1])


def test_a_resnet_that_attends_evenly_pools_the_mean_of_its_values():
    pool = resnet().visual.attnpool
    assert isinstance(pool, OneQueryPool)
    nn.init.zeros_(pool.query.weight)
    nn.init.zeros_(pool.query.bias)
    last_map = torch.randn(2, 512, 2, 2, generator=torch.Generator().manual_seed(0))
    # The query, the mean over all places, is a place of its own, with its own position.
    itself = pool.out(pool.value(last_map.mean((2, 3)) + pool.positional_embedding[0]))
    places = torch.cat([pool.values(last_map), itself[:, None]], 1)
    torch.testing.assert_close(places.mean(1), pool(last_map), atol=1e-5, rtol=1e-5)


def test_a_transformer_that_attends_evenly_adds_the_mean_of_its_values():
    visual: Any = transformer().visual
    block = visual.transformer.resblocks[-1]
    with torch.no_grad():
        block.attn.in_proj_weight[:96].zero_()
        block.attn.in_proj_bias[:96].zero_()
    tokens = torch.randn(2, 17, 48, generator=torch.Generator().manual_seed(0))
    mean = attended_values(block, tokens).mean(1)
    torch.testing.assert_close(block.attention(tokens)[:, 0], mean, atol=1e-5, rtol=1e-5)


def test_a_transformer_that_only_looks_at_one_place_sees_its_value():
    """The whole tower: without residual and MLP in its last block, its feature is that place's."""
    tower = transformer()
    visual: Any = tower.visual
    block = visual.transformer.resblocks[-1]
    dense = dense_of(tower)(images(1))[0].flatten(0, 1)
    place = 5
    with torch.no_grad():
        block.mlp.c_proj.weight.zero_()
        block.mlp.c_proj.bias.zero_()
    chosen = torch.full((17, 17), float("-inf"))
    chosen[:, 1 + place] = 0

    def one_place(_: nn.Module, given: tuple[Tensor, ...], __: Tensor) -> Tensor:
        attended: Tensor = block.attention(block.ln_1(given[0]), attn_mask=chosen)
        return attended  # without the residual

    with_one = block.register_forward_hook(one_place)
    seen = tower(images(1))[0]
    with_one.remove()
    torch.testing.assert_close(dense[place], seen, atol=1e-5, rtol=1e-5)


def test_towers_whose_values_are_not_known_have_none(mini: Clip) -> None:
    assert DenseTower.of(mini.tower) is None
    pooled = transformer(attentional_pool=True, attn_pooler_queries=8, attn_pooler_heads=4)
    assert DenseTower.of(pooled) is None


def test_a_finder_with_dense_features_finds_what_looks_alike() -> None:
    """What is wanted is what makes red places differ from blue ones."""
    grain = 0.1 * texture(160, 240, 0)
    colours = [torch.tensor(each).view(3, 1, 1) for each in ((0.9, 0.2, 0.1), (0.1, 0.2, 0.9))]
    red, blue = (0.9 * colour + grain for colour in colours)
    is_red = torch.arange(240) < 120
    tower = transformer()
    dense = dense_of(tower)
    pure = [dense(each[None, :, 40:104, 40:104]).mean((0, 1, 2)) for each in (red, blue)]
    wanted = nn.functional.normalize((pure[0] - pure[1])[None], dim=-1)
    random = torch.randn(50, 32, generator=torch.Generator().manual_seed(0))
    others = nn.functional.normalize(random, dim=-1)
    finder = WordFinder([Wanted(wanted, torch.zeros(0, 32))], 0.0, tower, others, dense)
    image = torch.where(is_red, red, blue)
    seen = finder.look(image)
    values = (seen[0] / seen[2]).mean(0)
    assert values[:50].min() > values[-50:].max()
    halfway = finder.at(float(values[:50].mean() + values[-50:].mean()) / 2)
    assert ((halfway.masks(seen, image)[0] > 0.5) == is_red).float().mean() > 0.95
    turns = [finder.look(image, torch.zeros_like(seen), turn) for turn in range(TURNS)]
    torch.testing.assert_close(torch.stack(turns).sum(0), seen, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "side", "width"), [("ViT-B-32", 7, 512), ("RN50", 7, 1024)])
def test_clips_own_sizes(name: str, side: int, width: int) -> None:
    model: Any = open_clip.create_model(name)
    tower = ImageTower(fold_batch_norms(model.visual), model.visual.preprocess_cfg)
    features = dense_of(tower)(torch.rand(2, 3, 224, 224))
    assert features.shape == (2, side, side, width)
    assert features.isfinite().all()
