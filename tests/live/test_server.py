"""The page's server: who gets in, what is sent and taken, and that nothing breaks it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from socket import create_connection
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets import Origin
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from dreamvid.cli.preset_files import BUILT_IN
from dreamvid.errors import ConfigError
from dreamvid.live.commands import COMMANDS
from dreamvid.live.server import Page
from dreamvid.live.session import Session
from tests.live.stage import newest, played, short_clip, until

PRESETS = {path.stem: path for path in BUILT_IN.glob("*.toml")}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Session, str]]:
    """A session with its page."""
    folder = tmp_path_factory.mktemp("page")
    with played(short_clip(folder), folder) as session, Page(PRESETS)(session) as address:
        yield session, address


def get(address: str, path: str = "") -> tuple[int, str]:
    parts = urlsplit(address)
    with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=20)) as connection:
        connection.request("GET", parts.path + path)
        response = connection.getresponse()
        return response.status, response.read().decode()


def socket(address: str, origin: str | None = None) -> ClientConnection:
    page = None if origin is None else Origin(origin)
    return connect(
        address.replace("http", "ws") + "socket", proxy=None, origin=page, close_timeout=0.2
    )


def messages(connection: ClientConnection) -> Iterator[str | bytes]:
    """What comes, within a time; pictures are drawn."""
    for _ in range(1500):
        message = connection.recv(20)
        if isinstance(message, bytes):
            connection.send('["seen"]')
        yield message
    raise TimeoutError


def told(connection: ClientConnection, key: str) -> Any:
    """The next message in JSON that has `key`."""
    texts = (json.loads(each) for each in messages(connection) if isinstance(each, str))
    return next(text for text in texts if key in text)


def picture(connection: ClientConnection) -> bytes:
    """The next picture."""
    return next(each for each in messages(connection) if isinstance(each, bytes))


def test_the_page_is_whole(stage):
    _, address = stage
    status, page = get(address)
    assert status == 200
    for name in ("style.css", "page.js"):
        assert name in page
        assert get(address, name)[0] == 200
    assert get(address, "nothing")[0] == 404
    assert get(address, "../server.py")[0] == 404


def test_the_list_of_addresses_has_each_with_its_range(stage):
    session, address = stage
    status, page = get(address, "addresses")
    assert status == 200
    for number in session.bus.numbers:
        assert f"<td>/{number.name}</td>" in page
    assert "<td>0 to 1</td><td>0.18</td>" in page
    for name in COMMANDS:
        assert f"<td>/{name}</td>" in page


def test_frames_come_as_pictures_with_their_source_where_it_is_wanted(stage):
    _, address = stage
    with socket(address) as connection:
        for wanted in (False, True):
            connection.send(json.dumps(["source", wanted]))
            for _ in range(3):  # no more than two were on their way
                message = picture(connection)
            length = int.from_bytes(message[:4], "big")
            dream, source = message[4 : 4 + length], message[4 + length :]
            assert dream.startswith(b"\xff\xd8")
            assert dream.endswith(b"\xff\xd9")
            assert source.startswith(b"\xff\xd8") == wanted


def test_a_browser_that_draws_nothing_is_sent_no_more(stage):
    session, address = stage
    with socket(address) as connection:
        pictures = 0
        first = newest(session).index
        while newest(session).index < first + 30:
            pictures += isinstance(connection.recv(20), bytes)
        assert pictures <= 2


def test_what_is_played_arrives_and_is_told(stage):
    session, address = stage
    with socket(address) as connection:
        greeting = told(connection, "presets")
        assert (greeting["size"], set(greeting["presets"])) == ([64, 48], set(PRESETS))
        connection.send('["strength", 0.07]')
        until(lambda: session.bus.value("strength") == 0.07)
        while told(connection, "values")["values"]["strength"] != 0.07:
            pass
        connection.send('["prompt", "a storm", 0.05]')
        until(lambda: session.bus.played.get("prompt3", 0) > 0.5)
        connection.send('["cross", 1, 0]')
        until(lambda: session.bus.value("prompt3") == 0)
        connection.send('["preset", "pulse"]')
        until(lambda: "strength" in session.bus.following)
        connection.send('["tap"]')
        connection.send('["release", "prompt1"]')
        connection.send('["still"]')
        until(lambda: any("still-" in line for line in session.lines))
        connection.send('["record", true]')
        until(lambda: session.is_recording)
        connection.send('["record", false]')
        until(lambda: not session.is_recording)


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ('["strength", 7]', "--set strength: '7.0' is not allowed; allowed: a number from 0 to 1"),
        ('["strength", "x"]', "strength: 'x' is not allowed; allowed: a number"),
        ('["strength"]', "strength: nothing is not allowed; allowed: a number"),
        ('["nothing", 1]', "'nothing' is no number here; allowed: prompt1"),
        ('["preset", "none"]', "preset: 'none' does not exist; allowed: "),
        ('["prompt", 5]', "prompt: '5' is not allowed; allowed: a text"),
        ('["cross", 1.5]', "cross: 1.5 is not allowed"),
        ('["cross", 99]', "'prompt99' is no number here"),
        ("{}", "a message is not allowed; allowed: [NAME, VALUE …] in JSON"),
        ("[", "a message is not allowed"),
    ],
)
def test_what_is_not_allowed_is_answered_in_one_line(stage, message, line):
    session, address = stage
    held = session.bus.held
    with socket(address) as connection:
        connection.send(message)
        answer = told(connection, "error")["error"]
    assert answer.startswith(line)
    assert "\n" not in answer
    assert session.bus.held == held


def random_message(dice: random.Random, session: Session) -> str | bytes:
    """Something that a broken or a bad program may send."""
    values: list[Any] = [
        *(None, True, "", "x" * dice.randrange(50), [], {}, [[]], 1e400, -1, 0, 0.5, 10**25),
        *("\ud800", "\x00", dice.uniform(-1e6, 1e6), dice.random(), {"a": [1]}),
    ]
    names = [number.name for number in session.bus.numbers]
    names += [name for name in COMMANDS if name not in ("still", "record")]
    kind = dice.randrange(6)
    if kind == 0:
        return dice.randbytes(dice.randrange(200))
    if kind == 1:
        return "".join(chr(dice.randrange(32, 0x2000)) for _ in range(dice.randrange(80)))
    if kind == 2:
        return "[" * dice.randrange(1, 8000)
    return json.dumps([dice.choice(names), *dice.choices(values, k=dice.randrange(4))])


def test_a_thousand_random_messages_break_nothing(stage):
    session, address = stage
    dice = random.Random(5)
    before = newest(session).index
    with socket(address) as connection:
        for _ in range(1000):
            connection.send(random_message(dice, session))
        connection.send('["steady", 0.5]')
        until(lambda: session.bus.value("steady") == 0.5)
        assert told(connection, "values")["figures"]["shown"] > before
    for number in session.bus.numbers:
        session.bus.release(number.name)
    newest(session, newest(session).index + 2)


def test_a_message_that_is_too_long_ends_that_connection_alone(stage):
    _, address = stage
    with socket(address) as connection, pytest.raises(ConnectionClosed):
        connection.send('["prompt", "' + "x" * 100_000 + '"]')
        while True:
            connection.recv(20)
    with socket(address) as connection:
        told(connection, "values")


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_the_page_of_another_site_cannot_connect(stage, origin):
    with (
        pytest.raises((InvalidStatus, ConnectionClosed)),
        socket(stage[1], origin=origin) as connection,
    ):
        connection.recv(20)


def test_a_site_whose_name_leads_to_this_machine_cannot_connect(stage):
    parts = urlsplit(stage[1])
    site = f"evil.example:{parts.port}"
    way = create_connection((parts.hostname, parts.port))
    with (
        pytest.raises((InvalidStatus, ConnectionClosed)),
        connect(f"ws://{site}/socket", sock=way, origin=Origin(f"http://{site}")) as connection,
    ):
        connection.recv(20)


def test_from_elsewhere_only_who_has_the_token_gets_in(tmp_path):
    addresses: list[str] = []
    page = Page(host="0.0.0.0", on_ready=addresses.append)
    with played(short_clip(tmp_path), tmp_path) as session, page(session) as address:
        assert addresses == [address]
        parts = urlsplit(address)
        token = parts.path.strip("/")
        assert len(token) >= 20
        here = f"http://127.0.0.1:{parts.port}/"
        assert get(here + f"{token}/", "page.js")[0] == 200
        for wrong in ("", "page.js", "addresses", f"{token[:-1]}x/", f"{token}x/page.js"):
            assert get(here, wrong)[0] == 404
        with socket(here + f"{token}/") as connection:
            told(connection, "values")
        for wrong in ("", "x/"):
            with pytest.raises((InvalidStatus, ConnectionClosed)), socket(here + wrong) as other:
                other.recv(20)
        with (
            pytest.raises((InvalidStatus, ConnectionClosed)),
            socket(here + f"{token}/", origin="http://evil.example") as other,
        ):
            other.recv(20)


def test_a_port_that_is_taken_is_told(stage):
    session, address = stage
    port = urlsplit(address).port
    assert port is not None
    with (
        pytest.raises(ConfigError, match=rf"--port {port}: .* allowed: .* free"),
        Page(port=port)(session),
    ):
        pass


def test_a_missing_part_is_told(stage, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ConfigError, match=r"pip install 'dreamvid\[live\]'"), Page()(stage[0]):
        pass


def test_the_page_asks_nobody_else():
    import dreamvid.live.server

    for path in (Path(dreamvid.live.server.__file__).parent / "page").iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text
        assert "https://" not in text
