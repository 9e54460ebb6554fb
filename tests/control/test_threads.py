"""Values do not hang on who asks: two threads at once get what one gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

import pytest

from dreamvid.config import VideoConfig, build_config
from dreamvid.control.clock import Clock
from dreamvid.control.expressions import Expression, Text
from dreamvid.control.keyframes import Keyframes
from dreamvid.control.schedule import Schedule
from tests.threads import ask_from_two_threads

FRAMES = 40
CLOCK = Clock(Fraction(24), FRAMES)


def variables(time: float, frame: float) -> Mapping[str, float]:
    return {"t": time, "frame": frame}


def ask_expression() -> Callable[[int], object]:
    expression = Expression(Text("x", "frame + 2*frame - where(frame > 3, t, -t)"), ("t", "frame"))
    return lambda index: expression(variables(index / 24, index))


def ask_keyframes() -> Callable[[int], object]:
    curve = Keyframes(Text("x", "0:(t + 2*t - frame), 30:(2), 39:(t*t)"), ("frame",), CLOCK)
    return lambda index: curve(index / 24, index, variables)


def ask_schedule() -> Callable[[int], object]:
    assignments = ["strength=0.1 + frame/80", "steps=0:(t + 1), 30:(9)", "prompt1=frame + t"]
    given = {"set_": assignments, "prompt": ["ice"], "at": [("0", "a::1 + frame"), ("1", "b::t")]}
    schedule = Schedule(build_config(VideoConfig, given=given), CLOCK)
    return lambda index: schedule(Fraction(index, 24), index)


@pytest.mark.parametrize(
    ("create", "rounds"), [(ask_expression, 200), (ask_keyframes, 200), (ask_schedule, 20)]
)
def test_two_threads_get_what_one_gets(
    create: Callable[[], Callable[[int], object]], rounds: int
) -> None:
    ask = create()
    serial = {index: ask(index) for index in range(FRAMES)}
    for found in ask_from_two_threads(ask, range(FRAMES), rounds):
        assert found == serial
