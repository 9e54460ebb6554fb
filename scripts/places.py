"""Draw `samples/places.jpg`: what masks, symmetries and the like make of one frame of the flight.

    python scripts/places.py [--size WIDTHxHEIGHT] [--steps N]

A mask of a tenth, what `--where sky` finds, a dream there; a mirror, a kaleidoscope, tiles; the
source's own five colours, two prompts in two places, a step over ground with depth. Above each
dream is what it was dreamed on, its areas, or its depth.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import dreamvid
from dreamvid.dream.symmetry import Symmetry
from dreamvid.media import write_image
from dreamvid.plot import draw_label

SAMPLES = Path(__file__).parent.parent / "samples"
LABEL_HEIGHT = 20  # pixels
FRAMES = 6
"""Frames of the film with depth."""
COLUMNS: dict[str, dict[str, Any]] = {
    "--mask, a strawberry": {"prompt": "a strawberry", "mask": "part.png"},
    "--where sky --show-mask": {"where": "sky", "show_mask": True, "prompt": "fire"},
    "--where sky, fire": {"where": "sky", "prompt": "fire"},
    "--symmetry mirror, a lion": {"symmetry": "mirror", "prompt": "a lion"},
    "--symmetry kaleidoscope:6": {"symmetry": "kaleidoscope:6", "prompt": "a coral reef"},
    "--symmetry tile": {"symmetry": "tile", "prompt": "a coral reef"},
    "--palette 5, a coral reef": {"palette": 5, "prompt": "a coral reef"},
    "a strawberry@@left.png, a lion@@rest": {
        "prompt": ["a strawberry@@left.png", "a lion@@rest"],
    },
    "--depth ground.png --translation-x 30": {
        "prompt": "a coral reef",
        "depth": "ground.png",
        "translation_x": 30,
    },
}
"""Label → options of the dream below it; files are those that `draw_masks` writes."""


def main() -> None:
    """Read the arguments and draw the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--steps", type=int, default=60)
    arguments = parser.parse_args()
    with dreamvid.VideoReader(SAMPLES / "flight.mp4", size=arguments.size) as frames:
        source = next(iter(frames)).image
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        draw_masks(source)
        columns = [column(source, name, arguments.steps) for name in COLUMNS]
    rows = [torch.cat(columns[number : number + 3], 2) for number in range(0, len(columns), 3)]
    write_image(SAMPLES / "places.jpg", torch.cat(rows, 1), overwrite=True)


def draw_masks(source: Tensor) -> None:
    """Write a tenth of the picture, its left half with a soft edge, and how near the ground is."""
    height, width = source.shape[1:]
    part, x = torch.zeros_like(source), torch.arange(width).expand_as(source)
    part[:, height // 9 : height // 2, int(0.62 * width) : int(0.9 * width)] = 1
    left = ((width / 2 - x) / (width / 16) + 0.5).clamp(0, 1)
    ground = torch.linspace(-0.8, 1, height).clamp(min=0)[:, None].expand_as(source)
    for name, mask in {"part": part, "left": left, "ground": ground}.items():
        write_image(Path(f"{name}.png"), mask.contiguous())


def column(source: Tensor, name: str, steps: int) -> Tensor:
    """A label, a picture (3, H, W) that explains the dream, and the dream, above one another."""
    options = COLUMNS[name]
    above, symmetry = source, Symmetry.of(options.get("symmetry", "none"))
    if symmetry is not None:
        above = symmetry.arrange(source)
    if isinstance(options["prompt"], list):
        above = dreamvid.dream_image(source, show_mask=True, **options)
    if "depth" in options:
        above = dreamvid.read_image(Path(options["depth"]))
        dream = moved(source, steps, options)
    else:
        dream = dreamvid.dream_image(source, steps=steps, **options)
    return torch.cat([draw_label(name, source.shape[2], LABEL_HEIGHT), above, dream], 1)


def moved(source: Tensor, steps: int, options: dict[str, Any]) -> Tensor:
    """The last of a few frames of a film of the picture."""
    write_image(Path("in.png"), source)
    film = {"seconds": FRAMES / Fraction(25), "first_steps": steps, **options}
    dreamvid.dream_video("in.png", "%d.png", **film)
    return dreamvid.read_image(Path(f"{FRAMES}.png"))


if __name__ == "__main__":
    main()
