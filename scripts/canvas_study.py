"""Canvases compared, with hardened guides and ordinary ones, at equal evaluations of the guide.

    python scripts/canvas_study.py OUT [--ordinary FOLDER] [--plain FOLDER] [--clips FOLDER]
        [--guides NAME…] [--canvases NAME…] [--quick]

FOLDER of --ordinary holds `mobilenet.py` with `MobileNet`, a classifier of 1000 classes that was
never hardened, and `LABELS`, their names; FOLDER of --plain holds a CLIP in open_clip's format that
was not hardened, as `scripts/guide/train.py --radius 0` makes it. A dream with one of them stands
for one with an ordinary CLIP, whose gradient is texture. The judges are CLIPs that did not guide.

Writes OUT/canvases.md, the table, OUT/canvases.png, a plot of it, and OUT/GUIDE.png: in the first
row the sources, below them the dreams, one row a canvas. Every dream is kept in OUT; stopped, the
same command goes on.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice, product
from pathlib import Path
from statistics import mean
from typing import Any

from dreamvid.device import torch_environment

os.environ.update(torch_environment())  # as the command line does

import torch
from safetensors.torch import load_file, save_file
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
PROMPTS = (
    *("a mushroom", "a castle", "a ladybug", "a strawberry"),
    *("a jellyfish", "a volcano", "a pizza", "a daisy"),
)
STRENGTH, NOISE, DRAWS = 0.18, 0.2, 6
OCTAVES = {
    "canvas": "octaves",
    "lr": 0.03,
    "cutout_noise": 0.04,
    "global_share": 0.25,
    "middle_share": 0.25,
    "local_share": 0.5,
}
"""The defaults until a spectrum became the usual canvas."""
CANVASES: dict[str, dict[str, Any]] = {
    "octaves": OCTAVES,
    "pyramid": {"canvas": "pyramid"},
    "spectrum": {},
    "spectrum, decay 1": {"spectrum_decay": 1.0},
    "spectrum, decay 1.5": {"spectrum_decay": 1.5},
    "spectrum, colours 0.5": {"colour_correlation": 0.5},
    "spectrum, noise 0.04": {"cutout_noise": 0.04},
    "spectrum, noise 0.2": {"cutout_noise": 0.2},
}
TIMED_SIZE, TIMED_STEPS = (360, 640), 8
UNTOUCHED = 0.25
"""Share of the pixels, those that the dream changed least, at which sharpness is measured."""


@dataclass(frozen=True)
class Figures:
    """The figures of one dream."""

    guide: float
    """Gain by the guide itself."""
    judge: float
    """Gain in similarity by judges that did not guide."""
    judge_quarter: float
    """The same at a quarter of the sides."""
    judge_noise: float
    """The same under noise of σ 0.2."""
    rms: float
    """RMS difference from the source."""
    coarse: float
    """Share of that difference's energy that is left at a quarter of the sides."""
    sharpness: float
    """Energy of the detail over the source's, where the dream changed least."""
    colourfulness: float
    """Hasler and Süsstrunk's (2003), less the source's, in levels of 255."""


@dataclass(frozen=True)
class Guide:
    """A guide: the objectives of a prompt, and the CLIPs that judge its dreams."""

    objectives: Callable[[str], list[Objective]]
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


WHOLE = Extent("320x180", 40, 16, PROMPTS, 4)
QUICK = Extent("192x108", 16, 8, PROMPTS[:3], 2)


def main() -> None:
    """Dream everything; write the table, the plot and the sheets."""
    given = arguments()
    extent = QUICK if given.quick else WHOLE
    given.out.mkdir(parents=True, exist_ok=True)
    sources = list(frames(given.clips, extent.size))[: extent.frames]
    times = step_milliseconds(sources[0], given.canvases)
    table: dict[tuple[str, str], Figures] = {}
    for name, guide in guides(given.ordinary, given.plain, given.guides):
        rows = [torch.cat([source for source in sources for _ in extent.prompts], 2)]
        for canvas in given.canvases:
            kept = given.out / "dreams" / f"{name}, {canvas}"
            dreams, figures = study(guide, sources, extent, CANVASES[canvas], kept)
            rows.append(torch.cat(dreams, 2))
            table[name, canvas] = average(figures)
            (given.out / "canvases.md").write_text(markdown(table, times), encoding="utf-8")
            write_image(given.out / f"{name}.png", torch.cat(rows, 1), overwrite=True)
            print(name, canvas, table[name, canvas], flush=True)
    plot(table, given.out / "canvases.png")


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path, help="folder for the table, the plot and the sheets")
    parser.add_argument("--ordinary", type=Path, help="folder of a network that is not hardened")
    parser.add_argument("--plain", type=Path, help="folder of a CLIP that is not hardened")
    parser.add_argument("--clips", type=Path, help="folder of films; takes the middle of each")
    parser.add_argument("--guides", nargs="+", help="those to study; usually all there are")
    parser.add_argument("--canvases", nargs="+", default=list(CANVASES), choices=CANVASES)
    parser.add_argument("--quick", action="store_true", help="smaller, shorter, fewer prompts")
    return parser.parse_args()


