"""Seconds, frames, beats and bars: one clock to convert between them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from dreamvid.config import Position
from dreamvid.errors import ConfigError

BEATS_PER_BAR = 4


@dataclass(frozen=True)
class Clock:
    """What places in time are measured with."""

    rate: Fraction | None = None
    """Frames a second, on average."""
    frames: int | None = None
    """How many there will be, where that is known."""
    bpm: float | None = None
    beats: Sequence[float] = field(default=(), repr=False)
    """When each beat falls, in seconds, ascending, beat 0 first; more than one, or none."""

    def seconds(self, position: Position) -> float:
        """When `position` is. Raises ConfigError where nothing tells how long its unit is."""
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
        """How many beats have passed since beat 0, in parts too; 0 where no tempo is known."""
        if not self.beats:
            return 0.0
        return _interpolate(seconds, self.beats, range(len(self.beats)))

    def time_of_beat(self, beat: float) -> float:
        """Seconds at which `beat` falls."""
        return _interpolate(beat, range(len(self.beats)), self.beats)


def _interpolate(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """The line through the points (xs ascending), straight on beyond both ends."""
    i = min(max(bisect_right(xs, x) - 1, 0), len(xs) - 2)
    return ys[i] + (x - xs[i]) * (ys[i + 1] - ys[i]) / (xs[i + 1] - xs[i])
