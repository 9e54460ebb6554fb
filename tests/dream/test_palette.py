"""Palettes: Oklab, the nearest colours, and the pull towards them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from dreamvid.config import DreamConfig, parse_colours
from dreamvid.dream.descent import descend
from dreamvid.dream.palette import Palette, colours_of, from_oklab, to_oklab
from dreamvid.dream.terms import PalettePull, Scene, differentiated, terms_of
from tests.fakes import TowardsColour

FIVE = "#0b1d3a,#1f6f8b,#e8d5b5,#d1495b,#f2a541"
PALETTE = Palette(tuple(parse_colours(FIVE) or ()))


def drawn(size: tuple[int, int] = (48, 64)) -> Tensor:
    """Smooth colours of all kinds (3, H, W), between 0 and 1."""
    coarse = torch.rand(3, 6, 8, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse[None], size=size, mode="bilinear")[0]


def near(image: Tensor, palette: Palette) -> float:
    """The share of pixels within a ΔE of 12 (CIE76) of a colour of the palette."""
    lab = _lab(image.permute(1, 2, 0).numpy())
    colours = _lab(np.array([palette.colours], np.float32))[0]
    away = np.stack([np.linalg.norm(lab - colour, axis=-1) for colour in colours])
    return float((away.min(0) <= 12).mean())


def _lab(image: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2LAB))


@pytest.mark.parametrize(
    ("colour", "lab"),
    [
        ((1.0, 1.0, 1.0), (1.0, 0.0, 0.0)),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ((1.0, 0.0, 0.0), (0.62796, 0.22486, 0.12585)),
        ((0.0, 0.0, 1.0), (0.45201, -0.03246, -0.31153)),
    ],
)
def test_oklab_of_known_colours(colour, lab):
    """Those of the CSS Color Module 4."""
    found = to_oklab(torch.tensor(colour).view(3, 1, 1)).flatten()
    assert found.tolist() == pytest.approx(lab, abs=1e-4)


def test_oklab_and_back():
    image = drawn()
    assert (from_oklab(to_oklab(image)) - image).abs().max() < 1e-4


def test_nine_pixels_in_ten_are_near_a_colour_and_few_were():
    image = drawn()
    assert near(image, PALETTE) < 0.2
    assert near(PALETTE(image), PALETTE) >= 0.9


def test_its_own_colours_stay():
    image = torch.tensor(PALETTE.colours).T.view(3, 1, -1)
    assert (PALETTE(image) - image).abs().max() < 1e-3


def test_between_two_colours_it_changes_without_a_jump():
    ends = torch.tensor(PALETTE.colours[:2])
    shares = torch.linspace(0, 1, 2001)
    ramp = (ends[0, :, None] * (1 - shares) + ends[1, :, None] * shares)[:, None]
    assert (PALETTE(ramp).diff(dim=2).abs().max()) < 0.02


def test_the_gradient_of_the_pull_is_autograds():
    image, pull = drawn().double(), PalettePull(10, PALETTE)
    scene = Scene(image, image, image, torch.ones_like(image[:1]))
    gradient = torch.zeros_like(image)
    pull.add_gradient(gradient, image, scene)
    assert gradient.abs().max() > 0.1
    assert torch.allclose(gradient, differentiated(pull, image, scene), atol=1e-9)


def test_the_pull_brings_a_dream_near_and_not_without_it():
    source = drawn((32, 48))

    def share(weight: float) -> float:
        config = DreamConfig(steps=10, strength=0.3, palette=FIVE, palette_weight=weight, octaves=1)
        dream = descend(source, [TowardsColour((0.6, 0.4, 0.4))], config)
        return near(dream, PALETTE)

    assert share(20) > share(0) + 0.1


def test_the_terms_have_a_pull_only_where_one_is_asked_for():
    kinds = [type(term) for term in terms_of(DreamConfig(palette=FIVE))]
    assert PalettePull in kinds
    assert PalettePull not in [type(term) for term in terms_of(DreamConfig())]
    without = DreamConfig(palette=FIVE, palette_weight=0)
    assert PalettePull not in [type(term) for term in terms_of(without)]


def test_the_colours_of_a_picture_are_found_and_always_the_same():
    image = torch.tensor(PALETTE.colours).T[:, torch.arange(40 * 50).reshape(40, 50) * 5 // 2000]
    found = colours_of([image], 5)
    assert sorted(str(found).split(",")) == sorted(FIVE.split(","))
    assert colours_of([drawn()], 8) == colours_of([drawn()], 8)
    assert len(set(str(colours_of([drawn()], 8)).split(","))) == 8
    assert len(colours_of([torch.zeros(3, 20, 20)], 4).colours) == 4
