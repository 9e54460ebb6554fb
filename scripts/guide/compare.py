"""Trained variants side by side: their figures as a table, their dreams as a picture.

    python scripts/guide/compare.py FOLDER SHEET.png NAME=GUIDE [NAME=GUIDE …]

FOLDER is the prepared data. Each row of the sheet shows what one
guide makes of the same grey noise, for the first eight prompts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from evaluate import COLUMNS, JUDGE, dreams_from_grey, judged, retrieval, sheet

from dreamvid.guide.loading import load_clip
from dreamvid.media.still import write_image

HEAD = """\
| variant | top-1 | top-5 | dreams ranked first |
|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("sheet", type=Path)
    parser.add_argument("variants", nargs="+", metavar="NAME=GUIDE")
    parser.add_argument("--judge", default=JUDGE)
    given = parser.parse_args()
    cpu = torch.device("cpu")
    judge, rows = load_clip(given.judge, cpu), []
    print(HEAD)
    for variant in given.variants:
        name, guide = variant.split("=", 1)
        clip = load_clip(guide, cpu)
        found, dreams = retrieval(clip, given.folder), dreams_from_grey(clip)
        rows += dreams[:COLUMNS]
        ranks = judged(judge, dreams)
        print(
            f"| {name} | {found['retrieval_top1']:.1%} | {found['retrieval_top5']:.1%} "
            f"| {ranks['dreams_first']} of {ranks['dreams']} |",
            flush=True,
        )
    write_image(given.sheet, sheet(rows), overwrite=True)


if __name__ == "__main__":
    main()
