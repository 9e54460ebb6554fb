"""What users write reads back as the same, or is refused in one line; and either soon."""

from __future__ import annotations

import json
import math
import string
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dreamvid.config import (
    MODELS,
    EvalConfig,
    ImageConfig,
    Section,
    VideoConfig,
    ZoomConfig,
    build_config,
    options,
    parse_position,
    split_weight,
    to_toml,
)
from dreamvid.config.loading import LARGEST_FILE
from dreamvid.config.values import Pair, Rate, Seconds, Size
from dreamvid.control.clock import Clock
from dreamvid.control.expressions import FUNCTIONS, Expression, Text
from dreamvid.control.schedule import LONGEST, Schedule
from dreamvid.errors import ConfigError
from tests.processor_time import limited

CLOCK = Clock(Fraction(25), 20, bpm=120.0, beats=(0.0, 0.5))
LONGEST_MESSAGE = 5000


def properties(examples: int) -> Callable[[Any], Any]:
    """The same examples each time, in any number of seconds."""
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def refusal(error: ConfigError) -> str:
    """The message, which is one line of a length that can be read."""
    text = str(error)
    assert text
    assert len(text.splitlines()) == 1
    assert len(text) < LONGEST_MESSAGE
    assert len(error.excerpt.splitlines()) in (0, 2)
    return text


def read_back(model: type[Section], config: Section, file: Path) -> Section:
    file.write_text(to_toml(config), encoding="utf-8")
    return build_config(model, file=file)


def accepted(model: type[Section], values: dict[str, Any], file: Path) -> bool:
    """Whether options are allowed; those that are read back as the same, from TOML and JSON."""
    with limited():
        try:
            config = build_config(model, given=values)
            assert read_back(model, config, file) == config
        except ConfigError as error:
            refusal(error)
            return False
    assert model(**json.loads(json.dumps(config.model_dump(mode="json", by_alias=True)))) == config
    return True


# Numbers

DIGITS = st.text("0123456789", min_size=1, max_size=40)
DECIMAL = st.builds(lambda *parts: "".join(parts), DIGITS, st.just("."), DIGITS)
NUMBER = st.one_of(DIGITS, DECIMAL, st.floats(0, allow_nan=False).map(str))
TIME = st.one_of(
    NUMBER,
    NUMBER.map(lambda number: f"{number}s"),
    st.lists(NUMBER, min_size=2, max_size=4).map(":".join),
    st.fractions(0, 10**9).map(str),
)
ODD = st.one_of(
    st.text(max_size=30),
    st.text(string.digits + ".:/,eExsfbar+-_ ", max_size=30),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.sampled_from(["9" * 5000, "1e999999999", "0x1", "1/0", "٣", "1_0", 10**5000, -(10**400)]),
    st.lists(st.integers(), max_size=3),
)
KINDS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "seconds": (Seconds, TIME),
    "rate": (Rate, st.one_of(NUMBER, st.fractions(0, 1000).map(str))),
    "size": (Size, st.lists(st.integers(0, 20_000), min_size=1, max_size=2).map(
        lambda sides: "x".join(map(str, sides)))),
    "pair": (Pair, st.one_of(st.tuples(NUMBER, NUMBER).map(",".join),
                             st.tuples(st.floats(), st.floats()))),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@properties(150)
@given(data=st.data())
def test_a_number_prints_back_to_itself_or_is_refused(kind, data):
    adapter: TypeAdapter[Any] = TypeAdapter(KINDS[kind][0])
    written = data.draw(st.one_of(KINDS[kind][1], ODD))
    with limited():
        try:
            value = adapter.validate_python(written)
        except ValidationError:
            return
        printed = adapter.dump_python(value, mode="json")
        assert adapter.validate_python(json.loads(json.dumps(printed))) == value
        assert adapter.validate_python(str(printed)) == value


