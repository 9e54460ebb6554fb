from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.media.clips import BIG_BUCK_BUNNY, Clip, make


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., Path]:
    """Makes a clip: `clip("name.mp4", codec=…)`, options as the fields of `Clip`."""

    def build(name: str = "clip.mp4", **changes: Any) -> Path:
        return make(tmp_path / name, dataclasses.replace(Clip(), **changes))

    return build


@pytest.fixture
def bunny() -> Path:
    if not BIG_BUCK_BUNNY.exists():
        pytest.skip(f"real footage is not here: {BIG_BUCK_BUNNY}")
    return BIG_BUCK_BUNNY
