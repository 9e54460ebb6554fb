"""The plan of a film: the panels of its plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dreamvid.plot
from dreamvid.control.analysis import Sound
from dreamvid.control.names import FEATURE_NAMES
from dreamvid.errors import ConfigError
from dreamvid.film.outlook import Outlook, draw_outlook, plan
from dreamvid.media import VideoReader, read_image, write_image
from dreamvid.plot import Line, Panel, Pictures, write_plot
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


def test_steps_that_a_sudden_new_text_takes_are_counted(tmp_path):
    at = ["0 a calm sea", "2f a storm"]
    seen = looked_ahead(tmp_path, {}, first_steps=20, steps=3, at=at, transition=0)
    assert seen.steps == 20 + 3 + 20 + 3


def test_nothing_to_draw_is_refused(tmp_path, drawn):
    with pytest.raises(ConfigError, match="--plot: there is neither sound nor anything that var"):
        draw_outlook(tmp_path / "a.png", looked_ahead(tmp_path, {}, set="tv=3"), False)


def test_masks_are_drawn_on_a_few_frames(tmp_path, drawn):
    clip, mask = make(tmp_path / "a.mp4", Clip(steady(12), size=(96, 64))), tmp_path / "mask.png"
    white_left = torch.zeros(3, 64, 96)
    white_left[..., :48] = 1
    write_image(mask, white_left)
    options = {"timing": False, "plot": tmp_path / "a.png", "mask": str(mask)}
    plan(clip, prompt=["ice@@where-not:sky", "fire@@rest"], **options)
    (row,) = drawn
    assert (row.title, len(row.images), row.end) == ("masks", 6, 0.5)
    with VideoReader(clip) as reader:
        first = next(iter(reader)).image
    assert row.images[0].shape == first.shape
    right = row.images[0][..., 50:]  # dark and grey, as the mask is black
    assert right.std(0).max() < 0.02
    assert right.mean() < 0.5 * first[..., 50:].mean()


def test_a_row_of_pictures_stands_over_its_times(tmp_path):
    red = torch.tensor([1.0, 0, 0]).view(3, 1, 1).expand(3, 20, 40)
    row = Pictures("masks", [red, 0 * red, red, 0 * red], 2.0)
    panel = Panel("curve", [Line("", [0, 2], [0, 1])])
    write_plot(tmp_path / "a.png", [row, panel], panel_height=1.4)
    shown = read_image(tmp_path / "a.png")
    reds = ((shown[0] > 0.95) & (shown[1] < 0.05)).any(0).nonzero().flatten()
    gaps = reds.diff()
    assert (gaps > 10).sum() == 1
    widths = [len(reds[: int(gaps.argmax()) + 1]), len(reds[int(gaps.argmax()) + 1 :])]
    assert widths[0] == pytest.approx(widths[1], abs=2)
    tall = ((shown[0] > 0.95) & (shown[1] < 0.05)).any(1).sum()
    assert widths[0] / int(tall) == pytest.approx(2, abs=0.1)
