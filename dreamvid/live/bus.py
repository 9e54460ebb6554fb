"""The numbers that are played: one place for whoever sets them, and what holds at each frame."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from threading import RLock

from dreamvid.config import (
    VideoConfig,
    build_config,
    limits,
    options,
    read_toml,
    split_assignment,
    split_weight,
    varied,
    varying,
)
from dreamvid.control.clock import Clock, even_beats
from dreamvid.control.schedule import WEIGHTED, Schedule, Setting
from dreamvid.errors import ConfigError, shown
from dreamvid.types import PromptWeights

USUAL_BPM = 120.0
"""Tempo where neither the sound nor an option tells one."""
HEAVIEST = 2.0
"""Largest weight of a prompt on a slider; more may be set."""
LONGEST_GLIDE_S = 600.0
LONGEST_TEXT = 1000
"""Largest number of characters of a prompt."""
MOST_PROMPTS = 64
TAPS = 8
"""Most taps that a tempo is taken from."""
SLOWEST_BPM, FASTEST_BPM = 20.0, 400.0
PAUSE_S = 2.5
"""Seconds without a tap after which a new tempo begins."""
_FIXED = ("guide", "precision", "device", "size", "deliver", "mask", "input_format", "carry")
"""Options that a preset cannot change while it is played."""

Features = Callable[[float, float], Mapping[str, float]]


@dataclass(frozen=True)
class Number:
    """One number that may be played."""

    name: str
    """As --set takes it: an option's name, or as prompt1."""
    least: float
    most: float
    """The end of a slider; weights may be larger."""
    default: float
    is_whole: bool
    help: str


@dataclass(frozen=True)
class _Glide:
    """A number on its way to another value, or at it."""

    first: float
    last: float
    begun: float
    seconds: float

    def at(self, now: float) -> float:
        """The value at `now`: smoothstep."""
        if not self.seconds or now >= self.begun + self.seconds:
            return self.last  # another thread's `now` may be a little before it was begun
        share = max(0.0, (now - self.begun) / self.seconds)
        return self.first + share * share * (3 - 2 * share) * (self.last - self.first)