def guides(
    ordinary: Path | None, plain: Path | None, names: Sequence[str] | None
) -> Iterator[tuple[str, Guide]]:
    """The built-in guide, those whose folder is given, and ensembles with them."""
    mini, judge = load_clip("mini", CPU), load_clip(JUDGE, CPU)
    single: dict[str, Callable[[str], Objective]] = {"mini": by_clip(mini)}
    judges: dict[str, list[Clip]] = {"mini": [judge]}
    if plain is not None:
        clip = load_clip(f"local-dir:{plain}", CPU)
        single["plain"], judges["plain"] = by_clip(clip), [mini, judge]
        judges["mini"] = [judge, clip]
    if ordinary is not None:
        single["ordinary"], judges["ordinary"] = classifier_of(ordinary), [mini, judge]
    sets: list[tuple[str, ...]] = [(name,) for name in single]
    if "plain" in single and "ordinary" in single:
        sets.append(("plain", "ordinary"))
    for members in sets:
        name = " + ".join(members)
        if names is None or name in names:
            yield name, Guide(together([single[each] for each in members]), judges[members[0]])


def together(parts: Sequence[Callable[[str], Objective]]) -> Callable[[str], list[Objective]]:
    """The objectives that several guides give for a prompt."""
    return lambda prompt: [part(prompt) for part in parts]


def by_clip(clip: Clip) -> Callable[[str], Objective]:
    """The objective that a CLIP gives for a prompt."""
    return lambda prompt: create_objective(clip, ImageConfig(prompt=[prompt]))


def classifier_of(folder: Path) -> Callable[[str], Objective]:
    """The objective that the network in `folder` gives for a prompt, by its last word."""
    sys.path.insert(0, str(folder))
    module = importlib.import_module("mobilenet")
    network = module.MobileNet()
    return lambda prompt: Classifier(network, module.LABELS, prompt.split()[-1])


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


