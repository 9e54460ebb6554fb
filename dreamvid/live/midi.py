"""Numbers, commands and tempo by MIDI, from controllers, keyboards and drum machines."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dreamvid.config.loading import parse_toml
from dreamvid.control.schedule import WEIGHTED
from dreamvid.errors import ConfigError, DreamvidError, shown
from dreamvid.live.commands import COMMANDS, Argument, Commands
from dreamvid.live.session import Session

if TYPE_CHECKING:
    from mido import Message

ANY = "any"
"""Stands for the first input."""
HIGHEST = 127
PRESSED = 64
"""Value of a controller from which on it counts as a pressed button."""
PULSES = 24
"""Pulses of a MIDI clock in a beat."""
PULSES_PER_STEP = 6
"""Pulses in a step of a song position, a sixteenth."""
LONGEST_PULSE_S = 0.25
"""Seconds after which the next pulse begins a new tempo."""
USUAL_MAP = ("cc1=strength", *(f"note{35 + number}=cross:{number}" for number in range(1, 9)))
"""What is played where no map is given: the wheel, and the pads of most controllers."""


@dataclass(frozen=True)
class Action:
    """What a controller or a note does: set a number within a range, or do a command."""

    name: str
    arguments: tuple[Argument, ...] = ()
    """The ends of a number's range, or none; what a command takes."""

    @property
    def is_command(self) -> bool:
        return self.name in COMMANDS


def parse_map(texts: Sequence[str]) -> dict[str, Action]:
    """Actions by controller and note, from `cc1=strength:0:0.4`, `note36=cross:2` and TOML files.

    A file holds the same as `cc1 = "strength:0:0.4"`. Later texts override earlier ones.
    Raises ConfigError.
    """
    actions = {}
    for text in texts:
        key, separator, body = text.partition("=")
        pairs = {key: body} if separator else parse_toml(Path(text))
        for name, value in pairs.items():
            key = name.strip().lower()
            actions[key] = _action(key, value)
    return actions


def _action(key: str, body: object) -> Action:
    numbered = re.fullmatch(r"(?:cc|note)(\d{1,3})", key)
    if numbered is None or int(numbered[1]) > HIGHEST:
        raise ConfigError(
            f"--midi-map: '{shown(key)}' is not allowed; allowed: cc0 to cc{HIGHEST}, note0 to "
            f"note{HIGHEST}, and TOML files"
        )
    if not isinstance(body, str) or not body.strip():
        raise ConfigError(
            f"--midi-map {key}: '{shown(body)}' is not allowed; allowed: a number's name, perhaps "
            "with :LEAST:MOST, or a command"
        )
    name, *rest = (part.strip() for part in body.split(":"))
    action = Action(name, tuple(_argument(part) for part in rest))
    is_range = len(rest) in (0, 2) and all(isinstance(end, float) for end in action.arguments)
    if not action.is_command and not is_range:
        raise ConfigError(
            f"--midi-map {key}: '{shown(body)}' is not allowed; allowed: {shown(name)}, or "
            f"{shown(name)}:LEAST:MOST"
        )
    return action


def _argument(text: str) -> Argument:
    try:
        return float(text)
    except ValueError:
        return text


@dataclass(frozen=True)
class Midi:
    """A MIDI input: the first whose name has `port` in it, or any.

    A controller sets a number, over the range that `actions` gives it. A note sets it by its
    velocity, and lets it go at its end. Commands are done by notes, and by controllers as buttons.
    A MIDI clock gives the tempo. All channels count.
    """

    port: str = ANY
    actions: Mapping[str, Action] = field(default_factory=lambda: parse_map(USUAL_MAP))
    presets: Mapping[str, Path] = field(default_factory=dict)

    @contextmanager
    def __call__(self, session: Session) -> Iterator[str]:
        """Listen for `session`; the input's name. Raises ConfigError where it cannot."""
        keys = Keys(Commands(session, self.presets), self.actions)
        import mido

        try:
            name = self._find(mido.get_input_names())
            port = mido.open_input(name, callback=keys.hear)
        except ImportError:  # mido looks for it when it is first used
            raise ConfigError(
                "--midi needs python-rtmidi, which is not installed: pip install "
                "'dreamvid[live]'; allowed: without --midi"
            ) from None
        except OSError as error:
            reason = shown(error).rstrip(".")
            raise ConfigError(
                f"--midi {self.port}: {reason}; allowed: where the system has MIDI"
            ) from None
        with port:
            session.tell(f"MIDI from {name}")
            yield name

    def _find(self, names: Sequence[str]) -> str:
        wanted = "" if self.port == ANY else self.port.lower()
        found = next((name for name in names if wanted in name.lower()), None)
        if found is None:
            there = ", ".join(f"'{name}'" for name in dict.fromkeys(names))
            raise ConfigError(
                f"--midi {self.port}: there is no such input; allowed: {ANY}, or a part of {there}"
                if names
                else f"--midi {self.port}: there is no MIDI input; allowed: with one connected"
            )
        return found


