"""What may be played, by name: one table for the page, for OSC and whoever comes next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dreamvid.errors import ConfigError, shown
from dreamvid.live.session import Session

CROSSING_S = 2.0
"""Seconds of a change from one prompt to another, where they are not told."""
Argument = float | str | bool


@dataclass(frozen=True)
class Command:
    """One thing that may be done beside setting a number."""

    arguments: str
    """What stands behind its name."""
    help: str


COMMANDS = {
    "prompt": Command("TEXT [SECONDS]", "Add a prompt, and cross over to it."),
    "cross": Command("NUMBER [SECONDS]", "Cross over to a prompt, by its number from 1."),
    "release": Command("NAME", "Let a number follow its option or expression again."),
    "preset": Command("NAME", "Lay a preset over what is played."),
    "tap": Command("", "Tap the tempo, twice or more."),
    "record": Command("1 or 0", "Begin or end a take."),
    "still": Command("", "Write the picture as PNG."),
}


class Commands:
    """Does what is asked of `session`; `presets` are files by name.

    Any thread may call it. Raises DreamvidError, in one line, where nothing was changed.
    """

    def __init__(self, session: Session, presets: Mapping[str, Path]) -> None:
        self.session, self.presets = session, presets
        self._actions: dict[str, Callable[[Sequence[Argument]], None]] = {
            "prompt": self._prompt,
            "cross": self._cross,
            "release": lambda given: session.bus.release(_text(given, "release")),
            "preset": self._preset,
            "tap": lambda given: self._tap(),
            "record": lambda given: session.record(bool(_number(given, "record"))),
            "still": lambda given: session.tell(f"still: {session.save_still()}"),
        }

    def do(self, name: str, given: Sequence[Argument]) -> None:
        """Do `name`: one of `COMMANDS`, or a number's name, with its value and perhaps seconds."""
        action = self._actions.get(name)
        if action is not None:
            action(given)
            return
        bus = self.session.bus
        bus.set(name, _number(given, name), self.session.now(), _seconds(given, 0.0))

    def _prompt(self, given: Sequence[Argument]) -> None:
        number = self.session.bus.add_prompt(_text(given, "prompt"))
        self.session.bus.cross(number, self.session.now(), _seconds(given, CROSSING_S))

    def _cross(self, given: Sequence[Argument]) -> None:
        number = _number(given, "cross")
        seconds = _seconds(given, CROSSING_S)
        if number != int(number):
            raise ConfigError(f"cross: {number:g} is not allowed; allowed: a prompt's number")
        self.session.bus.cross(int(number), self.session.now(), seconds)

    def _preset(self, given: Sequence[Argument]) -> None:
        name = _text(given, "preset")
        if name not in self.presets:
            raise ConfigError(
                f"preset: '{shown(name)}' does not exist; allowed: {', '.join(self.presets)}"
            )
        self.session.bus.use_preset(self.presets[name])
        self.session.tell(f"preset {name}")

    def _tap(self) -> None:
        self.session.bus.tap(self.session.elapsed())


def _number(given: Sequence[Argument], name: str, place: int = 0) -> float:
    value = given[place] if len(given) > place else None
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, int | float) or not abs(value) < 1e18:
        what = "nothing" if value is None else f"'{shown(value)}'"
        raise ConfigError(f"{shown(name)}: {what} is not allowed; allowed: a number")
    return float(value)


def _seconds(given: Sequence[Argument], usual: float) -> float:
    return _number(given, "seconds", 1) if len(given) > 1 else usual


def _text(given: Sequence[Argument], name: str) -> str:
    value = given[0] if given else None
    if not isinstance(value, str):
        raise ConfigError(f"{name}: '{shown(value)}' is not allowed; allowed: a text")
    return value
