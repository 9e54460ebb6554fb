"""Types of options: parsers of what is typed, and the marks that fields carry."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from dreamvid.errors import shown

WEIGHT_SEPARATOR = "::"
AREA_SEPARATOR = "@@"
DEVICES = "auto, cpu, cuda, cuda:N or mps"
POSITION_WORDS = "2.5, 1:02.5, 48f (frames), 16b (beats) or 4bar"
SLOWEST_RATE, FASTEST_RATE = Fraction(1, 1000), 1000
SMALLEST_SIDE, LARGEST_SIDE = 16, 16384
"""Pixels of a frame's side."""
USUAL_COLOURS, MOST_COLOURS = 5, 32
"""Colours of a palette, which are taken from a picture."""
MOST_SECTORS = 64
"""Sectors of a kaleidoscope."""
LONGEST_S = 10**9
"""Largest number of seconds, about 31 years; files count in ticks of 64 bits."""
# The numbers of digits are limited, because Python's integers are not.
_DECIMAL = r"\d{1,30}(?:\.\d{1,30})?"
_RATIO = r"\d{1,200}/0*[1-9]\d{0,199}"


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
    """Seconds from a number, `"2.5s"`, `"m:ss"` or `"h:mm:ss.fff"`; exact, up to LONGEST_S.

    Raises ValueError.
    """
    seconds = value if isinstance(value, Fraction) else _read_seconds(_plain(value))
    if not 0 <= seconds <= LONGEST_S:
        raise ValueError("out of range")
    return seconds


def _plain(value: object) -> str:
    """A value as typed: a float of a file without an exponent, which Python writes for 1e-5."""
    if isinstance(value, float) and math.isfinite(value):
        return format(Decimal(str(value)), "f")
    return str(value).strip()


def _read_seconds(text: str) -> Fraction:
    if re.fullmatch(_RATIO, text):  # as `_shortest` writes it
        return Fraction(text)
    pattern = rf"(?:(?:(\d{{1,30}}):)?(\d{{1,30}}):)?({_DECIMAL})s?"
    match = re.fullmatch(pattern, text)
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
    text = str(value).strip()
    if re.fullmatch(rf"{_DECIMAL}|{_RATIO}", text) is None:
        raise ValueError("not a rate")
    rate = Fraction(text)
    if not SLOWEST_RATE <= rate <= FASTEST_RATE:
        raise ValueError("out of range")
    return rate


def _shortest(value: Fraction) -> float | str:
    """A number without exponent that parses back to the same Fraction, or its `p/q`."""
    number = str(float(value))
    return float(value) if "e" not in number and Fraction(number) == value else str(value)


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
    match = re.fullmatch(rf"({_DECIMAL})(f|b|bar)", str(value).strip())
    if match is None:
        return Position(parse_seconds(value), "seconds")
    return Position(Fraction(match[1]), _UNITS[match[2]])


def _check_position(value: object) -> str:
    parse_position(value)
    return _plain(value)


def parse_pair(value: object) -> tuple[float, float]:
    """Two numbers from `"X,Y"` or a pair of them. Raises ValueError."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or len(parts) != 2:
        raise ValueError("not a pair")
    try:
        x, y = (float(part) for part in parts)
    except (TypeError, OverflowError):  # from a file
        raise ValueError("not numbers") from None
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError("not numbers")
    return x, y


def _print_pair(pair: tuple[float, float]) -> str:
    """The pair as `parse_pair` reads it back, `0.5,1` instead of `0.5,1.0`."""
    return ",".join(
        short if float(short := f"{number:.15g}") == number else repr(number) for number in pair
    )


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


def _check_everywhere(text: str) -> str:
    if AREA_SEPARATOR in text:
        raise ValueError("only prompts have areas")
    return text


AreaKind = Literal["file", "where", "where-not", "rest"]
_BY_WORDS: tuple[AreaKind, ...] = ("where", "where-not")


@dataclass(frozen=True)
class Area:
    """A part of the picture in which a prompt acts."""

    kind: AreaKind
    """What tells it: a mask in a file, what the guide sees or does not see by its words, or that
    no other area takes it."""
    name: str = ""
    """The file's path, or the words."""

    @property
    def is_of_file(self) -> bool:
        """Whether it is a mask in a file."""
        return self.kind == "file"

    @property
    def is_of_words(self) -> bool:
        """Whether the guide finds it."""
        return self.kind in _BY_WORDS

    def __str__(self) -> str:
        """The area as it is typed."""
        return self.name if self.is_of_file else ":".join(filter(None, (self.kind, self.name)))


