"""The language of numbers: values by hand, and what it refuses, with the caret's place."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from dreamvid.control.expressions import FUNCTIONS, Expression, Text
from dreamvid.errors import ConfigError

VARIABLES = {"t": 2.0, "frame": 48.0, "bass": 0.5, "beat": 4.25}


def value(text: str, **changes: float) -> float:
    return Expression(Text("--set x", text), VARIABLES)(VARIABLES | changes)


def refusal(text: str) -> tuple[str, int | None]:
    """The message, and the place of the caret in `text`."""
    with pytest.raises(ConfigError) as caught:
        value(text)
    shown, caret = caught.value.excerpt.splitlines()
    assert caret.strip() == "^"
    return str(caught.value), text.find(shown.strip("…")) + caret.index("^") - shown.startswith("…")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.25", 0.25),
        ("-1e-3", -0.001),
        ("0.1 + 0.3*bass", 0.25),
        (" t ", 2),
        ("2**3 + 7 // 2 - 7 % 4", 8),
        ("-7 % 4", 1),
        ("1 / 4", 0.25),
        ("bass if t > 1 else 9", 0.5),
        ("1 if 0 < t <= 2 and not frame < 3 else 0", 1),
        ("where((t > 1) & ~(t > 3), 5, 6)", 5),
        ("sin(pi/2) + cos(0) + arctan2(0, 1)", 2),
        ("min(3, 1, 2) + max(3, 4)", 5),
        ("clamp(1.5) + clamp(-1, -0.5, 0)", 0.5),
        ("lerp(2, 4, 0.25)", 2.5),
        ("ease(0.25)", 0.15625),
        ("ease_in(0.5) + ease_out(0.5)", 1.0),
        ("pulse(beat)", math.exp(-1)),
        ("pulse(4, 9)", 1),
        ("saw(beat) + square(0.75) + triangle(0.25)", 0.75),
        ("t > 1", 1),
        ("round(2.6) + floor(2.6) + ceil(2.1) + sign(-3)", 7),
    ],
)
def test_values(text, expected):
    assert value(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("0.1 + 0.3*bas", "unknown name 'bas'; allowed: bass, beat, ", 10),
        ("sinn(t)", "unknown function 'sinn'; allowed: abs, ", 0),
        ("t.real", "a dot behind a name is not allowed", 0),
        ("1 + ().__class__", "a dot behind a name is not allowed", 4),
        ("__import__('os')", "unknown function '__import__'", 0),
        ("1 + __builtins__", "unknown name '__builtins__'", 4),
        ("import os", "this cannot be read", 0),
        ("[x for x in (1, 2)]", "this is not allowed", 0),
        ("bass[0]", "an index is not allowed", 0),
        ("lambda: 1", "a function of one's own is not allowed", 0),
        ("(t := 3)", "an assignment is not allowed", 1),
        ("'a' * 9", "'a' is not allowed; allowed: numbers", 0),
        ("f'{t}'", "this is not allowed", 0),
        ("True", "True is not allowed", 0),
        ("1j", "1j is not allowed", 0),
        ("max(*t)", "max is given 1 values; allowed: 2 to 9", 0),
        ("sin(*t)", "a star is not allowed", 4),
        ("sin(x=t)", "sin is given 0 values; allowed: 1", 0),
        ("noise(t, seed=1)", "a named argument is not allowed", 9),
        ("sin", "unknown name 'sin'", 0),
        ("sin()(t)", "only functions are called", 0),
        ("t ^ 2", "the operator ^; a power is ** is not allowed", 0),
        ("t in (1, 2)", "this is not allowed", 0),
        ("1 +", "this cannot be read", 2),
        ("(1 + 2", "this cannot be read: '(' was never closed", 0),
        ("1 2", "this cannot be read", 2),
        ("", "an expression is missing", 0),
        ("9**9**9", "the value is too large", 0),
        ("10.0**400", "the value is too large", 0),
        ("1e308*10", "the value is inf", 0),
        ("1/(t-2)", "division by 0", 0),
        ("sqrt(-1)", "a function has no value", 0),
        ("(-8)**0.5", "a function has no value", 0),
        ("bäss + bas", "unknown name 'bäss'", 0),
        ("'ä' + 1", "'ä' is not allowed", 0),
        ("0.123456789*t + 0.123456789*t + 0.123456789*t + bad", "unknown name 'bad'", 48),
    ],
)
def test_refusals(text, message, place):
    told, at = refusal(text)
    assert told.startswith(f"--set x: {message}")
    assert at == place


@pytest.mark.parametrize(
    "text", ["(" * 500 + "1" + ")" * 500, "1" + "+1" * 4999, "-" * 9000 + "1", "1" * 10_001]
)
def test_what_is_too_long_or_deep_is_refused(text):
    if text.startswith("1+"):
        try:
            assert value(text) == 5000
        except ConfigError as error:
            assert "nested too deeply" in str(error)
        return
    with pytest.raises(ConfigError, match=r"nested too deeply|too many|cannot be read"):
        value(text)


def test_a_caret_stands_under_its_place_behind_letters_of_two_bytes():
    assert refusal("noise(1) + ä + 1") == (refusal("noise(1) + ä + 1")[0], 11)
    assert Text("x", "ab  cd  ef").part(2, 8) == Text("x", "ab  cd  ef", 4, 6)


def test_noise_is_smooth_within_its_range_and_a_matter_of_the_seed():
    def noise(x: float, seed: int = 0, stream: int = 0) -> float:
        text = Text("x", f"noise({x}, {stream})")
        return Expression(text, (), seed=seed)({})

    samples = [noise(step / 20) for step in range(2000)]
    assert all(0 <= sample < 1 for sample in samples)
    steps = [abs(a - b) for a, b in pairwise(samples)]
    assert max(steps) < 0.08
    assert 0.4 < sum(samples) / 2000 < 0.6
    assert noise(3.5) == noise(3.5) != noise(3.5, seed=1) != noise(3.5, stream=1)
    assert noise(3) == pytest.approx(0.5, abs=0.5)
    assert noise(1, seed=2**63 - 1) >= 0
    assert 0 <= noise(-1e300, stream=10**300) < 1


def test_what_it_asks_for_is_known():
    expression = Expression(Text("x", "sin(t) + bass*pi"), VARIABLES)
    assert expression.names == {"sin", "t", "bass", "pi"}
    assert expression.number is None
    assert Expression(Text("x", "0.5"), ()).number == 0.5


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_can_be_called(name):
    arguments = ", ".join(["0.5"] * FUNCTIONS[name].least)
    assert math.isfinite(value(f"{name}({arguments})"))
