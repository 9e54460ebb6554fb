"""Blank pictures: their names and sizes."""

from __future__ import annotations

import pytest
import torch

from dreamvid.film.blank import USUAL_SIDE, blank_image, blank_name, blank_size


def test_names():
    assert [blank_name(name) for name in ("grey", "gray", "noise")] == ["grey", "grey", "noise"]
    assert blank_name("grey.png") is None


@pytest.mark.parametrize(
    ("size", "wanted"),
    [("96x64", (96, 64)), ("128", (128, 128)), ("source", (USUAL_SIDE, USUAL_SIDE))],
)
def test_sizes(size, wanted):
    assert blank_size(size) == wanted


def test_images():
    grey = blank_image("grey", "32x16", 0)
    assert grey.shape == (3, 16, 32)
    assert float(grey.min()) == float(grey.max()) == 0.5
    noise = blank_image("noise", "32x16", 0)
    assert 0.05 < noise.std() < 0.15
    assert torch.equal(noise, blank_image("noise", "32x16", 0))
    assert not torch.equal(noise, blank_image("noise", "32x16", 1))
