"""MIDI: controllers, notes and clock on the bus, by messages as mido makes them."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mido
import pytest
from mido import Message

from dreamvid.errors import ConfigError
from dreamvid.live.commands import Commands
from dreamvid.live.midi import USUAL_MAP, Action, Keys, Midi, parse_map
from dreamvid.live.session import Session
from tests.live.stage import newest, played, short_clip, until

MAP = [
    *("cc1=strength", "cc2=steps:1:12", "cc3=prompt2", "cc64=tap", "cc9=prompt7"),
    *("note36=cross:2:0", "note37=strength:0.1:0.4", "note38=prompt:a storm:0", "note39=cross:9"),
]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("midi")
    with played(short_clip(folder), folder) as opened:
        yield opened


@pytest.fixture
def keys(session: Session) -> Keys:
    return Keys(Commands(session, {}), parse_map(MAP))


def turned(number: int, value: int) -> Message:
    return Message("control_change", control=number, value=value, channel=3)


def struck(note: int, velocity: int = 127) -> Message:
    return Message("note_on", note=note, velocity=velocity)


def test_a_map_is_read_from_texts_and_files(tmp_path):
    (tmp_path / "desk.toml").write_text('cc1 = "tv:0:20"\nnote36 = "cross:2"\n', encoding="utf-8")
    actions = parse_map([str(tmp_path / "desk.toml"), "cc1=strength", " CC7 = hold : 0.5 : 1 "])
    assert actions == {
        "cc1": Action("strength"),
        "note36": Action("cross", (2.0,)),
        "cc7": Action("hold", (0.5, 1.0)),
    }
    assert parse_map(USUAL_MAP)["note43"] == Action("cross", (8.0,))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("cc128=strength", "--midi-map: 'cc128' is not allowed; allowed: cc0 to cc127, note0"),
        ("pedal=strength", "--midi-map: 'pedal' is not allowed"),
        ("cc1=", "--midi-map cc1: '' is not allowed; allowed: a number's name"),
        (
            "cc1=strength:0.4",
            "--midi-map cc1: 'strength:0.4' is not allowed; allowed: strength, or",
        ),
        ("cc1=strength:0:x", "--midi-map cc1: 'strength:0:x' is not allowed"),
        ("none.toml", "configuration 'none.toml'"),
    ],
)
def test_a_map_that_is_wrong_is_told(text, line):
    with pytest.raises(ConfigError) as error:
        parse_map([text])
    assert str(error.value).startswith(line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("cc1=volume", "--midi-map cc1: 'volume' is no number here; allowed: prompt1"),
        ("cc1=strength:0:2", "--midi-map cc1: --set strength: '2.0' is not allowed"),
        ("cc1=negative", "--midi-map cc1: 'negative' is no number here"),
    ],
)
def test_an_action_that_is_not_there_is_told(session, text, line):
    with pytest.raises(ConfigError) as error:
        Keys(Commands(session, {}), parse_map([text]))
    assert str(error.value).startswith(line)


def test_a_controller_sets_a_number_over_its_range(session, keys):
    keys.hear(turned(1, 127))
    keys.hear(turned(2, 127))
    keys.hear(turned(3, 64))
    until(lambda: session.bus.value("strength") == 1)
    assert session.bus.value("steps") == 12
    assert session.bus.value("prompt2") == pytest.approx(128 / 127)
    keys.hear(turned(1, 0))
    keys.hear(turned(2, 60))
    until(lambda: session.bus.value("strength") == 0)
    assert session.bus.value("steps") == 6  # a whole number
    session.bus.release("steps")


def test_a_note_holds_a_number_while_it_is_held(session, keys):
    session.bus.release("strength")
    keys.hear(struck(37))
    until(lambda: session.bus.value("strength") == 0.4)
    keys.hear(struck(37, 0))  # as many keyboards end a note
    until(lambda: session.bus.value("strength") == 0.18)
    keys.hear(struck(37, 1))
    until(lambda: 0.1 < session.bus.value("strength") < 0.103)
    keys.hear(Message("note_off", note=37))
    until(lambda: session.bus.value("strength") == 0.18)


def test_notes_and_buttons_do_commands(session, keys, monkeypatch):
    keys.hear(struck(36))
    until(lambda: session.bus.value("prompt1") == 0)
    assert session.bus.value("prompt2") > 0
    keys.hear(struck(38))
    until(lambda: session.bus.played.get("prompt3", 0) > 0)
    taps: list[float] = []
    monkeypatch.setattr(session.bus, "tap", taps.append)
    for value in (10, 64, 127, 20, 127):  # two presses
        keys.hear(turned(64, value))
    assert len(taps) == 2


def test_what_is_not_allowed_and_what_is_not_mapped_are_told_once(session, keys):
    told: list[str] = []
    keys._session = type("Listening", (), {"tell": told.append, "bus": session.bus})()
    held = session.bus.held
    for _ in range(3):
        keys.hear(turned(70, 5))
        keys.hear(turned(9, 5))
    keys.hear(struck(39))
    assert told[0] == "MIDI: cc70 plays nothing; --midi-map cc70=NAME"
    assert told[1].startswith("MIDI: 'prompt7' is no number here; allowed: prompt1")
    assert told[2].startswith("MIDI: 'prompt9' is no number here")
    assert len(told) == 3
    assert session.bus.held == held


@pytest.mark.parametrize("bpm", [90.0, 128.0])
def test_a_clock_gives_tempo_and_beat(session, keys, monkeypatch, bpm):
    now = [1000.0]
    monkeypatch.setattr(session, "now", lambda: now[0])
    monkeypatch.setattr(session, "elapsed", lambda: now[0] - 990)
    dice = random.Random(3)
    keys.hear(Message("start"))
    begun = now[0]
    for pulse in range(8 * 24 + 1):
        now[0] = begun + pulse * 60 / bpm / 24 + dice.uniform(0, 0.001)
        keys.hear(Message("clock"))
    tempo = session.bus.tempo
    assert tempo.bpm == pytest.approx(bpm, rel=2e-3)
    assert tempo.beat(now[0] - 990) == pytest.approx(8)
    keys.hear(Message("songpos", pos=6))
    now[0] += 2  # another tempo begins
    for _ in range(4 * 24):
        now[0] += 60 / 100 / 24
        keys.hear(Message("clock"))
    assert session.bus.tempo.bpm == pytest.approx(100, rel=1e-3)
    assert session.bus.tempo.beat(now[0] - 990) == pytest.approx(1.5 + 4 - 1 / 24)


def test_a_thousand_random_messages_break_nothing(session, keys):
    dice = random.Random(2)
    for _ in range(1000):
        status = dice.randrange(0x80, 0x100)
        for message in mido.Parser([status, *(dice.randrange(128) for _ in range(3))]):
            keys.hear(message)
    for number in session.bus.numbers:
        session.bus.release(number.name)
    newest(session, newest(session).index + 2)


class FakePort:
    """An open input."""

    is_open = False

    def __enter__(self) -> None:
        self.is_open = True

    def __exit__(self, *error: object) -> None:
        self.is_open = False


@contextmanager
def inputs(monkeypatch: pytest.MonkeyPatch, *names: str) -> Iterator[dict[str, Any]]:
    """A system with these inputs; what is opened of it."""
    opened: dict[str, Any] = {}

    def open_input(name: str, callback: Callable[[Message], None]) -> FakePort:
        opened.update(name=name, callback=callback, port=FakePort())
        port: FakePort = opened["port"]
        return port

    monkeypatch.setattr(mido, "get_input_names", lambda: list(names), raising=False)
    monkeypatch.setattr(mido, "open_input", open_input, raising=False)
    yield opened


@pytest.mark.parametrize(("port", "name"), [("any", "Through 14:0"), ("nano", "nanoKONTROL2 20:0")])
def test_an_input_is_found_by_a_part_of_its_name(session, monkeypatch, port, name):
    with inputs(monkeypatch, "Through 14:0", "nanoKONTROL2 20:0") as opened:
        with Midi(port)(session) as found:
            assert found == opened["name"] == name
            assert opened["port"].is_open
            assert f"MIDI from {name}" in session.lines
            opened["callback"](turned(1, 127))
            until(lambda: session.bus.value("strength") == 1)
        assert not opened["port"].is_open
    session.bus.release("strength")


def test_an_input_that_is_not_there_is_told(session, monkeypatch):
    there = r"--midi nano: there is no such input; allowed: any, or a part of 'Through', 'Two'$"
    with (
        inputs(monkeypatch, "Through", "Two"),
        pytest.raises(ConfigError, match=there),
        Midi("nano")(session),
    ):
        pass
    with (
        inputs(monkeypatch),
        pytest.raises(ConfigError, match="there is no MIDI input"),
        Midi()(session),
    ):
        pass


def test_a_system_without_midi_is_told(session, monkeypatch):
    def fail() -> list[str]:
        raise OSError("error creating ALSA sequencer client object.")

    monkeypatch.setattr(mido, "get_input_names", fail, raising=False)
    with (
        pytest.raises(ConfigError, match=r"--midi any: error creating ALSA .*; allowed: where"),
        Midi()(session),
    ):
        pass


def test_a_missing_part_is_told(session, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "rtmidi"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    monkeypatch.delitem(sys.modules, "mido.backends.rtmidi", raising=False)
    monkeypatch.setattr(
        mido, "get_input_names", mido.Backend("mido.backends.rtmidi").get_input_names
    )
    with (
        pytest.raises(ConfigError, match=r"python-rtmidi, .* pip install 'dreamvid\[live\]'"),
        Midi()(session),
    ):
        pass
