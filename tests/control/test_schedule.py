"""What options come to at each frame."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest

from dreamvid.config import VideoConfig, build_config
from dreamvid.control.clock import Clock
from dreamvid.control.names import FEATURE_NAMES
from dreamvid.control.schedule import Schedule
from dreamvid.errors import ConfigError

CLOCK = Clock(Fraction(24), 48, bpm=120, beats=[0.5 * beat for beat in range(8)])


def schedule(*assignments: str, clock: Clock = CLOCK, **options: Any) -> Schedule[VideoConfig]:
    config = build_config(VideoConfig, given={"set_": list(assignments), **options})

    def features(time: float, duration: float) -> dict[str, float]:
        return dict.fromkeys(FEATURE_NAMES, 0.0) | {"bass": time / 2}

    return Schedule(config, clock, features=features)


def test_nothing_set_is_the_configuration_itself():
    config = VideoConfig(prompt=["ice"])
    setting = Schedule(config, Clock())(Fraction(1), 24)
    assert setting.config is config
    assert setting.values == {}


def test_options_take_their_values_at_each_frame():
    found = schedule("strength=0.1+0.3*bass", "steps=0:(4), 24:(10)", "local_share = frame/n")
    setting = found(Fraction(1, 2), 12)
    assert setting.config.strength == pytest.approx(0.175)
    assert setting.config.steps == 7
    assert setting.config.local_share == 0.25
    assert setting.config.tv == VideoConfig().tv
    assert setting.values == pytest.approx({"strength": 0.175, "steps": 7, "local-share": 0.25})
    assert found.names >= {"bass", "frame", "n"}
    assert "t" not in found.names


def test_beats_and_bars_and_bpm_are_those_in_the_middle_of_a_frame():
    values = schedule("tv=bpm", "steps=beat", "lr=bar/4", "strength=pulse(beat)")
    middle = 4 + 2 / 48
    assert values(Fraction(2), 48).values == pytest.approx(
        {"tv": 120, "steps": 4, "lr": middle / 16, "strength": math.exp(-4 * 2 / 48)}
    )
    assert values(Fraction(2), 48, Fraction(0)).values["strength"] == 1


def test_weights_of_prompts_vary():
    made = schedule(
        "prompt2=bass", "to1=3", prompt=["a", "b::4", "c"], negative=["n"], from_=["x"], to=["y"]
    )
    meaning = made(Fraction(1), 24).prompts
    assert list(meaning.prompt) == [1, 0.5, 1]
    assert [*meaning.negative, *meaning.to] == [1, 3]


def test_weights_of_prompts_over_time_are_expressions():
    made = schedule(at=[("0", "a::bass"), ("1", "b::2")], transition="0.5")
    assert made(Fraction(1, 2), 12).prompts.mix_weight == 0.25
    assert made(Fraction(1), 24).prompts.mix_weight == pytest.approx((0.5 + 2) / 2)
    assert made(Fraction(3, 2), 36).prompts.mix_weight == 2


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("strenght=1", "--set strenght: this does not vary; allowed: angle, colour-drift, decay, "),
        ("seed=frame", "--set seed: this does not vary"),
        ("strength=2*t.x", "--set strength: a dot behind a name is not allowed"),
        ("prompt2=1", "--set prompt2: --prompt is given 1 times; allowed: prompt1 to prompt1"),
        ("negative1=1", "--set negative1: no --negative is given"),
        ("prompt0=1", "--set prompt0: --prompt is given 1 times"),
        ("strength=0:(1), x:(2)", "--set strength: unknown name 'x'"),
    ],
)
def test_what_cannot_be_set_is_refused_at_once(assignment, message):
    with pytest.raises(ConfigError) as caught:
        schedule(assignment, prompt=["ice"])
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "strength=t",
            "--set strength: '1.0416666666666667' is not allowed; allowed: a number from 0 to 1 "
            "(frame 25, 1.042 s)",
        ),
        (
            "lr=0.5-t",
            "--set lr: '0.0' is not allowed; allowed: a number above 0 up to 1 (frame 12, ",
        ),
        ("prompt1=1-t", "--set prompt1: -0.0416667 is not allowed; allowed: from 0 (frame 25, "),
        ("tv=1/(frame-30)", "--set tv: '-0.03"),
        ("tv=1/abs(frame-30)", "--set tv: division by 0 (frame 30, 1.250 s)"),
        ("tv=sqrt(30-frame)", "--set tv: a function has no value for its argument (frame 31, "),
    ],
)
def test_a_frame_whose_value_is_not_allowed_is_found_before(assignment, message):
    made = schedule(assignment, prompt=["ice"])
    with pytest.raises(ConfigError) as caught:
        made.check()
    assert str(caught.value).startswith(message)


def test_shares_that_are_all_0_at_once_are_found():
    made = schedule("local-share=frame<5", global_share=0, middle_share=0)
    with pytest.raises(ConfigError, match=r"shares .* all 0.*\(frame 5,"):
        made.check()


def test_what_is_not_known_is_told_as_such():
    with pytest.raises(ConfigError, match="--set tv: no tempo is known; allowed: "):
        schedule("tv=beat", clock=Clock(Fraction(24), 48))
    with pytest.raises(ConfigError, match="--set tv: it is not known how many frames"):
        schedule("tv=n", clock=Clock(Fraction(24)))


def test_the_same_seed_gives_the_same_noise():
    one, same, other = (schedule("tv=noise(t*9)", seed=seed) for seed in (1, 1, 2))
    time = Fraction(1, 7)
    assert one(time, 3).values == same(time, 3).values != other(time, 3).values


def test_assignments_in_files_and_on_the_command_line_are_one_by_one(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('[set]\nstrength = "0.2*bass"\ntv = 3\nlocal_share = 0.5\n', encoding="utf-8")
    given = {"set_": ["strength = t", "tv=4", "tv=5"]}
    config = build_config(VideoConfig, file=file, given=given)
    assert config.set_ == ["strength=t", "tv=5", "local-share=0.5"]
    file.write_text('set = ["strength=0.1"]\n', encoding="utf-8")
    assert build_config(VideoConfig, file=file).set_ == ["strength=0.1"]


@pytest.mark.parametrize("text", ["strength", "=3", "strength=", ""])
def test_what_is_no_assignment_is_refused(text):
    with pytest.raises(ConfigError, match=r"--set: .* is not allowed; allowed: NAME=EXPRESSION"):
        build_config(VideoConfig, given={"set_": [text]})
