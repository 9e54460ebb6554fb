"""A prepared folder as `scripts/guide/prepare.py` makes it, of a few coloured shapes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "guide"
sys.path.insert(0, str(SCRIPTS))

SIDE = 80
SHAPES = {
    "ball": ("red", np.hypot),
    "box": ("blue", np.maximum),
    "kite": ("green", np.add),
}
RGB = {"red": (220, 30, 30), "blue": (30, 30, 220), "green": (20, 180, 40)}


def drawn(shape: str, vendor: str) -> np.ndarray:
    """(SIDE, SIDE, 4) uint8."""
    colour, distance = SHAPES[shape]
    axis = np.abs(np.linspace(-1, 1, SIDE))
    inside = distance(axis[:, None], axis[None, :]) < (0.95 if vendor == "one" else 0.8)
    return np.dstack([np.broadcast_to(RGB[colour], (SIDE, SIDE, 3)), inside * 255]).astype(np.uint8)


def described(shape: str, vendor: str) -> dict[str, Any]:
    told = {"names": [shape, f"{shape} thing"], "keywords": ["toy", SHAPES[shape][0]]}
    return {"vendor": vendor, "category": "Objects", "concept": shape, **told}


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    pictures = [(shape, vendor) for shape in SHAPES for vendor in ("one", "other", "fluent")]
    grey = np.random.default_rng(0).integers(0, 255, (2, 160, 320, 3), np.uint8)
    np.savez(
        tmp_path / "data.npz",
        rgba=np.stack([drawn(*picture) for picture in pictures]),
        scenes=grey,
        tokens=np.arange(320, 440),
        vectors=np.random.default_rng(1).standard_normal((120, 100)).astype(np.float32),
    )
    facts = {
        "pictures": [described(*picture) for picture in pictures],
        "scenes": ["sky", "forest"],
        "retrieval": list(SHAPES),
    }
    (tmp_path / "captions.json").write_text(json.dumps(facts))
    return tmp_path
