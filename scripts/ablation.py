"""What each defence against a cheated scorer is worth: switched off one at a time.

    python scripts/ablation.py [--json] [--steps 40] [--second-guide GUIDE] [--judge GUIDE]

Dreams 4 prompts on 2 frames of the sample clip per row. Columns: how much the similarity to the
prompt rose by the guide that was optimised, and by the judge, which was not; and the energy of
the finest detail over the source's. A defence is worth its row's loss by the judge, or its rise
in fine detail, where the guide alone would claim success. Some rows stand for choices rather than
defences: what the total variation is taken of, a second guide, the precision.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

from dreamvid.device import torch_environment

os.environ.update(torch_environment())  # as the command line does

import torch
from torch import Tensor

from dreamvid.config import ImageConfig
from dreamvid.dream.descent import descend
from dreamvid.dream.octaves import resize
from dreamvid.guide.loading import Clip, load_clip
from dreamvid.guide.objective import create_objective
from dreamvid.media.reader import VideoReader

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "samples" / "flight.mp4"
JUDGE = f"local-dir:{ROOT / 'tests' / 'judge'}"
FRAMES = (10, 60)
PROMPTS = ("an octopus", "a mushroom", "a strawberry", "fire")
STRENGTH = 0.18

ROWS: dict[str, dict[str, Any]] = {
    "all defences": {},
    "no masked TV": {"tv": 0.0},
    "octaves instead of a spectrum": {"canvas": "octaves"},
    "one octave instead of a spectrum": {"canvas": "octaves", "octaves": 1},
    "global cutouts only": {"middle_share": 0.0, "local_share": 0.0},
    "no global cutouts": {"global_share": 0.0},
    "no augmentation": {"augment": False},
    "no gradient normalisation": {"normalize_gradient": False},
    "TV of the image, not the difference": {"tv_of": "image"},
}
TWO_GUIDES = "two guides instead of one"
BFLOAT16 = "bfloat16 instead of float32"


def main() -> None:
    """Dream every row and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--guide", default="mini")
    parser.add_argument("--judge", default=JUDGE)
    parser.add_argument(
        "--second-guide", default=JUDGE, help="where it is the judge, that column is left out"
    )
    arguments = parser.parse_args()
    cpu = torch.device("cpu")
    guide, judge = load_clip(arguments.guide, cpu), load_clip(arguments.judge, cpu)
    second = load_clip(arguments.second_guide, cpu)
    other_guides = {
        TWO_GUIDES: [guide, second],
        BFLOAT16: [load_clip(arguments.guide, cpu, "bfloat16")],
    }
    table = {}
    for name in (*ROWS, *other_guides):
        guides, options = other_guides.get(name, [guide]), ROWS.get(name, {})
        row = measure(guides, judge, {"steps": arguments.steps, **options})
        if name == TWO_GUIDES and arguments.second_guide == arguments.judge:
            row["judge"] = None  # it optimised the result: its word counts for nothing
        table[name] = row
        if not arguments.json:
            print_row(name, row, is_first=len(table) == 1)
    if arguments.json:
        print(json.dumps(table))


def measure(guides: list[Clip], judge: Clip, options: dict[str, Any]) -> dict[str, float | None]:
    """Mean gains by the first guide and the judge, and fine detail over the source's."""
    gains, judged, detail = [], [], []
    for frame in frames():
        for prompt in PROMPTS:
            config = ImageConfig(prompt=[prompt], strength=STRENGTH, **options)
            objectives = [create_objective(clip, config) for clip in guides]
            held_out = create_objective(judge, config)
            dream = descend(frame, objectives, config)
            gains.append(float(objectives[0].similarity(dream) - objectives[0].similarity(frame)))
            judged.append(float(held_out.similarity(dream) - held_out.similarity(frame)))
            detail.append(fine_energy(dream) / fine_energy(frame))
    return {"guide": mean(gains), "judge": mean(judged), "fine detail": mean(detail)}


def frames() -> Iterator[Tensor]:
    """The chosen frames of the sample, one of each shot."""
    with VideoReader(SAMPLE) as reader:
        for index, frame in enumerate(reader):
            if index in FRAMES:
                yield frame.image


def fine_energy(image: Tensor) -> float:
    """Mean square of what is lost at half the size."""
    _, height, width = image.shape
    coarse = resize(resize(image, (height // 2, width // 2)), (height, width))
    return float((image - coarse).square().mean())


def print_row(name: str, row: dict[str, float | None], is_first: bool) -> None:
    """One line of a Markdown table."""
    if is_first:
        print("| | " + " | ".join(row) + " |")
        print("|---" * (len(row) + 1) + "|")
    cells = ["–" if value is None else f"{value:.3f}" for value in row.values()]
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
