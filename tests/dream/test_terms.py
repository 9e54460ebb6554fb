"""Losses by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dreamvid.dream.terms import (
    add_drift_gradient,
    add_steady_gradient,
    add_variation_gradient,
    detail_mask,
    masked_total_variation,
)
from dreamvid.guide.objective import spherical_distance

NUMBERS = torch.tensor([[[0.0, 1.0, 3.0], [2.0, 2.0, 2.0], [5.0, 1.0, 0.0]]])
"""Squared differences: down 4, 1, 1 and 9, 1, 4; across 1, 4 and 0, 0 and 16, 1. In all 42."""


def test_total_variation_by_hand():
    everywhere = torch.ones(1, 3, 3)
    assert masked_total_variation(NUMBERS, everywhere).item() == pytest.approx(42 / 9)


@pytest.mark.parametrize(
    ("row", "column", "differences"),
    [(0, 0, 4 + 1), (1, 1, 1 + 0), (0, 2, 1), (2, 0, 16), (2, 2, 0)],
)
def test_a_pixel_of_the_mask_weighs_the_differences_that_begin_there(row, column, differences):
    mask = torch.zeros(1, 3, 3)
    mask[0, row, column] = 0.5
    found = masked_total_variation(NUMBERS, mask).item()
    assert found == pytest.approx(0.5 * differences / 9)


def test_channels_are_averaged_and_share_the_mask():
    image = torch.cat([NUMBERS, 2 * NUMBERS, torch.full((1, 3, 3), 7.0)])
    found = masked_total_variation(image, torch.ones(1, 3, 3)).item()
    assert found == pytest.approx((42 + 4 * 42) / 27)


def test_a_constant_has_no_variation():
    assert masked_total_variation(torch.full((3, 5, 7), 0.3), torch.ones(1, 5, 7)) == 0


def ramp(width: int, slope: float) -> Tensor:
    return (slope * torch.arange(width)).expand(3, 4, width)


@pytest.mark.parametrize("width", [16, 32, 64])
def test_total_variation_does_not_grow_with_the_picture(width):
    found = masked_total_variation(ramp(width, 0.1), torch.ones(1, 4, width)).item()
    assert found == pytest.approx(0.01 * (width - 1) / width, rel=1e-5)


def test_a_ramp_stretched_to_twice_its_width_varies_a_quarter_as_much():
    narrow = masked_total_variation(ramp(16, 0.1), torch.ones(1, 4, 16)).item()
    wide = masked_total_variation(ramp(32, 0.05), torch.ones(1, 4, 32)).item()
    assert wide / narrow == pytest.approx((31 / 32) / (15 / 16) / 4, rel=1e-5)


def test_the_pull_of_the_variation_is_its_gradient():
    generator = torch.Generator().manual_seed(0)
    image, mask = (torch.rand(c, 7, 9, generator=generator, dtype=torch.float64) for c in (3, 1))
    leaf = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(5 * masked_total_variation(leaf, mask), leaf)
    pull = torch.ones_like(image)
    add_variation_gradient(pull, image, mask, 5)
    torch.testing.assert_close(pull, 1 + gradient * image.numel())


def test_the_pull_of_steadiness_by_hand():
    image = torch.tensor([[[1.0, 3.0]], [[0.0, 0.0]], [[0.0, 2.0]]])  # (3, 1, 2)
    start = torch.tensor([[[0.0, 1.0]], [[0.0, 0.0]], [[0.0, 4.0]]])
    trust = torch.tensor([[[1.0, 0.25]]])
    leaf = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((trust * (leaf - start).square()).mean(), leaf)
    pull = torch.zeros_like(image)
    add_steady_gradient(pull, image - start, trust, 3)
    torch.testing.assert_close(pull, 3 * gradient * 6)
    assert pull.flatten().tolist() == [6.0, 3.0, 0.0, 0.0, 0.0, -3.0]


@pytest.mark.parametrize("degrees", [10, 60, 90, 120, 170])
def test_spherical_distance_is_half_the_squared_angle(degrees):
    angle = math.radians(degrees)
    found = spherical_distance(torch.tensor(math.cos(angle))).item()
    assert found == pytest.approx(angle**2 / 2, rel=1e-5)


def test_spherical_distance_of_orthogonal_vectors():
    u, v = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert spherical_distance(u @ v).item() == pytest.approx((math.pi / 2) ** 2 / 2)


def test_spherical_distance_is_the_formula_of_the_chord():
    generator = torch.Generator().manual_seed(0)
    u, v = F.normalize(torch.randn(2, 50, 8, generator=generator, dtype=torch.float64), dim=-1)
    by_chord = 2 * ((u - v).norm(dim=-1) / 2).asin().square()
    torch.testing.assert_close(spherical_distance((u * v).sum(-1)), by_chord)


@pytest.mark.parametrize(("cosine", "distance"), [(1.0, 0.0), (-1.0, math.pi**2 / 2)])
def test_spherical_distance_is_finite_at_its_ends(cosine, distance):
    leaf = torch.tensor(cosine, requires_grad=True)
    found = spherical_distance(leaf)
    assert found.item() == pytest.approx(distance, abs=0.005)
    (gradient,) = torch.autograd.grad(found, leaf)
    assert gradient.isfinite()


def test_spherical_distance_pulls_ever_less_the_nearer_it_is():
    cosines = torch.tensor([-0.9, 0.0, 0.9, 0.999], requires_grad=True)
    (gradient,) = torch.autograd.grad(spherical_distance(cosines).sum(), cosines)
    force = -gradient * (1 - cosines.detach().square()).sqrt()  # along the arc: the angle itself
    torch.testing.assert_close(force, cosines.detach().acos(), rtol=1e-4, atol=1e-4)


def test_a_mask_is_one_where_the_source_is_flat():
    mask = detail_mask(torch.full((3, 20, 30), 0.4))
    assert mask.shape == (1, 20, 30)
    torch.testing.assert_close(mask, torch.ones_like(mask), atol=1e-6, rtol=0)


def edge(channels: list[int]) -> Tensor:
    """A step from 0 to 1 between columns 14 and 15."""
    source = torch.zeros(3, 20, 30)
    source[channels, :, 15:] = 1
    return source


@pytest.mark.parametrize("channels", [[0, 1, 2], [0], [2]])
def test_a_mask_is_low_at_an_edge_even_of_one_channel_and_one_far_from_it(channels):
    mask = detail_mask(edge(channels))[0]
    rise = 1 / sum(math.exp(-(k**2) / (2 * 1.5**2)) for k in range(-4, 5))  # of the blurred step
    torch.testing.assert_close(mask[:, 14], torch.full((20,), 1 / (1 + (rise / 0.03) ** 2)))
    assert mask[:, :8].min() > 0.999
    assert mask[:, 21:].min() > 0.999


def test_edges_in_both_directions_count_alike():
    source = edge([0, 1, 2])
    across, down = detail_mask(source), detail_mask(source.mT)
    torch.testing.assert_close(down.mT, across, atol=1e-6, rtol=1e-5)


def test_the_pull_of_the_tint_by_hand():
    dreamed = torch.zeros(3, 2, 2)
    dreamed[0] += torch.tensor([[0.1, 0.3], [0.1, 0.3]])  # mean 0.2, and kept at 0.1
    dreamed[2] -= 0.05  # kept at 0.1
    mean_colour = torch.tensor([0.1, 0.0, 0.1])
    leaf = dreamed.clone().requires_grad_()
    loss = (leaf.mean((1, 2)) - mean_colour).square().mean()
    assert loss.item() == pytest.approx((0.1**2 + 0.15**2) / 3)
    (gradient,) = torch.autograd.grad(loss, leaf)
    pull = torch.zeros(3, 2, 2)
    add_drift_gradient(pull, dreamed, mean_colour, 30)
    torch.testing.assert_close(pull, 30 * gradient * 12)
    torch.testing.assert_close(pull[:, 0, 0], torch.tensor([6.0, 0.0, -9.0]))


def test_a_mask_is_high_on_noise():
    generator = torch.Generator().manual_seed(0)
    noisy = (0.5 + 0.05 * torch.randn(3, 60, 80, generator=generator)).clamp(0, 1)
    mask = detail_mask(noisy)
    assert mask.mean() > 0.85
    assert mask.min() > 0.4


def test_a_mask_stays_above_zero_and_at_most_one():
    generator = torch.Generator().manual_seed(0)
    mask = detail_mask((torch.rand(3, 40, 40, generator=generator) > 0.5).float())
    assert mask.min() > 0
    assert mask.max() <= 1
