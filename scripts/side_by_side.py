"""Films beside one another, each under its name, to be watched frame by frame.

    python scripts/side_by_side.py OUT.mp4 NAME=FILE [NAME=FILE …] [--columns 3] [--start NAME=0]

All are shown at the first one's size and times, until the shortest ends. Quality is high (CRF 16),
because what is looked for is flicker, and an encoder's must not be taken for the film's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from dreamvid.config import WriteConfig, parse_seconds
from dreamvid.media.probing import probe
from dreamvid.media.reader import VideoReader
from dreamvid.media.writer import VideoWriter
from dreamvid.plot import draw_label

LABEL_HEIGHT = 20  # pixels
QUALITY = WriteConfig(crf=16)


def main() -> None:
    """Read the arguments and write the film."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("films", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--columns", type=int, default=3)
    parser.add_argument("--start", metavar="NAME=SECONDS", help="where a longer film begins")
    arguments = parser.parse_args()
    films = {
        name: Path(file) for name, _, file in (film.partition("=") for film in arguments.films)
    }
    late, _, seconds = (arguments.start or "").partition("=")
    starts = {late: parse_seconds(seconds)} if late else {}
    side_by_side(arguments.out, films, arguments.columns, starts)


def side_by_side(
    out: Path, films: dict[str, Path], columns: int = 3, starts: dict[str, Fraction] | None = None
) -> None:
    """Write one film of several, each under its name; `starts` in seconds, by name.

    The size is that of the first that is shown from its beginning, the times the first one's.
    """
    starts = starts or {}
    seen = probe(next(path for name, path in films.items() if name not in starts))
    size = f"{seen.width}x{seen.height}"
    labels = [draw_label(name, seen.width, LABEL_HEIGHT) for name in films]
    blank = tiled([torch.zeros(3, seen.height + LABEL_HEIGHT, seen.width)] * len(films), columns)
    with ExitStack() as stack:
        readers = [
            stack.enter_context(VideoReader(path, start=starts.get(name), size=size))
            for name, path in films.items()
        ]
        info = replace(readers[0].info, height=blank.shape[1], width=blank.shape[2])
        writer = stack.enter_context(VideoWriter(out, info, QUALITY, overwrite=True))
        for frames in zip(*readers, strict=False):
            images = [frame.image for frame in frames]
            cells = [torch.cat(pair, 1) for pair in zip(labels, images, strict=True)]
            writer.write(frames[0].with_image(tiled(cells, columns)))


def tiled(cells: Sequence[Tensor], columns: int) -> Tensor:
    """Cells (3, H, W) row by row as one picture with even sides, black where none is."""
    height, width = cells[0].shape[1:]
    columns = min(columns, len(cells))
    total = -(-len(cells) // columns) * height, columns * width
    picture = torch.zeros(3, *(side + side % 2 for side in total))
    for index, cell in enumerate(cells):
        top, left = index // columns * height, index % columns * width
        picture[:, top : top + height, left : left + width] = cell
    return picture


if __name__ == "__main__":
    main()
