"""A film that is being made, on the page: its frames and figures, and that nothing is played."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import pytest
import torch

import dreamvid
from dreamvid.errors import ConfigError
from dreamvid.events import Event, Finished, FrameDone, Message, Progress, Warned, ignore
from dreamvid.film.report import Reporter
from dreamvid.live.watching import Film, watched
from dreamvid.types import Frame
from tests.fakes import KnownFlow, TowardsColour
from tests.live.stage import QUICK, RED, short_clip
from tests.live.test_server import get, picture, socket, told


class Clock:
    """Time that a test lets pass."""

    now = 50.0

    def __call__(self) -> float:
        return self.now


def frame_done(index: int) -> FrameDone:
    """A grey frame of 64×48, and a source of half the size."""
    frame = Frame(torch.full((3, 48, 64), 0.5), Fraction(index, 24), Fraction(1, 24))
    return FrameDone(index, frame, torch.zeros(3, 24, 32), 0.1, 0.3)


def finished() -> Finished:
    return Finished(Reporter(ignore).finish(Path("film.mp4")))


def test_figures_follow_the_events():
    clock = Clock()
    film = Film("film", clock)
    figures = film.status()["film"]
    assert (figures["stage"], figures["done"], figures["each_s"]) == ("", 0, None)
    film.see(Progress("dreaming", 10, 40))  # a run that goes on
    assert film.status()["film"]["left_s"] is None
    for done in (11, 12):
        clock.now += 3
        film.see(Progress("dreaming", done, 40))
        film.see(frame_done(done - 1))
    clock.now += 1
    figures = film.status()["film"]
    assert figures == {
        "is_whole": False,
        "stage": "dreaming",
        "done": 12,
        "total": 40,
        "each_s": 3,
        "left_s": 28 * 3 - 1,
        "before": 0.1,
        "after": 0.3,
    }
    assert film.newest is not None
    assert film.newest.index == 11
    film.see(Progress("joining", 0, 40))
    film.see(Progress("joining", 1, None))
    assert film.status()["film"]["left_s"] is None
    film.see(finished())
    assert film.status()["film"]["is_whole"]


def test_lines_are_kept():
    film = Film("film")
    for number in range(9):
        film.see(Message(f"line {number}"))
    film.see(Warned("a warning"))
    assert film.status()["lines"] == ("line 5", "line 6", "line 7", "line 8", "a warning")


def test_nothing_is_played():
    with pytest.raises(ConfigError, match="strength: a film that is being made is watched only"):
        Film("film").do("strength", [0.3])


def test_a_page_that_comes_late_or_asks_for_the_source_is_sent_the_newest_frame():
    addresses: list[str] = []
    events: list[Event] = []
    with watched(events.append, "clip → film", on_ready=addresses.append) as listener:
        listener(Progress("dreaming", 0, 2))
        listener(frame_done(0))
        assert get(addresses[0])[0] == 200
        assert "watched only" in get(addresses[0], "addresses")[1]
        with socket(addresses[0]) as connection:
            assert told(connection, "source")["source"] == "clip → film"
        with socket(addresses[0]) as connection:
            message = picture(connection)
            assert int.from_bytes(message[:4], "big") == len(message) - 4
            connection.send('["source", true]')
            message = picture(connection)
            assert message[4 + int.from_bytes(message[:4], "big") :].startswith(b"\xff\xd8")
            connection.send('["strength", 0.3]')
            assert told(connection, "error")["error"].startswith("strength: a film that is")
            listener(frame_done(1))
            picture(connection)
            listener(finished())
            while not told(connection, "film")["film"]["is_whole"]:
                pass
    assert [type(event) for event in events] == [Progress, FrameDone, FrameDone, Finished]


def test_a_film_is_watched_while_it_is_made(tmp_path):
    """The last frame and the figures of a real film are there before its end."""
    seen: list[tuple[int, float]] = []
    addresses: list[str] = []

    def look(event: Event) -> None:
        if isinstance(event, FrameDone) and event.index == 2:
            with socket(addresses[0]) as connection:
                film = told(connection, "film")["film"]
            with socket(addresses[0]) as connection:
                assert len(picture(connection)) > 100
            seen.append((film["done"], film["after"]))

    with watched(look, "film", on_ready=addresses.append) as listener:
        dreamvid.dream_video(
            short_clip(tmp_path, 4),
            tmp_path / "film.mp4",
            objectives=[TowardsColour(RED)],
            flow=KnownFlow(0),
            listener=listener,
            **QUICK,
        )
    assert [done for done, _ in seen] == [3]


def test_a_missing_part_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with (
        pytest.raises(ConfigError, match=r"'dreamvid\[live\]'; allowed without it: .* --watch"),
        watched(ignore, "film"),
    ):
        pass
