"""`dreamvid plan`: what would happen, without a frame dreamed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from dreamvid.cli.plan import ROWS
from dreamvid.media import read_image
from tests.cli.conftest import refused
from tests.cli.test_over_time import write_sound
from tests.control.pieces import beat_times, clicks
from tests.media.clips import Clip, make, steady

PROMPTS = ["--at", "0", "calm sea", "--at", "4b", "storm::2*bass", "--transition", "1b"]


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds and two thirds of 64×48 at 24 a second, without sound."""
    return make(tmp_path_factory.mktemp("in") / "in.mp4", Clip(times=steady(64)))


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clicks at 120 beats a minute for eight seconds, the first at 0.25 s."""
    path = tmp_path_factory.mktemp("music") / "clicks.flac"
    return write_sound(path, clicks(beat_times(120, 8, 0.25), 8))


def test_all_of_it_as_json(dreamvid, silent, music):
    typed = [*PROMPTS, "--music", music, "--set", "strength=0.3*pulse(beat)", "--set", "steps=t"]
    told = dreamvid("plan", silent, *typed, "--no-timing", "--json").json()
    assert (told["frames"], told["rate"], told["expected"]) == (64, 24, None)
    assert told["bpm"] == pytest.approx(120, abs=0.1)
    assert told["beats"] == pytest.approx([0.25, 0.75, 1.25, 1.75, 2.25], abs=0.01)
    assert told["times"] == pytest.approx([frame / 24 for frame in range(64)], abs=1e-6)
    curves = told["curves"]
    assert set(curves) == {"strength", "steps", "at"}
    on_beat, before = (curves["strength"][frame] for frame in (6, 5))
    assert on_beat > 0.25 > 0.02 > before
    assert curves["steps"] == [round(frame / 24) for frame in range(64)]
    calm, storm = told["prompts"]
    expected = [40]
    for frame, steps in enumerate(curves["steps"][1:], 1):
        before, now = curves["strength"][frame - 1 : frame + 1]
        struck = steps + round(40 * max(0, 1 - before / now))
        turn = storm["shares"][frame] - storm["shares"][frame - 1]
        expected.append(max(struck, math.ceil(40 * turn)) if steps else 0)
    assert sum(steps > 30 for steps in expected[1:]) == 4  # the beats but the first: `steps` is 0
    assert told["steps"] == sum(expected)
    assert (calm["text"], storm["text"]) == ("calm sea", "storm")
    assert storm["time"] == pytest.approx(2.25, abs=0.01)
    assert [a + b for a, b in zip(calm["shares"], storm["shares"], strict=True)] == [1] * 64
    assert storm["shares"][54] == pytest.approx(0.5, abs=0.02)


def test_it_is_told_in_a_table(dreamvid, silent):
    typed = ["-p", "ice", "--set", "strength=0:(0.1), 63:(0.2)", "--set", "tv=noise(t)"]
    told = dreamvid("plan", silent, *typed, "--no-timing", "-q")
    assert told.status == 0
    lines = told.out.splitlines()
    assert lines[0] == f"{silent}: 64 frames at 24 a second"
    head = next(index for index, line in enumerate(lines) if "strength" in line)
    assert lines[head].split() == ["frame", "seconds", "strength", "tv"]
    assert lines[head + 1].split()[:3] == ["0", "0.000", "0.1"]
    assert lines[-2].split()[:2] == ["lowest", "0.1"]
    assert lines[-1].split()[:2] == ["highest", "0.2"]
    assert len(lines) - head - 3 <= ROWS
    assert "  always      ice" in lines


def test_without_anything_that_varies_it_says_how(dreamvid, silent):
    told = dreamvid("plan", silent, "-p", "ice", "--no-timing", "-q")
    assert "no number varies (--set NAME=EXPRESSION)" in told.out


def test_a_few_steps_are_timed(dreamvid, silent):
    typed = ["-p", "ice", "--octaves", "1", "--cutouts", "2", "--steps", "2", "--set", "tv=t"]
    told = dreamvid("plan", silent, *typed, "--json").json()
    expected = told["expected"]
    assert told["steps"] == 40 + 63 * 2
    assert 0 < expected["seconds_per_step"] < 10
    assert expected["seconds"] == pytest.approx(
        told["steps"] * expected["seconds_per_step"], rel=0.05, abs=0.1
    )
    assert expected["memory_bytes"] > 10**7


@pytest.mark.parametrize(("every", "keys"), [(3, 21), (4, 16), (100, 1)])
def test_only_key_frames_take_steps(dreamvid, silent, every, keys):
    """The first of 64, every so many after it, and the last."""
    typed = ["-p", "ice", "--every", every, "--steps", "2", "--no-timing", "--json"]
    assert dreamvid("plan", silent, *typed).json()["steps"] == 40 + 2 * keys


def test_a_plot_shows_sound_prompts_and_curves(dreamvid, silent, music, tmp_path):
    plots = []
    for name, typed in {"few": ["--set", "tv=t"], "all": ["--music", music, *PROMPTS]}.items():
        path = tmp_path / f"{name}.png"
        told = dreamvid("plan", silent, "-p", "ice", *typed, "--no-timing", "--plot", path)
        assert told.status == 0, told.err
        plots.append(read_image(path))
    assert plots[1].shape[1] > 2 * plots[0].shape[1]
    assert all((plot < 0.7).float().mean() > 0.005 for plot in plots)


def test_an_existing_plot_is_kept_unless_it_may_go(dreamvid, silent, tmp_path):
    path = tmp_path / "plan.png"
    path.write_text("mine", encoding="utf-8")
    typed = ["plan", silent, "-p", "ice", "--set", "tv=t", "--no-timing", "--plot", path]
    assert dreamvid(*typed).status == 1
    assert path.read_text(encoding="utf-8") == "mine"
    assert dreamvid(*typed, "--overwrite").status == 0


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["-"], "plan looks ahead, which a pipe does not allow; allowed: a file"),
        (["none.mp4"], "'none.mp4' does not exist"),
    ],
)
def test_what_it_cannot_look_ahead_in_is_refused(dreamvid, typed, message):
    told = dreamvid("plan", *typed, "-p", "ice")
    assert told.status in (1, 2)
    refused(told, int(str(told.status)), message)


def test_nothing_to_draw_is_refused(dreamvid, silent, tmp_path):
    typed = ["-p", "ice", "--no-timing", "--plot", tmp_path / "plan.png"]
    told = dreamvid("plan", silent, *typed)
    refused(told, 2, "--plot: there is neither sound nor anything that varies")
