"""Frames as they are due: in rounds, at their own pace, the newest first."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from typing import Any

import pytest
import torch

from dreamvid.config import ReadConfig
from dreamvid.errors import MediaError
from dreamvid.live.playing import PATIENCE_S, Player, Taken
from dreamvid.media.source import Source
from dreamvid.media.still import write_image
from dreamvid.types import Frame
from tests.live.stage import short_clip
from tests.media.clips import index_of


class Clock:
    """Time that passes only where somebody waits or a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def player(path: Any, clock: Clock) -> Player:
    return Player(Source.find(path), pytest.fail, wait=clock.wait, clock=clock)


def test_a_file_is_played_again_and_again_at_its_own_rate(tmp_path):
    clock = Clock()
    with player(short_clip(tmp_path, 4), clock) as played:
        taken = [(each, clock.now) for each in islice(played, 10)]
    assert [each.index for each, _ in taken] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert [each.round for each, _ in taken] == [0] * 4 + [1] * 4 + [2] * 2
    assert [index_of(each.frame.image) for each, _ in taken] == [each.index for each, _ in taken]
    for number, (each, now) in enumerate(taken):
        assert each.elapsed == Fraction(number, 24)
        assert each.due == pytest.approx(100 + number / 24)
        assert now == pytest.approx(each.due)


def test_frames_are_played_to_a_device(tmp_path):
    clock, there = Clock(), torch.device("meta")
    source = Source.find(short_clip(tmp_path, 2))
    with Player(source, pytest.fail, wait=clock.wait, clock=clock, device=there) as played:
        assert {each.frame.image.device for each in islice(played, 5)} == {there}


def test_a_picture_stays(tmp_path):
    clock = Clock()
    write_image(tmp_path / "still.png", torch.full((3, 32, 48), 0.5))
    with player(tmp_path / "still.png", clock) as played:
        taken = list(islice(played, 60))
    assert {each.round for each in taken} == {0}
    assert taken[-1].elapsed == Fraction(59, 25)


class Made(list[Taken]):
    """What was read ahead: all of it, or the next only when it is asked for."""

    has_next = True


def frames(count: int) -> Made:
    image = torch.zeros(3, 16, 16)
    step = Fraction(1, 10)
    return Made(Taken(Frame(image, k * step, step), k, 0, k * step, 0.0) for k in range(count))


def paced(made: Made, tmp_path: Any, busy_s: list[float]) -> tuple[list[int], Player]:
    """Indices of the frames shown, where showing each takes so long."""
    clock = Clock()
    with player(short_clip(tmp_path, 1), clock) as played:
        indices = []
        for taken in played._paced(made):  # type: ignore[arg-type]
            indices.append(taken.index)
            clock.now += busy_s.pop(0) if busy_s else 0
    return indices, played


def test_late_frames_are_left_out_where_a_newer_one_is_there(tmp_path):
    shown, played = paced(frames(8), tmp_path, [0.0, 0.35])
    assert shown == [0, 1, 4, 5, 6, 7]
    assert played.skipped == 2


def test_where_reading_is_slow_late_frames_are_shown(tmp_path):
    made = frames(6)
    made.has_next = False
    assert paced(made, tmp_path, [0.25] * 6)[0] == [0, 1, 2, 3, 4, 5]


def test_after_a_long_pause_it_goes_on_where_it_was(tmp_path):
    shown, played = paced(frames(5), tmp_path, [0.0, PATIENCE_S + 0.3])
    assert (shown, played.skipped) == ([0, 1, 2, 3, 4], 0)


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "x.mp4").write_bytes(b"no film")
    with pytest.raises(MediaError, match=r"x\.mp4"):
        Player(Source.find(tmp_path / "x.mp4", ReadConfig()), pytest.fail)
