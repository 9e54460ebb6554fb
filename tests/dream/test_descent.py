"""Descent on a quadratic objective, of which everything is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.canvas import constrain
from dreamvid.dream.descent import Step, descend, frame_generator
from dreamvid.dream.norms import unit_rms
from dreamvid.dream.objective import Objective
from dreamvid.dream.octaves import resize, split_steps
from dreamvid.dream.optimizer import cosine, create_optimizer, rate
from dreamvid.dream.terms import masked_total_variation
from dreamvid.errors import GradientError
from tests.fakes import AwayFromSource, TowardsColour

HEIGHT, WIDTH = 56, 72
RED = (1.0, 0.0, 0.0)


def texture(seed: int = 0) -> Tensor:
    """(3, H, W) of fine noise between 0.2 and 0.8."""
    generator = torch.Generator().manual_seed(seed)
    return 0.2 + 0.6 * torch.rand(3, HEIGHT, WIDTH, generator=generator)


def options(**changes: Any) -> DreamConfig:
    """Two octaves, of 37×48 and 56×72, and no other term than the objective's."""
    plain = {
        "canvas": "octaves",
        "steps": 8,
        "octaves": 2,
        "octave_scale": 1.5,
        "cutouts": 4,
        "tv": 0,
        "strength": 1,
    }
    return DreamConfig.model_validate(plain | {"lr": 0.03, "steady": 0} | changes)


def dream(
    source: Tensor, objectives: list[Objective] | None = None, seed: int = 0, **arguments: Any
) -> Tensor:
    """`descend` towards red, with the options among `arguments`."""
    own = {name: arguments.pop(name) for name in ("start", "trust", "on_step") if name in arguments}
    config = options(seed=seed, **arguments)
    generator = frame_generator(seed, 0)
    return descend(source, objectives or [TowardsColour(RED)], config, generator=generator, **own)


def rms(difference: Tensor) -> float:
    return difference.square().mean().sqrt().item()


def distance_to_red(image: Tensor) -> float:
    return rms(image - torch.tensor(RED).view(3, 1, 1))


@pytest.mark.parametrize("normalize", [True, False])
def test_the_objective_is_approached(normalize):
    source = texture()
    result = dream(source, steps=30, lr=0.05, normalize_gradient=normalize)
    assert distance_to_red(result) < 0.75 * distance_to_red(source)


def test_the_loss_that_is_told_falls():
    losses = []
    dream(texture(), steps=20, on_step=lambda step: losses.append(step.loss.item()))
    assert losses[-1] < 0.7 * losses[0]


def test_without_steps_the_result_is_the_warm_start_bit_for_bit():
    source, start = texture(0), texture(1)  # farther apart than the strength allows
    objective = TowardsColour(RED)
    assert torch.equal(dream(source, [objective], start=start, steps=0, strength=0.01), start)
    assert torch.equal(dream(source, [objective], steps=0), source)
    assert objective.calls == 0


def test_steps_given_override_those_of_the_options():
    source, objective = texture(), TowardsColour(RED)
    descend(source, [objective], options(steps=9), generator=frame_generator(0, 0), steps=3)
    assert objective.calls == 3


def test_no_generator_is_that_of_the_seed_and_the_first_frame():
    config = options(seed=4)
    alone = descend(texture(), [TowardsColour(RED)], config)
    assert torch.equal(alone, dream(texture(), seed=4))


