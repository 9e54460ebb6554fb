"""A take gives back what was played, at every frame."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamvid.config import VideoConfig, build_config
from dreamvid.control.clock import Clock
from dreamvid.control.schedule import LONGEST, Schedule
from dreamvid.errors import ConfigError
from dreamvid.live.take import Take, keyframes

RATE = Fraction(24)


def rendered(config: VideoConfig, frames: int) -> list[dict[str, float]]:
    """The numbers at each frame, as `dreamvid video` has them."""
    schedule = Schedule(config, Clock(RATE, frames))
    values = []
    for index in range(frames):
        setting = schedule(index / RATE, index)
        now = {"strength": setting.config.strength, "steps": float(setting.config.steps)}
        weights = enumerate(setting.prompts.prompt, 1)
        values.append(now | {f"prompt{number}": weight for number, weight in weights})
    return values


levels = st.floats(0, 1).map(lambda value: float(f"{value:.6g}"))
row = st.lists(
    st.tuples(levels, st.integers(1, 9)).map(lambda run: [run[0]] * run[1]), min_size=1, max_size=9
).map(lambda runs: [value for run in runs for value in run])


@settings(max_examples=40, deadline=None)
@given(row)
def test_a_row_of_values_comes_back_exactly(values):
    config = VideoConfig(prompt=["a"], set_=[f"strength={keyframes(values)}"])
    found = [each["strength"] for each in rendered(config, len(values))]
    assert found == pytest.approx(values, abs=1e-9)


def test_a_steady_way_needs_two_keys():
    assert keyframes([0.5] * 100) == "0:(0.5), 99:(0.5)"
    assert keyframes([k / 100 for k in range(101)]) == "0:(0), 100:(1)"
    assert keyframes([0.1] * 10 + [0.9] * 10) == "0:(0.1), 9:(0.1), 10:(0.9), 19:(0.9)"
    assert keyframes([0.25]) == "0:(0.25)"


def test_a_long_row_is_as_near_as_it_can_be():
    values = [0.5 + 0.4 * ((7919 * k) % 1000 / 1000 - 0.5) * (k % 2) for k in range(6000)]
    text = keyframes(values)
    assert len(text) <= LONGEST
    assert text.startswith("0:(")


def test_ten_changes_are_rendered_as_they_were_played():
    config = VideoConfig(prompt=["a", "b::0.5"], strength=0.3, start=4, zoom=1.1, size="64x48")
    take, played = Take(config), []
    for index in range(60):
        values = {
            "strength": 0.3 if index < 20 else 0.1,
            "steps": float(6 + index // 10),
            "prompt1": 1.0 - index / 60,
            "prompt2": 0.5,
            "zoom": 1.1,
            **({"prompt3": (index - 30) / 30} if index >= 30 else {}),
        }
        take.add(values)
        values.pop("zoom")
        played.append({"prompt3": 0.0} | values)
    final = build_config(VideoConfig, base=config, given={"prompt": ["a", "b::0.5", "c::1"]})
    made = take.config(final)
    for index, values in enumerate(rendered(made, 60)):
        assert values == pytest.approx(played[index], abs=2e-6)
    # What the source of the take shows already is not done again.
    assert (made.zoom, made.start, made.size) == (1.0, None, "source")


def test_the_file_of_a_take_is_read_as_the_same_options(tmp_path):
    take = Take(VideoConfig(prompt=["a"]))
    for index in range(5):
        take.add({"strength": index / 10, "prompt1": 1.0})
    config = VideoConfig(prompt=["a"], negative=['"quoted" text'], lr=0.1, codec="libx264")
    file = tmp_path / "take.toml"
    file.write_text(take.to_toml(config), encoding="utf-8")
    read = build_config(VideoConfig, file=file)
    assert read.model_dump() == take.config(config).model_dump()
    assert (read.lr, read.codec) == (0.1, None)


def test_what_cannot_be_rendered_is_refused():
    with pytest.raises(ConfigError, match="a take holds no --at"):
        Take(VideoConfig(at=[("0", "a"), ("2", "b")]))
    with pytest.raises(ConfigError, match="a take holds no --mask"):
        Take(VideoConfig(prompt=["a"], mask="mask.png"))
