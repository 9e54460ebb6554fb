"""Whole results that are symmetric: clips under a moving camera, pictures, zooms and loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import dreamvid
from dreamvid.dream.symmetry import Symmetry
from dreamvid.events import FrameDone
from dreamvid.media import write_image
from tests.dream.test_symmetry import departure
from tests.fakes import TowardsColour
from tests.media.clips import Clip, make, steady
from tests.motion.scenes import texture

QUICK: dict[str, Any] = {"steps": 1, "cutouts": 2, "strength": 0.3}
FILM: dict[str, Any] = QUICK | {"first_steps": 2, "codec": "ffv1", "flow": None}
RED = [TowardsColour((1.0, 0.0, 0.0))]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "in.png"
    write_image(path, texture(60, 90)[:, :60, :90])
    return path


def frames_of(make_film: Any, *arguments: Any, **options: Any) -> list[Tensor]:
    """The frames as they go to the encoder."""
    images = list[Tensor]()

    def listener(event: Any) -> None:
        if isinstance(event, FrameDone):
            images.append(event.frame.image)

    make_film(*arguments, objectives=RED, listener=listener, **options)
    return images


@pytest.mark.parametrize("name", ["mirror", "tile", "kaleidoscope:6"])
@pytest.mark.parametrize(
    "more",
    [
        {"zoom": 2.0, "rotate": 90.0, "pan": (0.5, 0.2), "shutter": 180.0},
        {"every": 2, "size": "48x36", "deliver": "source"},
    ],
)
def test_every_frame_of_a_clip(tmp_path, name, more):
    clip = make(tmp_path / "in.mp4", Clip(steady(3)))
    options = {**FILM, **more, "symmetry": name}
    images = frames_of(dreamvid.dream_video, clip, tmp_path / "out.mkv", **options)
    assert len(images) == 3
    assert images[0].shape == (3, 48, 64)
    for image in images:
        assert departure(image, name) <= 1e-6
        torch.testing.assert_close(Symmetry(name).fold(image), image, rtol=0, atol=1e-6)
    assert (images[0] - images[2]).abs().max() > 0.05


@pytest.mark.parametrize("name", ["quad", "tile", "kaleidoscope:6"])
@pytest.mark.parametrize(
    "more", [{"zoom": 0.8, "rotate": 60.0, "shutter": 180.0}, {"zoom": 1.5, "loop": True}]
)
def test_every_frame_of_a_zoom(picture, tmp_path, name, more):
    options = QUICK | {"first_steps": 2, "loop_steps": 2, "seconds": 1, "fps": 4} | more
    images = frames_of(
        dreamvid.zoom, picture, tmp_path / "out.mkv", codec="ffv1", symmetry=name, **options
    )
    assert len(images) == 4
    for image in images:
        assert departure(image, name) <= 1e-6


def test_a_picture_a_mask_and_the_film_of_its_steps(picture, tmp_path):
    mask = torch.zeros(3, 60, 90)
    mask[:, 10:40, 5:50] = torch.linspace(0, 1, 45)
    write_image(tmp_path / "mask.png", mask)
    options = QUICK | {"symmetry": "kaleidoscope:6", "mask": str(tmp_path / "mask.png"), "steps": 3}
    dream = dreamvid.dream_image(picture, objectives=RED, **options)
    dreamvid.dream_image(
        picture, tmp_path / "o.png", film=tmp_path / "f%d.png", objectives=RED, **options
    )
    shown = [dreamvid.read_image(path) for path in sorted(tmp_path.glob("f*.png"))]
    assert len(shown) == 4
    assert departure(dream, "kaleidoscope:6") <= 1e-6
    assert max(departure(image, "kaleidoscope:6") for image in shown) <= 1.01 / 255  # as written


def test_a_word_that_is_no_symmetry_is_one_line(picture):
    allowed = "none, mirror, quad, tile or kaleidoscope:N, N from 2 to 64"
    for name in ("kaleidoscope", "kaleidoscope:1", "kaleidoscope:65", "hexagon"):
        with pytest.raises(dreamvid.DreamvidError, match=allowed) as raised:
            dreamvid.dream_image(picture, objectives=RED, symmetry=name)
        assert str(raised.value).startswith(f"--symmetry: '{name}' is not allowed")
