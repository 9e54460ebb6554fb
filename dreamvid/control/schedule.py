"""Values of the options at each frame."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Generic, TypeVar

from dreamvid.config import (
    PromptConfig,
    ScheduledConfig,
    parse_position,
    split_assignment,
    split_scene,
    split_weight,
    varied,
    varying,
)
from dreamvid.control.clock import BEATS_PER_BAR, Clock
from dreamvid.control.expressions import Expression, Text
from dreamvid.control.keyframes import Keyframes, Variables, is_keyframes
from dreamvid.control.names import TEMPO_NAMES, HeardNames
from dreamvid.control.prompts import mix_at
from dreamvid.errors import ConfigError, shown
from dreamvid.types import Mix, PromptWeights

LONGEST = 50_000
"""Largest number of characters of a row of key frames."""
WEIGHTED = {
    "prompt": "prompt",
    "negative": "negative",
    "image-prompt": "image_prompt",
    "to": "to",
}
"""Options whose weights may vary, for example as `prompt1` or `negative2`: name → field."""

Curve = Callable[[float, float, Variables], float]
"""(seconds, index of the frame, all variables) → value."""

Scheduled = TypeVar("Scheduled", bound=ScheduledConfig)


@dataclass(frozen=True)
class Setting(Generic[Scheduled]):
    """Values of the options for one frame."""

    config: Scheduled
    prompts: PromptWeights
    values: Mapping[str, float]
    """All varying values by their names in --set; values of integer options are rounded."""


class Schedule(Generic[Scheduled]):
    """Values of `config` at each frame; calls may come in any order.

    `features(time, duration)`, both in seconds, gives the features of the sound in that interval,
    by their names; those that it does not give are 0. With a `period`, in seconds, prompts are
    cyclic. Raises ConfigError, with a caret, for an invalid text or a position unknown to `clock`.
    """

    def __init__(
        self,
        config: Scheduled,
        clock: Clock,
        *,
        features: Callable[[float, float], Mapping[str, float]] | None = None,
        period: float | None = None,
    ) -> None:
        self.clock = clock
        self._config, self._period = config, period
        self._features = features or (lambda time, duration: {})
        self._heard = HeardNames(config.music_files)
        self.names: set[str] = set()
        """All variables that the options use."""
        placed = sorted((self._seconds(time), number) for number, (time, _) in enumerate(config.at))
        self._times = [time for time, _ in placed]
        self.order = [number for _, number in placed]
        """Numbers of the prompts over time, from 0, sorted by time."""
        self._transition = self._seconds(config.transition) if config.at else 0.0
        self._scenes = [
            self._curve(Text(f"--at {time} {shown(text)}", split_scene(text)[1]))
            for time, text in config.at
        ]
        self._constant = weights_of(config)
        self._fields = varying(type(config))
        self._curves = {
            name: self._curve(Text(f"--set {name}", expression))
            for name, expression in map(split_assignment, config.set_)
            if self._may_vary(name)
        }

    def __call__(
        self, time: Fraction, index: int, duration: Fraction | None = None
    ) -> Setting[Scheduled]:
        """The setting of frame `index`, which is shown at `time` for `duration`, in seconds."""
        now = float(time)
        shown = float(duration if duration is not None else 1 / (self.clock.rate or 25))
        variables = self._variables_from(now, float(index), shown)
        try:
            values = {
                name: curve(now, float(index), variables) for name, curve in self._curves.items()
            }
            fields = {self._fields[name]: values[name] for name in values if name in self._fields}
            config = varied(self._config, fields) if fields else self._config
            values |= {
                name: getattr(config, self._fields[name]) for name in values.keys() & self._fields
            }
            meaning = self._meaning(values, now, index, variables)
        except ConfigError as error:
            raise ConfigError(
                f"{error} (frame {index}, {now:.3f} s)", excerpt=error.excerpt
            ) from None
        return Setting(config, meaning, values)

    @property
    def varying(self) -> set[str]:
        """Names of the values that --set varies."""
        return set(self._curves)

    @property
    def scenes(self) -> list[tuple[float, str]]:
        """Beginning of each prompt over time, in seconds, and its text with its weight."""
        texts = [self._config.at[number][1] for number in self.order]
        return list(zip(self._times, texts, strict=True))

    def check(self) -> None:
        """Compute the setting of every frame, if their number is known. Raises ConfigError."""
        if self._curves or self._scenes:
            for index in range(self.clock.frames or 0):
                self(index / (self.clock.rate or Fraction(25)), index)

    def _seconds(self, place: str) -> float:
        position = parse_position(place)
        if position.unit in ("beats", "bars"):
            self.names.add("beat")
        return self.clock.seconds(position)

    def _may_vary(self, name: str) -> bool:
        """True if --set may vary `name`. Raises ConfigError otherwise."""
        numbered = re.fullmatch(r"([a-z-]+?)(\d{1,9})", name)
        if name in self._fields:
            return True
        if numbered is not None and numbered[1] in WEIGHTED:
            count = len(getattr(self._config, WEIGHTED[numbered[1]]))
            if 1 <= int(numbered[2]) <= count:
                return True
            raise ConfigError(
                f"--set {name}: --{numbered[1]} is given {count} times; "
                f"allowed: {numbered[1]}1 to {numbered[1]}{count}"
                if count
                else f"--set {name}: no --{numbered[1]} is given; allowed: with one"
            )
        numbers = ", ".join(f"{option}1" for option in WEIGHTED)
        raise ConfigError(
            f"--set {shown(name)}: this does not vary; allowed: {', '.join(sorted(self._fields))}, "
            f"and weights: {numbers} …"
        )

    def _curve(self, text: Text) -> Curve:
        length = len(str(text))
        if length > LONGEST:
            raise text.error(f"{length} characters are too many; allowed: up to {LONGEST}")
        names, unknown = self._known(str(text)), self._unknown()
        seed = self._config.seed
        if is_keyframes(text):
            keyframes = Keyframes(text, names, self.clock, seed=seed, unknown=unknown)
            self.names |= keyframes.names
            return keyframes
        expression = Expression(text, names, seed=seed, unknown=unknown)
        self.names |= expression.names
        return lambda time, frame, variables: expression(variables(time, frame))

    def _known(self, text: str) -> set[str]:
        """The variables that `text` may use."""
        names = {"t", "frame", *self._heard.fixed, *self._heard.numbered(text)}
        names |= {"n"} if self.clock.frames is not None else set()
        return names | (set(TEMPO_NAMES) if self.clock.beats else set())

    def _unknown(self) -> dict[str, str]:
        """Reasons why variables are not available, by name."""
        tempo = "no tempo is known; allowed: seconds, frames, or a sound with a beat (--music FILE)"
        reasons = dict.fromkeys(TEMPO_NAMES, tempo)
        reasons["n"] = "it is not known how many frames will come; allowed: t and frame"
        return reasons

    def _variables_from(self, now: float, index: float, shown: float) -> Variables:
        """A function of time and frame; the variables of the current frame are computed once."""
        here = self._variables(now, index, shown)
        return lambda time, frame: (
            here if (time, frame) == (now, index) else self._variables(time, frame, shown)
        )

    def _variables(self, time: float, frame: float, shown: float) -> dict[str, float]:
        clock = self.clock
        silent = dict.fromkeys(self.names | self._heard.fixed, 0.0)
        values = silent | {"t": time, "frame": frame, **self._features(time, shown)}
        if clock.frames is not None:
            values["n"] = float(clock.frames)
        if clock.beats:
            # The middle of the frame counts, so that a frame that begins with a beat is on it
            # even where the beat was found slightly too late.
            beat = clock.beat(time + shown / 2)
            values |= {"bpm": clock.bpm or 0.0, "beat": beat, "bar": beat / BEATS_PER_BAR}
        return values

    def _meaning(
        self, values: Mapping[str, float], time: float, index: int, variables: Variables
    ) -> PromptWeights:
        def weights(option: str, constant: Sequence[float]) -> tuple[float, ...]:
            return tuple(
                _not_negative(values.get(f"{option}{number}", weight), f"--set {option}{number}")
                for number, weight in enumerate(constant, 1)
            )

        meaning = PromptWeights(
            prompt=weights("prompt", self._constant.prompt),
            image_prompt=weights("image-prompt", self._constant.image_prompt),
            negative=weights("negative", self._constant.negative),
            to=weights("to", self._constant.to),
        )
        if not self._times:
            return meaning
        mix = mix_at(self._times, time, transition=self._transition, period=self._period)
        first, second = self.order[mix.first], self.order[mix.second]
        one, other = (
            _not_negative(self._scenes[scene](time, index, variables), "--at, the weight")
            for scene in (first, second)
        )
        weight = one + mix.share * (other - one)
        changes = mix.first + mix.share
        mix = Mix(first, second, mix.share)
        return replace(meaning, mix=mix, mix_weight=weight, changes=changes)


def asked_for(config: ScheduledConfig) -> set[str]:
    """The variables that `config` uses. Raises ConfigError for an invalid text.

    This is quick and needs neither the source nor the sound.
    """
    anything = Clock(Fraction(25), 1_000_000, bpm=120.0, beats=(0.0, 0.5))
    return Schedule(config, anything).names


def weights_of(config: PromptConfig) -> PromptWeights:
    """The weights that the prompts themselves have."""
    return PromptWeights(
        prompt=_weights(config.prompt),
        image_prompt=_weights(config.image_prompt),
        negative=_weights(config.negative),
        to=_weights(config.to),
    )


def _weights(weighted: Sequence[str]) -> tuple[float, ...]:
    return tuple(split_weight(text)[1] for text in weighted)


def _not_negative(weight: float, option: str) -> float:
    if weight < 0:
        raise ConfigError(f"{option}: {weight:g} is not allowed; allowed: from 0")
    return weight
