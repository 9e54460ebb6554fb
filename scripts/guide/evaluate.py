"""The figures of a guide: what it recognises, and what a judge sees in its dreams.

    python scripts/guide/evaluate.py [GUIDE] [--judge GUIDE] [--data FOLDER] [--clips FOLDER]
                                     [--json] [--sheet FILE.png]

GUIDE and the judge are models as `--guide` names them, by default the built-in one and the tests'
judge. FOLDER holds what `prepare.py` has made of the packages, for retrieval among the pictures of
a vendor that training left out; the clips' folder is for dreams from real frames. Figures whose
folder is not given are left out.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from views import LEFT_OUT, left_out, photographed

from dreamvid.config import DreamConfig, PromptConfig
from dreamvid.dream.descent import descend
from dreamvid.guide.loading import Clip, load_clip
from dreamvid.guide.objective import create_objective
from dreamvid.media.reader import VideoReader
from dreamvid.media.still import write_image

JUDGE = f"local-dir:{Path(__file__).resolve().parents[2] / 'tests' / 'judge'}"
PROMPTS = (
    *("octopus", "castle", "rose", "mushroom", "lion", "butterfly", "strawberry", "ladybug"),
    *("school bus", "daisy", "jellyfish", "volcano", "moon", "fire", "rainbow", "snowflake"),
    *("tiger", "pizza", "guitar", "eye", "skull", "palm tree", "whale", "dragon"),
)
SIDE, STEPS, STRENGTH = 128, 100, 1.0
"""Of the dreams from grey noise."""
COLUMNS = 8
FRAME_SIZE = "320"
FRAMES = ("big_buck_bunny_480p_30s.mp4", (2, 9, 17, 25))
"""A film and seconds of it."""


def retrieval(clip: Clip, folder: Path) -> dict[str, float]:
    """Top-1 and top-5 of the pictures left out of training, among all their names.

    Of a vendor's those of the first 300 of animals, food, places and objects in the emoji list's
    own order; and, where there are any, the photographs of some makers, among the names that these
    makers' show and among those of all photographs ("known").
    """
    facts = json.loads((folder / "captions.json").read_text())
    rgba = torch.from_numpy(np.load(folder / "data.npz")["rgba"]).permute(0, 3, 1, 2)
    vendors, concepts = ([each[key] for each in facts["pictures"]] for key in ("vendor", "concept"))
    known = photographed(vendors, concepts)
    shown = {c for v, c in zip(vendors, concepts, strict=True) if v == LEFT_OUT[1]}
    lists = {"retrieval": facts["retrieval"]}
    if shown:
        lists |= {"photographs": sorted(shown), "photographs_among_known": known}
    figures: dict[str, float] = {}
    for told, names in lists.items():
        vendor = LEFT_OUT[0] if told == "retrieval" else LEFT_OUT[1]
        pictures, right = left_out(rgba, vendors, concepts, names, vendor)
        agreement = clip.embed_images(list(pictures)) @ clip.embed_texts(names).T
        places = (agreement > agreement.gather(1, right[:, None])).sum(1)
        figures |= {f"{told}_names": len(names), f"{told}_pictures": len(pictures)}
        figures |= {f"{told}_top{k}": float((places < k).float().mean()) for k in (1, 5)}
    return figures


def dream(clip: Clip, start: Tensor, prompt: str, config: DreamConfig) -> Tensor:
    """(3, H, W): `start`, dreamed on."""
    objective = create_objective(clip, PromptConfig(prompt=[prompt]))
    return descend(start, [objective], config)


def grey_noise(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (0.5 + 0.05 * torch.randn(3, SIDE, SIDE, generator=generator)).clamp(0, 1)


def dreams_from_grey(clip: Clip, seed: int = 0) -> list[Tensor]:
    """One for each of the prompts."""
    config = DreamConfig(steps=STEPS, strength=STRENGTH, seed=seed)
    return [dream(clip, grey_noise(seed), prompt, config) for prompt in PROMPTS]


def judged(judge: Clip, dreams: list[Tensor]) -> dict[str, Any]:
    """How the judge ranks the right prompt among all of them, for each dream."""
    agreement = judge.embed_images(dreams) @ judge.embed_texts(PROMPTS).T
    own = agreement.diagonal()[:, None]
    ranks = (agreement > own).sum(1) + 1
    return {
        "dreams_first": int((ranks == 1).sum()),
        "dreams": len(dreams),
        "dreams_ranks": dict(zip(PROMPTS, ranks.tolist(), strict=True)),
    }


def gains_on_frames(clip: Clip, judge: Clip, clips: Path) -> dict[str, Any]:
    """How much more of each of 8 prompts the judge sees in four real frames, dreamed."""
    gains: dict[str, list[float]] = {}
    for frame in real_frames(clips):
        for prompt in PROMPTS[:8]:
            after = dream(clip, frame, prompt, DreamConfig(steps=40))
            text = judge.embed_texts([prompt])[0]
            before, now = judge.embed_images([frame, after]) @ text
            gains.setdefault(prompt, []).append(round(float(now - before), 4))
    risen = sum(gain > 0 for each in gains.values() for gain in each)
    return {"frames_risen": risen, "frames": sum(map(len, gains.values())), "frames_gains": gains}


def real_frames(clips: Path) -> list[Tensor]:
    """Four, of different shots."""
    frames = []
    film, seconds = FRAMES
    for second in seconds:
        with VideoReader(clips / film, start=Fraction(second), size=FRAME_SIZE) as reader:
            frames.append(next(iter(reader)).image)
    return frames


def sheet(dreams: list[Tensor]) -> Tensor:
    """Rows of eight, in their order."""
    rows = [torch.cat(dreams[n : n + COLUMNS], 2) for n in range(0, len(dreams), COLUMNS)]
    return torch.cat(rows, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("guide", nargs="?", default="mini")
    parser.add_argument("--judge", default=JUDGE)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--no-dreams", action="store_true", help="retrieval alone")
    given = parser.parse_args()
    cpu = torch.device("cpu")
    clip = load_clip(given.guide, cpu)
    figures: dict[str, Any] = {"guide": given.guide}
    if given.data:
        figures |= retrieval(clip, given.data)
    if not given.no_dreams:
        dreams = dreams_from_grey(clip)
        judge = load_clip(given.judge, cpu)
        figures |= {"judge": given.judge, **judged(judge, dreams)}
        if given.sheet:
            write_image(given.sheet, sheet(dreams), overwrite=True)
        if given.clips:
            figures |= gains_on_frames(clip, judge, given.clips)
    if given.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