class Bus:
    """Everything that changes while it is played. The last writer of a number wins.

    A number follows its option, or its expression in --set, until it is set, and again once it is
    released. All methods may be called from any thread; each raises ConfigError, and changes
    nothing, for a value that is not allowed. `now` is in seconds of one clock throughout.
    """

    def __init__(
        self,
        config: VideoConfig,
        rate: Fraction | None,
        *,
        tempo: Clock | None = None,
        features: Features | None = None,
    ) -> None:
        """Begin with `config`; `tempo` and `features` are those of the sound, if there is one."""
        self._lock = RLock()
        self._rate, self._features = rate, features
        bpm = config.bpm or USUAL_BPM
        self._tempo = tempo or Clock(rate, None, bpm, even_beats(bpm))
        self._taps: deque[float] = deque(maxlen=TAPS)
        self._glides: dict[str, _Glide] = {}
        self._played: dict[str, float] = {}
        self._known: tuple[dict[str, float], Setting[VideoConfig]] | None = None
        self.wishes = 0
        """Rises with each change of the prompts by hand."""
        self._use(config)

    def _use(self, config: VideoConfig) -> None:
        schedule = Schedule(config, self._tempo, features=self._features)
        self.config, self._schedule, self._known = config, schedule, None
        self._numbers = {number.name: number for number in numbers_of(config)}

    @property
    def numbers(self) -> Sequence[Number]:
        """All numbers that may be set now."""
        return tuple(self._numbers.values())

    @property
    def played(self) -> Mapping[str, float]:
        """The values of all numbers at the newest frame."""
        with self._lock:
            return dict(self._played)

    def number(self, name: str) -> Number:
        """The number of this name. Raises ConfigError."""
        if name not in self._numbers:
            raise ConfigError(
                f"'{shown(name)}' is no number here; allowed: {', '.join(self._numbers)}"
            )
        return self._numbers[name]

    def check(self, name: str, value: object) -> None:
        """Raise ConfigError where a number may not have this value."""
        number = self.number(name)
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not math.isfinite(value)
        ):
            raise ConfigError(f"{number.name}: '{shown(value)}' is no number; allowed: a number")
        if not _is_weight(number.name):
            varied(self.config, {varying(VideoConfig)[number.name]: value})
        elif not 0 <= value <= 1e6:
            raise ConfigError(f"{number.name}: {value:g} is not allowed; allowed: from 0 to 1e6")

    def value(self, name: str) -> float:
        """The value of a number at the newest frame."""
        with self._lock:
            default = self.number(name).default
            return self._played.get(name, default)

    @property
    def held(self) -> set[str]:
        """The names of those that were set and not released."""
        with self._lock:
            return set(self._glides)

    @property
    def following(self) -> set[str]:
        """The names of those that follow an expression while nobody holds them."""
        return self._schedule.varying

    @property
    def tempo(self) -> Clock:
        """The beats, in seconds of the time that `at` is given."""
        return self._tempo

    def at(
        self, time: Fraction, index: int, duration: Fraction | None, now: float
    ) -> Setting[VideoConfig]:
        """What holds for the frame `index` at `time`, which is taken at `now`."""
        with self._lock:
            planned = self._schedule(time, index, duration)
            held = {name: glide.at(now) for name, glide in self._glides.items()}
            if self._known is not None and not self.following and self._known[0] == held:
                return replace(self._known[1], prompts=self._prompts(planned, held))
            setting = self._holding(planned, held)
            self._known = held, setting
            self._played = self._values(setting)
            return setting

    def set(self, name: str, value: float, now: float, seconds: float = 0.0) -> None:
        """Set a number, at once or on a way of so many seconds."""
        with self._lock:
            number = self.number(name)
            self.check(name, value)
            if not 0 <= seconds <= LONGEST_GLIDE_S:
                raise ConfigError(
                    f"{name}: {shown(seconds)} seconds are not allowed; allowed: 0 to "
                    f"{LONGEST_GLIDE_S:g}"
                )
            first = self._played.get(name, number.default)
            self._glides[name] = _Glide(first, float(value), now, float(seconds))
            self.wishes += _is_weight(name)

    def release(self, name: str) -> None:
        """Let a number follow its option or its expression again."""
        with self._lock:
            self.number(name)
            if self._glides.pop(name, None) is not None:
                self._known = None
                self.wishes += _is_weight(name)

    def add_prompt(self, text: str) -> int:
        """Add a prompt of weight 0; its number, from 1. A text that is there keeps its number."""
        text = " ".join(text.split())
        with self._lock:
            texts = [split_weight(each)[0] for each in self.config.prompt]
            if text in texts:
                return texts.index(text) + 1
            if not text or len(text) > LONGEST_TEXT:
                raise ConfigError(
                    f"prompt: {len(text)} characters are not allowed; allowed: 1 to {LONGEST_TEXT}"
                )
            if len(texts) >= MOST_PROMPTS:
                raise ConfigError(f"prompt: there are {MOST_PROMPTS} already; allowed: no more")
            prompts = [*self.config.prompt, f"{text}::1"]
            wished = build_config(VideoConfig, base=self.config, given={"prompt": prompts})
            if wished.has_areas:
                raise ConfigError(f"prompt: '{shown(text)}' has an area; allowed: a text alone")
            self._use(wished)
            name = f"prompt{len(prompts)}"
            self._glides[name], self._played[name] = _Glide(0.0, 0.0, 0.0, 0.0), 0.0
            return len(prompts)

    def cross(self, number: int, now: float, seconds: float = 0.0) -> None:
        """Cross over to prompt `number`, from 1: it takes the weight of all, and they lose it."""
        with self._lock:
            self.number(f"prompt{number}")
            names = [f"prompt{place}" for place in range(1, len(self.config.prompt) + 1)]
            total = sum(self._played.get(name, self._numbers[name].default) for name in names)
            for name in names:
                self.set(name, (total or 1.0) * (name == f"prompt{number}"), now, seconds)

    def tap(self, time: float) -> float | None:
        """Take a tap at `time`, of the time that `at` is given; the tempo, from two taps on."""
        with self._lock:
            if self._taps and not 0 < time - self._taps[-1] < PAUSE_S:
                self._taps.clear()
            self._taps.append(time)
            if len(self._taps) < 2:
                return None
            period = (self._taps[-1] - self._taps[0]) / (len(self._taps) - 1)
            bpm = min(max(60 / period, SLOWEST_BPM), FASTEST_BPM)
            self._keep_time(math.fmod(time, 60 / bpm), bpm)
            return bpm

    def follow_beat(self, number: int, time: float, bpm: float) -> None:
        """Let beat `number` be at `time`, of the time that `at` is given: a clock from outside."""
        bpm = min(max(bpm, SLOWEST_BPM), FASTEST_BPM)
        with self._lock:
            self._keep_time(time - number * 60 / bpm, bpm)

    def _keep_time(self, first: float, bpm: float) -> None:
        self._tempo = Clock(self._rate, None, bpm, (first, first + 60 / bpm))
        self._use(self.config)

    def use_preset(self, file: Path) -> None:
        """Lay the options of a preset over those that are played; what it sets is let go."""
        values = read_toml(file)
        with self._lock:
            given = {name.replace("-", "_"): value for name, value in values.items()}
            given["set_"] = given.pop("set", [])
            changed = build_config(VideoConfig, base=self._without_sets(), given=given)
            for field in _FIXED:
                if getattr(changed, field) != getattr(self.config, field):
                    raise ConfigError(
                        f"the preset changes --{field.replace('_', '-')}; allowed: one that does "
                        "not"
                    )
            self._use(changed)
            self._glides = {name: glide for name, glide in self._glides.items() if _is_weight(name)}
            self.wishes += 1

    def _without_sets(self) -> VideoConfig:
        """The options without what varies by expression, except for weights."""
        kept = [text for text in self.config.set_ if _is_weight(split_assignment(text)[0])]
        plain = {name: getattr(self.config, name) for name in self.config.model_fields_set}
        fields = set(varying(VideoConfig).values())
        plain = {name: value for name, value in plain.items() if name not in fields}
        return VideoConfig(**(plain | {"set_": kept}))

    def _holding(
        self, planned: Setting[VideoConfig], held: Mapping[str, float]
    ) -> Setting[VideoConfig]:
        """The planned setting with the numbers that are held."""
        fields = varying(VideoConfig)
        changes = {fields[name]: value for name, value in held.items() if name in fields}
        config = varied(planned.config, changes) if changes else planned.config
        return replace(planned, config=config, prompts=self._prompts(planned, held))

    def _prompts(self, planned: Setting[VideoConfig], held: Mapping[str, float]) -> PromptWeights:
        def weights(option: str, plain: Sequence[float]) -> tuple[float, ...]:
            return tuple(
                held.get(f"{option}{number}", weight) for number, weight in enumerate(plain, 1)
            )

        prompts = planned.prompts
        return replace(
            prompts,
            prompt=weights("prompt", prompts.prompt),
            negative=weights("negative", prompts.negative),
            image_prompt=weights("image-prompt", prompts.image_prompt),
            to=weights("to", prompts.to),
        )

    def _values(self, setting: Setting[VideoConfig]) -> dict[str, float]:
        values = {
            name: float(getattr(setting.config, field))
            for name, field in varying(VideoConfig).items()
        }
        for option, field in WEIGHTED.items():
            weights = enumerate(getattr(setting.prompts, field), 1)
            values |= {f"{option}{number}": weight for number, weight in weights}
        return values


def numbers_of(config: VideoConfig) -> list[Number]:
    """The numbers that --set takes with `config`, weights first."""
    found = []
    for option, field in WEIGHTED.items():
        for number, text in enumerate(getattr(config, field), 1):
            body, weight = split_weight(text)
            found.append(Number(f"{option}{number}", 0.0, HEAVIEST, weight, False, body))
    described = {option.field: option for option in options(VideoConfig)}
    for name, field in varying(VideoConfig).items():
        least, most = limits(VideoConfig, field)
        whole = VideoConfig.model_fields[field].annotation is int
        default = float(getattr(config, field))
        found.append(Number(name, least, most, default, whole, described[field].help))
    return found


def _is_weight(name: str) -> bool:
    return name not in varying(VideoConfig)
