"""The weights that are shipped: these, and no others."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dreamvid.dream.guide import Clip
from dreamvid.dream.names import BUILT_IN

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
        ("mini", [-0.0579, 0.0168, -0.0249, 0.0032], [-0.0121, 0.0289, 0.0311, -0.0394]),
        ("judge", [-0.0611, 0.0029, -0.0404, -0.0851], [-0.0237, 0.0675, -0.0605, -0.0051]),
    ],
)
def test_embeddings_stay_as_they_are(name, text, image, request):
    clip: Clip = request.getfixturevalue(name)
    found = torch.stack([clip.embed_texts([TEXT])[0, :4], clip.embed_images([ramp()])[0, :4]])
    torch.testing.assert_close(found, torch.tensor([text, image]), rtol=0, atol=1e-3)


def test_the_built_in_guide_is_small():
    assert sum(file.stat().st_size for file in BUILT_IN["mini"].glob("open_clip*")) <= 24e6