def frames(clips: Path | None, size: str) -> Iterator[Tensor]:
    """Frames (3, H, W): the middle of each film, a photograph, and grey."""
    films = [] if clips is None else sorted(clips.glob("*.mp4"))
    for film in [*films, ROOT / "samples" / "flight.mp4"]:
        with VideoReader(film, size=size) as reader:
            middle = next(islice(reader, (reader.info.frame_count or 1) // 2, None)).image
        yield middle
    height, width = middle.shape[1:]
    yield resize(photograph(height / width), (height, width)).clamp(0, 1)
    yield torch.full_like(middle, 0.5)


def photograph(ratio: float) -> Tensor:
    """A photograph (3, H, W) of a temple that scikit-learn ships, cut to height = ratio · width."""
    from sklearn.datasets import load_sample_image  # type: ignore[import-untyped]

    image = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1).float() / 255
    rows = round(image.shape[2] * ratio)
    return image[:, (image.shape[1] - rows) // 2 :][:, :rows]


def study(
    guide: Guide,
    sources: Sequence[Tensor],
    extent: Extent,
    options: dict[str, Any],
    kept: Path,
) -> tuple[list[Tensor], list[Figures]]:
    """The dreams of all sources and prompts, and their figures; those in `kept` are not redone."""
    kept.mkdir(parents=True, exist_ok=True)
    dreams, figures = [], []
    for (index, source), prompt in product(enumerate(sources), extent.prompts):
        file = kept / f"{index} {prompt}.safetensors"
        objectives = guide.objectives(prompt)
        if not file.exists():
            dream = descend(source, objectives, extent.config(prompt, **options))
            save_file({"dream": dream}, file.with_suffix(".part"))
            found = measured(objectives[0], guide.judges, prompt, source, dream)
            file.with_suffix(".json").write_text(json.dumps(asdict(found)), encoding="utf-8")
            file.with_suffix(".part").rename(file)
        dreams.append(load_file(file)["dream"])
        figures.append(Figures(**json.loads(file.with_suffix(".json").read_text("utf-8"))))
    return dreams, figures


def measured(
    objective: Objective, judges: Sequence[Clip], prompt: str, source: Tensor, dream: Tensor
) -> Figures:
    """The figures of one dream."""
    return Figures(
        whole_loss(objective, source) - whole_loss(objective, dream),
        *judged(judges, prompt, source, dream),
        float(rms(dream - source)),
        coarse_share(dream - source),
        sharpness(source, dream),
        colourfulness(dream) - colourfulness(source),
    )


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


def sharpness(source: Tensor, dream: Tensor) -> float:
    """Energy of the dream's detail over that of the source, in the quarter changed least.

    1 for a source without detail.
    """
    change = (dream - source).square().mean(0)
    least = change <= change.flatten().quantile(UNTOUCHED)
    before, after = (detail(image)[least].mean() for image in (source, dream))
    return float(after / before) if before > 1e-8 else 1.0


def detail(image: Tensor) -> Tensor:
    """Square of what a pixel differs from those around it, (H, W)."""
    small = resize(image, [side // 2 for side in image.shape[1:]])
    return (image - resize(small, image.shape[1:])).square().mean(0)


def colourfulness(image: Tensor) -> float:
    """Colourfulness of (3, H, W) in levels of 255 (Hasler and Süsstrunk, 2003)."""
    red, green, blue = 255 * image
    hues = torch.stack([red - green, (red + green) / 2 - blue])
    spread, middle = hues.var((1, 2)).sum().sqrt(), hues.mean((1, 2)).norm()
    return float(spread + 0.3 * middle)


def step_milliseconds(source: Tensor, canvases: Sequence[str]) -> dict[str, float]:
    """Milliseconds of a step of each canvas with `mini`, the best of three, taken in turn.

    Times are the processor's, on one thread, with the default number of cutouts.
    """
    threads, best = torch.get_num_threads(), dict[str, float]()
    torch.set_num_threads(1)
    objective = by_clip(load_clip("mini", CPU))("a castle")
    image = resize(source, TIMED_SIZE)
    for _, name in product(range(3), canvases):
        options = {"prompt": ["a castle"], "steps": TIMED_STEPS, **CANVASES[name]}
        begun = time.process_time()
        descend(image, [objective], ImageConfig.model_validate(options))
        seconds = (time.process_time() - begun) / TIMED_STEPS
        best[name] = min(best.get(name, seconds), seconds)
    torch.set_num_threads(threads)
    return {name: 1000 * seconds for name, seconds in best.items()}


def average(figures: Sequence[Figures]) -> Figures:
    """The mean of each figure."""
    names = [field.name for field in fields(Figures)]
    return Figures(**{name: mean(getattr(each, name) for each in figures) for name in names})


def markdown(table: dict[tuple[str, str], Figures], times: dict[str, float]) -> str:
    """The table, in Markdown."""
    columns = [field.name.replace("_", ", ") for field in fields(Figures)]
    lines = [f"| guide | canvas | {' | '.join(columns)} | ms a step, 640×360 |"]
    lines.append("|---" * (len(columns) + 3) + "|")
    for (guide, canvas), figures in table.items():
        cells = [f"{value:.3f}" for value in asdict(figures).values()]
        lines.append(f"| {guide} | {canvas} | {' | '.join(cells)} | {times[canvas]:.0f} |")
    return "\n".join(lines) + "\n"


def plot(table: dict[tuple[str, str], Figures], file: Path) -> None:
    """Bars of the judges' gain under noise, and of RMS, for each canvas, a panel a guide."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(guide for guide, _ in table))
    figure, panels = pyplot.subplots(1, len(names), figsize=(4 * len(names), 4), squeeze=False)
    for panel, name in zip(panels[0], names, strict=True):
        rows = {canvas: figures for (guide, canvas), figures in table.items() if guide == name}
        panel.barh(list(rows), [figures.judge_noise for figures in rows.values()])
        panel.set(title=name, xlabel="judges' gain under noise")
        panel.invert_yaxis()
    figure.tight_layout()
    figure.savefig(file, dpi=100)


if __name__ == "__main__":
    main()
