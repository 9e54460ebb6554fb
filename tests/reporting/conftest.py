"""Results to report on, dreamed once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import dreamvid
from dreamvid.media import write_image
from tests.media.clips import Clip, make, picture, steady

HOSTILE = 'fire <script>alert("x")</script> & \u202e"quotes" שלום'
QUICK: dict[str, Any] = {"cutouts": 2, "octaves": 1, "steps": 1, "first_steps": 2}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip, a picture, and a result of each command."""
    folder = tmp_path_factory.mktemp("reporting")
    clip = make(folder / "in.mp4", Clip(steady(6, 12), size=(96, 64), sound="aac"))
    write_image(folder / "in.png", picture(3))
    dreamvid.dream_video(
        clip,
        folder / "video.mp4",
        prompt=HOSTILE,
        negative="text",
        set="strength=0.1+0.1*t",
        **QUICK,
    )
    dreamvid.zoom(
        folder / "in.png", folder / "zoom.mp4", prompt="ice", seconds=0.5, fps=12, **QUICK
    )
    for name, seed in (("image.png", 0), ("other.png", 5)):
        options = {**QUICK, "seed": seed}
        del options["first_steps"]
        dreamvid.dream_image(folder / "in.png", folder / name, prompt="a rose", **options)
    return folder
