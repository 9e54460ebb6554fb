"""Terms: one contract for all of them, and each by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.descent import descend
from dreamvid.dream.terms import (
    ColourDrift,
    Scene,
    Steadiness,
    Term,
    TotalVariation,
    add_gradients,
    detail_mask,
    differentiated,
    masked_total_variation,
    terms_of,
)
from dreamvid.guide.objective import spherical_distance

SIZE = (20, 24)


def drawn(channels: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """(channels, H, W) between 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(channels, *SIZE, generator=generator, dtype=dtype)


def scene_of(image: Tensor, *, is_seamless: bool = False, is_first: bool = False) -> Scene:
    """One where everything differs; a first frame has neither trust nor mean colour."""
    mask = drawn(1, 4)
    return Scene(
        image,
        source=drawn(3, 1),
        start=drawn(3, 2),
        mask=mask,
        trust=None if is_first else drawn(1, 3),
        mean_colour=None if is_first else torch.tensor([0.1, -0.1, 0.2], dtype=torch.float64),
        mask_around=F.pad(mask[None], (1, 1, 1, 1), mode="circular")[0] if is_seamless else None,
    )


class Darkness:
    """A stranger's term, without a closed form: dark images are wanted."""

    weight = 20.0

    def __call__(self, image: Tensor, scene: Scene) -> Tensor:
        return self.weight * image.pow(2).mean()


TERMS: dict[str, Term] = {
    "variation of the image": TotalVariation(5, "image"),
    "variation of the difference": TotalVariation(5, "difference"),
    "steadiness": Steadiness(3),
    "colour drift": ColourDrift(30),
    "stranger": Darkness(),
}


@pytest.fixture(params=TERMS)
def term(request: pytest.FixtureRequest) -> Term:
    return TERMS[request.param]


@pytest.mark.parametrize("is_seamless", [False, True])
@pytest.mark.parametrize("is_first", [False, True])
def test_the_gradient_that_is_added_is_autograds(term, is_seamless, is_first):
    image = drawn(3, 0)
    scene = scene_of(image, is_seamless=is_seamless, is_first=is_first)
    gradient = torch.ones_like(image)
    add_gradients([term], gradient, image, scene)
    torch.testing.assert_close(gradient, 1 + differentiated(term, image, scene))


def test_the_gradient_is_the_slope_of_the_loss_times_the_number_of_values(term):
    image, towards, step = drawn(3, 0), drawn(3, 9) - 0.5, 1e-5
    gradient = torch.zeros_like(image)
    add_gradients([term], gradient, image, scene_of(image))
    ahead, behind = (
        term(moved, scene_of(moved)) for moved in (image + step * towards, image - step * towards)
    )
    slope = (ahead - behind).item() / (2 * step)
    assert (gradient * towards).sum().item() == pytest.approx(slope * image.numel(), rel=1e-5)
    assert abs(slope) > 1e-4


def test_a_difference_at_hand_stands_for_the_image_less_its_origin(term):
    image, origin = drawn(3, 0), drawn(3, 5)
    scene = replace(scene_of(image), origin=origin)
    found, expected = torch.zeros_like(image), torch.zeros_like(image)
    add_gradients([term], found, image, scene.showing(image, image - origin))
    add_gradients([term], expected, image, scene)
    assert torch.equal(found, expected)
    torch.testing.assert_close(found, differentiated(term, image, scene))


def test_a_term_is_a_mean_and_reads_only(term):
    image = drawn(3, 0)
    scene = scene_of(image)
    assert term(image, scene).shape == ()
    add_gradients([term], torch.zeros_like(image), image, scene)
    for left, drawn_again in ((image, drawn(3, 0)), (scene.source, drawn(3, 1))):
        assert torch.equal(left, drawn_again)


class Indifferent:
    """An objective that every image satisfies."""

    size, compares = 16, False

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        return 0 * cutouts.mean()


