"""Hints for frequent mistakes on the command line: what to type instead, in one line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from dreamvid.errors import ConfigError

TEXT_OPTIONS = {
    "-p": "--prompt",
    "--prompt": "--prompt",
    "-n": "--negative",
    "--negative": "--negative",
    "--from": "--from",
    "--to": "--to",
}
"""Options whose value is a text, and their long names."""


def check_texts(arguments: Sequence[str]) -> None:
    """Raise ConfigError for a text that begins with a dash: it may be an option out of place."""
    for option, value in pairwise(arguments):
        if option == "--":
            return
        if option in TEXT_OPTIONS and value.startswith("-") and value != "-":
            ways = dict.fromkeys((f"{option}={value}", f"{TEXT_OPTIONS[option]}={value}"))
            raise ConfigError(
                f"{option}: '{value}' begins with a dash; allowed: a text, or {' or '.join(ways)}"
            )


def split_short(arguments: Sequence[str]) -> list[str]:
    """Spell `-p=TEXT` as `--prompt=TEXT`, since the parser keeps the sign in the text."""
    split: list[str] = []
    for index, argument in enumerate(arguments):
        if argument == "--":
            return [*split, *arguments[index:]]
        option, sign, value = argument.partition("=")
        if sign and option in TEXT_OPTIONS:
            argument = f"{TEXT_OPTIONS[option]}={value}"
        split.append(argument)
    return split


def find_hint(message: str, arguments: Sequence[str]) -> str | None:
    """A hint for the parser's `message` about `arguments`, if the mistake is a known one."""
    if extra := re.search(r"extra argument\S* \((.*)\)", message):
        return _quotes(arguments, len(extra[1].split(" ")))
    if message.startswith("No such command") and "Did you mean" not in message:
        return next((_command(name) for name in arguments if repr(name) in message), None)
    if unknown := re.match(r"No such option: (--width|--height)\b", message):
        return _size(unknown[1], arguments)
    return None


def _quotes(arguments: Sequence[str], extra: int) -> str | None:
    """A hint to quote the text of which `extra` words stand outside quotes; None if none."""
    for index, option in enumerate(arguments):
        words = list(arguments[index + 1 : index + 2 + extra])
        dashed = [number for number, word in enumerate(words) if word.startswith("-")]
        words = words[: dashed[0]] if dashed else words
        if option in TEXT_OPTIONS and len(words) > 1:
            return f'put the prompt in quotes: {option} "{" ".join(words)}"'
    return None


def _command(name: str) -> str | None:
    """A hint for a file `name` in the place of a command; None if it is no file."""
    if not (Path(name).suffix or Path(name).exists()):
        return None
    return f"'{name}' stands where a command should; did you mean dreamvid video {name} …?"


def _size(option: str, arguments: Sequence[str]) -> str:
    """A hint for --size instead of `option`, --width or --height."""
    typed = " ".join(arguments)
    value = re.search(rf"{option}[ =](\d+)", typed)
    if option == "--width":
        width = value[1] if value else "WIDTH"
        return f"No such option: --width; --size {width} sets the width"
    height = value[1] if value else "HEIGHT"
    return f"No such option: --height; --size WIDTHx{height} sets both sides"