def split_area(text: str) -> tuple[str, Area | None]:
    """Split `"fire@@left.png"` into its text and its area; None for a text that acts everywhere.

    Only a double sign separates, so that an @ in a prompt stays one. The weight is not in `text`.
    Raises ValueError if text or area is empty.
    """
    body, separator, name = (part.strip() for part in text.rpartition(AREA_SEPARATOR))
    if not separator:
        return text, None
    area = Area("rest") if name == "rest" else Area("file", name)
    for kind in _BY_WORDS:
        if name.startswith(f"{kind}:"):
            area = Area(kind, name.removeprefix(f"{kind}:").strip())
    if not body or not (area.name or area.kind == "rest"):
        raise ValueError("not a prompt and an area")
    return body, area


def _check_prompt(text: str) -> str:
    split_area(split_weight(text)[0])
    return text


def check_unicode(text: str) -> str:
    """Return `text` unless it holds bytes that are no characters. Raises ValueError."""
    text.encode()
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
    time, text = (check_unicode(_plain(part)) for part in pair)
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
        return [f"{name}={_text(expression)}" for name, expression in value.items()]
    return [_text(text) for text in value] if isinstance(value, list) else [_text(value)]


def _text(value: object) -> str:
    """A text itself; another value, which a file may hold, as a message shows it."""
    return value if isinstance(value, str) else shown(value)


def _parse_assignments(value: object) -> list[str]:
    """`NAME=EXPRESSION` each, from a list or a table; of two for one name the later counts."""
    pairs = dict(split_assignment(str(text)) for text in list_assignments(value))
    return [f"{name}={expression}" for name, expression in pairs.items()]


@dataclass(frozen=True)
class MusicFile:
    """A file of --music: a sound, or the notes of a MIDI file."""

    path: str
    name: str = ""
    """What its features are called by, as `drums` in `drums_onset`; empty where it has no name."""

    @property
    def is_midi(self) -> bool:
        """Whether it holds notes instead of a sound."""
        return self.path.lower().endswith((".mid", ".midi"))


def parse_music(text: str) -> MusicFile:
    """The file in `"FILE"` or `"drums=FILE"`; a path with an equals sign needs a `./` before it.

    Raises ValueError if a name has no file.
    """
    match = re.fullmatch(r"([A-Za-z][A-Za-z0-9_]{0,30})=(.*)", text, re.DOTALL)
    name, path = (match[1], match[2]) if match else ("", text)
    if not path:
        raise ValueError("no file")
    return MusicFile(path, name)


