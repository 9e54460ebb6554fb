"""Canvases compared, with a hardened guide and an ordinary one, at equal evaluations of the guide.

    python scripts/canvas_study.py OUT [--ordinary FOLDER] [--clips FOLDER] [--quick]

FOLDER of --ordinary holds `mobilenet.py` with `MobileNet`, a classifier of 1000 classes that was
never hardened, and `LABELS`, their names. A dream with it stands for one with an ordinary CLIP,
whose gradient is texture. Writes OUT/canvases.md, the table, and OUT/GUIDE.png: in the first row
the sources, below them the dreams, one row a canvas. The judges are CLIPs that did not guide.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from statistics import mean
from typing import Any

from dreamvid.device import torch_environment

os.environ.update(torch_environment())  # as the command line does

import torch
from torch import Tensor

from dreamvid.config import ImageConfig
from dreamvid.dream.cutouts import crop, whole_window
from dreamvid.dream.descent import descend
from dreamvid.dream.norms import rms
from dreamvid.dream.objective import Objective
from dreamvid.dream.octaves import resize
from dreamvid.guide.loading import Clip, load_clip
from dreamvid.guide.objective import create_objective
from dreamvid.media.reader import VideoReader
from dreamvid.media.still import write_image

ROOT = Path(__file__).parent.parent
CPU = torch.device("cpu")
JUDGE = f"local-dir:{ROOT / 'tests' / 'judge'}"
PROMPTS = ("a strawberry", "a castle", "a volcano", "a jellyfish", "a mushroom", "a pizza")
STRENGTH, NOISE, DRAWS = 0.18, 0.2, 6
CANVASES: dict[str, dict[str, Any]] = {
    "octaves": {},
    "pyramid": {"canvas": "pyramid"},
    "spectrum": {"canvas": "spectrum"},
    "spectrum, decay 1.25": {"canvas": "spectrum", "spectrum_decay": 1.25},
    "spectrum, decay 1.5": {"canvas": "spectrum", "spectrum_decay": 1.5},
    "spectrum, colours 0.5": {"canvas": "spectrum", "colour_correlation": 0.5},
    "spectrum, colours 1": {"canvas": "spectrum", "colour_correlation": 1},
}
COLUMNS = (
    *("guide", "judge", "judge, quarter", "judge, noise"),
    *("RMS", "D² at a quarter", "ms a step more"),
)


class Classifier:
    """−log p of the classes of `network` whose label holds `word`."""

    compares = False

    def __init__(self, network: Any, labels: Sequence[str], word: str) -> None:
        self.size: int = network.size
        self._network = network
        self._classes = [i for i, label in enumerate(labels) if word in label.lower()]
        if not self._classes:
            raise ValueError(f"no class is called '{word}'; allowed: a word of a label")

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None = None) -> Tensor:
        logits: Tensor = self._network(cutouts)
        return -logits.log_softmax(1)[:, self._classes].logsumexp(1).mean()


class Brightness:
    """An objective that costs next to nothing, so that a canvas's own time is seen."""

    size, compares = 16, False

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        return 1 - cutouts.mean()


@dataclass(frozen=True)
class Guide:
    """A guide: what it gives for a prompt, and the CLIPs that judge its dreams."""

    name: str
    objective: Callable[[str], Objective]
    judges: Sequence[Clip]


@dataclass(frozen=True)
class Extent:
    """How much is dreamed."""

    size: str
    steps: int
    cutouts: int
    prompts: Sequence[str]
    frames: int

    def config(self, prompt: str, **options: Any) -> ImageConfig:
        """The options of one dream."""
        plain = {"steps": self.steps, "cutouts": self.cutouts, "strength": STRENGTH}
        return ImageConfig.model_validate({"prompt": [prompt], **plain, **options})


WHOLE = Extent("320x180", 40, 16, PROMPTS, 3)
QUICK = Extent("192x108", 16, 8, PROMPTS[:3], 2)


