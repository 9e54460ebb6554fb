"""The loop over time, with an objective, a flow and cuts of which everything is known."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor

from dreamvid.config import SequenceConfig
from dreamvid.dream.optimise import Step
from dreamvid.sequence import (
    Carry,
    DreamedFrame,
    Moment,
    constant_plan,
    dream_frames,
    warm_start,
)
from dreamvid.types import Frame
from tests.fakes import KnownFlow, TowardsColour

HEIGHT, WIDTH = 40, 56
RED = (1.0, 0.0, 0.0)


def options(**changes: Any) -> SequenceConfig:
    plain = {"steps": 2, "first_steps": 3, "octaves": 1, "cutouts": 2, "tv": 0, "strength": 1}
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
) -> Iterator[DreamedFrame]:
    seams: dict[str, Any] = {"flow": KnownFlow(2), "is_cut": never} | arguments
    return dream_frames(frames, constant_plan([TowardsColour(RED)], config or options()), **seams)


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
    assert flow.calls == 4  # there and back, for the frames within a shot


def test_a_cut_takes_the_steps_of_a_first_frame():
    steps: list[Step] = []
    list(run(clip(3), is_cut=cut_at(1), on_step=steps.append))
    assert [step.count for step in steps if step.index == 0] == [3, 3, 2]


def test_cuts_can_be_ignored():
    def fail(current: Tensor, previous: Tensor) -> bool:
        raise AssertionError("nobody asked")

    results = list(run(clip(3), options(cuts=False), is_cut=fail))
    assert [result.begins_shot for result in results] == [True, False, False]


# Warm starts by hand: the scene moves left by 2, so a pixel was 2 further right before


def carried() -> Carry:
    """A frame whose dream brightened every second row by 0.125."""
    dream = picture(0).clone()
    dream[:, ::2] += 0.125
    return Carry(0, picture(0), dream)


def test_a_carried_frame_is_the_dream_moved_along():
    start, trust = warm_start(picture(1), carried(), KnownFlow(2), options(carry="frame"))
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
    start, trust = warm_start(picture(1), carried(), KnownFlow(2), config)
    assert trust is not None
    expected = picture(1)
    expected[:, ::2] += decay * 0.125 * trust[0, ::2]
    torch.testing.assert_close(start, expected, atol=1e-6, rtol=0)


def test_halfway_trusted_pixels_are_halfway_between_dream_and_source():
    start, trust = warm_start(picture(1), carried(), KnownFlow(2), options(carry="frame"))
    assert trust is not None
    column = int(((trust[0, 20] > 0.1) & (trust[0, 20] < 0.9)).nonzero()[0])
    share = trust[0, 20, column]
    mixed = share * carried().dream[:, 20, column + 2] + (1 - share) * picture(1)[:, 20, column]
    torch.testing.assert_close(start[:, 20, column], mixed, atol=1e-6, rtol=0)


def test_nothing_carried_starts_at_the_source_and_asks_no_flow():
    flow = KnownFlow(2)
    start, trust = warm_start(picture(1), carried(), flow, options(carry="none"))
    assert torch.equal(start, picture(1))
    assert trust is None
    assert flow.calls == 0


@pytest.mark.parametrize("carry", ["frame", "delta"])
def test_a_warm_start_obeys_the_strength(carry):
    config = options(carry=carry, strength=0.05)
    start, _ = warm_start(picture(1), carried(), KnownFlow(2), config)
    assert rms(start - picture(1)) == pytest.approx(0.05, rel=1e-4)


@pytest.mark.parametrize("carry", ["frame", "delta", "none"])
def test_no_frame_of_a_run_exceeds_the_strength(carry):
    config = options(carry=carry, strength=0.04, lr=0.2)
    for result in run(clip(6), config):
        assert 0.03 < rms(result.frame.image - result.source) <= 0.04 * (1 + 1e-5)


def test_without_steps_the_result_is_the_warm_start():
    config = options(steps=0, carry="frame")
    first, second = run(clip(2), config)
    start, _ = warm_start(picture(1), first.carry, KnownFlow(2), config)
    assert torch.equal(second.frame.image, start)


def test_a_plan_says_what_holds_for_each_frame():
    moments = {
        frame.time: Moment(options(strength=0.02 * (index + 1), carry="none", lr=0.2), [objective])
        for index, frame in enumerate(clip(3))
        for objective in [TowardsColour(RED if index else (0.0, 0.0, 1.0))]
    }
    asked: list[int] = []

    def plan(frame: Frame, index: int) -> Moment:
        asked.append(index)
        return moments[frame.time]

    results = list(dream_frames(clip(3), plan, flow=KnownFlow(2), is_cut=never))
    assert asked == [0, 1, 2]
    for index, result in enumerate(results):
        change = result.frame.image - result.source
        assert rms(change) == pytest.approx(0.02 * (index + 1), rel=1e-3)
        red, blue = change[0].mean(), change[2].mean()
        assert (red > blue) == (index > 0)
        assert result.moment is moments[result.frame.time]


def test_a_resumed_run_asks_its_plan_for_the_frames_that_are_left():
    asked: list[int] = []

    def plan(frame: Frame, index: int) -> Moment:
        asked.append(index)
        return Moment(options(), [TowardsColour(RED)])

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
