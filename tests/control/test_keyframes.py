"""Deforum's key frames, by the values that its own code gives; and what it does not have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

import pytest

from dreamvid.control.clock import Clock
from dreamvid.control.expressions import Text
from dreamvid.control.keyframes import Keyframes, is_keyframes
from dreamvid.errors import ConfigError

BEATS = [0.5 * beat for beat in range(40)]
CLOCK = Clock(Fraction(24), 121, bpm=120, beats=BEATS)
NAMES = ("t", "frame", "bass")


def variables(time: float, frame: float) -> Mapping[str, float]:
    return {"t": time, "frame": frame, "bass": time / 10}


def at(text: str, *frames: int, clock: Clock = CLOCK) -> list[float]:
    curve = Keyframes(Text("--set x", text), NAMES, clock, seed=7)
    return [curve(frame / 24, frame, variables) for frame in frames]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0:(1.02)", {0: 1.02, 60: 1.02, 120: 1.02}),
        ("0:(0.5), 20:(1.0), 40:(0.2)", {0: 0.5, 5: 0.625, 20: 1, 30: 0.6, 40: 0.2, 120: 0.2}),
        ("10: (2), 20: (3)", {0: 2, 9: 2, 10: 2, 15: 2.5, 25: 3}),
        ("20:(3), 10:(2)", {15: 2.5}),
        ("0:(-1), 10:(+1)", {5: 0}),
        ("0: 0.5, 30: 1", {15: 0.75}),
        ("0:(.5),30:(1),", {15: 0.75}),
        ('"0":(0.5), "30":(1)', {15: 0.75}),
        ("0:(sin(t/10))", {0: 0, 7: math.sin(0.7), 100: math.sin(10)}),
        ("0:(t), 50:(0), 60:(1)", {0: 0, 30: 30, 49: 49, 50: 0, 55: 0.5, 99: 1}),
        ("0:(0), 10:(t*2), 20:(5)", {5: 10, 10: 20, 15: 30, 20: 5}),
        ("0:(t/max_f)", {0: 0, 60: 0.5, 120: 1}),
        ("0:(s)", {3: 7}),
        ("0:(0), max_f:(1)", {60: 0.5, 120: 1}),
        ("0:(0), max_f/2:(1)", {30: 0.5, 60: 1, 120: 1}),
        ("0:(where(t>10, 1, 0)), 50:(min(3, t))", {5: 0, 20: 1, 60: 3}),
        ("0:((1+2)*(3+4))", {0: 21}),
        ("0:(-7 % 4)", {0: -3}),  # as C has it
        ("0:(where((t>=5)&(t<8), 2, 1))", {4: 1, 5: 2, 7: 2, 8: 1}),
        ("0:(0.5*cos(3.141*t/61)**100+0.5)", {0: 1, 61: 0.5 * math.cos(3.141) ** 100 + 0.5}),
    ],
)
def test_deforum_strings_give_what_their_users_expect(text, values):
    assert at(text, *values) == pytest.approx(list(values.values()))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0:(0), 2.5s:(1)", {30: 0.5, 60: 1, 90: 1}),
        ("0b:(0), 4b:(1), 2bar:(0)", {24: 0.5, 48: 1, 72: 0.5, 96: 0}),
        ("12f:(0), 1s:(1)", {18: 0.5}),
        ("0:(bass), 3s:(frame)", {0: 0, 24: 0.1, 96: 96}),
        ("0s:(0), 1s:(t)", {12: 12, 24: 24}),
    ],
)
def test_places_may_be_in_seconds_and_beats(text, values):
    assert at(text, *values) == pytest.approx(list(values.values()))


def test_frames_are_counted_even_where_their_times_are_uneven():
    curve = Keyframes(Text("x", "0:(0), 10:(1)"), NAMES, Clock())
    assert curve(77.0, 5, variables) == 0.5


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("0:(0.5), 20:(bas)", "unknown name 'bas'", 13),
        ("0:(0.5), 20", "this is no key frame", 9),
        ("0:(0.5), :(1)", "this is no key frame", 9),
        ("0:(0.5), 9:", "this is no key frame", 9),
        ("0:(0.5), 2.5:(1)", "'2.5' is not a frame; allowed: a whole number, or 2.5s", 9),
        ("0:(0.5), 0:(1)", "two keys have the same place", 0),
        ("0:(0.5), -4:(1)", "frame -4 is before the first", 9),
        ("0:(0.5), t:(1)", "unknown name 't'", 9),
        ("0:(0.5), 20:(t.x)", "a dot behind a name is not allowed", 13),
        ("0:(), 3:(1)", "an expression is missing", 3),
        ("9:(2), 0:((1)", "this cannot be read", 9),
    ],
)
def test_mistakes_are_told_with_their_place(text, message, place):
    with pytest.raises(ConfigError) as caught:
        at(text, 0)
    assert str(caught.value).startswith(f"--set x: {message}")
    shown, caret = caught.value.excerpt.splitlines()
    assert shown == text
    assert caret == " " * place + "^"


def test_beats_need_a_tempo_and_the_last_frame_a_number_of_frames():
    with pytest.raises(ConfigError, match="beat 4: no tempo is known"):
        at("0:(1), 4b:(2)", 0, clock=Clock(Fraction(24)))
    with pytest.raises(ConfigError, match="max_f"):
        at("0:(t/max_f)", 0, clock=Clock(Fraction(24)))


def test_what_is_a_row_of_keys():
    assert is_keyframes(Text("x", "0:(1)"))
    assert not is_keyframes(Text("x", "0.1 + 0.3*bass"))
    assert not is_keyframes(Text("x", "(1 if t > 2 else lambda: 3)"))
