"""Draw `samples/places.jpg`: what masks and symmetries make of one frame of the sample flight.

    python scripts/places.py [--size WIDTHxHEIGHT] [--steps N]

A mask of a tenth, what `--where sky` finds, a dream there; a mirror, a kaleidoscope, tiles. Above
each dream is what it was dreamed on.
"""

from __future__ import annotations

import argparse
import tempfile
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
COLUMNS: dict[str, dict[str, Any]] = {
    "--mask, a strawberry": {"prompt": "a strawberry", "mask": "part"},
    "--where sky --show-mask": {"where": "sky", "show_mask": True, "prompt": "fire"},
    "--where sky, fire": {"where": "sky", "prompt": "fire"},
    "--symmetry mirror, a lion": {"symmetry": "mirror", "prompt": "a lion"},
    "--symmetry kaleidoscope:6": {"symmetry": "kaleidoscope:6", "prompt": "a coral reef"},
    "--symmetry tile": {"symmetry": "tile", "prompt": "a coral reef"},
}
"""Label → options of the dream below it."""


def main() -> None:
    """Read the arguments and draw the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--steps", type=int, default=60)
    arguments = parser.parse_args()
    with dreamvid.VideoReader(SAMPLES / "flight.mp4", size=arguments.size) as frames:
        source = next(iter(frames)).image
    columns = [column(source, name, arguments.steps) for name in COLUMNS]
    rows = [torch.cat(columns[:3], 2), torch.cat(columns[3:], 2)]
    write_image(SAMPLES / "places.jpg", torch.cat(rows, 1), overwrite=True)


def column(source: Tensor, name: str, steps: int) -> Tensor:
    """A label, the picture (3, H, W) that is dreamed on, and its dream, above one another."""
    options = dict(COLUMNS[name])
    symmetry = Symmetry.of(options.get("symmetry", "none"))
    above = source if symmetry is None else symmetry.arrange(source)
    with tempfile.TemporaryDirectory() as folder:
        if "mask" in options:
            options["mask"] = str(Path(folder) / "mask.png")
            write_image(Path(options["mask"]), part_of(source))
        dream = dreamvid.dream_image(source, steps=steps, **options)
    return torch.cat([draw_label(name, source.shape[2], LABEL_HEIGHT), above, dream], 1)


def part_of(source: Tensor) -> Tensor:
    """A white rectangle of a tenth of the picture, (3, H, W)."""
    height, width = source.shape[1:]
    mask = torch.zeros_like(source)
    mask[:, height // 9 : height // 2, int(0.62 * width) : int(0.9 * width)] = 1
    return mask


if __name__ == "__main__":
    main()
