"""Options in words: for help texts, TOML files and one-line errors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from dreamvid.config.sections import Section
from dreamvid.config.values import Allowed, Flag, kebab
from dreamvid.errors import ConfigError, shown


@dataclass(frozen=True)
class Option:
    """Description of one field of a model."""

    field: str
    name: str
    short: str | None
    section: str
    help: str
    allowed: str
    default: Any
    is_flag: bool
    is_list: bool


def options(model: type[Section]) -> list[Option]:
    """The options of `model`, section by section, in the order of their declaration."""
    homes: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, Section):
            for name in base.__annotations__:
                homes.setdefault(name, _title(base, model))
    found = [
        _option(name, model.model_fields[name], title)
        for name, title in homes.items()
        if name in model.model_fields
    ]
    order = list(dict.fromkeys(option.section for option in found))
    return sorted(found, key=lambda option: order.index(option.section))


def _title(section: type[Section], model: type[Section]) -> str:
    """The title of `section`, or of the nearest part of `model` that includes it."""
    titles = [
        vars(part)["title"]
        for part in model.__mro__
        if issubclass(part, section) and "title" in vars(part)
    ]
    return titles[-1] if titles else ""


def _option(name: str, field: FieldInfo, section: str) -> Option:
    default = field.get_default()
    shorts = [mark.short for mark in field.metadata if isinstance(mark, Flag)]
    return Option(
        field=name,
        name=kebab(name),
        short=shorts[0] if shorts else None,
        section=section,
        help=field.description or "",
        allowed=_allowed(field.annotation, field.metadata),
        default=default,
        is_flag=isinstance(default, bool),
        is_list=isinstance(default, list),
    )


_KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _allowed(annotation: Any, marks: list[Any]) -> str:
    """Words for the values that a field of this type and with these constraints takes."""
    words = [mark.words for mark in marks if isinstance(mark, Allowed)]
    if words:
        return words[0]
    arguments = [kind for kind in get_args(annotation) if kind is not type(None)]
    if get_origin(annotation) is Literal:
        return ", ".join(map(str, arguments))
    if get_origin(annotation) is Annotated:
        return _allowed(annotation.__origin__, list(annotation.__metadata__))
    if arguments:  # a list or an optional of one kind
        return _allowed(arguments[0], marks)
    return _KINDS[annotation] + _bounds(marks)


def _bounds(marks: list[Any]) -> str:
    limits = {
        name: f"{getattr(mark, name):.15g}"
        if isinstance(getattr(mark, name), float)
        else getattr(mark, name)
        for mark in marks
        for name in ("ge", "gt", "le")
        if getattr(mark, name, None) is not None
    }
    words = {"ge": "from", "gt": "above", "le": "to" if "ge" in limits else "up to"}
    return "".join(f" {words[name]} {limits[name]}" for name in words if name in limits)


def to_toml(config: Section) -> str:
    """The options as TOML with a comment each, readable by `build_config`.

    Raises ConfigError for the name of a file that is no Unicode, which TOML cannot hold.
    """
    values = config.model_dump(mode="json", by_alias=True)
    lines: list[str] = []
    heading = None
    for option in options(type(config)):
        if option.section != heading:
            heading = option.section
            lines += ["", f"## {heading}"]
        value = values[option.name]
        entry = f"# {option.name} =" if value is None else f"{option.name} = {_toml_value(value)}"
        try:
            entry.encode()
        except UnicodeEncodeError:
            raise ConfigError(
                f"--{option.name}: '{shown(value)}' is no Unicode, and TOML is; allowed: a name "
                "that is"
            ) from None
        lines += [f"# {option.help} Allowed: {option.allowed}.", entry]
    return "\n".join(lines[1:]) + "\n"


def _toml_value(value: Any) -> str:
    """JSON is TOML for strings, numbers, booleans and flat lists of them, except for U+007F."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def one_line(model: type[Section], error: ValidationError, prefix: str = "--") -> str:
    """The first complaint, as `--steps: -3 is not allowed; allowed: …`."""
    first = error.errors()[0]
    if not first["loc"]:  # a rule between options, which words itself
        return str(first["ctx"]["error"])
    names = {option.name: option for option in options(model)}
    option = names.get(str(first["loc"][0]))
    if option is None:
        return f"unknown option '{shown(first['loc'][0])}'; allowed: {', '.join(sorted(names))}"
    value = shown(first["input"])
    return f"{prefix}{option.name}: '{value}' is not allowed; allowed: {option.allowed}"
