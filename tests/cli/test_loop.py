"""What is told of a film as a loop."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from dreamvid.cli.eval import tell_loop
from dreamvid.config import WriteConfig
from dreamvid.errors import MediaError
from dreamvid.media import VideoInfo, VideoWriter
from dreamvid.motion.camera import Camera
from dreamvid.types import Frame
from dreamvid.zooms.loop import Loop, film_loop, find_start
from tests.cli.conftest import refused
from tests.motion.scenes import texture

RATE = Fraction(12)


def write(path: Path, loop: Loop, times: list[Fraction]) -> Path:
    info = VideoInfo(width=160, height=128, rate=RATE, time_base=1 / RATE)
    with VideoWriter(path, info, WriteConfig()) as writer:
        for index, image in enumerate(film_loop(loop, times)):
            writer.write(Frame(image, index / RATE))
    return path


@pytest.mark.parametrize(("zoom", "rotate"), [(1.5, 12.0), (0.6, -8.0)])
def test_a_loop_joins_and_its_camera_did_what_was_asked(tmp_path, capsys, zoom, rotate):
    camera = Camera(zoom=zoom, rotate=rotate, seconds=Fraction(2))
    loop = Loop.plant(texture(256, 320), camera, 128, 160)
    times = [index / RATE for index in range(24)]
    first = find_start(loop, times)
    whole = write(tmp_path / "loop.mp4", loop, [*times[first:], *times[:first]])
    tell_loop(whole, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["frames"], told["seconds"]) == (24, 2)
    assert told["join"] <= 1
    assert told["zoom"] == pytest.approx(zoom, rel=0.01)
    assert told["rotate"] == pytest.approx(rotate, abs=0.3)
    tell_loop(write(tmp_path / "part.mp4", loop, times[:15]), as_json=True)
    assert json.loads(capsys.readouterr().out)["join"] > 2


def test_the_figures_are_lines_for_people(tmp_path, capsys):
    camera = Camera(zoom=2.0, seconds=Fraction(1, 4))
    loop = Loop.plant(texture(128, 160), camera, 128, 160)
    tell_loop(write(tmp_path / "a.mkv", loop, [index / RATE for index in range(3)]), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["frames", "join", "zoom", "rotate"]


def test_a_single_frame_is_no_loop(tmp_path):
    loop = Loop.plant(texture(128, 160), Camera(zoom=2.0), 128, 160)
    film = write(tmp_path / "one.mp4", loop, [Fraction(0)])
    with pytest.raises(MediaError, match=r"one\.mp4' cannot be measured: a loop has two frames"):
        tell_loop(film, as_json=False)


def test_eval_measures_one_film_as_a_loop(dreamvid, tmp_path):
    loop = Loop.plant(texture(128, 160), Camera(zoom=2.0, seconds=Fraction(1, 4)), 128, 160)
    film = write(tmp_path / "a film.mkv", loop, [index / RATE for index in range(3)])
    told = dreamvid("eval", film, "--loop", "--json")
    assert told.status == 0
    assert json.loads(told.out)["file"] == str(film)
    refused(dreamvid("eval", film, "b.mp4", "--loop"), 2, "RESULT 'b.mp4' is of no use to --loop")
    refused(dreamvid("eval", film), 2, "RESULT is missing; allowed without it: --loop")
    refused(dreamvid("eval", tmp_path / "none.mp4", "--loop"), 1, "'")
