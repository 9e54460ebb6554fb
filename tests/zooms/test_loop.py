"""A loop is dreamed as one picture, and its film joins its beginning."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
import torch

from dreamvid.config import DreamConfig
from dreamvid.dream.terms import Scene
from dreamvid.errors import GradientError
from dreamvid.journal.record import from_bytes, to_bytes
from dreamvid.motion.camera import Camera
from dreamvid.zooms.loop import Loop, LoopCheckpoint, dream_loop, film_loop, find_start
from tests.fakes import AwayFromSource, TowardsColour
from tests.motion.scenes import texture

RED = (0.9, 0.1, 0.1)
CAMERA = Camera(zoom=2.0, rotate=15, seconds=Fraction(2))
TIMES = [Fraction(index, 6) for index in range(12)]
CONFIG = DreamConfig(cutouts=4, octaves=2, strength=0.2, tv=1)


def planted() -> Loop:
    return Loop.plant(texture(96, 96), CAMERA, 48, 64)


def test_the_film_goes_on_where_it_began():
    loop = planted()
    around = list(loop.frames([*TIMES, Fraction(2), Fraction(2) + TIMES[5]]))
    assert all(frame.shape == (3, 48, 64) for frame in around)
    assert torch.allclose(around[0], around[12], atol=1e-3)
    assert torch.allclose(around[5], around[13], atol=1e-3)


def test_every_moment_is_dreamed_of_and_strength_is_kept():
    begun = planted()
    told = []
    dreamed = dream_loop(
        begun,
        lambda time: [TowardsColour(RED)],
        CONFIG,
        steps=20,
        on_step=lambda index, loss: told.append((index, float(loss))),
    )
    assert [index for index, _ in told] == list(range(20))
    assert told[-1][1] < 0.7 * told[0][1]
    colour = torch.tensor(RED).view(3, 1, 1)
    for before, after in zip(begun.frames(TIMES), dreamed.frames(TIMES), strict=True):
        assert (after - colour).square().mean() < 0.7 * (before - colour).square().mean()
    away = (dreamed.canvas - begun.canvas).square().mean().sqrt()
    assert 0.1 < away <= 0.2 + 1e-6
    assert 0 <= dreamed.canvas.min() <= dreamed.canvas.max() <= 1


def test_a_seed_gives_one_dream_and_another_another():
    canvases = [
        dream_loop(
            planted(),
            lambda time: [TowardsColour(RED)],
            CONFIG.model_copy(update={"seed": seed}),
            steps=3,
        ).canvas
        for seed in (1, 1, 2)
    ]
    assert torch.equal(canvases[0], canvases[1])
    assert not torch.equal(canvases[0], canvases[2])


@pytest.mark.parametrize(("canvas", "levels"), [("octaves", {0, 1}), ("spectrum", {0})])
def test_it_resumes_after_any_step_as_if_never_stopped(canvas, levels):
    config = CONFIG.model_copy(update={"canvas": canvas, "octave_scale": 1.4})
    kept: list[bytes] = []

    def dreamed(checkpoint: LoopCheckpoint | None) -> torch.Tensor:
        return dream_loop(
            planted(),
            lambda time: [TowardsColour(RED)],
            config,
            steps=7,
            checkpoint=checkpoint,
            on_checkpoint=lambda make: kept.append(to_bytes(make())),
        ).canvas

    straight = dreamed(None)
    begun = list(kept)
    assert [from_bytes(LoopCheckpoint, data).steps for data in begun] == list(range(1, 7))
    assert {from_bytes(LoopCheckpoint, data).level for data in begun} == levels
    for done, data in enumerate(begun, 1):
        kept.clear()
        assert torch.equal(dreamed(from_bytes(LoopCheckpoint, data)), straight)
        assert kept == begun[done:]
    assert torch.equal(dreamed(LoopCheckpoint.whole(straight, 7)), straight)


def test_gradients_before_a_checkpoint_count():
    """All that come after it are zero."""
    kept: list[bytes] = []
    dream_loop(
        planted(),
        lambda time: [TowardsColour(RED)],
        CONFIG,
        steps=3,
        on_checkpoint=lambda make: kept.append(to_bytes(make())),
    )
    checkpoint = from_bytes(LoopCheckpoint, kept[-1])
    dream_loop(planted(), lambda time: [Unmoved(RED)], CONFIG, steps=3, checkpoint=checkpoint)


def test_no_steps_leave_the_picture_alone():
    begun = planted()
    dreamed = dream_loop(begun, lambda time: [TowardsColour(RED)], CONFIG, steps=0)
    assert torch.equal(dreamed.canvas, begun.canvas)


def test_the_moments_asked_for_are_spread_over_the_round():
    asked = []

    def objectives_at(time):
        asked.append(time)
        return [TowardsColour(RED)]

    dream_loop(planted(), objectives_at, CONFIG.model_copy(update={"octaves": 1}), steps=24)
    phases = sorted(float(time / 2) for time in asked[1:])
    assert phases[0] >= 0
    assert phases[-1] < 1
    assert max(b - a for a, b in pairwise(phases)) < 0.06


def test_objectives_that_compare_are_shown_the_same_moment_of_the_source():
    objective = AwayFromSource()
    config = CONFIG.model_copy(update={"octaves": 1, "augment": False})
    dream_loop(planted(), lambda time: [objective], config, steps=2)
    assert objective.differences[0].abs().max() < 1e-5
    assert objective.differences[-1].mean() > 0


def test_fewer_cutouts_than_moments_do():
    config = CONFIG.model_copy(update={"cutouts": 1})
    dreamed = dream_loop(planted(), lambda time: [TowardsColour(RED)], config, steps=2)
    assert not torch.equal(dreamed.canvas, planted().canvas)


class Unmoved(TowardsColour):
    """An objective whose loss does not depend on what it sees."""

    def __call__(self, cutouts: torch.Tensor, source_cutouts: torch.Tensor | None) -> torch.Tensor:
        return 0 * super().__call__(cutouts, source_cutouts) + 0.7


def test_gradients_that_lead_nowhere_are_told():
    with pytest.raises(GradientError, match="zero at every step"):
        dream_loop(planted(), lambda time: [Unmoved(RED)], CONFIG, steps=2)
    endless = TowardsColour(RED, scale=float("nan"))
    with pytest.raises(GradientError, match="not finite"):
        dream_loop(planted(), lambda time: [endless], CONFIG, steps=2)


def test_terms_are_asked_of_the_texture():
    begun = planted()

    def darkness(image: torch.Tensor, scene: Scene) -> torch.Tensor:
        assert image.shape == scene.source.shape == scene.dreamed.shape
        return 50 * image.square().mean()

    dark, plain = (
        dream_loop(begun, lambda time: [TowardsColour(RED)], CONFIG, steps=4, terms=terms)
        for terms in ([darkness], [])
    )
    assert dark.canvas.mean() < plain.canvas.mean() - 0.02


def test_total_variation_smooths_what_was_dreamed_across_the_join():
    begun = planted()
    plain = {"canvas": "octaves", "octaves": 1, "augment": False, "lr": 0.03}
    shares = {"global_share": 0.25, "local_share": 0.5}
    config = CONFIG.model_copy(update=plain | shares)
    rough, smooth = (
        dream_loop(
            begun,
            lambda time: [TowardsColour(RED)],
            config.model_copy(update={"tv": tv}),
            steps=8,
        ).canvas
        - begun.canvas
        for tv in (0, 100)
    )

    def across(dreamed: torch.Tensor, dim: int) -> torch.Tensor:
        return (dreamed.select(dim, 0) - dreamed.select(dim, -1)).square().mean()

    for dim in (1, 2):
        assert across(smooth, dim) < 0.5 * across(rough, dim)


def test_the_film_begins_where_the_join_is_a_small_step():
    loop = planted()
    first = find_start(loop, TIMES)
    frames = list(loop.frames([*TIMES[first:], *TIMES[:first]]))
    steps = [
        float((one - other).abs().mean())
        for one, other in zip(frames, frames[1:] + frames[:1], strict=True)
    ]
    assert steps[-1] == pytest.approx(min(steps), rel=1e-3)
    assert max(steps) > 1.02 * min(steps)
    assert find_start(loop, TIMES, 1) == 0
    assert find_start(loop, TIMES * 20) % 3 == 0  # of 240 every third is looked at


def test_an_open_shutter_blurs_along_the_motion_and_keeps_the_mean():
    loop = Loop.plant(texture(96, 96), Camera(zoom=4.0, seconds=Fraction(1)), 64, 64)
    (sharp,) = film_loop(loop, [Fraction(1, 4)])
    (blurred,) = film_loop(loop, [Fraction(1, 4)], Fraction(1, 8))
    assert torch.equal(sharp, next(loop.frames([Fraction(1, 4)])))

    def detail(frame: torch.Tensor) -> torch.Tensor:
        return (frame[:, 1:] - frame[:, :-1]).square().mean()

    assert detail(blurred) < 0.8 * detail(sharp)
    assert blurred.mean() == pytest.approx(float(sharp.mean()), abs=0.02)
    (corner_sharp, corner), (core_sharp, core) = (
        (sharp[area], blurred[area])
        for area in (
            (slice(None), slice(0, 16), slice(0, 16)),
            (slice(None), slice(24, 40), slice(24, 40)),
        )
    )
    assert detail(corner) / detail(corner_sharp) < detail(core) / detail(core_sharp)
