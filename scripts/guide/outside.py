"""What outsiders see: photographs that the guide has to name, and a classifier's view of dreams.

    python scripts/guide/outside.py [GUIDE] [--stamps FOLDER] [--ordinary FOLDER --clips FOLDER]
                                    [--frames N] [--sheet FILE.png]

FOLDER of --stamps holds pictures of single things, each NAME.png with NAME.txt beside it, whose
first line says in English what it shows, as Tux Paint's stamps do; under their licence, the GPL,
they measure here and never train. FOLDER of --ordinary holds `mobilenet.py` with `MobileNet`, a
classifier of 1000 classes that has seen photographs, and `LABELS`, their names: dreams of eight of
those classes, on real frames and with the usual options, are seen when its log-odds of the class
rise by more than 1. Also under noise and at a quarter of the size, where faint texture is lost.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from evaluate import real_frames
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from dreamvid.config import ImageConfig
from dreamvid.dream.cutouts import crop, whole_window
from dreamvid.dream.descent import descend
from dreamvid.dream.octaves import resize
from dreamvid.guide.loading import Clip, load_clip
from dreamvid.guide.objective import create_objective
from dreamvid.media.still import write_image

PROMPTS = (
    *("a mushroom", "a castle", "a ladybug", "a strawberry"),
    *("a jellyfish", "a volcano", "a pizza", "a daisy"),
)
STEPS, SEEN = 40, 1.0
NOISE, DRAWS, QUARTER = 0.2, 6, 4
_SKIPPED = ("symbols", "cartoon", "flags", "roadsigns", "alphabets", "toys", "plastic")
"""Folders of stamps that are drawings."""
_ARTICLE = re.compile(r"^(an?|the|some|two|three) ", re.IGNORECASE)


def stamps(folder: Path) -> tuple[list[Tensor], list[str]]:
    """Pictures on white, (3, S, S) each, and the name of each."""
    pictures, names = [], []
    for path in sorted(folder.rglob("*.png")):
        told = path.with_suffix(".txt")
        if any(part in _SKIPPED for part in path.relative_to(folder).parts) or not told.exists():
            continue
        line = told.read_text("utf-8", errors="replace").split("\n")[0].strip()
        name = _ARTICLE.sub("", line.split(",")[0].rstrip(".!").strip())
        image = Image.open(path).convert("RGBA")
        side = round(max(image.size) * 1.15)
        page = Image.new("RGBA", (side, side), "white")
        page.alpha_composite(image, ((side - image.width) // 2, (side - image.height) // 2))
        page = page.convert("RGB").resize((96, 96), Image.Resampling.LANCZOS)
        pictures.append(pil_to_tensor(page).float() / 255)
        names.append(name.lower())
    return pictures, names


def naming(clip: Clip, pictures: list[Tensor], names: list[str]) -> dict[str, Any]:
    """Top-1 and top-5 of each picture's name among all the names."""
    every = sorted(set(names))
    right = torch.tensor([every.index(name) for name in names])
    agreement = clip.embed_images(pictures) @ clip.embed_texts(every).T
    places = (agreement > agreement.gather(1, right[:, None])).sum(1)
    return {
        "pictures": len(pictures),
        "names": len(every),
        "top1": round(float((places < 1).float().mean()), 3),
        "top5": round(float((places < 5).float().mean()), 3),
    }


class Outsider:
    """A classifier that judges what it sees of a class in a picture."""

    def __init__(self, folder: Path) -> None:
        sys.path.insert(0, str(folder))
        module = importlib.import_module("mobilenet")
        self._network, self._labels = module.MobileNet(), module.LABELS

    @torch.no_grad()
    def log_odds(self, images: list[Tensor], word: str) -> float:
        """Of the classes that `word` names, the mean over the pictures."""
        classes = [n for n, label in enumerate(self._labels) if word in label.lower()]
        side = self._network.size
        views = torch.cat([crop(image, whole_window(image), side) for image in images])
        known = self._network(views).log_softmax(1)[:, classes].logsumexp(1).clamp(max=-1e-6)
        return float((known - torch.log1p(-known.exp())).mean())


def noisy(image: Tensor) -> list[Tensor]:
    """The picture in a few draws of noise."""
    draws = []
    for seed in range(DRAWS):
        noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
        draws.append((image + NOISE * noise).clamp(0, 1))
    return draws


def quartered(image: Tensor) -> list[Tensor]:
    height, width = image.shape[-2:]
    return [resize(image, (height // QUARTER, width // QUARTER)).clamp(0, 1)]


def alone(image: Tensor) -> list[Tensor]:
    return [image]


LOOKS: dict[str, Callable[[Tensor], list[Tensor]]] = {
    "": alone,
    " in noise": noisy,
    " at a quarter": quartered,
}
"""Ways to look at a picture, by what the figures' names say of them."""


def judged(clip: Clip, outsider: Outsider, frames: list[Tensor]) -> tuple[dict[str, Any], Tensor]:
    """The mean rise of the log-odds for each prompt, and the dreams: a row a prompt."""
    rises: dict[str, dict[str, float]] = {look: {} for look in LOOKS}
    rows = [torch.cat(frames, 2)]
    for prompt in PROMPTS:
        word = prompt.split()[-1]
        objective = create_objective(clip, ImageConfig(prompt=[prompt]))
        config = ImageConfig(prompt=[prompt], steps=STEPS)
        dreams = [descend(frame, [objective], config) for frame in frames]
        for look, seen_as in LOOKS.items():
            gains = [
                outsider.log_odds(seen_as(dreamed), word) - outsider.log_odds(seen_as(frame), word)
                for dreamed, frame in zip(dreams, frames, strict=True)
            ]
            rises[look][word] = round(mean(gains), 2)
        rows.append(torch.cat(dreams, 2))
    figures: dict[str, Any] = {}
    for look, rise in rises.items():
        figures[f"seen{look}"] = sum(value > SEEN for value in rise.values())
        figures[f"rise{look}"] = {"mean": round(mean(rise.values()), 2), **rise}
    return figures, torch.cat(rows, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("guide", nargs="?", default="mini")
    parser.add_argument("--stamps", type=Path)
    parser.add_argument("--ordinary", type=Path)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--sheet", type=Path)
    given = parser.parse_args()
    clip = load_clip(given.guide, torch.device("cpu"))
    figures: dict[str, Any] = {"guide": given.guide}
    if given.stamps:
        figures |= naming(clip, *stamps(given.stamps))
    if given.ordinary and given.clips:
        frames = real_frames(given.clips)[: given.frames]
        seen, sheet = judged(clip, Outsider(given.ordinary), frames)
        figures |= seen
        if given.sheet:
            write_image(given.sheet, sheet, overwrite=True)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
