"""Which texts hold at a time, by hand."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from dreamvid.config import Position, VideoConfig, parse_position
from dreamvid.control.clock import Clock
from dreamvid.control.prompts import mix_at
from dreamvid.control.schedule import Schedule
from dreamvid.errors import ConfigError
from dreamvid.types import Mix, PromptWeights

BEATS = [0.25 + 0.5 * beat for beat in range(40)]


@pytest.mark.parametrize(
    ("time", "mix"),
    [
        (0, Mix(0, 1, 0.0)),
        (3, Mix(0, 1, 0.0)),
        (3.5, Mix(0, 1, 0.15625)),  # a quarter of the way: 3/16 − 2/64
        (4, Mix(0, 1, 0.5)),
        (4.5, Mix(0, 1, 0.84375)),
        (5, Mix(1, 2, 0.0)),
        (9.5, Mix(1, 2, 0.5)),
        (10, Mix(2, 2, 0.0)),  # half a second to either side: the last text is near
        (99, Mix(3, 3, 0.0)),
    ],
)
def test_each_text_takes_over_at_its_time(time, mix):
    times = [0, 4, 9.5, 10.5]
    found = mix_at(times, time, transition=2)
    assert found.share == pytest.approx(mix.share)
    if 0 < mix.share < 1:
        assert found == mix
    else:
        assert (found.first, found.second)[round(found.share)] == mix.first


def test_before_its_time_the_first_text_holds_and_one_alone_always():
    assert mix_at([5, 9], 0, transition=2) == Mix(0, 1, 0.0)
    assert mix_at([5], 0, transition=2) == mix_at([5], 9, transition=2) == Mix(0, 0, 0.0)


def test_without_a_transition_texts_change_at_once():
    assert [mix_at([0, 1], time, transition=0).second for time in (0.99, 1.0)] == [1, 1]
    assert mix_at([0, 1], 0.99, transition=0).share == 0
    assert mix_at([0, 1], 1.0, transition=0) == Mix(1, 1, 0.0)


def test_a_change_is_continuous():
    times = [0, 1, 1.4, 6]
    amounts = []
    for step in range(800):
        mix = mix_at(times, step / 100, transition=2)
        amount = [0.0] * 4
        amount[mix.first] += 1 - mix.share
        amount[mix.second] += mix.share
        amounts.append(amount)
    for one, other in pairwise(amounts):
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) < 0.08
    assert amounts[120][1] == 1  # between two hurried changes, a moment alone


def test_in_a_loop_the_last_text_changes_back_into_the_first():
    def at(time: float) -> Mix:
        return mix_at([0, 4], time, transition=2, period=8)

    assert at(0) == Mix(1, 0, 0.5)
    assert at(4) == Mix(0, 1, 0.5)
    assert at(7.5) == Mix(1, 0, 0.15625)
    for time in (0.0, 0.25, 3.875, 7.75):
        assert at(time) == at(time + 8) == at(time + 16)


@pytest.mark.parametrize(
    ("text", "position", "seconds"),
    [
        (2.5, Position(Fraction(5, 2), "seconds"), 2.5),
        ("2.5s", Position(Fraction(5, 2), "seconds"), 2.5),
        ("1:02.5", Position(Fraction(125, 2), "seconds"), 62.5),
        ("48f", Position(Fraction(48), "frames"), 2.0),
        ("16b", Position(Fraction(16), "beats"), 8.25),
        ("1.5bar", Position(Fraction(3, 2), "bars"), 3.25),
        ("60b", Position(Fraction(60), "beats"), 30.25),  # past the last beat found
    ],
)
def test_places_in_time_have_units(text, position, seconds):
    assert parse_position(text) == position
    assert Clock(Fraction(24), beats=BEATS).seconds(position) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "x", "-1", "4 b", "4beats", "1:2b", "nan", "1e3"])
def test_what_is_no_place_in_time_is_refused(text):
    with pytest.raises(ValueError, match="not a time"):
        parse_position(text)


@pytest.mark.parametrize(("text", "clock"), [("4b", Clock(Fraction(24))), ("4f", Clock())])
def test_a_unit_that_nothing_tells_the_length_of_is_one_error(text, clock):
    with pytest.raises(ConfigError, match=r"(beat|frame) 4: .*; allowed: "):
        clock.seconds(parse_position(text))


def test_beats_pass_evenly_between_those_found():
    clock = Clock(beats=[1.0, 2.0, 4.0])
    assert [clock.beat(time) for time in (0.5, 1.0, 1.5, 3.0, 6.0)] == [-0.5, 0, 0.5, 1.5, 3]
    assert Clock().beat(3.0) == 0


def test_a_schedule_mixes_texts_and_their_weights_in_the_order_of_time():
    config = VideoConfig(
        prompt=["ice::2"], negative=["text"], at=[("4", "storm::3"), ("0", "calm sea")]
    )
    schedule = Schedule(config, Clock(Fraction(24)))
    meaning = schedule(Fraction(4), 96).prompts
    assert meaning == PromptWeights(
        (2.0,), negative=(1.0,), mix=Mix(1, 0, 0.5), mix_weight=2.0, changes=0.5
    )
    assert schedule(Fraction(0), 0).prompts.mix_weight == 1
    assert schedule(Fraction(9), 0).prompts.mix == Mix(0, 0, 0.0)
    assert [schedule(Fraction(time), 0).prompts.changes for time in (0, 9)] == [0, 1]
