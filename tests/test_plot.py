"""Curves are where they should be, on the pixels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dreamvid.errors import MediaError
from dreamvid.media import read_image
from dreamvid.plot import Line, Panel, draw_label, write_plot


def columns_of(image: Tensor, colour: tuple[float, float, float]) -> tuple[Tensor, Tensor]:
    """Which columns of (3, H, W) hold pixels of about that colour, and their mean rows."""
    near = (image - torch.tensor(colour).view(3, 1, 1)).abs().amax(0) < 0.1
    rows = torch.arange(image.shape[1]).float()[:, None]
    there = near.any(0)
    return there.nonzero()[:, 0], (near * rows).sum(0)[there] / near.sum(0)[there]


def test_a_rising_curve_rises_and_is_interrupted_where_it_has_no_value(tmp_path):
    x = [float(k) for k in range(101)]
    y = [None if 40 < k < 60 else k for k in x]
    write_plot(tmp_path / "a.png", [Panel("rising", [Line("", x, y, "red")])])
    columns, rows = columns_of(read_image(tmp_path / "a.png"), (1.0, 0.0, 0.0))
    assert rows[0] > rows[-1] + 100
    gaps = columns.diff()
    width = columns[-1] - columns[0]
    assert (gaps > 1).sum() == 1
    assert float(gaps.max() / width) == pytest.approx(0.2, abs=0.02)


def test_panels_stand_above_one_another_with_marks_through_all(tmp_path):
    lines = [Line("high", [0, 1], [5, 5], "lime"), Line("low", [0, 1], [1, 2], "red", faint=True)]
    panels = [Panel("first", lines, from_zero=True), Panel("second", [Line("", [0, 1], [3, 4])])]
    write_plot(tmp_path / "one.png", panels[:1])
    write_plot(tmp_path / "two.png", panels, marks=[0.5], x_label="steps")
    one, two = (read_image(tmp_path / name) for name in ("one.png", "two.png"))
    assert two.shape[1] > 1.7 * one.shape[1]
    assert two.shape[2] == one.shape[2]


def test_a_plot_is_not_replaced_unasked_nor_left_half_written(tmp_path, monkeypatch):
    path, panel = tmp_path / "a.png", Panel("", [Line("", [0, 1], [0, 1])])
    path.write_bytes(b"old")
    with pytest.raises(MediaError, match="--overwrite replaces it"):
        write_plot(path, [panel])
    assert path.read_bytes() == b"old"
    write_plot(path, [panel], overwrite=True)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(MediaError, match=r"unknown extension '\.jpg'; allowed: \.png"):
        write_plot(tmp_path / "a.jpg", [panel])


@pytest.mark.parametrize("size", [(320, 20), (101, 33), (16, 12)])
def test_a_label_is_light_on_dark_and_of_the_size_asked_for(size):
    width, height = size
    label, blank = draw_label("dream –", width, height), draw_label("", width, height)
    assert label.shape == blank.shape == (3, height, width)
    assert blank.amax() < 0.25
    assert label.amax() > 0.8
    inked = ((label - blank).amax(0) > 0.3).nonzero()
    assert inked[:, 1].min() >= 1
    if width > 100:  # no letter is cut off
        assert inked[:, 1].max() < width - 1
        assert 1 <= inked[:, 0].min() <= inked[:, 0].max() < height - 1