def test_a_descent_lowers_a_term(term):
    source, start = (drawn(3, seed, torch.float32) for seed in (1, 2))
    config = DreamConfig(canvas="octaves", steps=12, octaves=1, strength=1, cutouts=1, lr=0.03)
    trust, colour = torch.ones(1, *SIZE), torch.tensor([0.1, -0.1, 0.2])
    # Steadiness is at rest at the warm start: another term moves the image first.
    terms: list[Term] = [term, Darkness()] if isinstance(term, Steadiness) else [term]
    with_term, without = (
        descend(
            source,
            [Indifferent()],
            config,
            start=start,
            trust=trust,
            mean_colour=colour,
            terms=chosen,
        )
        for chosen in (terms, [each for each in terms if each is not term])
    )

    def loss(image: Tensor) -> Tensor:
        mask = detail_mask(source)
        loss: Tensor = term(image, Scene(image, source, start, mask, trust, colour))
        return loss

    assert loss(with_term) < 0.98 * loss(without)


def test_no_terms_leave_an_image_alone():
    source = drawn(3, 1, torch.float32)
    config = DreamConfig(steps=2, octaves=1, strength=1, cutouts=1, tv_of="image")
    assert torch.equal(descend(source, [Indifferent()], config, terms=[]), source)
    assert not torch.equal(descend(source, [Indifferent()], config), source)


def test_a_config_names_the_terms_that_have_a_weight():
    assert terms_of(DreamConfig(tv=0, steady=0, colour_drift=0)) == []
    config = DreamConfig(tv=8, tv_of="image", steady=2, colour_drift=30)
    assert terms_of(config) == [TotalVariation(8, "image"), Steadiness(2), ColourDrift(30)]


def test_what_was_dreamed_is_computed_once_and_only_where_it_is_asked_for():
    image = drawn(3, 0)
    scene = scene_of(image)
    add_gradients(
        [TotalVariation(1, "image"), Steadiness(1)], torch.zeros_like(image), image, scene
    )
    assert "dreamed" not in vars(scene)
    add_gradients([TotalVariation(1, "difference")], torch.zeros_like(image), image, scene)
    assert scene.dreamed is vars(scene)["dreamed"]


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


def test_the_gradient_of_colour_drift_by_hand():
    source, mean_colour = torch.full((3, 2, 2), 0.5), torch.tensor([0.1, 0.0, 0.1])
    image = source.clone()
    image[0] += torch.tensor([[0.1, 0.3], [0.1, 0.3]])  # mean 0.2, and kept at 0.1
    image[2] -= 0.05  # kept at 0.1
    scene = Scene(image, source, source, torch.ones(1, 2, 2), mean_colour=mean_colour)
    drift = ColourDrift(30)
    assert drift(image, scene).item() == pytest.approx(30 * (0.1**2 + 0.15**2) / 3)
    gradient = torch.zeros(3, 2, 2)
    drift.add_gradient(gradient, image, scene)
    torch.testing.assert_close(gradient[:, 0, 0], torch.tensor([6.0, 0.0, -9.0]))


def test_the_gradient_of_steadiness_by_hand():
    image = torch.tensor([[[1.0, 3.0]], [[0.0, 0.0]], [[0.0, 2.0]]])  # (3, 1, 2)
    start = torch.tensor([[[0.0, 1.0]], [[0.0, 0.0]], [[0.0, 4.0]]])
    trust = torch.tensor([[[1.0, 0.25]]])
    scene = Scene(image, image, start, torch.ones(1, 1, 2), trust=trust)
    assert Steadiness(3)(image, scene).item() == pytest.approx(3 * (1 + 1 + 1) / 6)
    gradient = torch.zeros_like(image)
    Steadiness(3).add_gradient(gradient, image, scene)
    assert gradient.flatten().tolist() == [6.0, 3.0, 0.0, 0.0, 0.0, -3.0]


def test_a_seamless_image_varies_across_its_joined_borders_too():
    row = torch.tensor([[[0.0, 1.0, 3.0]]])  # around: 1, 4 and 9, and downwards nothing
    mask = torch.ones(1, 3, 5)
    scene = Scene(row, row, row, mask[:, 1:-1, 1:-1], mask_around=mask)
    assert TotalVariation(2, "image")(row, scene).item() == pytest.approx(2 * 14 / 15)


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
