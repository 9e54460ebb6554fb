"""A contact sheet: frames of a source above, the same frames of its results below.

python scripts/sheet.py SOURCE RESULT [RESULT …] SHEET.png [--count 6] [--start 0]
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from dreamvid.config import parse_seconds
from dreamvid.evaluation.sheet import COLUMNS, ContactSheet
from dreamvid.media.probing import probe
from dreamvid.media.reader import VideoReader
from dreamvid.media.still import write_image


def main() -> None:
    """Read the arguments and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument("sheet", type=Path)
    parser.add_argument("--count", type=int, default=COLUMNS, help="columns")
    parser.add_argument("--start", type=parse_seconds, help="where in the source results begin")
    arguments = parser.parse_args()
    source, *results = arguments.videos
    seen = probe(results[0] if results else source)
    sheet = ContactSheet(seen.frame_count, arguments.count)
    with ExitStack() as stack:
        readers = [
            stack.enter_context(
                VideoReader(
                    path,
                    start=arguments.start if path == source else None,
                    size=f"{seen.width}x{seen.height}",
                )
            )
            for path in arguments.videos
        ]
        for frames in zip(*readers, strict=False):
            sheet.add([frame.image for frame in frames])
    write_image(arguments.sheet, sheet.image(), overwrite=True)


if __name__ == "__main__":
    main()
