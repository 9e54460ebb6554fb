"""Image towers: their input, their output, and their precision."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from dreamvid.errors import GuideError
from dreamvid.guide.loading import load_clip
from dreamvid.guide.names import BUILT_IN
from dreamvid.guide.tower import ImageTower
from tests.conftest import CPU
from tests.motion.scenes import texture

ROSE = "a red rose"


def test_embeddings_are_of_unit_length_and_tell_things_apart(mini):
    features = torch.cat(
        [mini.embed_texts([ROSE, "the sky"]), mini.embed_images([texture(64, 96), texture(30, 20)])]
    )
    assert features.dtype == torch.float32
    torch.testing.assert_close(features.norm(dim=1), torch.ones(4), atol=1e-5, rtol=0)
    assert ((features @ features.T).triu(1) < 0.99).all()


def test_the_tower_normalises_as_its_config_says(mini):
    config = json.loads((BUILT_IN["mini"] / "open_clip_config.json").read_text())["preprocess_cfg"]
    assert mini.tower.size == config["size"][0]
    scale, shift = mini.tower.scale.flatten(), mini.tower.shift.flatten()
    assert (-shift / scale).tolist() == pytest.approx(config["mean"])
    assert (1 / scale).tolist() == pytest.approx(config["std"])


def test_only_square_inputs_can_be_used():
    preprocess = {"size": (16, 24), "mean": (0.5,) * 3, "std": (0.5,) * 3}
    with pytest.raises(GuideError, match=r"input is \(16, 24\); only square ones"):
        ImageTower(torch.nn.Identity(), preprocess)


def test_a_tower_may_give_its_features_first_among_others():
    class Coca(torch.nn.Module):
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return images.mean((2, 3)), images

    tower = ImageTower(Coca(), {"size": 4, "mean": (0.0,) * 3, "std": (1.0,) * 3})
    features = tower(torch.ones(2, 3, 4, 4))
    torch.testing.assert_close(features, torch.full((2, 3), 3**-0.5))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_guide_reckons_with_the_precision_that_was_asked_for(mini, precision):
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    tower = load_clip("mini", CPU, precision).tower
    features, expected = tower(images), mini.tower(images)
    assert features.dtype == torch.float32
    assert ((features - expected).abs().max() > 1e-6) == (precision == "bfloat16")
    assert (features * expected).sum(1).min() > 0.999
