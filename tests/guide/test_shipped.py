"""The weights that are shipped: these, and no others."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dreamvid.guide.loading import Clip
from dreamvid.guide.names import BUILT_IN
from tests.conftest import JUDGE

TEXT = "a photo of an octopus"


def ramp() -> Tensor:
    """(3, 64, 64): red to the right, green downwards, blue steady."""
    axis = torch.linspace(0, 1, 64)
    return torch.stack(
        [axis.expand(64, 64), axis[:, None].expand(64, 64), torch.full((64, 64), 0.3)]
    )


@pytest.mark.parametrize(
    ("name", "text", "image"),
    [
        ("mini", [-0.0777, 0.0213, -0.0677, -0.0149], [-0.0462, 0.0029, 0.0046, -0.0530]),
        ("judge", [0.0511, -0.0168, 0.0302, 0.0117], [-0.0665, 0.0446, 0.0131, 0.0598]),
    ],
)
def test_embeddings_stay_as_they_are(name, text, image, request):
    clip: Clip = request.getfixturevalue(name)
    found = torch.stack([clip.embed_texts([TEXT])[0, :4], clip.embed_images([ramp()])[0, :4]])
    torch.testing.assert_close(found, torch.tensor([text, image]), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("folder", "most"), [(BUILT_IN["mini"], 24e6), (JUDGE, 16e6)])
def test_they_are_small(folder, most):
    assert 0 < sum(file.stat().st_size for file in folder.glob("open_clip*")) <= most
