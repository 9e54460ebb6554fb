"""Key frames in Deforum's form: `0:(0.5), 2.5s:(1.0), 16b:(0.2)`.

The rules are those of Deforum (`animation_key_frames.py` at commit 47f7140). After a key that is a
plain number, the value moves in a straight line to the value of the next key. After a key that is
an expression, the expression is evaluated for each frame until the next key. The first key's value
also holds before it, and a last key's number also holds after it. Variables are `t`, the index of
the frame, `max_f`, the index of the last frame, and `s`, the seed; a key's place may be an
expression of `max_f` and `s`.

There are additions: places may be in seconds, beats or bars, and values may contain commas,
parentheses and all other variables. There are differences: blank or repeated keys are an error,
and the line is straight in seconds, not in frames, where any key's place is not a frame.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from dreamvid.config import Position, parse_position
from dreamvid.control.clock import Clock
from dreamvid.control.expressions import Expression, Text
from dreamvid.errors import shown

Variables = Callable[[float, float], Mapping[str, float]]
"""(seconds, index of the frame, perhaps fractional) → all variables except Deforum's own."""

OWN_NAMES = ("t", "max_f", "s")
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True)
class _Key:
    place: Position
    value: Expression


class Keyframes:
    """`text` as a function of time. Raises ConfigError with a caret."""

    def __init__(
        self,
        text: Text,
        names: Collection[str],
        clock: Clock,
        *,
        seed: int = 0,
        unknown: Mapping[str, str] | None = None,
    ) -> None:
        self._clock = clock
        self._own = {"s": float(seed)}
        unknown = dict(unknown or {})
        if clock.frames is None:
            unknown["max_f"] = unknown.get("n", "")
        else:
            self._own["max_f"] = float(clock.frames - 1)
        known = {*names, "t", *self._own}
        keys = []
        for entry in _split(text, ","):
            place, value = _halves(entry)
            key = _unwrapped(value)
            keys.append(
                _Key(
                    self._place(place, unknown),
                    Expression(key, known, seed=seed, numexpr=True, unknown=unknown),
                )
            )
        self.names = {name for key in keys for name in key.value.names} - set(OWN_NAMES)
        if any(key.place.unit in ("beats", "bars") for key in keys):
            self.names.add("beat")
        self._counts_frames = all(key.place.unit == "frames" for key in keys)
        placed = sorted(((self._along(key.place), key) for key in keys), key=lambda pair: pair[0])
        self._places = [place for place, _ in placed]
        self._keys = [key for _, key in placed]
        for one, other in zip(self._places, self._places[1:], strict=False):
            if one == other:
                raise text.error("two keys have the same place; allowed: one each")

    def __call__(self, time: float, frame: float, variables: Variables) -> float:
        """The value at `time`, in seconds, which is the time of the frame with index `frame`."""
        now = frame if self._counts_frames else time
        index = bisect_right(self._places, now) - 1
        if index < 0:
            return self._at_key(0, variables)
        value = self._keys[index].value
        if value.number is None:
            return self._value(value, time, frame, variables)
        if index + 1 == len(self._keys):
            return value.number
        begin, end = self._places[index : index + 2]
        target = self._at_key(index + 1, variables)
        between = value.number + (now - begin) / (end - begin) * (target - value.number)
        if not math.isfinite(between):
            raise value.text.error("the value is too large on the way to the next key")
        return between

    def _value(self, value: Expression, time: float, frame: float, variables: Variables) -> float:
        return value({**variables(time, frame), **self._own, "t": frame})

    def _at_key(self, index: int, variables: Variables) -> float:
        key = self._keys[index]
        if key.value.number is not None:
            return key.value.number
        rate = float(self._clock.rate or 0)
        if key.place.unit == "frames":
            frame = float(key.place.value)
            time = frame / rate if rate else 0.0
        else:
            time = self._clock.seconds(key.place)
            frame = time * rate
        return self._value(key.value, time, frame, variables)

    def _along(self, place: Position) -> float:
        """Place of a key on the axis of all keys: frames if all count in frames, else seconds."""
        return float(place.value) if self._counts_frames else self._clock.seconds(place)

    def _place(self, text: Text, unknown: Mapping[str, str]) -> Position:
        word = str(text).strip("\"'() ")
        if re.fullmatch(r"\d{1,30}", word):
            return Position(Fraction(word), "frames")
        if re.fullmatch(r"\d+(\.\d+)?(s|f|b|bar)", word):
            return _position(text, word)
        if re.fullmatch(r"\d*\.\d*", word):
            word = shown(word)
            raise text.error(f"'{word}' is not a frame; allowed: a whole number, or {word}s")
        place = Expression(text, self._own, unknown=unknown)(self._own)
        if place < 0:
            raise text.error(f"frame {place:g} is before the first; allowed: from 0")
        return Position(Fraction(int(place)), "frames")


def is_keyframes(text: Text) -> bool:
    """Whether `text` holds key frames: no expression has a colon outside parentheses."""
    return next(_separators(str(text), ":"), None) is not None


def _position(text: Text, word: str) -> Position:
    try:
        return parse_position(word)
    except ValueError:
        raise text.error(f"'{shown(word)}' is not a time; allowed: up to 1e9 s") from None


def _halves(entry: Text) -> tuple[Text, Text]:
    """A key's place and its value."""
    parts = _split(entry, ":")
    if len(parts) != 2 or not all(str(part) for part in parts):
        raise entry.error("this is no key frame; allowed: FRAME:(VALUE), as 0:(0.5), 2.5s:(1)")
    return parts[0], parts[1]


def _unwrapped(value: Text) -> Text:
    """The value without the parentheses that enclose all of it."""
    text = str(value)
    if text[0] == "(" and len(text) > 1 and _closing(text) == len(text) - 1:
        return value.part(1, len(text) - 1)
    return value


def _closing(text: str) -> int | None:
    """Index at which the parenthesis that opens `text` is closed; None where it is not."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character in _OPENING) - (character in _CLOSING)
        if depth == 0:
            return place
    return None


def _split(text: Text, separator: str) -> list[Text]:
    """The parts between separators outside parentheses, without an empty part at the end."""
    parts, begin = [], 0
    whole = str(text)
    for place in _separators(whole, separator):
        parts.append(text.part(begin, place))
        begin = place + 1
    if whole[begin:].strip() or not parts:
        parts.append(text.part(begin, len(whole)))
    return parts


def _separators(text: str, separator: str) -> Iterator[int]:
    """Indices of the separators outside parentheses."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character in _OPENING) - (character in _CLOSING)
        if character == separator and depth == 0:
            yield place
