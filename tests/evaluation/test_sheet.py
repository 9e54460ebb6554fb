"""Contact sheets hold the frames they should."""

from __future__ import annotations

import pytest
import torch

from dreamvid.evaluation.sheet import ContactSheet


def shown(total: int | None, frames: int, count: int = 3) -> list[int]:
    """The grey levels of a sheet's columns, in hundredths."""
    sheet = ContactSheet(total, count)
    for k in range(frames):
        sheet.add([torch.full((3, 8, 4), k / 100)])
    return [round(float(level) * 100) for level in sheet.image()[0, 0, ::4]]


def test_columns_are_evenly_spread_from_the_first_frame_to_the_last():
    assert shown(total=9, frames=9) == [0, 4, 8]
    assert shown(total=9, frames=9, count=1) == [0]
    assert shown(total=2, frames=2) == [0, 1]
    assert shown(total=9, frames=6) == [0, 4]  # fewer than were promised
    assert shown(total=None, frames=9) == [0, 1, 2]


def test_pictures_stand_above_one_another_and_wide_ones_are_shrunk():
    sheet = ContactSheet(1, 1)
    sheet.add([torch.zeros(3, 300, 800), torch.ones(3, 300, 800)])
    image = sheet.image()
    assert image.shape == (3, 300, 400)
    assert image[:, :149].max() == 0
    assert image[:, 151:].min() == 1


def test_a_sheet_of_nothing_is_refused():
    with pytest.raises(ValueError, match="needs a frame"):
        ContactSheet(3).image()
