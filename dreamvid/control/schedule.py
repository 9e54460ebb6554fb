"""From options to what they come to at each frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from dreamvid.config import ScheduledConfig, parse_position, split_scene, split_weight
from dreamvid.control.clock import Clock
from dreamvid.control.prompts import mix_at
from dreamvid.types import Meaning, Mix


@dataclass(frozen=True)
class Setting:
    """What the options come to for one frame."""

    config: ScheduledConfig
    meaning: Meaning


class Schedule:
    """What `config` comes to at each frame, in any order.

    With a `period`, in seconds, its prompts go in a circle. Raises ConfigError where a place in
    time cannot be found on `clock`.
    """

    def __init__(
        self, config: ScheduledConfig, clock: Clock, *, period: float | None = None
    ) -> None:
        self._config, self._period = config, period
        placed = sorted(
            (clock.seconds(parse_position(time)), number)
            for number, (time, _) in enumerate(config.at)
        )
        self._times = [time for time, _ in placed]
        self._order = [number for _, number in placed]
        self._transition = clock.seconds(parse_position(config.transition))
        self._constant = Meaning(
            prompt=_weights(config.prompt),
            image_prompt=_weights(config.image_prompt),
            negative=_weights(config.negative),
            to=_weights(config.to),
        )

    def __call__(self, time: Fraction, index: int) -> Setting:
        """What holds for the frame of this index, shown at `time` (seconds)."""
        return Setting(self._config, self._meaning(float(time)))

    def _meaning(self, time: float) -> Meaning:
        if not self._times:
            return self._constant
        mix = mix_at(self._times, time, transition=self._transition, period=self._period)
        first, second = self._order[mix.first], self._order[mix.second]
        weights = [float(split_scene(self._config.at[scene][1])[1]) for scene in (first, second)]
        weight = weights[0] + mix.share * (weights[1] - weights[0])
        return replace(self._constant, mix=Mix(first, second, mix.share), mix_weight=weight)


def _weights(weighted: Sequence[str]) -> tuple[float, ...]:
    return tuple(split_weight(text)[1] for text in weighted)
