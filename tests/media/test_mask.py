"""Masks from pictures and films."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from dreamvid.errors import MediaError
from dreamvid.media import write_image
from dreamvid.media.mask import MaskReader
from dreamvid.media.source import Source
from tests.media.clips import Clip, make, picture, steady


def reader(path: Path, invert: bool = False, start: Fraction | None = None) -> MaskReader:
    source = Source.find(path)
    return MaskReader(source, (64, 48), start=start, invert=invert, on_warning=print)


def test_a_picture_is_scaled_and_stays(tmp_path):
    half = torch.zeros(3, 24, 32)
    half[..., 16:] = 1
    write_image(tmp_path / "half.png", half)
    masks = reader(tmp_path / "half.png", start=Fraction(99))
    first, last = masks.at(Fraction(0)), masks.at(Fraction(100))
    assert first is last
    assert first.shape == (1, 48, 64)
    assert first[..., :28].max() == 0
    assert first[..., 36:].min() == 1
    assert torch.equal(reader(tmp_path / "half.png", invert=True).at(Fraction(0)), 1 - first)
    masks.close()


@pytest.mark.parametrize("start", [None, Fraction(1, 4)])
def test_a_film_shows_what_it_shows_then(tmp_path, start):
    path = make(tmp_path / "a.mkv", Clip(steady(12), codec="ffv1", options={}, pix_fmt="yuv444p"))
    masks = reader(path, start=start)
    first = 0 if start is None else 6
    forward = [("0", 0), ("1/24", 1), ("11/240", 1), ("5/24", 5), ("99", 11 - first)]
    for moment, index in [*forward, *reversed(forward)]:
        mask = masks.at(Fraction(moment))
        assert torch.allclose(mask, picture(index + first).mean(0, keepdim=True), atol=0.02)
    masks.close()


def test_what_is_no_mask_is_told(tmp_path):
    with pytest.raises(MediaError, match="does not exist"):
        reader(tmp_path / "none.png")
