"""Prompts that follow one another: which two hold at a time, and in what proportion."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from dreamvid.types import Mix


def mix_at(
    times: Sequence[float], time: float, *, transition: float, period: float | None = None
) -> Mix:
    """What holds at `time` of texts that begin at `times` (seconds, ascending, at least one).

    The first holds before its time as well. A change takes `transition` seconds and is half done
    at its text's time, with the speed of a smoothstep; it is shorter where texts follow one
    another faster, so that each has its moment alone. With a `period` time runs in a circle, and
    the last text changes back into the first.
    """
    if len(times) == 1:
        return Mix(0, 0, 0.0)
    if period is not None:
        return _mix_in_circle(times, time, transition, period)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    for index in range(1, len(times)):
        room = min(gaps[index - 1 : index + 1])
        half = min(transition, room) / 2
        if time < times[index] + half:
            return Mix(index - 1, index, _share(time - times[index], half))
    return Mix(len(times) - 1, len(times) - 1, 0.0)


def _mix_in_circle(times: Sequence[float], time: float, transition: float, period: float) -> Mix:
    """Three rounds unrolled, the middle one looked at."""
    count = len(times)
    unrolled = [start + turn * period for turn in (-1, 0, 1, 2) for start in times]
    mix = mix_at(unrolled, times[0] + (time - times[0]) % period, transition=transition)
    return Mix(mix.first % count, mix.second % count, mix.share)


def _share(since: float, half: float) -> float:
    """How much of a change is done `since` its middle, 0 to 1."""
    if half <= 0:
        return float(since >= 0)
    x = min(max((since + half) / (2 * half), 0.0), 1.0)
    return x * x * (3 - 2 * x)
