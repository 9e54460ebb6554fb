"""Options under a name."""

from __future__ import annotations

import tomllib
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest

from dreamvid.cli.preset_files import BUILT_IN, describe, preset_files
from dreamvid.config import VideoConfig, build_config
from dreamvid.control.clock import Clock
from dreamvid.control.names import FEATURE_NAMES
from dreamvid.control.schedule import Schedule
from tests.cli.conftest import refused

README = Path(__file__).parents[2] / "README.md"
NAMES = sorted(path.stem for path in BUILT_IN.glob("*.toml"))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder of presets."""
    monkeypatch.setattr("typer.get_app_dir", lambda name: str(tmp_path / name))
    folder = tmp_path / "dreamvid" / "presets"
    folder.mkdir(parents=True)
    return folder


def _always(heard: dict[str, float], time: float, duration: float) -> dict[str, float]:
    return heard


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_is_good_at_any_sound_and_says_what_it_does(name):
    """For features at either end, all beats, and the noise of a minute."""
    config = build_config(VideoConfig, preset=preset_files()[name], given={"prompt": ["ice"]})
    clock = Clock(Fraction(25), 1500, bpm=120, beats=(0.0, 0.5))
    seen = set()
    for level in (0.0, 1.0):
        heard = dict.fromkeys(FEATURE_NAMES, level)
        schedule = Schedule(config, clock, features=partial(_always, heard))
        schedule.check()
        seen |= {schedule(Fraction(frame, 25), frame).config.strength for frame in range(100)}
    assert config.set_
    assert all(0.02 <= strength <= 0.4 for strength in seen)
    assert 20 < len(describe(preset_files()[name])) < 80
    assert f"`{name}`" in README.read_text(encoding="utf-8")


def test_what_is_typed_overrides_the_file_which_overrides_the_preset(dreamvid, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('decay = 0.3\n[set]\nsteps = "3"\n', encoding="utf-8")
    typed = ["--preset", "pulse", "--config", file, "--set", "strength=0.2", "--tv", "3"]
    shown = tomllib.loads(dreamvid("config", *typed).out)
    assert (shown["decay"], shown["tv"], shown["carry"]) == (0.3, 3, "delta")
    varying = dict(text.split("=") for text in shown["set"])
    assert (varying["strength"], varying["steps"]) == ("0.2", "3")
    assert "pulse(beat" in varying["lr"]


def test_a_plain_value_above_stands_for_what_a_preset_varies(dreamvid, tmp_path):
    """A number that was typed would else be lost without a word."""
    shown = tomllib.loads(dreamvid("config", "--preset", "pulse", "--strength", "0.1").out)
    assert [text.partition("=")[0] for text in shown["set"]] == ["steps", "lr"]
    both = ["--strength", "0.1", "--set", "strength=t/9"]
    shown = tomllib.loads(dreamvid("config", "--preset", "pulse", *both).out)
    assert "strength=t/9" in shown["set"]
    file = tmp_path / "all.toml"
    file.write_text(dreamvid("config", "--preset", "pulse").out, encoding="utf-8")
    again = dreamvid("config", "--config", file).out
    assert again == file.read_text(encoding="utf-8")


def test_they_are_listed(dreamvid, own):
    (own / "mine.toml").write_text("# Like nothing else.\ntv = 1\n", encoding="utf-8")
    told = dreamvid("presets")
    assert told.status == 0
    lines = told.out.splitlines()
    assert [line.split()[0] for line in lines[: len(NAMES)]] == NAMES
    assert "mine     Like nothing else." in lines
    assert str(own) in lines[-1]
    listed = dreamvid("presets", "--json").json()
    assert {"name": "mine", "file": str(own / "mine.toml"), "note": "Like nothing else."} in listed


def test_ones_own_come_first(dreamvid, own):
    (own / "pulse.toml").write_text("tv = 1.5\n", encoding="utf-8")
    shown = tomllib.loads(dreamvid("config", "--preset", "pulse").out)
    assert (shown["tv"], shown["set"]) == (1.5, [])


def test_an_unknown_one_is_refused_with_those_that_there_are(dreamvid, own):
    told = dreamvid("config", "--preset", "puls")
    refused(told, 2, "--preset 'puls' does not exist; allowed: breathe, pulse, ")
    assert str(own) in told.err


def test_a_broken_one_is_refused(dreamvid, own):
    (own / "mine.toml").write_text("tvv = 1\n", encoding="utf-8")
    told = dreamvid("config", "--preset", "mine")
    refused(told, 2, f"configuration '{own / 'mine.toml'}': unknown option 'tvv'")
