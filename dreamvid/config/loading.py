"""Effective options: defaults, presets, files and the command line, laid over one another."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from dreamvid.config.describing import one_line, options
from dreamvid.config.sections import MODELS, Section
from dreamvid.config.values import kebab, list_assignments
from dreamvid.errors import ConfigError, shown

LARGEST_FILE = 2**20
"""Largest number of bytes of a configuration file."""
_DEEP_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){50}""")
"""A key of so many parts; tomllib's time and memory grow with the square of their number."""
Config = TypeVar("Config", bound=Section)
Kind = TypeVar("Kind")


def build_config(
    model: type[Config],
    *,
    file: Path | None = None,
    preset: Path | None = None,
    base: Section | None = None,
    given: Mapping[str, Any] | None = None,
) -> Config:
    """The effective options: `given` over `base` over `file` over `preset` over the defaults.

    `given` is by field name; of `base` only what was set counts. Assignments of --set are replaced
    one by one, and also by a plain value in a layer above. Raises ConfigError with one line that
    names the option, its value and what is allowed.
    """
    layers = [_layer(model, path) for path in (preset, file) if path is not None]
    set_before = (
        {} if base is None else {name: getattr(base, name) for name in base.model_fields_set}
    )
    layers += [
        {kebab(name): value for name, value in each.items()} for each in (set_before, given or {})
    ]
    values = {name: value for layer in layers for name, value in layer.items()}
    if "set" in values:
        values["set"] = _assignments_over(layers)
    try:
        return model(**values)
    except ValidationError as error:
        raise ConfigError(one_line(model, error)) from None


def varied(config: Config, values: Mapping[str, float]) -> Config:
    """`config` with other values, by field name, for the options that vary.

    Values of whole-number options are rounded. Raises ConfigError for one that is not allowed, in
    the words of --set, which names them.
    """
    model = type(config)
    whole = {name for name in values if model.model_fields[name].annotation is int}
    given = {name: round(value) if name in whole else value for name, value in values.items()}
    try:
        return model.model_validate({**dict(config), **given})
    except ValidationError as error:
        raise ConfigError(one_line(model, error, "--set ")) from None


def read_toml(file: Path) -> dict[str, Any]:
    """The keys and values of a configuration file.

    Raises ConfigError if the file cannot be read, or a key is no option of any command.
    """
    values = parse_toml(file)
    _check_known(values, f"configuration '{file}'")
    return values


def config_from(model: type[Config], values: Mapping[str, Any], where: str) -> Config:
    """Those of `values`, by option name, that `model` has, over its defaults.

    Raises ConfigError, which begins with `where` they are from, for a name that is no option of
    any command, or a value that is not allowed.
    """
    _check_known(values, where)
    known = {option.name for option in options(model)}
    try:
        return model(**{name: value for name, value in values.items() if name in known})
    except ValidationError as error:
        raise ConfigError(f"{where}: {one_line(model, error)}") from None


def _check_known(values: Mapping[str, Any], where: str) -> None:
    known = {option.name for model in MODELS for option in options(model)}
    for name in values:
        if name not in known:
            raise ConfigError(
                f"{where}: unknown option '{shown(name)}'; allowed: {', '.join(sorted(known))}"
            )


def parse_toml(file: Path) -> dict[str, Any]:
    """All that is in a TOML file. Raises ConfigError if it cannot be read."""
    text = _read_text(file)
    try:
        if _DEEP_KEY.search(text):
            raise RecursionError
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"configuration '{file}' is nested too deeply; allowed: flat") from None
    except ValueError as error:  # also of an integer with thousands of digits
        raise ConfigError(f"configuration '{file}' is not TOML: {shown(error)}") from None


def _read_text(file: Path) -> str:
    """The text of a configuration file. Raises ConfigError if it is unreadable or too large."""
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
        if len(content) <= LARGEST_FILE:
            return content.decode().replace("\r\n", "\n")
    except OSError as error:
        raise ConfigError(f"configuration '{file}': {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"configuration '{file}' is not TOML: {error}") from None
    raise ConfigError(
        f"configuration '{file}' has more than {LARGEST_FILE} bytes; allowed: up to so many"
    )


def _layer(model: type[Section], file: Path) -> dict[str, Any]:
    """The values of a file for the options of `model`."""
    known = {option.name for option in options(model)}
    return listed(model, {key: value for key, value in read_toml(file).items() if key in known})


def listed(model: type[Section], values: Mapping[str, Any]) -> dict[str, Any]:
    """The same `values`, by name or field, in which one text stands for a list of it."""
    lists = {option.name for option in options(model) if option.is_list}
    return {
        name: [value] if kebab(name) in lists and isinstance(value, str) else value
        for name, value in values.items()
    }


def _assignments_over(layers: Sequence[Mapping[str, Any]]) -> list[str]:
    """The assignments of all `layers`, the topmost last, without those replaced by plain values."""
    kept: list[str] = []
    for layer in layers:
        kept = [text for text in kept if text.partition("=")[0].strip() not in layer]
        kept += list_assignments(layer.get("set", []))
    return kept


def checked(kind: type[Kind], values: Mapping[str, Any]) -> Kind:
    """The dataclass of type `kind` with these values, which may be those of somebody else's file.

    Raises ValueError for values of another type.
    """
    return TypeAdapter(kind).validate_python(values)
