"""Seconds, frames, beats and bars: one clock to convert between them."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from dreamvid.config import Position
from dreamvid.errors import ConfigError

BEATS_PER_BAR = 4


@dataclass(frozen=True)
class Clock:
    """Conversion between seconds, frames, beats and bars of one film."""

    rate: Fraction | None = None
    """Frames a second, on average."""
    frames: int | None = None
    """Number of frames of the film; None where unknown."""
    bpm: float | None = None
    beats: Sequence[float] = field(default=(), repr=False)
    """Time of each beat in seconds, ascending, beat 0 first; empty, or at least two."""

    def seconds(self, position: Position) -> float:
        """Time of `position` in seconds. Raises ConfigError where its unit has no known length."""
        value = float(position.value)
        if position.unit == "seconds":
            return value
        if position.unit == "frames":
            if self.rate is None:
                raise ConfigError(
                    f"frame {value:g}: the source has no frame rate; allowed: seconds"
                )
            return value / float(self.rate)
        if not self.beats:
            raise ConfigError(
                f"{position.unit[:-1]} {value:g}: no tempo is known; allowed: seconds or frames, "
                "or a sound with a beat (--music FILE)"
            )
        return self.time_of_beat(value * (BEATS_PER_BAR if position.unit == "bars" else 1))

    def beat(self, seconds: float) -> float:
        """Number of beats since beat 0, with fractions; 0 where no tempo is known."""
        if not self.beats:
            return 0.0
        return _interpolate(seconds, self.beats, range(len(self.beats)))

    def beats_until(self, end: float) -> list[float]:
        """Times of beat 0 and of all later beats up to `end`, in seconds."""
        if not self.beats:
            return []
        count = math.floor(self.beat(end)) + 1
        return [self.time_of_beat(float(beat)) for beat in range(count)]

    def time_of_beat(self, beat: float) -> float:
        """Time of `beat` in seconds."""
        return _interpolate(beat, range(len(self.beats)), self.beats)


def even_beats(bpm: float) -> tuple[float, ...]:
    """The first two of evenly spaced beats from time 0; a `Clock` continues them without end."""
    return 0.0, 60 / bpm


def _interpolate(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Value at `x` of the line through the points (`xs` ascending), extended beyond both ends."""
    i = min(max(bisect_right(xs, x) - 1, 0), len(xs) - 2)
    return ys[i] + (x - xs[i]) * (ys[i + 1] - ys[i]) / (xs[i + 1] - xs[i])