@pytest.mark.parametrize("strength", [0.003, 0.05, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_the_strength_is_never_exceeded(seed, strength):
    source, start = texture(seed), texture(seed + 100)
    seen = []
    result = dream(
        source,
        seed=seed,
        start=start,
        strength=strength,
        lr=0.3,
        steps=5,
        on_step=lambda step: seen.append(step.image),
    )
    for image in (*seen, result):
        assert rms(image - source) <= strength * (1 + 1e-5)
        assert image.min() >= 0
        assert image.max() <= 1


def test_the_strength_is_reached():
    source = texture()
    assert rms(dream(source, strength=0.1, lr=0.2) - source) == pytest.approx(0.1, rel=0.02)


def test_no_strength_gives_the_source():
    source = texture(0)
    assert torch.equal(dream(source, start=texture(1), strength=0), source)


def test_the_result_stays_a_picture_even_from_black_and_white():
    source = (texture() > 0.5).float()
    result = dream(source, lr=1)
    assert result.min() >= 0
    assert result.max() <= 1


def test_constraints_by_hand():
    source = torch.full((3, 1, 2), 0.5)
    far = torch.full((3, 1, 2), 0.9)
    torch.testing.assert_close(constrain(far, source, 0.1), source + 0.1)
    torch.testing.assert_close(constrain(far, source, 0.4), far)
    torch.testing.assert_close(constrain(far + 7, source, 1.0), torch.ones(3, 1, 2))
    assert torch.equal(constrain(source, source, 0.1), source)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    source = texture()
    assert torch.equal(dream(source, seed=3), dream(source, seed=3))
    assert not torch.equal(dream(source, seed=3), dream(source, seed=4))


def test_neither_being_watched_nor_the_global_generator_changes_anything():
    source = texture()
    alone, before = dream(source), torch.get_rng_state()
    torch.manual_seed(77)
    disturbed = torch.get_rng_state()
    watched = dream(source, on_step=lambda step: step.image.zero_())
    assert torch.equal(watched, alone)
    assert torch.equal(torch.get_rng_state(), disturbed)
    assert not torch.equal(before, disturbed)


def test_arguments_are_left_as_they_were():
    source, start, trust = texture(0), texture(1), torch.ones(1, HEIGHT, WIDTH)
    dream(source, start=start, trust=trust, steady=5, tv=5)
    assert torch.equal(source, texture(0))
    assert torch.equal(start, texture(1))
    assert torch.equal(trust, torch.ones(1, HEIGHT, WIDTH))


def test_how_a_picture_lies_in_memory_means_nothing():
    planar = texture()
    interleaved = planar.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    trust = texture(1)[:1]
    one, other = (
        dream(source, trust=trust, hold=0.5, tv=8, steps=4) for source in (planar, interleaved)
    )
    torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_step_is_told_in_order_coarse_octaves_first(count):
    steps: list[Step] = []
    result = dream(texture(), steps=count, on_step=steps.append)
    assert [step.index for step in steps] == list(range(count))
    assert {(step.count, step.levels) for step in steps} == {(count, 2)}
    coarse, fine = split_steps(count, 2)
    assert [step.level for step in steps] == [0] * coarse + [1] * fine
    assert {tuple(step.image.shape) for step in steps} == {(3, HEIGHT, WIDTH)}
    assert torch.equal(steps[-1].image, result)


def test_a_guides_scale_means_nothing_once_normalised():
    one, other = (dream(texture(), [TowardsColour(RED, scale)]) for scale in (1, 1024))
    assert torch.equal(one, other)


def test_no_objective_of_an_ensemble_drowns_another():
    source = texture()
    redder = TowardsColour((1.0, 0.5, 0.5))
    loud, quiet = (TowardsColour((0.5, 0.5, 1.0), scale) for scale in (1024, 1))
    both = dream(source, [redder, quiet])
    assert torch.equal(dream(source, [redder, loud]), both)
    colour = (both - source).mean((1, 2))
    assert colour[0] > 0.05
    assert colour[2] > 0.05
    assert abs(colour[0] - colour[2]) < 0.03


def test_every_objective_is_shown_cutouts_of_its_own_size():
    small, large = TowardsColour(RED, size=8), TowardsColour(RED, size=24)
    dream(texture(), [small, large], steps=2)
    assert (small.calls, large.calls) == (2, 2)


def test_an_objective_that_compares_sees_the_source_through_the_same_windows_and_noise():
    source, watcher = texture(), AwayFromSource()
    dream(source, [watcher], octaves=1)
    assert (watcher.differences[0] == 0).all()
    assert watcher.differences[-1].mean() > 0.05
    shifted = AwayFromSource()
    dream(source, [shifted], start=source + 0.1, octaves=1)
    torch.testing.assert_close(
        shifted.differences[0], torch.full_like(shifted.differences[0], 0.1), atol=1e-6, rtol=0
    )


def variation(image: Tensor) -> float:
    return masked_total_variation(image, torch.ones(1, HEIGHT, WIDTH)).item()


def test_total_variation_smooths_what_was_dreamed():
    source = texture()
    rough, smooth = (dream(source, tv=tv, steps=40) - source for tv in (0, 100))
    assert variation(smooth) < 0.1 * variation(rough)
    assert rms(smooth) > 0.05  # it did dream


def test_total_variation_of_the_image_smooths_the_sources_own_grain():
    source = texture()
    of_image = dream(source, tv=100, steps=20, tv_of="image")
    of_difference = dream(source, tv=100, steps=20, tv_of="difference")
    assert variation(of_image) < 0.5 * variation(source)
    assert variation(of_image) < 0.5 * variation(of_difference)


def test_steadiness_holds_trusted_pixels_to_their_warm_start():
    source, start = texture(0), (texture(0) + 0.1).clamp(0, 1)
    trust = torch.zeros(1, HEIGHT, WIDTH)
    trust[:, :, : WIDTH // 2] = 1
    result = dream(source, start=start, trust=trust, steady=100, steps=20)
    moved = (result - start).abs()
    assert moved[:, :, : WIDTH // 2 - 2].mean() < 0.25 * moved[:, :, WIDTH // 2 + 2 :].mean()


@pytest.mark.parametrize("hold", [0.5, 1.0])
def test_trusted_pixels_take_a_share_of_one_step(hold):
    source = texture(0)
    trust = torch.zeros(1, HEIGHT, WIDTH)
    trust[:, :, : WIDTH // 2] = 1
    held = dream(source, trust=trust, hold=hold, steps=1) - source
    free = dream(source, trust=trust, hold=0, steps=1) - source
    half = WIDTH // 2
    torch.testing.assert_close(held[:, :, half:], free[:, :, half:], atol=1e-6, rtol=0)
    expected = (1 - hold) * free[:, :, :half]
    torch.testing.assert_close(held[:, :, :half], expected, atol=1e-6, rtol=0)


def test_trust_that_holds_nothing_changes_nothing():
    source, trust = texture(), texture()[:1]
    assert torch.equal(dream(source, trust=trust, hold=0), dream(source))


def test_no_gradient_is_no_change():
    source = texture()
    assert torch.equal(dream(source, [TowardsColour(RED, scale=0)]), source)


class Dead(TowardsColour):
    """An objective whose loss does not depend on what it sees."""

    def __init__(self, loss: float, compares: bool = False) -> None:
        super().__init__(RED)
        self.loss, self.compares = loss, compares

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        return 0 * super().__call__(cutouts, source_cutouts) + self.loss


@pytest.mark.parametrize("scale", [float("nan"), float("inf")])
@pytest.mark.parametrize("normalize", [True, False])
def test_a_gradient_that_is_not_finite_is_told(scale, normalize):
    with pytest.raises(GradientError, match="not finite"):
        dream(
            texture(),
            [TowardsColour(RED, scale=scale)],
            normalize_gradient=normalize,
        )


@pytest.mark.parametrize("dead", [Dead(0.7), Dead(0, compares=True), Dead(-0.1, compares=True)])
def test_a_gradient_of_zero_is_told_where_there_is_something_to_gain(dead):
    for options in ({}, {"tv": 8, "steps": 1}):
        with pytest.raises(GradientError, match="zero at every step"):
            dream(texture(), [dead], **options)


def test_a_loss_of_zero_leaves_nothing_to_gain():
    source = texture()
    assert torch.equal(dream(source, [Dead(0)]), source)


def test_without_steps_no_gradient_is_missed():
    source = texture()
    assert torch.equal(dream(source, [Dead(0.7)], steps=0), source)


def test_one_dead_guide_of_two_changes_nothing():
    live = TowardsColour(RED)
    both = dream(texture(), [live, Dead(0.7)])
    alone = dream(texture(), [live])
    torch.testing.assert_close(both, alone, atol=1e-6, rtol=0)  # their sum is normalised again


def test_a_gradient_is_brought_to_a_root_mean_square_of_one():
    gradient = 1e-9 * torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0))
    assert rms(unit_rms(gradient)) == pytest.approx(1, rel=1e-5)
    assert (unit_rms(torch.zeros(3, 5, 7)) == 0).all()


def test_so_it_is_over_many_pixels():
    even = unit_rms(torch.full((1, 2160, 3840), 0.1))
    assert even[0, 0, 0].item() == pytest.approx(1, rel=1e-5)  # in one sum 1e-3 off


def test_how_a_picture_lies_in_memory_does_not_matter():
    source = texture()
    interleaved = source.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert torch.equal(dream(source), dream(interleaved))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [2 * 0.01 / 1.01, 1, 2 * 100 / 101]),  # over lr: 2·|g| / (|g| + 1)
        ({"normalize_gradient": False}, [1.0, 1.0, 1.0]),  # the scale of the gradient is unknown
    ],
)
def test_a_faint_gradient_moves_a_pixel_less_than_a_strong_one(changes, expected):
    config = options(**changes)
    pixels = torch.zeros(3)
    optimizer = create_optimizer(pixels, config)
    optimizer.param_groups[0]["lr"] = rate(config, 0, 4)
    pixels.grad = torch.tensor([0.01, 1, 100])
    optimizer.step()
    torch.testing.assert_close(-pixels / config.lr, torch.tensor(expected), rtol=1e-4, atol=0)


