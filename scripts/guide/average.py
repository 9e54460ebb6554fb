"""Average the weights of two guides, of which one was trained on from the other.

    python scripts/guide/average.py BEFORE AFTER SHARE OUT [--words SHARE]

All are folders in open_clip's format. OUT lies SHARE of the way from BEFORE to AFTER, its text
tower another share of it, where one is given: it keeps much of what the one knew and most of
what the other learned (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

WEIGHTS, CONFIG = "open_clip_model.safetensors", "open_clip_config.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("share", type=float)
    parser.add_argument("out", type=Path)
    parser.add_argument("--words", type=float, metavar="SHARE", help="of the text tower")
    given = parser.parse_args()
    words = given.share if given.words is None else given.words
    for share in (given.share, words):
        if not 0 <= share <= 1:
            parser.error(f"SHARE {share} is not allowed; allowed: 0 to 1")
    given.out.mkdir(parents=True, exist_ok=True)
    before, after = (load_file(folder / WEIGHTS) for folder in (given.before, given.after))
    save_file(average(before, after, given.share, words), given.out / WEIGHTS)
    old, new = (json.loads((folder / CONFIG).read_text()) for folder in (given.before, given.after))
    (given.out / CONFIG).write_text(json.dumps(described(old, new, words), indent=2) + "\n")


def average(
    before: dict[str, Tensor], after: dict[str, Tensor], share: float, words: float
) -> dict[str, Tensor]:
    """`share` of the way from `before` to `after`, `words` of it for all but the image tower.

    Counters and the like are those of `after`.
    """
    return {
        name: torch.lerp(
            before[name].float(), value.float(), share if name.startswith("visual.") else words
        ).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in after.items()
    }


def described(before: dict[str, Any], after: dict[str, Any], words: float) -> dict[str, Any]:
    """The config `after`, its words' norms `words` of the way from those `before`."""
    known, learned = before["vocabulary_cfg"], after["vocabulary_cfg"]
    norm = (1 - words) * known["learned_norm"] + words * learned["learned_norm"]
    return after | {"vocabulary_cfg": learned | {"learned_norm": round(norm, 3)}}


if __name__ == "__main__":
    main()