class Keys:
    """Does what the messages of a controller ask for."""

    def __init__(self, commands: Commands, actions: Mapping[str, Action]) -> None:
        """Raise ConfigError for an action that is not there."""
        self._commands, self._actions = commands, actions
        self._session = commands.session
        self._pressed: set[str] = set()
        self._strange: set[str] = set()
        self._told = ""
        self._pulses: deque[float] = deque(maxlen=4 * PULSES + 1)
        self._count = 0
        for key, action in actions.items():
            self._check(key, action)

    def hear(self, message: Message) -> None:
        """Do what a message of mido asks for; one that is not allowed is told in one line."""
        try:
            if message.type == "control_change":
                self._turn(f"cc{message.control}", message.value)
            elif message.type in ("note_on", "note_off"):
                velocity = message.velocity if message.type == "note_on" else 0
                self._strike(f"note{message.note}", velocity)
            elif message.type == "clock":
                self._pulse()
            elif message.type == "start":
                self._count = 0
            elif message.type == "songpos":
                self._count = message.pos * PULSES_PER_STEP
        except DreamvidError as error:
            line = f"MIDI: {shown(error)}"
            if line != self._told:  # a knob sends it again and again
                self._session.tell(line)
            self._told = line

    def _check(self, key: str, action: Action) -> None:
        """Raise ConfigError for a range that a number does not have, and for none that may come.

        Prompts may be added later.
        """
        name, bus = action.name, self._session.bus
        if action.is_command or re.fullmatch(f"({'|'.join(WEIGHTED)})[0-9]+", name):
            return
        try:
            bus.number(name)
            for value in action.arguments:
                bus.check(name, value)
        except ConfigError as error:
            raise ConfigError(f"--midi-map {key}: {error}") from None

    def _turn(self, key: str, value: int) -> None:
        action = self._find(key)
        if action is None:
            return
        if not action.is_command:
            self._set(action, value)
        elif value < PRESSED:
            self._pressed.discard(key)
        elif key not in self._pressed:
            self._pressed.add(key)
            self._commands.do(action.name, action.arguments)

    def _strike(self, key: str, velocity: int) -> None:
        action = self._find(key)
        if action is None:
            return
        if action.is_command:
            if velocity:
                self._commands.do(action.name, action.arguments)
        elif velocity:
            self._set(action, velocity)
        else:
            self._session.bus.release(action.name)

    def _find(self, key: str) -> Action | None:
        """The action of a key; of one without, its name is told once, to be put into a map."""
        action = self._actions.get(key)
        if action is None and key not in self._strange:
            self._strange.add(key)
            self._session.tell(f"MIDI: {key} plays nothing; --midi-map {key}=NAME")
        return action

    def _set(self, action: Action, value: int) -> None:
        number = self._session.bus.number(action.name)
        least, most = action.arguments or (number.least, number.most)
        place = float(least) + (float(most) - float(least)) * value / HIGHEST
        self._commands.do(action.name, [float(round(place)) if number.is_whole else place])

    def _pulse(self) -> None:
        """Count a pulse of the clock, and keep its time with each beat."""
        now = self._session.now()
        if self._pulses and now - self._pulses[-1] > LONGEST_PULSE_S:
            self._pulses.clear()
        self._pulses.append(now)
        beat, rest = divmod(self._count, PULSES)
        self._count += 1
        if rest or len(self._pulses) <= PULSES:
            return
        period = (self._pulses[-1] - self._pulses[0]) / (len(self._pulses) - 1)
        self._session.bus.follow_beat(beat, self._session.elapsed(), 60 / (PULSES * period))
