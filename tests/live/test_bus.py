"""The bus: who set a number last, glides, prompts, tempo, and what changes nothing."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from dreamvid.cli.preset_files import BUILT_IN
from dreamvid.config import VideoConfig, varying
from dreamvid.control.schedule import Setting
from dreamvid.errors import ConfigError
from dreamvid.live.bus import MOST_PROMPTS, Bus


def bus(**options: Any) -> Bus:
    return Bus(VideoConfig(**({"prompt": ["a", "b::0.5"]} | options)), Fraction(24))


def at(played: Bus, now: float = 0.0, index: int = 0) -> Setting[VideoConfig]:
    return played.at(Fraction(index, 24), index, Fraction(1, 24), now)


def test_all_that_varies_may_be_played_within_its_limits():
    numbers = {number.name: number for number in bus().numbers}
    assert set(numbers) == {"prompt1", "prompt2", *varying(VideoConfig)}
    assert (numbers["strength"].least, numbers["strength"].most) == (0, 1)
    assert (numbers["rotate"].least, numbers["rotate"].most) == (-3600, 3600)
    assert numbers["steps"].is_whole
    assert (numbers["prompt2"].default, numbers["prompt2"].help) == (0.5, "b")


def test_the_last_writer_wins_until_the_number_is_released():
    played = bus(set_=["strength=0.1"])
    assert at(played).config.strength == 0.1
    played.set("strength", 0.3, 0.0)
    played.set("strength", 0.4, 0.0)
    played.set("prompt2", 2, 0.0)
    setting = at(played)
    assert (setting.config.strength, setting.prompts.prompt) == (0.4, (1.0, 2.0))
    assert (played.held, played.following) == ({"strength", "prompt2"}, {"strength"})
    assert (played.value("strength"), played.played["prompt2"]) == (0.4, 2)
    played.release("strength")
    assert at(played).config.strength == 0.1


def test_a_number_glides():
    played = bus()
    at(played)
    played.set("strength", 0.58, 10.0, 4.0)
    values = [at(played, now).config.strength for now in (9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 99.0)]
    assert values == pytest.approx([0.18, 0.18, 0.2425, 0.38, 0.5175, 0.58, 0.58])
    played.set("strength", 0.18, 100.0, 2.0)
    assert at(played, 101.0).config.strength == pytest.approx(0.38)


def test_a_number_that_is_set_while_a_frame_is_begun_is_set():
    played = bus()
    played.set("strength", 0.3, 10.0)
    assert at(played, 9.999).config.strength == 0.3


def test_crossing_over_keeps_the_weight_of_all():
    played = bus()
    at(played)
    played.cross(2, 0.0, 2.0)
    for now in (0.0, 0.5, 1.0, 2.0):
        weights = at(played, now).prompts.prompt
        assert sum(weights) == pytest.approx(1.5)
    assert weights == pytest.approx((0, 1.5))


def test_a_clock_from_outside_keeps_the_number_of_the_beat():
    played = bus(set_=["strength=beat/100"])
    played.follow_beat(8, 5.0, 90.0)
    assert played.tempo.bpm == 90
    assert played.tempo.beat(5.0) == pytest.approx(8)
    middle = 0.5 / 24 * 90 / 60  # of the frame, in beats
    assert at(played, index=5 * 24).config.strength == pytest.approx((8 + middle) / 100)
    played.follow_beat(0, 1.0, 1000.0)
    assert played.tempo.bpm == 400


def test_a_prompt_is_added_once_and_begins_at_nothing():
    played = bus()
    assert played.add_prompt("  a  storm: at sea ") == 3
    assert played.add_prompt("a storm: at sea") == 3
    assert played.add_prompt("a") == 1
    assert at(played).prompts.prompt == (1.0, 0.5, 0.0)
    assert played.config.prompt[2] == "a storm: at sea::1"
    for wrong in ("", "x" * 1001):
        with pytest.raises(ConfigError, match=r"prompt: .* allowed: 1 to 1000"):
            played.add_prompt(wrong)
    for number in range(MOST_PROMPTS - 3):
        played.add_prompt(f"{number}")
    with pytest.raises(ConfigError, match="64 already"):
        played.add_prompt("one more")


@pytest.mark.parametrize(
    ("name", "value", "seconds", "line"),
    [
        ("strength", 2.0, 0.0, "--set strength: '2.0' is not allowed; allowed: a number from 0"),
        ("strength", math.nan, 0.0, "strength: 'nan' is no number"),
        ("strength", "loud", 0.0, "strength: 'loud' is no number"),
        ("strength", True, 0.0, "strength: 'True' is no number"),
        ("strength", 0.2, -1.0, "-1.0 seconds are not allowed"),
        ("strength", 0.2, math.inf, "inf seconds are not allowed"),
        ("steps", -1.0, 0.0, "--set steps: '-1' is not allowed"),
        ("prompt1", -0.1, 0.0, "prompt1: -0.1 is not allowed"),
        ("prompt3", 1.0, 0.0, "'prompt3' is no number here; allowed: prompt1, prompt2"),
        ("seed", 1.0, 0.0, "'seed' is no number here"),
    ],
)
def test_what_is_not_allowed_is_told_and_changes_nothing(name, value, seconds, line):
    played = bus()
    before = at(played)
    with pytest.raises(ConfigError) as told:
        played.set(name, value, 0.0, seconds)
    assert line in str(told.value)
    assert (played.held, at(played), played.wishes) == (set(), before, 0)


def test_all_shares_at_nothing_are_not_allowed_together():
    played = bus(middle_share=0, local_share=0)
    with pytest.raises(ConfigError, match="at least one must be above 0"):
        played.set("global-share", 0.0, 0.0)


def test_taps_make_the_tempo():
    played = bus(set_=["strength=0.1 + 0.1*saw(beat)"])
    assert played.tempo.bpm == 120
    assert played.tap(1.0) is None
    assert played.tap(1.6) == pytest.approx(100)
    assert played.tap(2.2) == pytest.approx(100)
    assert played.tempo.beat(2.2) == pytest.approx(round(played.tempo.beat(2.2)))
    assert played.tap(9.0) is None  # a pause: another tempo begins
    assert played.tap(9.4) == pytest.approx(150)


def test_a_preset_is_laid_over_what_is_played(tmp_path):
    played = bus(strength=0.3, set_=["tv=4", "prompt1=0.7"])
    played.set("strength", 0.5, 0.0)
    played.set("prompt2", 0.2, 0.0)
    for file in sorted(BUILT_IN.glob("*.toml"), reverse=True):
        played.use_preset(file)
        at(played)
    assert "strength" not in played.held
    assert at(played).prompts.prompt == (0.7, 0.2)
    assert "tv" not in played.following
    other = tmp_path / "other.toml"
    other.write_text('guide = ["mini", "mini"]\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="the preset changes --guide"):
        played.use_preset(Path(other))
