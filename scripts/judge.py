"""What a model that had no part in the dream says of it: similarity to the prompt, before, after.

python scripts/judge.py SOURCE RESULT --prompt TEXT [--start SECONDS] [--judge GUIDE] [--json]
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path

import torch

from dreamvid.config import PromptConfig, parse_seconds
from dreamvid.dream.guide import ClipObjective, create_objective, load_clip
from dreamvid.media.info import probe
from dreamvid.media.reader import VideoReader

JUDGE = f"local-dir:{Path(__file__).parent.parent / 'tests' / 'judge'}"


def main() -> None:
    """Read the arguments and print the two similarities and their difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--prompt", "-p", action="append", required=True)
    parser.add_argument("--start", type=parse_seconds, help="where in the source the result begins")
    parser.add_argument("--judge", default=JUDGE)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    clip = load_clip(arguments.judge, torch.device("cpu"))
    judge = create_objective(clip, PromptConfig(prompt=arguments.prompt))
    before, after = judged(judge, arguments.source, arguments.result, arguments.start)
    if arguments.json:
        print(json.dumps({"before": before, "after": after, "gain": after - before}))
    else:
        print(f"judge's similarity: {before:.3f} -> {after:.3f} ({after - before:+.3f})")


def judged(
    judge: ClipObjective, source: Path, result: Path, start: Fraction | None
) -> tuple[float, float]:
    """Mean similarity of the source's frames and of the result's."""
    seen = probe(result)
    size = f"{seen.width}x{seen.height}"
    before, after = [], []
    with VideoReader(source, start=start, size=size) as sources, VideoReader(result) as results:
        for frame, dreamed in zip(sources, results, strict=False):
            before.append(float(judge.similarity(frame.image)))
            after.append(float(judge.similarity(dreamed.image)))
    return sum(before) / len(before), sum(after) / len(after)


if __name__ == "__main__":
    main()
