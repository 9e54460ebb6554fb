"""A contact sheet: frames of a source above, the same frames of its results below.

python scripts/sheet.py SOURCE RESULT [RESULT …] SHEET.png [--count 6] [--start 0]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from dreamvid.config import parse_seconds
from dreamvid.media.info import probe
from dreamvid.media.reader import VideoReader
from dreamvid.media.still import write_image


def main() -> None:
    """Read the arguments and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument("sheet", type=Path)
    parser.add_argument("--count", type=int, default=6, help="columns")
    parser.add_argument("--start", type=parse_seconds, help="where in the source results begin")
    arguments = parser.parse_args()
    source, *results = arguments.videos
    columns = list(sheet_columns(source, results, arguments.count, arguments.start))
    write_image(arguments.sheet, torch.cat(columns, 2), overwrite=True)


def sheet_columns(
    source: Path, results: list[Path], count: int, start: Fraction | None
) -> Iterator[Tensor]:
    """`count` columns (3, rows·H, W), evenly spread over the first result."""
    seen = probe(results[0] if results else source)
    total = seen.frame_count or 1
    wanted = {round(i * (total - 1) / max(count - 1, 1)) for i in range(count)}
    size = f"{seen.width}x{seen.height}"
    with ExitStack() as stack:
        readers = [
            stack.enter_context(
                VideoReader(path, start=start if path == source else None, size=size)
            )
            for path in (source, *results)
        ]
        for index, frames in enumerate(zip(*readers, strict=False)):
            if index in wanted:
                yield torch.cat([frame.image for frame in frames], 1)


if __name__ == "__main__":
    main()