def main() -> None:
    """Dream everything; write the table and the sheets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the table and the sheets")
    parser.add_argument("--ordinary", type=Path, help="folder of a network that is not hardened")
    parser.add_argument(
        "--clips", type=Path, help="folder of films; the middle frame of each is dreamed"
    )
    parser.add_argument("--quick", action="store_true", help="smaller, shorter, fewer prompts")
    arguments = parser.parse_args()
    extent = QUICK if arguments.quick else WHOLE
    arguments.out.mkdir(parents=True, exist_ok=True)
    sources = list(frames(arguments.clips, extent.size))[: extent.frames]
    extra = extra_milliseconds(sources[0], extent)
    lines = [f"| guide | canvas | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 2) + "|"]
    for guide in guides(arguments.ordinary):
        rows = [torch.cat([source for source in sources for _ in extent.prompts], 2)]
        for name, options in CANVASES.items():
            dreams, figures = study(guide, sources, extent, options)
            rows.append(torch.cat(dreams, 2))
            cells = [f"{figure:.3f}" for figure in figures]
            lines.append(f"| {guide.name} | {name} | {' | '.join(cells)} | {extra[name]:.1f} |")
            (arguments.out / "canvases.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
            print(lines[-1], flush=True)
        write_image(arguments.out / f"{guide.name}.png", torch.cat(rows, 1), overwrite=True)


def guides(ordinary: Path | None) -> Iterator[Guide]:
    """The built-in guide and, where its folder is given, the ordinary network."""
    mini, judge = load_clip("mini", CPU), load_clip(JUDGE, CPU)
    yield Guide(
        "mini", lambda prompt: create_objective(mini, ImageConfig(prompt=[prompt])), [judge]
    )
    if ordinary is not None:
        sys.path.insert(0, str(ordinary))
        module = importlib.import_module("mobilenet")
        network = module.MobileNet()
        yield Guide(
            "ordinary",
            lambda prompt: Classifier(network, module.LABELS, prompt.split()[-1]),
            [mini, judge],
        )


def frames(clips: Path | None, size: str) -> Iterator[Tensor]:
    """The middle frame (3, H, W) of each film, then grey."""
    films = [] if clips is None else sorted(clips.glob("*.mp4"))
    for film in [*films, ROOT / "samples" / "flight.mp4"]:
        with VideoReader(film, size=size) as reader:
            middle = next(islice(reader, (reader.info.frame_count or 1) // 2, None)).image
        yield middle
    yield torch.full_like(middle, 0.5)


def study(
    guide: Guide, sources: Sequence[Tensor], extent: Extent, options: dict[str, Any]
) -> tuple[list[Tensor], list[float]]:
    """The dreams of all sources and prompts, and the means of all columns but the last."""
    dreams, figures = [], []
    for source, prompt in product(sources, extent.prompts):
        objective = guide.objective(prompt)
        dream = descend(source, [objective], extent.config(prompt, **options))
        dreams.append(dream)
        figures.append(
            [
                whole_loss(objective, source) - whole_loss(objective, dream),
                *judged(guide.judges, prompt, source, dream),
                float(rms(dream - source)),
                coarse_share(dream - source),
            ]
        )
    return dreams, [mean(column) for column in zip(*figures, strict=True)]


def judged(
    judges: Sequence[Clip], prompt: str, source: Tensor, dream: Tensor
) -> tuple[float, float, float]:
    """The judges' mean gain: as it is, at a quarter of the size, and under noise."""
    found = [create_objective(judge, ImageConfig(prompt=[prompt])) for judge in judges]

    def gain(change: Callable[[Tensor], Tensor]) -> float:
        before, after = change(source), change(dream)
        return mean(float(judge.similarity(after) - judge.similarity(before)) for judge in found)

    def noisy(draw: int) -> Callable[[Tensor], Tensor]:
        noise = torch.randn(source.shape, generator=torch.Generator().manual_seed(draw))
        return lambda image: (image + NOISE * noise).clamp(0, 1)

    under_noise = mean(gain(noisy(draw)) for draw in range(DRAWS))
    return gain(lambda image: image), gain(quartered), under_noise


def whole_loss(objective: Objective, image: Tensor) -> float:
    """The objective's loss of the whole image (3, H, W)."""
    with torch.no_grad():
        cutout = crop(image, whole_window(image), objective.size)
        return float(objective(cutout, cutout))


def quartered(image: Tensor) -> Tensor:
    """`image` (3, H, W) at a quarter of its sides."""
    return resize(image, [side // 4 for side in image.shape[1:]])


def coarse_share(difference: Tensor) -> float:
    """Share of the mean square of `difference` (3, H, W) that is left at a quarter of its sides."""
    coarse = resize(quartered(difference), difference.shape[1:])
    return float(coarse.square().mean() / difference.square().mean().clamp(min=1e-12))


def extra_milliseconds(source: Tensor, extent: Extent) -> dict[str, float]:
    """Milliseconds a step of each canvas over the octaves', on one thread, the best of three."""
    threads, best = torch.get_num_threads(), dict[str, float]()
    torch.set_num_threads(1)
    for _, (name, options) in product(range(3), CANVASES.items()):
        config = extent.config("brightness", **options, tv=0).model_copy(update={"cutouts": 1})
        begun = time.perf_counter()
        descend(source, [Brightness()], config)
        seconds = (time.perf_counter() - begun) / extent.steps
        best[name] = min(best.get(name, seconds), seconds)
    torch.set_num_threads(threads)
    return {name: 1000 * (seconds - best["octaves"]) for name, seconds in best.items()}


if __name__ == "__main__":
    main()
