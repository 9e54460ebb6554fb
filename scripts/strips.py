"""Draw a strip from low to high for each of the options that matter, samples/strips/NAME.webp.

    python scripts/strips.py [NAME…]

Stills are the sample flight dreamed as one prompt, each with the same steps and seed. The strips
of what acts over time are slices: one column of pixels of a film, from frame to frame. What stays
where it is draws level lines there, what moves slanted ones, what flickers stripes.
`scripts/options_reference.py` shows them in the reference.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from dreamvid.device import torch_environment

os.environ.update(torch_environment())  # as the command line does

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import dreamvid
from dreamvid.events import Event, FrameDone
from dreamvid.plot import draw_label

ROOT = Path(__file__).resolve().parent.parent
FLIGHT = ROOT / "samples" / "flight.mp4"
STRIPS = ROOT / "samples" / "strips"
PROMPT = "a volcano"
SIZE, LABEL_HEIGHT, GAP, QUALITY = "256x144", 18, 4, 75
STEPS = 40
FILM = {"end": 2.0, "steps": 4, "first_steps": 24, "hold": 0.0}
"""A film whose slices show what holds it still: each frame takes all of its steps."""
COLUMN, STRETCH = 0.5, 5
"""The column of a slice as a share of the width, and how many pixels wide each frame is."""


@dataclass(frozen=True)
class Strip:
    """An option from low to high."""

    option: str
    values: Sequence[Any]
    line: str
    """What one sees."""
    beside: dict[str, Any]
    """Options that all of the strip have."""
    is_slice: bool = False


def strip(option: str, values: Sequence[Any], line: str, **beside: Any) -> Strip:
    return Strip(option, values, line, beside)


def slices(option: str, values: Sequence[Any], line: str, **beside: Any) -> Strip:
    return Strip(option, values, line, beside, is_slice=True)


ALL = (
    strip(
        "strength",
        (0.05, 0.1, 0.18, 0.25, 0.35),
        "From a tint to what leaves little of the source.",
    ),
    strip(
        "steps", (4, 10, 20, 40, 80), "Meaning comes in the first dozens of steps, then settles."
    ),
    strip(
        "cutouts", (1, 4, 16, 32, 64), "Few cutouts leave shapes to chance; many draw them plainer."
    ),
    strip(
        "canvas",
        ("octaves", "pyramid", "spectrum"),
        "One scale after another, all scales at once, waves.",
    ),
    strip("spectrum-decay", (0.5, 0.8, 1.0, 1.25, 1.6), "From fine and grainy to large and soft."),
    strip(
        "octaves",
        (1, 2, 3, 4, 6),
        "Each octave more adds larger shapes.",
        canvas="octaves",
        lr=0.03,
    ),
    strip(
        "colour-correlation",
        (0.0, 0.25, 0.5, 0.75, 1.0),
        "From neon to the colours of photographs.",
    ),
    strip("tv", (0, 4, 8, 20, 60), "From grain to smooth.", canvas="octaves", lr=0.03),
    slices("hold", (0.0, 0.5, 0.8, 0.97, 1.0), "What is trusted stays: the stripes go."),
    slices("every", (1, 2, 4, 8), "Frames between the dreamed ones are blended from them."),
)
"""In the order of the reference."""


def draw(each: Strip) -> Tensor:
    """The strip, (3, H, W) in [0, 1]."""
    shown = slice_of if each.is_slice else still
    cells = []
    for value in each.values:
        name = each.option.replace("-", "_")
        picture = shown({**each.beside, name: value})
        label = draw_label(f"{each.option} {value}", picture.shape[2], LABEL_HEIGHT)
        cell = torch.cat([label, picture], 1)
        cells += [cell, torch.ones(3, cell.shape[1], GAP)]
    return torch.cat(cells[:-1], 2)


def still(options: dict[str, Any]) -> Tensor:
    """A dream of the flight's middle, (3, H, W)."""
    with dreamvid.VideoReader(FLIGHT, size=SIZE) as reader:
        source = next(islice(reader, 12, None)).image
    dream: Tensor = dreamvid.dream_image(source, **{"prompt": PROMPT, "steps": STEPS, **options})
    return dream


def slice_of(options: dict[str, Any]) -> Tensor:
    """A column of a dreamed film from frame to frame, (3, H, frames · STRETCH)."""
    columns: list[Tensor] = []

    def keep(event: Event) -> None:
        if isinstance(event, FrameDone):
            image = event.frame.image
            column = image[:, :, int(COLUMN * image.shape[2])]
            columns.append(column[:, :, None].expand(-1, -1, STRETCH).cpu())

    given = {**FILM, "prompt": PROMPT, "size": SIZE, **options}
    with tempfile.TemporaryDirectory() as folder:
        dreamvid.dream_video(FLIGHT, Path(folder) / "film.mp4", listener=keep, **given)
    return torch.cat(columns, 2)


def main() -> None:
    """Draw the strips that are named, or all."""
    names = [each.option for each in ALL]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    chosen = parser.parse_args().names
    if unknown := sorted(set(chosen) - set(names)):
        parser.error(f"no strip is called {', '.join(unknown)}; allowed: {', '.join(names)}")
    torch.set_num_threads(1)
    STRIPS.mkdir(exist_ok=True)
    for each in ALL:
        if each.option in chosen or not chosen:
            write(each)


def write(each: Strip) -> None:
    """Draw a strip into its file."""
    path = STRIPS / f"{each.option}.webp"
    picture = (255 * draw(each)).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(np.ascontiguousarray(picture)).save(path, quality=QUALITY, method=6)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
