"""Masks from words, on pictures drawn here, whose true masks are known."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dreamvid.config import SequenceConfig, VideoConfig
from dreamvid.film.sequence import DreamedFrame, FrameSettings, dream_frames
from dreamvid.guide.finding import TURNS, WordFinder, clearer, sharpened
from dreamvid.guide.loading import Clip
from dreamvid.motion.warp import warp
from dreamvid.types import Frame
from tests.fakes import KnownFlow, TowardsColour

SIZE = HEIGHT, WIDTH = 180, 320
RED = TowardsColour((1.0, 0.0, 0.0))
Y, X = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")


def noise(cell: int, seed: int) -> Tensor:
    """Smooth noise (1, H, W), of cells of so many pixels."""
    coarse = torch.randn(1, 1, HEIGHT // cell, WIDTH // cell, generator=torch.manual_seed(seed))
    return F.interpolate(coarse, SIZE, mode="bicubic")[0]


def flat(*colour: float) -> Tensor:
    return torch.tensor(colour)[:, None, None].expand(3, *SIZE)


GRASS = (flat(0.25, 0.55, 0.15) + 0.12 * noise(2, 0) + 0.05 * noise(6, 1)).clamp(0, 1)
SKY = (flat(0.45, 0.65, 0.95) + 0.08 * noise(30, 2).clamp(min=0)).clamp(0, 1)


def sky_over_ground() -> tuple[Tensor, Tensor]:
    is_sky = 90 + 6 * torch.sin(X / 40) > Y
    return torch.where(is_sky, SKY, GRASS), is_sky


def ball_on_grass() -> tuple[Tensor, Tensor]:
    away = torch.hypot(X - 200, Y - 100)
    light = torch.hypot(X - 185, Y - 85)
    shaded = flat(0.9, 0.1, 0.1) * (1 - light / 76).clamp(0.2, 1)
    shaded = shaded + 0.25 * torch.exp(-light.square() / 58)
    return torch.where(away < 38, shaded.clamp(0, 1), GRASS), away < 38


def strawberry() -> tuple[Tensor, Tensor]:
    is_fruit = (torch.hypot(X - 120, (Y - 95) / 1.15) < 48) & (Y > 60)
    is_leaf = torch.hypot((X - 120) / 40, (Y - 55) / 12) < 1
    is_seed = (X % 12 - 6).abs() + (Y % 14 - 7).abs() < 2
    fruit = torch.where(is_seed, flat(1, 0.9, 0.4), flat(0.9, 0.1, 0.15))
    image = torch.where(is_fruit, fruit, flat(0.8, 0.8, 0.75))
    return torch.where(is_leaf, flat(0.2, 0.6, 0.2), image), is_fruit | is_leaf


def star_at_dusk() -> tuple[Tensor, Tensor]:
    turned = torch.atan2(Y - 90, X - 100)
    is_star = torch.hypot(X - 100, Y - 90) < 50 * (0.7 + 0.3 * torch.cos(5 * turned))
    return torch.where(is_star, flat(1, 0.85, 0.1), 0.3 * SKY), is_star


def finder_of(mini: Clip, *words: str, but: str | None = None, **options: Any) -> WordFinder:
    unwanted = [] if but is None else [but]
    return WordFinder.of(mini, words, unwanted, options.get("threshold", 1.75))


def overlap(mask: Tensor, truth: Tensor) -> float:
    """Intersection over union."""
    found = mask[0] > 0.5
    return float((found & truth).sum() / (found | truth).sum())


@pytest.mark.parametrize(
    ("draw", "word", "least"),
    [
        (sky_over_ground, "sky", 0.8),
        (ball_on_grass, "a red ball", 0.5),
        (strawberry, "a strawberry", 0.8),
        (star_at_dusk, "a star", 0.6),
    ],
)
def test_what_the_guide_knows_is_found(
    mini: Clip, draw: Callable[[], tuple[Tensor, Tensor]], word: str, least: float
) -> None:
    image, truth = draw()
    finder = finder_of(mini, word)
    mask = finder.masks(finder.look(image), image)
    assert mask.shape == (1, *SIZE)
    assert 0 <= float(mask.min()) <= float(mask.max()) <= 1
    assert overlap(mask, truth) >= least


def test_what_is_not_wanted_is_left_out_and_the_threshold_moves_the_border(mini: Clip) -> None:
    image, truth = sky_over_ground()
    without = finder_of(mini, but="sky")
    assert overlap(without.masks(without.look(image), image), ~truth) >= 0.8
    finder = finder_of(mini, "sky")
    seen = finder.look(image)
    shares = [float(finder.at(value).masks(seen, image).mean()) for value in (-1, 1, 1.75, 5)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.95
    assert shares[-1] < 0.2
    both = finder_of(mini, "sky", "a strawberry", but="sky")
    assert float(both.masks(both.look(image), image).mean()) < 0.3


def test_all_turns_together_see_what_one_look_sees(mini: Clip) -> None:
    image, _ = strawberry()
    finder = finder_of(mini, "a strawberry")
    nothing = torch.zeros_like(finder.look(image))
    turns = [finder.look(image, nothing, turn) for turn in range(TURNS)]
    torch.testing.assert_close(torch.stack(turns).sum(0), finder.look(image), rtol=1e-4, atol=1e-4)


def test_a_coarse_mask_gets_the_edges_of_the_picture() -> None:
    image, truth = ball_on_grass()
    coarse = F.interpolate(truth[None, None].float(), (12, 21), mode="area")
    coarse = F.interpolate(coarse, (68, 120), mode="bilinear")[0]
    plain = F.interpolate(coarse[None], SIZE, mode="bilinear")[0]
    assert overlap(sharpened(coarse, image), truth) > overlap(plain, truth) + 0.03


def test_faint_flanks_of_a_mask_become_black_and_its_border_stays() -> None:
    mask = torch.tensor([0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0])
    assert clearer(mask).tolist() == pytest.approx([0, 0, 0.15625, 0.5, 0.84375, 1, 1], abs=1e-6)


def film(finder: WordFinder, images: list[Tensor], **options: Any) -> list[DreamedFrame]:
    """Frames that move by two pixels to the left, dreamed a little."""
    config = SequenceConfig(steps=1, first_steps=2, cutouts=2, strength=0.2, cuts=False, **options)
    settings = FrameSettings(config, [RED], finder=finder)
    frames = [Frame(image, Fraction(number, 24)) for number, image in enumerate(images)]
    return list(
        dream_frames(frames, lambda *_: settings, flow=KnownFlow(2), is_cut=lambda *_: False)
    )


def moving(count: int) -> list[Tensor]:
    """The sky over the ground, passing by; the corner grows brighter, as `KnownFlow` wants it."""
    image, _ = sky_over_ground()
    images = [image.roll(-2 * number, 2).clone() for number in range(count)]
    for number, each in enumerate(images):
        each[:, 0, 0] = number / count
    return images


@pytest.mark.parametrize("every", [1, 3])
def test_a_mask_moves_with_the_picture_and_does_not_flicker(mini: Clip, every: int) -> None:
    images = moving(10)
    dreamed = film(finder_of(mini, "sky"), images, every=every)
    masks = [each.found for each in dreamed]
    flow = torch.tensor([2.0, 0.0]).view(2, 1, 1).expand(2, *SIZE)
    for before, after in pairwise(masks):
        assert before is not None
        assert after is not None
        change = (after - warp(before, flow))[..., :-4].abs().mean()
        assert float(change) <= 0.02
    truth = 90 + 6 * torch.sin(((X + 18) % WIDTH) / 40) > Y
    assert masks[-1] is not None
    assert overlap(masks[-1], truth) >= 0.7
    shown = (dreamed[-1].frame.image - dreamed[-1].source) * masks[-1]
    assert float(shown[:, ~truth].square().sum() / shown.square().sum()) <= 0.02


def test_a_film_with_a_finder_goes_on_where_it_stopped(mini: Clip) -> None:
    images, finder = moving(6), finder_of(mini, "sky")
    whole = film(finder, images)
    config = whole[0].settings.config
    settings = FrameSettings(config, [RED], finder=finder)
    frames = [Frame(image, Fraction(number, 24)) for number, image in enumerate(images)]
    rest = dream_frames(
        frames[3:],
        lambda *_: settings,
        flow=KnownFlow(2),
        is_cut=lambda *_: False,
        carry=whole[2].carry,
    )
    for one, other in zip(rest, whole[3:], strict=True):
        assert torch.equal(one.frame.image, other.frame.image)
        assert one.found is not None
        assert other.found is not None
        assert torch.equal(one.found, other.found)


def test_the_threshold_is_an_option_that_varies() -> None:
    assert VideoConfig(where=["sky"]).where_threshold == 1.75
    assert VideoConfig(where_not=["face"]).has_mask
    assert not VideoConfig().has_mask