def _list_music(value: object) -> object:
    """A list, where a file or an older result holds one text or none."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


def _check_music(text: str) -> str:
    parse_music(text)
    return text


def split_palette(text: str) -> tuple[str, int]:
    """The path of a picture and the number of its colours, from `"FILE"` or `"FILE::8"`.

    Raises ValueError where that number is not allowed.
    """
    body, separator, tail = text.rpartition(WEIGHT_SEPARATOR)
    path, count = (body, tail) if separator else (text, str(USUAL_COLOURS))
    if not path.strip() or re.fullmatch(r"\d{1,3}", count) is None:
        raise ValueError("not a palette")
    if not 2 <= int(count) <= MOST_COLOURS:
        raise ValueError("too many colours")
    return path.strip(), int(count)


def parse_colours(text: str) -> list[tuple[float, float, float]] | None:
    """The colours in `"#112233,#aabbcc"`, as red, green and blue in [0, 1]; None for a file's name.

    Raises ValueError where a colour is none, or where there are too many.
    """
    if not text.startswith("#"):
        return None
    colours = [colour.strip() for colour in text.split(",")]
    if len(colours) > MOST_COLOURS:
        raise ValueError("too many colours")
    if not all(re.fullmatch(r"#[0-9a-fA-F]{6}", colour) for colour in colours):
        raise ValueError("not a colour")
    numbers = [bytes.fromhex(colour[1:]) for colour in colours]
    return [(red / 255, green / 255, blue / 255) for red, green, blue in numbers]


def parse_colour_count(text: str) -> int | None:
    """The number of the source's own colours in `"5"`; None for colours and for a file's name.

    Raises ValueError where that number is not allowed.
    """
    if re.fullmatch(r"\d{1,9}", text) is None:
        return None
    if not 2 <= int(text) <= MOST_COLOURS:
        raise ValueError("too many colours")
    return int(text)


def _check_palette(value: object) -> str:
    text = str(value).strip()
    if parse_colour_count(text) is None and parse_colours(text) is None:
        split_palette(text)
    return text


def check_device_name(name: str) -> str:
    """Return `name` if a device can have it, present or not. Raises ValueError."""
    if re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,4})?", name) is None:
        raise ValueError("not a device")
    return name


def _check_size(value: object) -> str:
    text = str(value).strip().lower()
    match = re.fullmatch(r"source|(\d{1,9})(?:x(\d{1,9}))?", text)
    sides = [int(side) for side in match.groups() if side] if match else [0]
    if not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in sides):
        raise ValueError("not a size")
    return text


def _check_symmetry(value: object) -> str:
    text = str(value).strip().lower()
    match = re.fullmatch(r"none|mirror|quad|tile|kaleidoscope:(\d{1,3})", text)
    if match is None or (match[1] and not 2 <= int(match[1]) <= MOST_SECTORS):
        raise ValueError("not a symmetry")
    return text


_TIME = "seconds up to 1e9, or h:mm:ss"
_EXACT = PlainSerializer(_shortest, return_type=float | str)

Seconds = Annotated[Fraction, BeforeValidator(parse_seconds), _EXACT, Allowed(_TIME)]
Duration = Annotated[
    Fraction, BeforeValidator(parse_duration), _EXACT, Allowed(f"{_TIME}, above 0")
]
Rate = Annotated[
    Fraction,
    BeforeValidator(parse_rate),
    _EXACT,
    Allowed("frames a second from 0.001 to 1000, as 25, 23.976 or 24000/1001"),
]
Place = Annotated[str, BeforeValidator(_check_position), Allowed(f"seconds, as {POSITION_WORDS}")]
Everywhere = Annotated[
    str,
    AfterValidator(check_unicode),
    AfterValidator(_check_weighted),
    AfterValidator(_check_everywhere),
    Allowed("TEXT or TEXT::WEIGHT, the weight above 0; no @@, which is for --prompt"),
]
Prompt = Annotated[
    str,
    AfterValidator(check_unicode),
    AfterValidator(_check_prompt),
    Allowed(
        "TEXT or TEXT::WEIGHT, the weight above 0; for an area TEXT@@AREA, which is a mask FILE, "
        "where:WORDS, where-not:WORDS or rest"
    ),
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
Music = Annotated[
    list[Annotated[str, AfterValidator(_check_music)]],
    BeforeValidator(_list_music),
    Allowed("FILE or NAME=FILE, the name of letters, digits and _"),
]
Colours = Annotated[
    str,
    BeforeValidator(_check_palette),
    Allowed(
        f"colours as #112233,#aabbcc; N, the number of the source's own, 2 to {MOST_COLOURS}; or a "
        "picture FILE or FILE::N"
    ),
]
Words = Annotated[str, AfterValidator(check_unicode), Allowed("a text")]
Device = Annotated[str, AfterValidator(check_device_name), Allowed(DEVICES)]
Size = Annotated[
    str,
    BeforeValidator(_check_size),
    Allowed(f"WIDTHxHEIGHT, WIDTH or source; {SMALLEST_SIDE} to {LARGEST_SIDE} a side"),
]
SymmetryName = Annotated[
    str,
    BeforeValidator(_check_symmetry),
    Allowed(f"none, mirror, quad, tile or kaleidoscope:N, N from 2 to {MOST_SECTORS}"),
]
Pair = Annotated[
    tuple[float, float],
    BeforeValidator(parse_pair),
    PlainSerializer(_print_pair, return_type=str),
]
