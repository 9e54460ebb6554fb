"""Several objectives in one picture, each in a place of its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.descent import descend, frame_generator
from dreamvid.dream.norms import rms
from dreamvid.dream.places import Placed, Sight
from dreamvid.dream.symmetry import Symmetry
from dreamvid.guide.microbatch import Microbatches, MicrobatchSize
from tests.dream.test_step_graph import noise
from tests.fakes import AwayFromSource, TowardsColour

SIZE = 120, 200
RED, BLUE = (TowardsColour((float(red), 0.0, float(1 - red))) for red in (1, 0))
GREY = torch.full((3, *SIZE), 0.5)
LEFT = (torch.arange(200) < 100).float().expand(1, *SIZE)


def options(**changes: object) -> DreamConfig:
    plain = {"steps": 8, "octaves": 2, "cutouts": 8, "strength": 0.3, "lr": 0.1}
    return DreamConfig.model_validate(plain | changes)


def spot(x: int, y: int, side: int) -> Tensor:
    region = torch.zeros(1, *SIZE)
    region[:, y : y + side, x : x + side] = 1
    return region


@pytest.mark.parametrize("canvas", ["octaves", "pyramid", "spectrum"])
def test_each_place_gets_its_own_colour(canvas):
    places = [Placed([RED], LEFT), Placed([BLUE], 1 - LEFT)]
    dream = descend(GREY, [], options(canvas=canvas), places=places)
    redder = (dream[0] - dream[2]).view(SIZE[0], 2, 100).mean((0, 2))
    assert redder[0] > 0.25
    assert redder[1] < -0.25


def test_a_gradient_acts_nowhere_else():
    alone = options(canvas="octaves", octaves=1, tv=0)
    dream = descend(GREY, [], alone, places=[Placed([RED], LEFT)])
    assert torch.equal(dream[..., 101:], GREY[..., 101:])
    assert (dream - GREY)[0, :, :90].mean() > 0.1


def test_the_strength_is_that_of_all_places_together():
    region = torch.maximum(spot(10, 10, 60), spot(130, 50, 60))
    places = [Placed([RED], spot(10, 10, 60)), Placed([BLUE], spot(130, 50, 60))]
    dream = descend(GREY, [], options(strength=0.1), region=region, places=places)
    assert float(rms(dream - GREY, region)) == pytest.approx(0.1, rel=0.02)
    assert torch.equal(dream.where(region > 0, GREY), dream)
    assert dream[0, 40, 40] > 0.52
    assert dream[2, 80, 160] > 0.52


def sight_of(*places: Placed, cutouts: int = 8) -> Sight:
    config = options(cutouts=cutouts, cutout_noise=0)
    return Sight.draw(places, config, 3, GREY, frame_generator(0, 0))


@pytest.mark.parametrize("cutouts", [7, 8])
def test_places_share_the_cutouts_and_theirs_are_drawn_around_them(cutouts):
    region = spot(10, 20, 64)
    sight = sight_of(Placed([RED], region), Placed([BLUE]), cutouts=cutouts)
    counts = [each.windows.shape[1] for each in sight.cutouts]
    assert sum(counts) == cutouts
    assert max(counts) - min(counts) <= 1
    windows = sight.cutouts[0].windows
    middles = (windows[..., :2] + windows[..., 2:]) / 2 * torch.tensor([200.0, 120.0])
    assert float((middles - torch.tensor([42.0, 52.0])).abs().max()) < 64
    assert sight.cutouts[1].windows.max() > 0.9


def test_a_small_place_is_pushed_as_hard_as_a_large_one_and_by_its_weight():
    small, large = spot(10, 20, 32), spot(80, 10, 96)
    sight = sight_of(Placed([RED], small, weight=2.0), Placed([BLUE], large))
    image = noise(0, 3, *SIZE)
    gradient, losses = sight.gradient(image, image, options(), 0)
    assert losses.shape == (2,)
    within = [float(rms(gradient, region)) for region in (small, large)]
    assert within[0] == pytest.approx(2 * within[1], rel=1e-4)
    assert float(rms(gradient, small + large)) == pytest.approx(1, rel=1e-4)
    assert not gradient[:, (small + large)[0] == 0].any()


def test_a_black_place_is_left_out():
    black = Placed([BLUE], torch.zeros(1, *SIZE))
    assert [each.windows.shape[1] for each in sight_of(black, Placed([RED])).cutouts] == [8]
    assert descend(GREY, [], options(), places=[black]) is GREY


def test_few_cutouts_are_enough_for_every_place():
    dream = descend(GREY, [], options(cutouts=1), places=[Placed([RED], LEFT), Placed([BLUE])])
    assert (dream - GREY).abs().max() > 0.1


def test_places_have_the_symmetry_of_the_picture():
    config = options(symmetry="mirror")
    dream = descend(noise(0, 3, *SIZE), [], config, places=[Placed([RED], spot(10, 10, 60))])
    mirror = Symmetry.of("mirror")
    assert mirror is not None
    torch.testing.assert_close(dream, mirror.fold(dream), atol=1e-6, rtol=0)
    difference = dream - mirror.fold(noise(0, 3, *SIZE))
    sides = [difference[0, 20:60, part].mean() for part in (slice(15, 60), slice(140, 185))]
    assert min(sides) > 0.05


def test_microbatches_and_a_comparison_serve_a_place_too():
    limit = MicrobatchSize()
    limit.limit = 2
    whole, parts = (
        descend(GREY, [], options(), places=[Placed([each], LEFT)])
        for each in (RED, Microbatches(RED, limit))
    )
    torch.testing.assert_close(whole, parts, atol=1e-4, rtol=0)
    judge = AwayFromSource()
    dream = descend(GREY, [], options(), places=[Placed([judge], LEFT)])
    assert dream[..., :90].mean() > 0.6
    assert judge.differences
