"""Masks of whole results: of words and of files, hidden by them and shown."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

import dreamvid
from dreamvid.config import VideoConfig
from dreamvid.errors import ConfigError
from dreamvid.film.clip import open_clip
from dreamvid.film.delivery import outline
from dreamvid.film.job import VideoJob
from dreamvid.film.report import Reporter
from dreamvid.media import write_image
from tests.fakes import TowardsColour
from tests.guide.test_finding import HEIGHT, WIDTH, overlap, strawberry

QUICK: dict[str, Any] = {"steps": 2, "cutouts": 2, "strength": 0.3, "lr": 0.1}
BLUE = [TowardsColour((0.0, 0.0, 1.0))]


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("in") / "in.png"
    write_image(path, strawberry()[0])
    return path


def test_a_thing_in_a_picture_is_dreamed_alone(picture):
    source, (_, truth) = dreamvid.read_image(picture), strawberry()
    dream = dreamvid.dream_image(picture, where="a strawberry", objectives=BLUE, **QUICK)
    change = (dream - source).square().sum(0)
    assert float(change[~truth].sum() / change.sum()) <= 0.1  # the mask is soft at the edge
    assert float(change[truth].mean()) > 0.01


def test_both_masks_limit_the_dream(picture, tmp_path):
    half = torch.zeros(3, HEIGHT, WIDTH)
    half[..., 120:] = 1
    write_image(tmp_path / "half.png", half)
    options = QUICK | {"where": ["a strawberry"], "mask": str(tmp_path / "half.png")}
    dream = dreamvid.dream_image(picture, objectives=BLUE, **options)
    other = dreamvid.dream_image(picture, objectives=BLUE, mask_invert=True, **options)
    source = dreamvid.read_image(picture)
    assert torch.equal(dream[..., :120], source[..., :120])
    assert torch.equal(other[..., 120:], source[..., 120:])
    assert (dream - source).abs().max() > 0.1


@pytest.mark.parametrize("kind", ["image", "video"])
def test_the_mask_is_shown_instead_of_a_dream(picture, tmp_path, kind):
    source, (_, truth) = dreamvid.read_image(picture), strawberry()
    options = QUICK | {"where": ["a strawberry"], "show_mask": True, "objectives": BLUE}
    if kind == "image":
        shown = dreamvid.dream_image(picture, **options)
    else:
        dreamvid.dream_video(picture, tmp_path / "%d.png", seconds=0.04, **options)
        shown = dreamvid.read_image(tmp_path / "1.png")
    darker = (source - shown).abs().amax(0)
    assert overlap((darker < 0.1).float()[None], truth) > 0.7
    hidden = shown[:, :20, -20:]
    assert hidden.std(0).max() < 0.02
    assert hidden.mean() < 0.4 * source[:, :20, -20:].mean()


def test_an_outline_is_the_source_where_the_mask_is_white():
    source, mask = torch.rand(3, 4, 6), torch.zeros(1, 4, 6)
    mask[..., 3:] = 1
    shown = outline(source, mask)
    assert torch.equal(shown[..., 3:], source[..., 3:])
    torch.testing.assert_close(shown[0, :, :3], 0.35 * source.mean(0)[:, :3])


def test_there_must_be_a_mask_to_show(picture):
    with pytest.raises(ConfigError, match=r"^--show-mask is given without a mask; allowed with"):
        dreamvid.dream_image(picture, objectives=BLUE, show_mask=True)
    with pytest.raises(ConfigError, match=r"^--where-threshold: '11' is not allowed; allowed: a n"):
        dreamvid.dream_image(picture, objectives=BLUE, where_threshold=11)


def test_all_that_is_read_is_read_to_the_device(picture, tmp_path, monkeypatch):
    there = torch.device("meta")
    monkeypatch.setattr("dreamvid.film.clip.choose_device", lambda name: there)
    config = VideoConfig(prompt=["ice"], mask=str(picture), zoom=1.1)
    job = VideoJob.without_result(picture, config)
    with open_clip(job, Reporter(lambda event: None)) as clip:
        (frame,) = clip.reader
        seen = clip.view.frame(frame)
        assert clip.mask is not None
        assert {each.device for each in (seen.image, clip.mask.at(Fraction(0)))} == {there}
