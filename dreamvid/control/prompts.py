"""Prompts that follow one another: which two are active at a time, and in what proportion."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from dreamvid.types import Mix


def mix_at(
    times: Sequence[float], time: float, *, transition: float, period: float | None = None
) -> Mix:
    """The mix at `time` of texts that begin at `times` (seconds, ascending, at least one).

    The first text is also active before its time. A transition takes `transition` seconds, follows
    a smoothstep and is half done at the time of its text. It is shorter where texts follow one
    another faster, so that each text is alone for a moment. With a `period`, in seconds, time is
    cyclic, and the last text changes back into the first.
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
    """The mix in cyclic time, computed on the unrolled texts of neighbouring rounds."""
    count = len(times)
    unrolled = [start + turn * period for turn in (-1, 0, 1, 2) for start in times]
    mix = mix_at(unrolled, times[0] + (time - times[0]) % period, transition=transition)
    return Mix(mix.first % count, mix.second % count, mix.share)


def _share(since: float, half: float) -> float:
    """Share of a transition that is done, 0 to 1, at `since` seconds after its middle."""
    if half <= 0:
        return float(since >= 0)
    x = min(max((since + half) / (2 * half), 0.0), 1.0)
    return x * x * (3 - 2 * x)
