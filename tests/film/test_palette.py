"""A palette over a whole film: its colours, its steadiness, and what stays as it was."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

import dreamvid as library
from dreamvid.config import DreamConfig, ImageConfig, parse_colours
from dreamvid.dream.palette import Palette, colours_of
from dreamvid.errors import ConfigError
from dreamvid.film.checks import config_of
from dreamvid.film.delivery import coloured
from dreamvid.media import VideoReader, probe, write_image
from dreamvid.media.source import Source
from dreamvid.zooms.film import ZoomJob
from tests.cli.conftest import dreamvid, refused  # noqa: F401 (a fixture)
from tests.dream.test_palette import FIVE, drawn, near
from tests.fakes import TowardsColour
from tests.media.clips import Clip, make, steady

PALETTE = Palette(tuple(parse_colours(FIVE) or ()))


def dreamed(clip: Path, out: Path, **options: object) -> torch.Tensor:
    """The frames (N, 3, H, W) of a film that is dreamed towards grey."""
    config = library.VideoConfig(
        prompt=["grey"],
        codec="ffv1",
        pix_fmt="bgr0",
        steps=2,
        first_steps=6,
        cutouts=4,
        **options,
    )
    library.dream_video(clip, out, config=config, objectives=[TowardsColour((0.5, 0.5, 0.5))])
    with VideoReader(out) as reader:
        return torch.stack([frame.image for frame in reader])


def test_a_film_is_in_the_colours(tmp_path):
    clip = make(tmp_path / "in.mp4", Clip(times=steady(6), size=(96, 64)))
    plain = dreamed(clip, tmp_path / "plain.mkv")
    film = dreamed(clip, tmp_path / "film.mkv", palette=FIVE)
    assert min(near(image, PALETTE) for image in film) >= 0.9
    assert max(near(image, PALETTE) for image in plain) < 0.5
    shown = json.loads(probe(tmp_path / "film.mkv").metadata["dreamvid"])["options"]
    assert shown["palette"] == FIVE


def test_it_flickers_no_more_than_without(tmp_path):
    still = tmp_path / "in.png"
    write_image(still, drawn((64, 96)))
    film, plain = (
        dreamed(still, tmp_path / f"{name}.mkv", seconds=Fraction(1, 2), palette=palette)
        for name, palette in (("film", FIVE), ("plain", None))
    )
    changes = [images[2:].diff(dim=0).abs().mean().item() for images in (film, plain)]
    assert changes[0] <= changes[1]


def test_a_share_is_moved_by_that_share_and_a_mask_keeps_the_rest():
    image = drawn()
    whole, half = (
        coloured(image, DreamConfig(palette=FIVE, palette_share=share)) for share in (1.0, 0.5)
    )
    assert torch.allclose(half, (image + whole) / 2, atol=1e-6)
    assert coloured(image, DreamConfig()) is image
    mask = torch.zeros(1, 48, 64)
    mask[..., 32:] = 1
    part = coloured(image, DreamConfig(palette=FIVE), mask)
    assert torch.equal(part[..., :32], image[..., :32])
    assert torch.allclose(part[..., 32:], whole[..., 32:])


def test_the_colours_of_a_picture_stand_for_it(tmp_path):
    picture = tmp_path / "style.png"
    colours = torch.tensor(PALETTE.colours).T
    write_image(picture, colours[:, torch.arange(40 * 50).reshape(40, 50) * 5 // 2000])
    found = config_of(ImageConfig, None, {"prompt": "ice", "palette": str(picture)}).palette
    assert found is not None
    assert sorted(found.split(",")) == sorted(FIVE.split(","))
    fewer = config_of(ImageConfig, None, {"prompt": "ice", "palette": f"{picture}::3"}).palette
    assert fewer is not None
    assert len(fewer.split(",")) == 3


def test_a_picture_and_a_zoom_have_them_too(tmp_path):
    grey, image = [TowardsColour((0.5, 0.5, 0.5))], drawn()
    picture = library.dream_image(image, prompt="ice", palette=FIVE, steps=1, objectives=grey)
    assert isinstance(picture, torch.Tensor)
    assert near(picture, PALETTE) >= 0.9
    write_image(tmp_path / "in.png", image)
    out = tmp_path / "zoom.mkv"
    library.zoom(
        tmp_path / "in.png",
        out,
        objectives=grey,
        prompt="ice",
        palette=FIVE,
        seconds=0.2,
        fps=10,
        steps=1,
        first_steps=1,
        codec="ffv1",
        pix_fmt="bgr0",
    )
    with VideoReader(out) as reader:
        assert all(near(frame.image, PALETTE) >= 0.9 for frame in reader)


def test_a_source_keeps_its_own_main_colours(tmp_path):
    """Those of a few of its frames, the same in all of the film and in its metadata."""
    clip = make(tmp_path / "in.mp4", Clip(times=steady(12), size=(96, 64)))
    plain = dreamed(clip, tmp_path / "plain.mkv")
    film = dreamed(clip, tmp_path / "film.mkv", palette="5")
    made = json.loads(probe(tmp_path / "film.mkv").metadata["dreamvid"])["options"]["palette"]
    own = Palette(tuple(parse_colours(made) or ()))
    assert len(own.colours) == 5
    assert min(near(image, own) for image in film) >= 0.9
    flickers = [images[2:].diff(dim=0).abs().mean().item() for images in (film, plain)]
    assert flickers[0] <= flickers[1]
    looks = list(Source.find(clip).glimpses(8, size="160"))
    assert str(colours_of([look.image for look in looks], 5)) == made
    assert [look.time for look in looks] == [Fraction(number, 16) for number in range(8)]


def test_a_picture_a_tensor_and_a_zoom_have_their_own_too(tmp_path):
    image = drawn()
    write_image(tmp_path / "in.png", image)
    grey = [TowardsColour((0.5, 0.5, 0.5))]
    options: dict[str, Any] = {"prompt": "ice", "steps": 1, "objectives": grey, "palette": 3}
    own = colours_of([image], 3)
    for source in (tmp_path / "in.png", image):
        picture = library.dream_image(source, **options)
        assert isinstance(picture, torch.Tensor)
        assert near(picture, own) >= 0.9
    job = ZoomJob.prepare(
        str(tmp_path / "in.png"), tmp_path / "zoom.mkv", library.ZoomConfig(prompt=["x"], palette=3)
    )
    assert job.config.palette is not None
    assert len(parse_colours(job.config.palette) or ()) == 3


def test_what_cannot_be_looked_at_first_has_no_colours_of_its_own(tmp_path):
    with pytest.raises(ConfigError, match=r"^--palette 5: 'grey' cannot be looked at beforehand;"):
        library.dream_image("grey", prompt="ice", palette=5, size="64x64")


@pytest.mark.parametrize(
    ("palette", "status", "message"),
    [
        ("1", 2, "--palette: '1' is not allowed; allowed: colours as #112233,#aabbcc; N, the num"),
        ("#12345", 2, "--palette: '#12345' is not allowed; allowed: colours as #112233,#aabbcc"),
        ("#112233,blue", 2, "--palette: '#112233,blue' is not allowed; allowed: colours as"),
        ("in.png::1", 2, "--palette: 'in.png::1' is not allowed; allowed: colours as"),
        ("none.png", 1, "'none.png' does not exist"),
    ],
)
def test_a_mistake_is_told_in_a_line(dreamvid, tmp_path, palette, status, message):  # noqa: F811
    write_image(tmp_path / "in.png", drawn())
    typed = ["image", tmp_path / "in.png", tmp_path / "o.png", "-p", "ice", "--palette", palette]
    refused(dreamvid(*typed), status, message)
