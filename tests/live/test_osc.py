"""OSC: the same numbers by their names, answers, and that nothing breaks it."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from dreamvid.errors import ConfigError
from dreamvid.live.osc import Osc
from dreamvid.live.session import Session
from tests.live.stage import newest, played, short_clip, until


class Desk:
    """A program that speaks OSC to a session."""

    def __init__(self, session: Session, port: int) -> None:
        self.session = session
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(20)

    def ask(self, address: str, *values: Any) -> tuple[str, list[Any]]:
        message = OscMessageBuilder(address)
        for value in values:
            message.add_arg(value)
        self.socket.send(message.build().dgram)
        answer = OscMessage(self.socket.recv(65536))
        return answer.address, answer.params


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("osc")
    with played(short_clip(folder), folder) as session, Osc(0)(session) as port:
        opened = Desk(session, port)
        yield opened
        opened.socket.close()


def test_a_number_is_set_and_told(desk):
    address, values = desk.ask("/strength")
    assert (address, values) == ("/strength", [pytest.approx(0.18)])
    assert desk.ask("/strength", 0.25) == ("/strength", [0.25])
    until(lambda: desk.session.bus.value("strength") == 0.25)
    assert desk.ask("/strength")[1] == [0.25]
    assert desk.ask("/steps", 3)[0] == "/steps"
    assert desk.ask("/prompt2", 0.5, 0.1)[0] == "/prompt2"
    until(lambda: desk.session.bus.value("prompt2") == 0.5)
    assert desk.ask("/release", "strength") == ("/release", ["strength"])
    until(lambda: desk.session.bus.value("strength") == 0.18)


def test_prompts_and_taps(desk):
    assert desk.ask("/prompt", "a storm", 0.0)[0] == "/prompt"
    until(lambda: desk.session.bus.value("prompt3") > 0)
    assert desk.ask("/cross", 1, 0.0)[0] == "/cross"
    assert desk.ask("/tap")[0] == "/tap"


@pytest.mark.parametrize(
    ("address", "values", "line"),
    [
        ("/strength", [7.0], "--set strength: '7.0' is not allowed"),
        ("/strength", ["much"], "strength: 'much' is not allowed; allowed: a number"),
        ("/volume", [1.0], "'volume' is no number here; allowed: prompt1"),
        ("/", [], "'' is no number here"),
        ("/preset", ["none"], "preset: 'none' does not exist"),
        ("/cross", [], "cross: nothing is not allowed"),
    ],
)
def test_what_is_not_allowed_is_answered_in_one_line(desk, address, values, line):
    held = desk.session.bus.held
    reply, (told,) = desk.ask(address, *values)
    assert reply == "/error"
    assert told.startswith(line)
    assert "\n" not in told
    assert desk.session.bus.held == held


def test_a_thousand_random_messages_break_nothing(desk):
    dice = random.Random(7)
    names = [number.name for number in desk.session.bus.numbers]
    names += ["prompt", "cross", "release", "preset", "tap", "x", "*", "{a,b}", ""]
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.connect(desk.socket.getpeername())
    for _ in range(1000):
        if dice.random() < 0.4:
            data = dice.randbytes(dice.randrange(1, 120))
            data = dice.choice([b"", b"/strength\0\0\0,f\0\0", b"#bundle\0"]) + data
        else:
            message = OscMessageBuilder("/" + dice.choice(names))
            pool: list[Any] = [
                1.0,
                -1e30,
                float("nan"),
                float("inf"),
                2**31 - 1,
                "ä",
                "",
                True,
                b"blob",
            ]
            for value in dice.choices(pool, k=dice.randrange(4)):
                message.add_arg(value)
            data = message.build().dgram
        sink.send(data)
    sink.close()
    newest(desk.session, newest(desk.session).index + 3)
    assert desk.ask("/tv", 5.0) == ("/tv", [5.0])
    until(lambda: desk.session.bus.value("tv") == 5)


def test_a_port_that_is_taken_is_told(desk):
    port = desk.socket.getpeername()[1]
    with (
        pytest.raises(ConfigError, match=rf"--osc {port}: .*; allowed: a free port"),
        Osc(port)(desk.session),
    ):
        pass


def test_a_missing_part_is_told(desk, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pythonosc.dispatcher", None)
    with pytest.raises(ConfigError, match=r"pip install 'dreamvid\[live\]'"), Osc(0)(desk.session):
        pass
