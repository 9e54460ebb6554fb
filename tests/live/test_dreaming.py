"""The dream's thread: one moment at a time, never for long, and what goes wrong in it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import pytest
import torch

from dreamvid.config import SequenceConfig
from dreamvid.film.sequence import FrameSettings
from dreamvid.live.dreaming import Dreamer, Dreamt, Moment
from dreamvid.live.following import Begun
from dreamvid.live.remembering import Effort
from dreamvid.types import Frame
from tests.fakes import TowardsColour
from tests.live.stage import until

GREY = torch.full((3, 48, 64), 0.5)
CONFIG = SequenceConfig(steps=4, first_steps=8, cutouts=2, strength=0.4, hold=0.97, decay=0.5)


@pytest.fixture
def dreamer() -> Iterator[Dreamer]:
    with Dreamer() as opened:
        yield opened


def moment(
    begun: Begun | None = None,
    config: SequenceConfig = CONFIG,
    wishes: int = 0,
    changes: float = 0.0,
) -> Moment:
    settings = FrameSettings(config, [TowardsColour((1.0, 0.0, 0.0))], changes=changes)
    return Moment(Frame(GREY, Fraction(0)), lambda: settings, begun, wishes)


def dreamt(dreamer: Dreamer, asked: Moment) -> Dreamt:
    dreamer.offer(asked)
    until(lambda: dreamer._dreamt is not None or dreamer._error is not None)
    found = dreamer.take()
    assert found is not None
    return found


def before(effort: Effort, level: float = 0.1, age: int = 1) -> Begun:
    return Begun(torch.full_like(GREY, level), torch.ones(1, 48, 64), age, effort)


def redness(found: Dreamt) -> float:
    return float(found.added[0].mean() - found.added[1].mean())


def test_a_shot_begins_freely_and_then_holds_its_dream(dreamer):
    first = dreamt(dreamer, moment())
    assert first.effort == Effort(0, 4)
    assert torch.equal(first.source, GREY)
    free = redness(dreamt(dreamer, moment(before(Effort(0, 4), 0.0))))
    held = redness(dreamt(dreamer, moment(before(Effort(0, 8), 0.0))))
    assert free > 0.02
    assert 0 < held < 0.5 * free


def test_it_is_idle_until_a_moment_comes_and_after_it_was_taken(dreamer):
    states = [dreamer.is_idle]
    dreamer.offer(moment())
    states.append(dreamer.is_idle)
    until(lambda: dreamer._dreamt is not None)
    states.append(dreamer.is_idle)
    dreamer.take()
    assert [*states, dreamer.is_idle] == [True, False, False, True]
    assert dreamer.take() is None


def test_a_wish_makes_it_free_again(dreamer):
    held = redness(dreamt(dreamer, moment(before(Effort(0, 8), 0.0))))
    found = dreamt(dreamer, moment(before(Effort(0, 8), 0.0), wishes=1))
    assert redness(found) > 2 * held
    assert found.effort == Effort(1, 4)


def test_so_does_a_text_that_follows_another(dreamer):
    dreamt(dreamer, moment(changes=3))
    again = before(Effort(0, 8), 0.0)
    held = redness(dreamt(dreamer, moment(again, changes=3)))
    freed = redness(dreamt(dreamer, moment(again, changes=3.5)))
    held_again = redness(dreamt(dreamer, moment(again, changes=3.5)))
    assert freed > 2 * held
    assert held_again == pytest.approx(held, rel=0.3)


def test_what_each_frame_takes_is_taken_for_each_frame(dreamer):
    still = CONFIG.model_copy(update={"steps": 0, "catch_up": 0})
    levels = [
        float(dreamt(dreamer, moment(before(Effort(0, 9), 0.2, age), still)).added.mean())
        for age in (1, 2, 3)
    ]
    assert levels == pytest.approx([0.1, 0.05, 0.025], rel=1e-4)


def test_a_dream_of_many_steps_is_shown_after_a_second():
    ticks = iter(range(10**6))
    with Dreamer(clock=lambda: 0.4 * next(ticks)) as dreamer:
        config = CONFIG.model_copy(update={"first_steps": 10**5, "steps": 10**5})
        found = dreamt(dreamer, moment(None, config))
    assert redness(found) > 0


def test_what_goes_wrong_there_is_raised_here():
    def broken() -> FrameSettings:
        raise MemoryError("all of it")

    with Dreamer() as dreamer:
        dreamer.offer(Moment(Frame(GREY, Fraction(0)), broken, None, 0))
        until(lambda: dreamer._error is not None)
        with pytest.raises(MemoryError, match="all of it"):
            dreamer.take()