@properties(100)
@given(NUMBER, st.sampled_from(["f", "b", "bar", "s", ""]))
def test_a_position_is_exact_or_refused(number, unit):
    try:
        position = parse_position(number + unit)
    except ValueError:
        return
    assert position.value == Fraction(number)
    assert math.isfinite(CLOCK.seconds(position))


@properties(150)
@given(st.text(max_size=40), st.one_of(st.floats(), st.none()))
def test_a_weight_is_that_of_its_text(text, weight):
    written = text if weight is None else f"{text}::{weight!r}"
    try:
        body, found = split_weight(written)
    except ValueError:
        is_wrong = weight is not None and not 0 < weight < math.inf
        assert is_wrong or not text.strip() or "::" in text
        return
    if weight is not None or "::" not in text:
        assert (body, found) == (text.strip(), 1.0 if weight is None else weight)
    assert split_weight(f"{body}::{found!r}") == (body, found)


# Options and their files


def values_of(model: type[Section]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of the options, with values of the right kind and of others."""
    texts = st.text(max_size=20)
    likely = st.one_of(st.integers(-2, 200), st.floats(-1, 100), TIME, texts)
    each = {
        option.field: st.one_of(
            likely,
            ODD,
            *([st.lists(texts, max_size=3)] if option.is_list else []),
            *([st.sampled_from(option.allowed.split(", "))] if ", " in option.allowed else []),
        )
        for option in options(model)
    }
    return st.dictionaries(st.sampled_from(sorted(each)), st.none(), max_size=3).flatmap(
        lambda names: st.fixed_dictionaries({name: each[name] for name in names})
    )


@pytest.mark.parametrize("model", MODELS)
@properties(60)
@given(data=st.data())
def test_options_read_back_as_the_same_or_are_refused(model, data, tmp_path_factory):
    accepted(model, data.draw(values_of(model)), tmp_path_factory.getbasetemp() / "options.toml")


TOML_VALUE = st.recursive(
    st.one_of(
        st.integers(),
        st.integers(2**63, 2**80),
        st.floats(),
        st.booleans(),
        st.dates(),
        st.times(),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    ),
    max_leaves=6,
)


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value).replace("\x7f", "\\u007f").replace("\\ud", "?")
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


@pytest.mark.parametrize("model", [VideoConfig, ZoomConfig, ImageConfig, EvalConfig])
@properties(40)
@given(data=st.data())
def test_a_file_of_any_values_is_read_or_refused(model, data, tmp_path_factory):
    names = sorted(option.name for option in options(model))
    values = data.draw(st.dictionaries(st.sampled_from(names), TOML_VALUE, max_size=2))
    file = tmp_path_factory.getbasetemp() / "values.toml"
    file.write_text(
        "".join(f"{name} = {toml(each)}\n" for name, each in values.items()), encoding="utf-8"
    )
    with limited():
        try:
            config = build_config(model, file=file, preset=file)
            assert read_back(model, config, file) == config
        except ConfigError as error:
            refusal(error)


@properties(100)
@given(rubbish=st.binary(max_size=60), place=st.integers(0, 10**6))
def test_a_damaged_file_is_read_or_refused(rubbish, place, tmp_path_factory):
    whole = to_toml(VideoConfig(prompt=["a rose"], set_=["tv=8*bass"])).encode()
    place %= len(whole)
    file = tmp_path_factory.getbasetemp() / "damaged.toml"
    file.write_bytes(whole[:place] + rubbish + whole[place + len(rubbish) :])
    with limited():
        try:
            build_config(VideoConfig, file=file)
        except ConfigError as error:
            refusal(error)


MONSTROUS_FILES = {
    "nested": "steps = " + "[" * 100_000,
    "nested and closed": "steps = " + "[" * 5000 + "]" * 5000,
    "tables in tables": "steps = " + "{a = " * 5000,
    "a key of many parts": ".".join(["a"] * 100_000) + " = 1",
    "a key of many quoted parts": " . ".join(["'a'"] * 50_000) + " = 1",
    "a header of many parts": "[" + ".".join(["a"] * 50_000) + "]",
    "an integer": "steps = " + "9" * 500_000,
    "a hexadecimal one": "steps = 0x" + "f" * 500_000,
    "a hexadecimal float": "lr = 0x" + "f" * 500_000,
    "a hexadecimal pair": "pan = [0x" + "f" * 5000 + ", 1]",
    "a text": "prompt = '" + "a" * 900_000 + "::0'",
    "a name": '"' + "\\n" * 400_000 + '" = 1',
    "many texts": "prompt = [" + "'a'," * 100_000 + "]",
    "many keys": "".join(f"k{number} = 1\n" for number in range(30_000)),
    "many tables": "".join(f"[a.b{number}]\n" for number in range(20_000)),
    "numbers in set": "set = [1, 2, [3]]",
    "a table in set": "set = {tv = {a = 0x" + "f" * 5000 + "}}",
    "too large": "#" * (LARGEST_FILE + 1),
}


@pytest.mark.parametrize("name", MONSTROUS_FILES)
def test_a_monstrous_file_is_refused_in_a_second(name, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(MONSTROUS_FILES[name], encoding="utf-8")
    with limited():
        try:
            build_config(VideoConfig, file=file, preset=file)
        except ConfigError as error:
            refusal(error)
        else:
            assert name in ("many texts", "a table in set")  # no expression is read yet


def test_a_name_that_is_no_unicode_serves_for_files_alone(tmp_path):
    name = "\udcff.wav"
    config = VideoConfig(mask=name)
    assert config.mask == name
    with pytest.raises(ConfigError, match=r"--mask: '.*' is no Unicode"):
        to_toml(config)
    for field in ("prompt", "from_", "at"):
        assert not accepted(VideoConfig, {field: [f"0 {name}"], "to": ["a"]}, tmp_path / "x.toml")


# Expressions and key frames

NAMES = ("t", "frame", "bass", "beat", "pi")
TERM = st.one_of(
    st.sampled_from(NAMES),
    st.integers(0, 10**6).map(str),
    st.floats(0, allow_nan=False, allow_infinity=False).map(repr),
)
SOUND = st.recursive(
    TERM,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "%", "//", "**", "<", "&"]), inner)
        .map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(st.sampled_from(["-", "~", "not "]), inner)
        .map(lambda parts: f"({''.join(parts)})"),
        st.sampled_from(sorted(FUNCTIONS)).flatmap(
            lambda name: st.lists(
                inner, min_size=FUNCTIONS[name].least, max_size=FUNCTIONS[name].most
            ).map(lambda values: f"{name}({', '.join(values)})")
        ),
        st.tuples(inner, inner, inner).map(lambda parts: "({} if {} else {})".format(*parts)),
    ),
    max_leaves=12,
)  # fmt: skip
VARIABLES = {"t": 2.0, "frame": 50.0, "bass": 0.25, "beat": 4.5}


@properties(200)
@given(SOUND)
def test_an_expression_has_a_finite_value_or_is_refused(text):
    with limited():
        try:
            expression = Expression(Text("--set x", text), VARIABLES)
            value = expression(VARIABLES)
        except ConfigError as error:
            refusal(error)
            return
    assert math.isfinite(value)
    assert expression(VARIABLES) == value
    again = Expression(Text("--set x", f"({text})"), VARIABLES)
    assert again(VARIABLES) == value
    assert Expression(Text("--set x", repr(value)), VARIABLES)(VARIABLES) == value


def schedule(texts: list[str]) -> Schedule[VideoConfig]:
    made = Schedule(build_config(VideoConfig, given={"set_": texts}), CLOCK)
    made.check()
    return made


def plan(texts: list[str]) -> None:
    """Compute all settings of a film, or be refused."""
    with limited():
        try:
            schedule(texts)
        except ConfigError as error:
            refusal(error)


PIECES = st.sampled_from(
    ["t", "1", ".", "(", ")", ":", ",", "s", "b", "bar", "0", "9", "e9", "+", "**", "~", "'", '"',
     "\\", "\n", "\r", "\0", "#", "é", "π", "\ud800", "=", "lambda", " if ", " else ", "max_f", "_",
     "[", "]", "{", "}", "*", ":=", "0x", "1j", "f'", "…", "٣", "\x0c", "\u2028", "@", ";", "None"]
)  # fmt: skip


@properties(250)
@given(st.sampled_from(["tv", "steps", "strength", "prompt1"]), st.lists(PIECES, max_size=15))
def test_any_text_is_an_expression_key_frames_or_refused(name, pieces):
    plan([f"{name}={''.join(pieces)}"])


PLACE = st.one_of(st.integers(0, 30).map(str), DIGITS, TIME, SOUND)


@properties(100)
@given(st.lists(st.tuples(PLACE, st.one_of(TERM, SOUND)), min_size=1, max_size=4))
def test_key_frames_have_a_value_at_each_frame_or_are_refused(keys):
    plan([f"tv={', '.join(f'{place}:({value})' for place, value in keys)}"])


@properties(100)
@given(st.lists(st.integers(0, 19), min_size=1, max_size=5, unique=True), st.data())
def test_key_frames_go_through_their_keys(places, data):
    values = data.draw(st.lists(st.floats(0, 1000), min_size=len(places), max_size=len(places)))
    keys = dict(zip(places, values, strict=True))
    made = schedule([f"tv={', '.join(f'{place}:({value!r})' for place, value in keys.items())}"])
    for place, value in keys.items():
        assert made(Fraction(place, 25), place).values["tv"] == value


MONSTROUS_TEXTS = {
    "a tower": "9**9**9**9",
    "a tower of negatives": "-9**-9**9",
    "parentheses": "(" * 5000 + "1" + ")" * 5000,
    "minus signs": "-" * 9000 + "1",
    "a sum": "1+" * 4000 + "1",
    "a row of comparisons": "1<" * 4000 + "1",
    "conditions": "1 if t else " * 800 + "1",
    "functions in functions": "sin(" * 2000 + "t" + ")" * 2000,
    "an integer": "9" * 9000,
    "a hexadecimal one": "0x" + "f" * 9000,
    "a name": "x" * 9000,
    "a text": "'" + "x" * 9000 + "'",
    "a megabyte": "1+" * 500_000 + "1",
    "a megabyte of colons": ":" * 1_000_000,
    "a megabyte of commas": "0:1" + "," * 1_000_000,
    "many keys": ",".join(f"{place}:(1)" for place in range(5000)),
    "many keys of expressions": ",".join(f"{place}:(t*0)" for place in range(4000)),
    "keys at one place": "0:1," * (LONGEST // 4),
    "colons": ":" * LONGEST,
    "a place of many digits": "9" * 5000 + ":(1)",
    "a time of many digits": "9" * 5000 + "s:(1)",
    "a value of many digits": "0:(" + "9" * 5000 + "), 9:(1)",
    "infinite": "0:(1e999), 9:(0)",
    "as far apart as can be": "0:(1e308), 19:(-1e308)",
}


@pytest.mark.parametrize("text", MONSTROUS_TEXTS.values(), ids=MONSTROUS_TEXTS)
@pytest.mark.parametrize("name", ["tv", "steps"])
def test_a_monstrous_text_is_planned_or_refused_in_a_second(name, text):
    plan([f"{name}={text}"])


def test_python_s_own_warnings_are_not_shown(recwarn):
    assert schedule(["tv=1if t else 0"])(Fraction(1), 25).values["tv"] == 1
    plan([r"tv='\d'"])
    assert not recwarn.list
