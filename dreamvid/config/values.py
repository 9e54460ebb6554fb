"""Types of options: parsers of what is typed, and the marks that fields carry."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

WEIGHT_SEPARATOR = "::"
DEVICES = "auto, cpu, cuda, cuda:N or mps"
POSITION_WORDS = "2.5, 1:02.5, 48f (frames), 16b (beats) or 4bar"
SLOWEST_RATE, FASTEST_RATE = Fraction(1, 1000), 1000
SMALLEST_SIDE, LARGEST_SIDE = 16, 16384
"""Pixels of a frame's side."""


@dataclass(frozen=True)
class Flag:
    """Mark of a field with a short spelling on the command line."""

    short: str


@dataclass(frozen=True)
class Allowed:
    """Mark of a field whose allowed values the type alone does not tell: the words for them."""

    words: str


@dataclass(frozen=True)
class Varies:
    """Mark of a field whose value may change from frame to frame, by --set."""


def kebab(name: str) -> str:
    """Spell a field's name as its option: `from_` as `from`, `tv_of` as `tv-of`."""
    return name.rstrip("_").replace("_", "-")


def parse_seconds(value: object) -> Fraction:
    """Seconds from a number, `"2.5s"`, `"m:ss"` or `"h:mm:ss.fff"`; exact. Raises ValueError."""
    if isinstance(value, Fraction) and value >= 0:
        return value
    if re.fullmatch(r"\d+/0*[1-9]\d*", str(value)):  # as `_shortest` writes it
        return Fraction(str(value))
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)s?", str(value).strip())
    if match is None:
        raise ValueError("not a time")
    hours, minutes, seconds = (Fraction(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def parse_duration(value: object) -> Fraction:
    """Seconds above 0, in the forms of `parse_seconds`. Raises ValueError."""
    seconds = parse_seconds(value)
    if not seconds:
        raise ValueError("nothing")
    return seconds


def parse_rate(value: object) -> Fraction:
    """Frames a second from a number, `"23.976"` or `"24000/1001"`; exact. Raises ValueError."""
    try:
        rate = Fraction(str(value).strip())
    except (ValueError, ZeroDivisionError):
        raise ValueError("not a rate") from None
    if not SLOWEST_RATE <= rate <= FASTEST_RATE:
        raise ValueError("out of range")
    return rate


def _shortest(value: Fraction) -> float | str:
    """A number that parses back to the same Fraction, or its `p/q`."""
    return float(value) if Fraction(str(float(value))) == value else str(value)


@dataclass(frozen=True)
class Position:
    """A place in time, in one of its units."""

    value: Fraction
    unit: Literal["seconds", "frames", "beats", "bars"]


_UNITS: dict[str, Literal["frames", "beats", "bars"]] = {"f": "frames", "b": "beats", "bar": "bars"}


def parse_position(value: object) -> Position:
    """A place in time from `"48f"`, `"16b"`, `"4bar"`, or seconds in the forms of `parse_seconds`.

    Raises ValueError.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(f|b|bar)", str(value).strip())
    if match is None:
        return Position(parse_seconds(value), "seconds")
    return Position(Fraction(match[1]), _UNITS[match[2]])


def _check_position(value: object) -> str:
    parse_position(value)
    return str(value).strip()


def parse_pair(value: object) -> tuple[float, float]:
    """Two numbers from `"X,Y"` or a pair of them. Raises ValueError."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or len(parts) != 2:
        raise ValueError("not a pair")
    x, y = (float(part) for part in parts)
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError("not numbers")
    return x, y


def check_share(pair: tuple[float, float]) -> tuple[float, float]:
    """Return `pair` if both numbers are from 0 to 1. Raises ValueError."""
    if not all(0 <= share <= 1 for share in pair):
        raise ValueError("outside")
    return pair


def split_weight(text: str) -> tuple[str, float]:
    """Split `"a coral reef::1.5"` into its text and weight, which is 1 if it is left out.

    Only a double colon separates, so that colons in a prompt stay colons. Raises ValueError
    if what follows it is not a number above 0, or if no text is left.
    """
    body, separator, tail = text.rpartition(WEIGHT_SEPARATOR)
    if not separator:
        body, tail = text, "1"
    try:
        weight = float(tail)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf or not body.strip():
        raise ValueError("not a weighted prompt")
    return body.strip(), weight


def _check_weighted(text: str) -> str:
    split_weight(text)
    return text


def split_scene(text: str) -> tuple[str, str]:
    """Split `"a storm::0.5 + bass"` into its text and the expression of its weight ("1").

    Raises ValueError if either is empty.
    """
    body, separator, tail = text.rpartition(WEIGHT_SEPARATOR)
    if not separator:
        body, tail = text, "1"
    if not body.strip() or not tail.strip():
        raise ValueError("not a weighted prompt")
    return body.strip(), tail.strip()


def _parse_scene(value: object) -> tuple[str, str]:
    """A time and a text, from a pair or from one string with a blank between them."""
    pair = value.split(maxsplit=1) if isinstance(value, str) else value
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        raise ValueError("not a time and a text")
    time, text = (str(part).strip() for part in pair)
    parse_position(time)
    split_scene(text)
    return time, text


def split_assignment(text: str) -> tuple[str, str]:
    """Split `"local-share = 0.5 + bass"` into its name, in kebab case, and its expression.

    Raises ValueError if either is empty.
    """
    name, separator, expression = text.partition("=")
    if not separator or not name.strip() or not expression.strip():
        raise ValueError("not an assignment")
    return name.strip().replace("_", "-"), expression.strip()


def list_assignments(value: Any) -> list[str]:
    """`NAME=EXPRESSION` each, from a file's table or list under `set`; unchecked."""
    if isinstance(value, Mapping):
        return [f"{name}={expression}" for name, expression in value.items()]
    return list(value) if isinstance(value, list) else [str(value)]


def _parse_assignments(value: object) -> list[str]:
    """`NAME=EXPRESSION` each, from a list or a table; of two for one name the later counts."""
    pairs = dict(split_assignment(str(text)) for text in list_assignments(value))
    return [f"{name}={expression}" for name, expression in pairs.items()]


def check_device_name(name: str) -> str:
    """Return `name` if a device can have it, present or not. Raises ValueError."""
    if re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name) is None:
        raise ValueError("not a device")
    return name


def _check_size(value: object) -> str:
    text = str(value).strip().lower()
    match = re.fullmatch(r"source|(\d+)(?:x(\d+))?", text)
    sides = [int(side) for side in match.groups() if side] if match else [0]
    if not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in sides):
        raise ValueError("not a size")
    return text


