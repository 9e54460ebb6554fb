"""Things cut out of their photographs."""

from __future__ import annotations

import numpy as np
from cutting import cut_out
from PIL import Image

HEIGHT, WIDTH = 120, 160


def photograph(radius: float) -> tuple[Image.Image, np.ndarray]:
    """A red disc before a blue sky over grass, and where it is."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    is_disc = np.hypot(x - 90, y - 60) < radius
    ground = np.where((y > 70)[..., None], (60, 130, 40), (110, 160, 230))
    rgb = np.where(is_disc[..., None], (200, 30, 40), ground)
    rgb = rgb + np.random.default_rng(0).normal(0, 6, rgb.shape)
    return Image.fromarray(rgb.clip(0, 255).astype(np.uint8)), is_disc


def test_a_thing_is_cut_from_sky_and_grass():
    image, is_disc = photograph(40)
    cut = cut_out(image)
    assert cut is not None and cut.size == image.size
    found = np.asarray(cut.getchannel("A")) > 127
    assert (found & is_disc).sum() / (found | is_disc).sum() > 0.97


def test_what_is_too_little_is_not_believed():
    assert cut_out(photograph(10)[0]) is None


def test_what_is_all_alike_has_nothing_to_cut():
    rgb = np.random.default_rng(0).normal(120, 6, (HEIGHT, WIDTH, 3))
    assert cut_out(Image.fromarray(rgb.astype(np.uint8))) is None
