"""The plan of a film: the panels of its plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dreamvid.plot
from dreamvid.control.analysis import Sound
from dreamvid.control.names import FEATURE_NAMES
from dreamvid.errors import ConfigError
from dreamvid.film.outlook import Outlook, draw_outlook, plan
from tests.media.clips import Clip, make, steady


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The panels that would be drawn."""
    panels: list[Any] = []
    monkeypatch.setattr(
        dreamvid.plot, "write_plot", lambda path, given, **options: panels.extend(given)
    )
    return panels


def looked_ahead(tmp_path: Path, heard: Mapping[str, float], **options: Any) -> Outlook:
    """The plan of four frames, with a sound of constant features."""
    clip = make(tmp_path / "a.mp4", Clip(steady(4)))
    seen = plan(clip, prompt="ice", timing=False, **options)
    features = {name: np.full(100, heard.get(name, 0.0)) for name in FEATURE_NAMES}
    sound = Sound(features, 0.01, 1.0, None, ())
    return Outlook(seen.source, seen.config, seen.schedule, sound, seen.times, seen.settings)


def test_what_does_not_change_is_not_drawn(tmp_path, drawn):
    varied = ["strength=0.1", "tv=t", "prompt1=1"]
    draw_outlook(tmp_path / "a.png", looked_ahead(tmp_path, {}, set=varied), False)
    assert [panel.title for panel in drawn] == ["tv"]


def test_silent_bands_are_named(tmp_path, drawn):
    heard = {"rms": 0.5, "mid": 0.5, "onset": 0.1, "centroid": 0.2}
    draw_outlook(tmp_path / "a.png", looked_ahead(tmp_path, heard), False)
    assert [panel.title for panel in drawn] == ["sound and beats", "features; silent: bass, high"]
    assert [line.label for line in drawn[1].lines] == ["mid", "onset", "centroid"]


def test_steps_that_a_rising_strength_takes_are_counted(tmp_path):
    strength = "strength=where(frame < 2, 0.1, 0.4)"
    seen = looked_ahead(tmp_path, {}, first_steps=20, steps=3, set=strength)
    assert seen.steps == 20 + 3 + (3 + 15) + 3


def test_nothing_to_draw_is_refused(tmp_path, drawn):
    with pytest.raises(ConfigError, match="--plot: there is neither sound nor anything that var"):
        draw_outlook(tmp_path / "a.png", looked_ahead(tmp_path, {}, set="tv=3"), False)
