"""The loop over time, with an objective, a flow and cuts of which everything is known."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from threading import Condition
from typing import Any

import pytest
import torch
from torch import Tensor

from dreamvid.config import SequenceConfig
from dreamvid.dream.descent import Step
from dreamvid.film.inbetween import FlowField, chained
from dreamvid.film.sequence import (
    Carry,
    DreamedFrame,
    FrameSettings,
    SettingsAt,
    constant_settings,
    dream_frames,
    find_shots,
    tint_for,
    warm_start,
)
from dreamvid.types import Frame
from tests.fakes import KnownFlow, TowardsColour

HEIGHT, WIDTH = 40, 56
RED = (1.0, 0.0, 0.0)


def options(**changes: Any) -> SequenceConfig:
    plain = {
        "steps": 2,
        "first_steps": 3,
        "catch_up": 0,
        "octaves": 1,
        "cutouts": 2,
        "tv": 0,
        "colour_drift": 0,
        "strength": 1,
    }
    return SequenceConfig.model_validate(plain | changes)


def picture(index: int) -> Tensor:
    """Noise between 0.2 and 0.8 that moves left by 2 pixels a frame; its corner tells the index."""
    generator = torch.Generator().manual_seed(0)
    noise = 0.2 + 0.6 * torch.rand(3, HEIGHT, WIDTH, generator=generator)
    image = noise.roll(-2 * index, 2)
    image[:, 0, 0] = 0.01 * index
    return image


def clip(count: int, begin: int = 0) -> Iterator[Frame]:
    """Frames of uneven times."""
    for index in range(begin, count):
        yield Frame(picture(index), Fraction(index**2 + 1, 30), Fraction(2 * index + 1, 30))


def never(current: Tensor, previous: Tensor) -> bool:
    return False


def run(
    frames: Iterable[Frame], config: SequenceConfig | None = None, **arguments: Any
) -> Generator[DreamedFrame, None, None]:
    seams: dict[str, Any] = {"flow": KnownFlow(2), "is_cut": never} | arguments
    return dream_frames(
        frames, constant_settings([TowardsColour(RED)], config or options()), **seams
    )


def rms(difference: Tensor) -> float:
    return difference.square().mean().sqrt().item()


def test_every_frame_gives_one_result_at_its_own_time():
    results = list(run(clip(4)))
    assert [(r.frame.time, r.frame.duration) for r in results] == [
        (frame.time, frame.duration) for frame in clip(4)
    ]
    for index, result in enumerate(results):
        assert torch.equal(result.source, picture(index))
        assert result.frame.image.shape == (3, HEIGHT, WIDTH)
        assert not torch.equal(result.frame.image, result.source)


def test_no_frames_give_no_results():
    assert list(run([])) == []


def test_the_first_frame_begins_a_shot_and_has_its_own_number_of_steps():
    steps: list[Step] = []
    results = list(run(clip(3), on_step=steps.append))
    assert [result.begins_shot for result in results] == [True, False, False]
    assert [(step.index, step.count) for step in steps] == [
        *((index, 3) for index in range(3)),
        *((index, 2) for index in range(2)),
        *((index, 2) for index in range(2)),
    ]


def cut_at(marked: int) -> Any:
    """Says that a new shot begins with `picture(marked)`."""

    def is_cut(current: Tensor, previous: Tensor) -> bool:
        assert current[0, 0, 0] > previous[0, 0, 0]
        return torch.equal(current, picture(marked))

    return is_cut


def test_a_cut_starts_afresh_at_the_source():
    flow = KnownFlow(2)
    config = options(first_steps=0, carry="frame", strength=0.3)
    results = list(run(clip(4), config, flow=flow, is_cut=cut_at(2)))
    assert [result.begins_shot for result in results] == [True, False, True, False]
    assert torch.equal(results[0].frame.image, picture(0))
    assert torch.equal(results[2].frame.image, picture(2))
    assert not torch.equal(results[3].frame.image, picture(3))
    assert flow.calls == 2  # for the frames within a shot


def test_a_cut_takes_the_steps_of_a_first_frame():
    steps: list[Step] = []
    list(run(clip(3), is_cut=cut_at(1), on_step=steps.append))
    assert [step.count for step in steps if step.index == 0] == [3, 3, 2]


def test_cuts_can_be_ignored():
    def fail(current: Tensor, previous: Tensor) -> bool:
        raise AssertionError("nobody asked")

    results = list(run(clip(3), options(cuts=False), is_cut=fail))
    assert [result.begins_shot for result in results] == [True, False, False]


@pytest.mark.parametrize(("speed", "catch_up", "expected"), [(0, 1, 4), (14, 1, 9), (14, 0.5, 7)])
def test_steps_go_where_nothing_can_be_carried(speed, catch_up, expected):
    # Of 56 columns 14 were out of the frame and the next is half trusted: 0.26 of the picture.
    steps: list[Step] = []
    config = options(steps=4, first_steps=20, catch_up=catch_up)
    list(run(clip(2), config, flow=KnownFlow(speed), on_step=steps.append))
    assert steps[-1].count == expected


def mean_added(result: DreamedFrame) -> Tensor:
    return (result.frame.image - result.source).mean((1, 2))


def test_the_tint_is_the_mean_over_the_shot_and_begins_anew_with_the_next():
    results = list(run(clip(5), options(every=2), is_cut=cut_at(4)))
    keys = [result for result in results if not result.carry.given]
    assert [(key.carry.index, key.carry.keys) for key in keys] == [(0, 1), (2, 2), (3, 3), (4, 1)]
    added = [mean_added(key) for key in keys]
    expected = (added[0] + added[1] + added[2]) / 3  # the sources are of one brightness
    torch.testing.assert_close(keys[2].carry.mean_colour, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(keys[3].carry.mean_colour, added[3])


@pytest.mark.parametrize(
    ("before", "tint", "now", "expected"),
    [
        (0.0, 0.2, 0.75, 0.05),  # of all room up to white a fifth
        (0.5, 0.1, 0.5, 0.1),
        (0.8, -0.2, 0.4, -0.1),
        (0.5, 0.0, 0.9, 0.0),
        (1.0, 0.0, 0.5, 0.0),
        (0.0, 0.2, 1.0, 0.0),
    ],
)
def test_a_tint_keeps_its_share_of_the_room(before, tint, now, expected):
    flat = torch.full((3, 2, 2), before, dtype=torch.float64)
    carry = Carry(0, Fraction(0), flat, flat, torch.full((3,), tint, dtype=torch.float64))
    found = tint_for(torch.full_like(flat, now), carry)
    torch.testing.assert_close(found, torch.full_like(found, expected))


def test_what_was_added_to_black_does_not_burn_a_scene_that_fades_in():
    frames = [
        Frame(torch.full((3, HEIGHT, WIDTH), 0.9 * index / 9), Fraction(index, 25))
        for index in range(10)
    ]
    config = options(colour_drift=100, strength=0.3, lr=0.05, hold=0, first_steps=10)
    results = list(run(frames, config, flow=KnownFlow(0)))
    assert float(mean_added(results[0])[0]) > 0.2
    assert float(mean_added(results[-1]).max()) < 0.05


def test_colours_drift_less_where_the_tint_is_kept():
    drift = {}
    for weight in (0, 100):
        config = options(colour_drift=weight, hold=0, lr=0.02, first_steps=1, steps=3)
        results = list(run(clip(6), config))
        drift[weight] = rms(mean_added(results[-1]) - mean_added(results[0]))
    assert drift[100] < drift[0] / 3


def test_what_comes_into_view_may_have_any_colour():
    def second(weight: float) -> Tensor:
        config = options(colour_drift=weight, lr=0.02)
        return list(run(clip(2), config, flow=KnownFlow(2 * WIDTH)))[1].frame.image

    assert torch.equal(second(100), second(0))


def test_no_steps_are_no_steps_whatever_can_be_trusted():
    steps: list[Step] = []
    config = options(steps=0, first_steps=0, catch_up=1)
    list(run(clip(2), config, flow=KnownFlow(14), on_step=steps.append))
    assert steps == []


# Strikes: a strength that rises at once


def struck(strengths: Sequence[float], **changes: Any) -> SettingsAt:
    """Settings whose strength at each index is given."""
    settings = [
        FrameSettings(options(strength=strength, **changes), [TowardsColour(RED)])
        for strength in strengths
    ]
    return lambda frame, index: settings[index]


def run_struck(strengths: Sequence[float], **arguments: Any) -> list[DreamedFrame]:
    options_of = {
        name: arguments.pop(name) for name in ("every", "hold", "lr") if name in arguments
    }
    seams: dict[str, Any] = {"flow": KnownFlow(2), "is_cut": never} | arguments
    return list(dream_frames(clip(len(strengths)), struck(strengths, **options_of), **seams))


def test_steps_rise_with_the_strength_that_is_new():
    steps: list[Step] = []
    run_struck([0.1, 0.4, 0.4, 0.2, 0.25], on_step=steps.append)
    counts = [step.count for step in steps if step.index == 0]
    # 2 steps; 3 first steps for the share that is new: 3/4, 0, 0 and 1/5.
    assert counts == [3, 2 + 2, 2, 2, 2 + 1]


def test_what_is_new_is_not_held_back():
    strengths = [0.01, 0.4]
    quiet, loud = run_struck(strengths, hold=1)
    plan, unknown = struck(strengths, hold=1), replace(quiet.carry, strength=None)
    seams: dict[str, Any] = {"flow": KnownFlow(2), "is_cut": never}
    (held,) = dream_frames(clip(2, 1), plan, carry=unknown, **seams)
    inside = (..., slice(0, WIDTH - 8))  # what was in the frame before, and is trusted
    assert rms((held.frame.image - held.source)[inside]) < 0.02
    assert rms((loud.frame.image - loud.source)[inside]) > 0.04


def test_a_strike_says_how_much_of_the_strength_it_reached():
    results = run_struck([0.1, 0.11, 0.4, 0.1, 0.1], lr=0.01)
    struck_frame = results[2]
    added = rms(struck_frame.frame.image - struck_frame.source)
    assert struck_frame.reached == pytest.approx(added / 0.4, rel=1e-5)
    assert [result.reached is None for result in results] == [True, True, False, True, True]


def test_a_strike_is_a_key_frame():
    steps: list[Step] = []
    results = run_struck([0.1, 0.1, 0.1, 0.4, 0.1, 0.1], every=4, on_step=steps.append)
    assert dreamed_at(steps) == [3, 4, 2]
    assert [result.carry.index for result in results if not result.carry.given] == [0, 3, 5]


@pytest.mark.parametrize("done", [1, 2, 3, 4])
def test_strikes_are_the_same_when_resumed(done):
    strengths = [0.1, 0.1, 0.4, 0.1, 0.3, 0.3]
    same_when_resumed(run_struck(strengths, every=2), struck(strengths, every=2), done)


def same_when_resumed(whole: Sequence[DreamedFrame], plan: SettingsAt, done: int) -> None:
    """Check that a film goes on after so many frames as it did."""
    carry = whole[done - 1].carry
    rest = clip(len(whole), carry.index + 1)
    again = dream_frames(rest, plan, flow=KnownFlow(2), is_cut=never, carry=carry)
    for expected, result in zip(whole[done:], again, strict=True):
        assert torch.equal(expected.frame.image, result.frame.image)
        assert expected.reached == result.reached


# A text that follows another


def turning(changes: Sequence[float], **chosen: Any) -> SettingsAt:
    """Settings of a text that has changed so often by each frame, though it says the same."""
    config = options(**chosen)
    settings = [FrameSettings(config, [TowardsColour(RED)], changes=each) for each in changes]
    return lambda frame, index: settings[index]


def run_turning(changes: Sequence[float], **arguments: Any) -> list[DreamedFrame]:
    chosen = {name: arguments.pop(name) for name in ("every", "hold") if name in arguments}
    seams: dict[str, Any] = {"flow": KnownFlow(2), "is_cut": never} | arguments
    return list(dream_frames(clip(len(changes)), turning(changes, **chosen), **seams))


def test_what_a_new_text_says_is_not_held_back():
    inside = (..., slice(0, WIDTH - 8))  # what was in the frame before, and is trusted
    moved = []
    for turn in (0.0, 0.02, 0.1, 1.0):
        before, after = run_turning([3, 3 + turn], hold=1)
        carried_on = torch.roll(before.frame.image - before.source, -2, 2)
        moved.append(rms((after.frame.image - after.source - carried_on)[inside]))
    assert moved[0] < 0.01
    assert moved == sorted(moved)
    # 2 steps; a whole turn frees four times its 3 first steps: a tenth of it 1.2 of 2.
    assert moved[2] > 5 * moved[0]


def test_a_text_that_changes_at_once_gets_the_steps_of_a_beginning_and_a_key_frame():
    steps: list[Step] = []
    results = run_turning([0, 0, 0, 1, 1, 1], every=4, on_step=steps.append)
    assert dreamed_at(steps) == [3, 3, 2]
    assert [result.carry.index for result in results if not result.carry.given] == [0, 3, 5]


def test_the_colour_of_the_old_text_is_forgotten():
    changes = [0.0, 0.0, 0.0, 0.0, 1.0]
    results = run_turning(changes)
    last = results[-1]
    assert torch.equal(last.carry.mean_colour, (last.frame.image - last.source).mean((1, 2)))
    before = results[-2]
    assert not torch.allclose(
        before.carry.mean_colour, (before.frame.image - before.source).mean((1, 2)), atol=1e-4
    )


@pytest.mark.parametrize("done", [1, 2, 3, 4])
def test_changes_of_text_are_the_same_when_resumed(done):
    changes = [0.0, 0.1, 0.3, 1.0, 1.0, 1.2]
    same_when_resumed(run_turning(changes, every=2), turning(changes, every=2), done)


# Warm starts by hand: the scene moves left by 2, so a pixel was 2 further right before


def carried() -> Carry:
    """A frame whose dream brightened every second row by 0.125."""
    dream = picture(0).clone()
    dream[:, ::2] += 0.125
    return Carry(0, Fraction(0), picture(0), dream, mean_colour=torch.zeros(3))


def way_back() -> FlowField:
    return chained(picture(0), [picture(1)], KnownFlow(2)).back[0]


def test_a_carried_frame_is_the_dream_moved_along():
    start, trust = warm_start(picture(1), carried(), way_back(), options(carry="frame"))
    assert trust is not None
    assert trust.shape == (1, HEIGHT, WIDTH)
    assert (trust[:, :, : WIDTH - 5] == 1).all()
    assert (trust[:, :, WIDTH - 2 :] == 0).all()
    seen = slice(0, WIDTH - 5)  # where trust is whole
    moved = carried().dream[:, :, 2:]
    torch.testing.assert_close(start[:, :, seen], moved[:, :, seen], atol=1e-6, rtol=0)
    assert torch.equal(start[:, :, WIDTH - 2 :], picture(1)[:, :, WIDTH - 2 :])


@pytest.mark.parametrize("decay", [1.0, 0.5, 0.0])
def test_a_carried_delta_is_added_to_the_source_and_decays(decay):
    config = options(carry="delta", decay=decay)
    start, trust = warm_start(picture(1), carried(), way_back(), config)
    assert trust is not None
    seen = slice(0, WIDTH - 5)  # where trust is whole
    expected = picture(1)
    expected[:, ::2] += decay * 0.125
    torch.testing.assert_close(start[:, :, seen], expected[:, :, seen], atol=1e-6, rtol=0)
    filled = (start - picture(1))[:, :, WIDTH - 2 :]  # like its surroundings, 0.0625 on average
    assert (filled - decay * 0.0625).abs().max() <= decay * 0.0625 + 1e-6


def test_halfway_trusted_pixels_are_halfway_between_dream_and_source():
    start, trust = warm_start(picture(1), carried(), way_back(), options(carry="frame"))
    assert trust is not None
    column = int(((trust[0, 20] > 0.1) & (trust[0, 20] < 0.9)).nonzero()[0])
    share = trust[0, 20, column]
    mixed = share * carried().dream[:, 20, column + 2] + (1 - share) * picture(1)[:, 20, column]
    torch.testing.assert_close(start[:, 20, column], mixed, atol=1e-6, rtol=0)


def test_nothing_carried_starts_at_the_source_and_asks_no_flow():
    start, trust = warm_start(picture(1), carried(), way_back(), options(carry="none"))
    assert torch.equal(start, picture(1))
    assert trust is None
    flow = KnownFlow(2)
    list(run(clip(3), options(carry="none"), flow=flow))
    assert flow.calls == 0


@pytest.mark.parametrize("carry", ["frame", "delta"])
def test_a_warm_start_obeys_the_strength(carry):
    config = options(carry=carry, strength=0.05)
    start, _ = warm_start(picture(1), carried(), way_back(), config)
    assert rms(start - picture(1)) == pytest.approx(0.05, rel=1e-4)


@pytest.mark.parametrize("carry", ["frame", "delta", "none"])
def test_no_frame_of_a_run_exceeds_the_strength(carry):
    config = options(carry=carry, strength=0.04, lr=0.2)
    for result in run(clip(6), config):
        assert 0.03 < rms(result.frame.image - result.source) <= 0.04 * (1 + 1e-5)


def test_without_steps_the_result_is_the_warm_start():
    config = options(steps=0, carry="frame")
    first, second = run(clip(2), config)
    start, _ = warm_start(picture(1), first.carry, way_back(), config)
    assert torch.equal(second.frame.image, start)


# Key frames and flashes


def dreamed_at(on_steps: list[Step]) -> list[int]:
    """The counts of steps of the frames that were dreamed, in order."""
    return [step.count for step in on_steps if step.index == 0]


def test_every_nth_frame_of_a_shot_is_dreamed_and_so_is_its_last():
    steps: list[Step] = []
    config = options(every=3, steps=2, first_steps=5)
    results = list(run(clip(11), config, is_cut=cut_at(6), on_step=steps.append))
    assert [result.carry.index + result.carry.given for result in results] == list(range(11))
    keys = [result.carry.index for result in results if not result.carry.given]
    assert keys == [0, 3, 5, 6, 9, 10]
    assert dreamed_at(steps) == [5, 2, 2, 5, 2, 2]
    assert [result.begins_shot for result in results] == [index in (0, 6) for index in range(11)]


def test_between_two_keys_what_was_added_moves_with_the_world():
    config = options(every=2, steps=0, first_steps=3)
    first, between, last = run(clip(3), config)
    added, halfway, carried_on = (each.frame.image - each.source for each in (first, between, last))
    inside = slice(4, WIDTH - 7)  # where both ways are trusted all along
    torch.testing.assert_close(
        halfway[:, :, inside], added[:, :, 2:][:, :, inside], atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        carried_on[:, :, inside], added[:, :, 4:][:, :, inside], atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("given", range(7))
def test_a_run_goes_on_between_keys_as_if_it_had_never_stopped(given):
    config = options(every=3)
    whole = list(run(clip(8), config))
    carry = whole[given].carry
    rest = list(run(clip(8, carry.index + 1), config, carry=carry))
    assert len(rest) == 7 - given
    for result, wanted in zip(rest, whole[given + 1 :], strict=True):
        assert torch.equal(result.frame.image, wanted.frame.image)
        assert result.frame.time == wanted.frame.time
        assert (result.carry.index, result.carry.given) == (wanted.carry.index, wanted.carry.given)


def lit(frames: Iterable[Frame], *flashes: int) -> Iterator[Frame]:
    """`frames`, some of them nearly white."""
    for index, frame in enumerate(frames):
        white = frame.image * 0.1 + 0.9
        white[:, 0, 0] = frame.image[:, 0, 0]
        yield frame.with_image(white) if index in flashes else frame


def jumps(current: Tensor, previous: Tensor) -> bool:
    return abs(float(current.mean() - previous.mean())) > 0.2


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize(
    ("flashes", "shots"),
    [((2,), {0}), ((2, 3, 4), {0}), ((2, 3, 4, 5), {0, 2, 6}), ((6, 7), {0, 6})],
)
def test_what_comes_back_at_once_is_a_flash_and_no_cut(every, flashes, shots):
    frames = list(lit(clip(8), *flashes))
    results = list(run(frames, options(every=every), is_cut=jumps))
    assert [result.frame.time for result in results] == [frame.time for frame in frames]
    assert {index for index, result in enumerate(results) if result.begins_shot} == shots


def plan(every: int = 1) -> SettingsAt:
    return constant_settings([TowardsColour(RED)], options(every=every, first_steps=3, steps=2))


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("flashes", [(2,), (2, 3, 4, 5), (6, 7), (0, 1), (0, 7)])
def test_shots_are_found_as_they_are_dreamed_and_each_by_itself_gives_the_same(every, flashes):
    frames = list(lit(clip(8), *flashes))
    seams: dict[str, Any] = {"flow": FlowByIndex(), "is_cut": jumps}
    steps: list[Step] = []
    whole = list(dream_frames(frames, plan(every), **seams, on_step=steps.append))
    shots = list(find_shots(frames, plan(every), jumps, lambda frame: int(frame.time * 30)))
    begins = [index for index, result in enumerate(whole) if result.begins_shot]
    assert [shot.first for shot in shots] == begins
    assert [shot.last + 1 for shot in shots] == [*begins[1:], 8]
    assert [shot.number for shot in shots] == list(range(1, len(begins) + 1))
    assert sum(shot.steps for shot in shots) == len(steps)
    for shot in shots:
        first, last = frames[shot.first], frames[shot.last]
        assert (shot.begin, shot.end) == (first.time, last.time + (last.duration or 0))
        before = frames[shot.first - 1].time if shot.first else None
        assert (shot.before, shot.mark) == (before, int((before or 0) * 30))
        part = frames[shot.first : shot.last + 1]
        alone = list(dream_frames(part, plan(every), **seams, first=shot.first))
        for result, wanted in zip(alone, whole[shot.first : shot.last + 1], strict=True):
            assert torch.equal(result.frame.image, wanted.frame.image)
            assert result.begins_shot == wanted.begins_shot


def test_no_frames_are_no_shots():
    assert list(find_shots([], plan(), never, lambda frame: 0)) == []


def test_after_a_flash_the_dream_goes_on_from_before_it():
    config = options(steps=0, first_steps=3)
    frames = list(lit(clip(5), 2))
    results = list(run(frames, config, is_cut=jumps, flow=FlowByIndex()))
    before, after = (results[k].frame.image - results[k].source for k in (1, 3))
    inside = slice(1, WIDTH - 9)  # without the corner that tells the index
    torch.testing.assert_close(
        after[:, :, inside], before[:, :, 4:][:, :, inside], atol=1e-5, rtol=0
    )


class FlowByIndex(KnownFlow):
    """Two pixels a frame, however many frames apart; the corners tell the index."""

    def __init__(self) -> None:
        super().__init__(1)

    def __call__(self, current: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        apart = float(current[0, 0, 0] - previous[0, 0, 0]) / 0.01
        backward, forward = super().__call__(current, previous)
        return backward * 2 * abs(round(apart)), forward * 2 * abs(round(apart))


# Gradients that lead nowhere


class Broken(TowardsColour):
    """Whose loss is no number in the calls named."""

    def __init__(self, calls: range) -> None:
        super().__init__(RED)
        self.broken = calls

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        loss = super().__call__(cutouts, source_cutouts)
        return loss * float("nan") if self.calls - 1 in self.broken else loss


def test_a_frame_whose_gradient_is_no_number_is_tried_again_at_half_the_step_size():
    config = options(carry="none", first_steps=2)
    results = list(
        dream_frames(
            clip(3),
            constant_settings([Broken(range(2, 3))], config),
            flow=KnownFlow(2),
            is_cut=never,
        )
    )
    assert [result.outcome for result in results] == ["dreamed", "retried", "dreamed"]
    for gentle, lr in ((0, config.lr), (1, config.lr / 2), (2, config.lr)):
        wanted = list(run(clip(3), config.model_copy(update={"lr": lr})))[gentle]
        assert torch.equal(results[gentle].frame.image, wanted.frame.image)


def test_where_that_fails_too_it_is_left_at_its_warm_start_and_the_next_one_goes_on():
    config = options(carry="frame", first_steps=2)
    plan = constant_settings([Broken(range(2, 6))], config)
    first, kept, after = dream_frames(clip(3), plan, flow=KnownFlow(2), is_cut=never)
    assert [result.outcome for result in (first, kept, after)] == ["dreamed", "kept", "dreamed"]
    start, _ = warm_start(picture(1), first.carry, way_back(), config)
    assert torch.equal(kept.frame.image, start)
    assert after.frame.image.isfinite().all()


def test_a_plan_says_what_holds_for_each_frame():
    moments = {
        frame.time: FrameSettings(
            options(strength=0.02 * (index + 1), carry="none", lr=0.2), [objective]
        )
        for index, frame in enumerate(clip(3))
        for objective in [TowardsColour(RED if index else (0.0, 0.0, 1.0))]
    }
    asked: list[int] = []

    def plan(frame: Frame, index: int) -> FrameSettings:
        asked.append(index)
        return moments[frame.time]

    results = list(dream_frames(clip(3), plan, flow=KnownFlow(2), is_cut=never))
    assert asked == [0, 1, 2]
    for index, result in enumerate(results):
        change = result.frame.image - result.source
        assert rms(change) == pytest.approx(0.02 * (index + 1), rel=1e-3)
        red, blue = change[0].mean(), change[2].mean()
        assert (red > blue) == (index > 0)
        assert result.settings is moments[result.frame.time]


def test_a_resumed_run_asks_its_plan_for_the_frames_that_are_left():
    asked: list[int] = []

    def plan(frame: Frame, index: int) -> FrameSettings:
        asked.append(index)
        return FrameSettings(options(), [TowardsColour(RED)])

    seams: dict[str, Any] = {"flow": KnownFlow(2), "is_cut": never}
    first = next(dream_frames(clip(3), plan, **seams))
    list(dream_frames(clip(3, 1), plan, **seams, carry=first.carry))
    assert asked == [0, 1, 2]


# Memory


def test_the_carry_is_the_frame_just_finished():
    for index, result in enumerate(run(clip(3))):
        assert result.carry.index == index
        assert torch.equal(result.carry.source, picture(index))
        assert torch.equal(result.carry.dream, result.frame.image)


@pytest.mark.parametrize("carry", ["frame", "delta", "none"])
@pytest.mark.parametrize("done", [1, 2, 4])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(carry, done):
    config = options(carry=carry)
    whole = list(run(clip(5), config, is_cut=cut_at(3)))
    rest = list(run(clip(5, done), config, is_cut=cut_at(3), carry=whole[done - 1].carry))
    assert len(rest) == 5 - done
    for one, other in zip(whole[done:], rest, strict=True):
        assert torch.equal(one.frame.image, other.frame.image)
        assert one.begins_shot == other.begins_shot
        assert one.carry.index == other.carry.index


def test_frames_have_cutouts_of_their_own():
    still = [Frame(picture(0), Fraction(index)) for index in range(2)]
    first, second = run(still, options(carry="none", first_steps=2))
    assert not torch.equal(first.frame.image, second.frame.image)


@pytest.mark.parametrize("carry", ["frame", "delta", "none"])
def test_no_more_than_one_frame_is_remembered(carry):
    sources: list[weakref.ref[Tensor]] = []
    dreams: list[weakref.ref[Tensor]] = []

    def frame(index: int) -> Frame:
        made = Frame(picture(index), Fraction(index))
        sources.append(weakref.ref(made.image))
        return made

    def watched() -> Iterator[Frame]:
        for index in range(6):
            gc.collect()
            assert sum(ref() is not None for ref in sources) <= 1
            assert sum(ref() is not None for ref in dreams) <= 1
            yield frame(index)

    for result in run(watched(), options(carry=carry)):
        dreams.append(weakref.ref(result.frame.image))
        del result
    assert len(dreams) == 6


def test_frames_are_read_only_when_asked_for():
    read: list[int] = []

    def counted() -> Iterator[Frame]:
        for index, frame in enumerate(clip(4)):
            read.append(index)
            yield frame

    results = run(counted())
    assert read == []
    next(results)
    assert read == [0]
    next(results)
    assert read == [0, 1]


@pytest.mark.parametrize("done", [0, 2, 5, 8])
@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("ahead", [1, 2])
def test_a_run_that_reads_ahead_is_the_same_bit_for_bit(ahead, every, done):
    config = options(every=every)
    whole = list(run(clip(11), config, is_cut=cut_at(6)))
    carry = whole[done - 1].carry if done else None
    rest = clip(11, carry.index + 1 if carry else 0)
    results = list(run(rest, config, is_cut=cut_at(6), carry=carry, ahead=ahead))
    assert len(results) == 11 - done
    for one, other in zip(whole[done:], results, strict=True):
        assert torch.equal(one.frame.image, other.frame.image)
        assert (one.frame.time, one.begins_shot) == (other.frame.time, other.begins_shot)
        assert one.carry.index == other.carry.index


@pytest.mark.parametrize("ahead", [1, 2])
def test_it_reads_ahead_no_further_than_it_may_and_no_more_when_closed(ahead):
    read: list[int] = []
    reached = Condition()

    def watched() -> Iterator[Frame]:
        for index, frame in enumerate(clip(20)):
            with reached:
                read.append(index)
                reached.notify_all()
            yield frame

    results = run(watched(), options(every=3), ahead=ahead)
    next(results)  # a first frame is a span by itself
    with reached:
        assert reached.wait_for(lambda: len(read) >= 1 + 3 * ahead, timeout=10)
    results.close()
    assert read == list(range(1 + 3 * ahead))


def test_an_error_of_a_source_that_is_read_ahead_comes_after_the_frames_before_it():
    def broken() -> Iterator[Frame]:
        yield from clip(3)
        raise OSError("gone")

    results = run(broken(), ahead=2)
    assert [next(results).carry.index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="gone"):
        next(results)