_EXACT = PlainSerializer(_shortest, return_type=float | str)

Seconds = Annotated[Fraction, BeforeValidator(parse_seconds), _EXACT, Allowed("seconds or h:mm:ss")]
Duration = Annotated[
    Fraction, BeforeValidator(parse_duration), _EXACT, Allowed("seconds or h:mm:ss above 0")
]
Rate = Annotated[
    Fraction,
    BeforeValidator(parse_rate),
    _EXACT,
    Allowed("frames a second from 0.001 to 1000, as 25, 23.976 or 24000/1001"),
]
Place = Annotated[str, BeforeValidator(_check_position), Allowed(f"seconds, as {POSITION_WORDS}")]
Weighted = Annotated[
    str,
    AfterValidator(_check_weighted),
    Allowed("TEXT or TEXT::WEIGHT, the weight above 0"),
]
WeightedFile = Annotated[
    str, AfterValidator(_check_weighted), Allowed("FILE or FILE::WEIGHT, the weight above 0")
]
Scene = Annotated[
    tuple[str, str],
    BeforeValidator(_parse_scene),
    Allowed(
        f"TIME TEXT or TIME TEXT::WEIGHT, the time in seconds or a unit, as {POSITION_WORDS}; "
        "the weight an expression"
    ),
]
Assignments = Annotated[
    list[str],
    BeforeValidator(_parse_assignments),
    Allowed("NAME=EXPRESSION, as strength=0.1+0.3*bass"),
]
Device = Annotated[str, AfterValidator(check_device_name), Allowed(DEVICES)]
Size = Annotated[
    str,
    BeforeValidator(_check_size),
    Allowed(f"WIDTHxHEIGHT, WIDTH or source; {SMALLEST_SIDE} to {LARGEST_SIDE} a side"),
]
Pair = Annotated[
    tuple[float, float],
    BeforeValidator(parse_pair),
    PlainSerializer(lambda pair: f"{pair[0]:.15g},{pair[1]:.15g}", return_type=str),
]