def test_the_rate_falls_from_full_along_a_cosine():
    assert [cosine(step, 4) for step in range(4)] == pytest.approx(
        [1, 0.8536, 0.5, 0.1464], abs=1e-4
    )
    assert cosine(0, 1) == 1


def test_generators_differ_by_seed_and_frame_and_by_nothing_else():
    def first(seed: int, frame: int) -> float:
        return torch.rand(1, generator=frame_generator(seed, frame)).item()

    assert first(3, 5) == first(3, 5)
    assert len({first(seed, frame) for seed in range(20) for frame in range(20)}) == 400
    assert first(2**63 - 1, 10**9) == first(2**63 - 1, 10**9)


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (1, 40)])
def test_tiny_frames_are_dreamed_too(size):
    source = torch.full((3, *size), 0.5)
    result = dream(source, steps=2)
    assert result.shape == source.shape
    assert distance_to_red(result) < distance_to_red(source)


class TestLargerThanTheGuideSees:
    """A frame of 160×200 under a guide of 16 pixels is dreamed at 128×160."""

    source = 0.2 + 0.6 * torch.rand(3, 160, 200, generator=torch.Generator().manual_seed(5))

    def test_the_source_keeps_its_detail(self):
        added = dream(self.source, steps=4) - self.source
        assert added.shape == self.source.shape
        assert rms(added) > 0.02
        fine = added - resize(resize(added, (40, 50)), (160, 200))
        assert rms(fine) < 0.1 * rms(added)

    def test_strength_and_range_hold_at_full_size(self):
        seen: list[Tensor] = []
        result = dream(
            self.source,
            steps=4,
            strength=0.05,
            lr=0.3,
            on_step=lambda step: seen.append(step.image),
        )
        assert torch.equal(seen[-1], result)
        for image in seen:
            assert image.shape == self.source.shape
            assert rms(image - self.source) <= 0.05 * (1 + 1e-5)
            assert 0 <= image.min() <= image.max() <= 1

    def test_without_steps_the_result_is_the_warm_start_bit_for_bit(self):
        start = self.source.flip(2)
        assert torch.equal(dream(self.source, start=start, steps=0), start)

    def test_trusted_pixels_take_a_share_of_a_step(self):
        trust = torch.ones(1, 160, 200)
        held, free = (
            dream(self.source, steps=1, lr=0.02, octaves=1, hold=hold, trust=trust) - self.source
            for hold in (0.75, 0.0)
        )
        torch.testing.assert_close(held, 0.25 * free, atol=2e-3, rtol=0)
