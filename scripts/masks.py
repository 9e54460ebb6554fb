"""Write `samples/masks.md`: how well masks from words fit, hold still and hide, and what they cost.

    PYTHONPATH=. python scripts/masks.py BIG_BUCK_BUNNY.mp4 [--judge GUIDE]

Fit is the intersection over union with a truth, drawn with the picture or by hand on a frame of the
film. Stillness is the mean change of a mask along the flow of the film, from frame to frame. What
leaks is the share of the dream's energy, D², that is delivered where the mask is below one half.
Cost is the time that masks take of all that a frame takes. The gain of a small mask is that of a
judge that had no part in it, on the part alone, where the mask steers and where it only hides.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

import dreamvid
from dreamvid.config import DreamConfig, PromptConfig, SequenceConfig
from dreamvid.dream.descent import descend
from dreamvid.film.sequence import DreamedFrame, FrameSettings, dream_frames
from dreamvid.guide.finding import WordFinder
from dreamvid.guide.loading import Clip, load_clip
from dreamvid.guide.objective import create_objective
from dreamvid.motion import create_flow, trust, warp
from dreamvid.types import Frame
from tests.guide.test_finding import (
    ball_on_grass,
    overlap,
    sky_over_ground,
    star_at_dusk,
    strawberry,
)

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "samples" / "masks.md"
CPU = torch.device("cpu")
WIDTH, HEIGHT = 320, 180
THRESHOLD = 1.75
DRAWN = {
    "sky over ground, drawn": (sky_over_ground, "sky"),
    "a red ball on grass, drawn": (ball_on_grass, "a red ball"),
    "a strawberry, drawn": (strawberry, "a strawberry"),
    "a star at dusk, drawn": (star_at_dusk, "a star"),
}
"""Picture → how it is drawn, and what is sought in it."""
SKY = (
    *((0, 0), (0, 330), (50, 318), (96, 315), (200, 296), (290, 287), (384, 283), (430, 255)),
    *((470, 242), (487, 188), (505, 240), (540, 225), (575, 190), (600, 130), (634, 32)),
    *((655, 85), (670, 80), (715, 70), (720, 30), (735, 0)),
)
BIRD = (
    *((470, 40), (440, 60), (428, 110), (425, 170), (420, 180), (370, 210), (345, 235)),
    *((335, 278), (385, 275), (385, 320), (400, 378), (415, 385), (430, 415), (448, 410)),
    *((440, 388), (470, 398), (460, 430), (447, 450), (478, 452), (475, 400), (500, 400)),
    *((525, 380), (550, 330), (562, 258), (590, 275), (605, 272), (610, 240), (590, 210)),
    *((568, 195), (565, 140), (555, 105), (520, 80), (505, 55)),
)
TRUTHS = {
    "the hills, at 9.375 s": ("9.375", SKY, "sky"),
    "the bird, at 16.875 s": ("16.875", BIRD, "a bird"),
}
"""Frame of the film → its time, the corners of a thing in 960×540, and the words for it."""
FRAMES = 16
TEXTS = ("a strawberry", "a dog", "a coral reef", "an owl", "fire", "a flower")
PARTS = ((20, 30), (90, 200), (60, 120))
"""Top and left of a part of 64×90 pixels, a tenth of the picture."""


def main() -> None:
    """Read the arguments, measure, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("--judge", default=f"local-dir:{ROOT / 'tests' / 'judge'}")
    given = parser.parse_args()
    torch.set_num_threads(1)
    mini, judge = load_clip("mini", CPU), load_clip(given.judge, CPU)
    lines = [*fits(mini, given.film), "", *films(mini, given.film), "", *gains(mini, judge)]
    PAGE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    print(PAGE)


HEAD = """# Masks from words, measured

Made by `PYTHONPATH=. python scripts/masks.py BIG_BUCK_BUNNY.mp4`, which says what the figures are.
The guide is `mini`, the threshold the usual 1.75, pictures are 320×180. The truths on the frames of
*Big Buck Bunny* are polygons drawn by hand. `mini` knows a sky when it sees one, and things as they
are drawn for an emoji; a rendered bird it does not know.

"""


def row(*cells: object) -> str:
    """A row of a table."""
    shown = [f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in cells]
    return "| " + " | ".join(shown) + " |"


def fits(mini: Clip, film: Path) -> Iterator[str]:
    """How well masks fit pictures and frames."""
    yield from (row("picture", "words", "intersection over union"), "|---|---|---|")
    for name, (draw, words) in DRAWN.items():
        yield row(name, words, fit(mini, words, *draw()))
    for name, (begin, corners, words) in TRUTHS.items():
        (frame,) = read(film, begin, 1)
        yield row(name, words, fit(mini, words, frame.image, filled(corners)))


def fit(mini: Clip, words: str, image: Tensor, truth: Tensor) -> float:
    """The intersection over union of the mask of `words` with a truth."""
    finder = WordFinder.of(mini, [words], [], THRESHOLD)
    return round(overlap(finder.masks(finder.look(image), image)[:1], truth), 2)


def filled(corners: Sequence[tuple[int, int]]) -> Tensor:
    """The inside (H, W) of a polygon with corners in 960×540."""
    inside = np.zeros((HEIGHT, WIDTH), np.uint8)
    points = np.round(np.array(corners) * [WIDTH / 960, HEIGHT / 540]).astype(np.int32)
    cv2.fillPoly(inside, [points], 1)
    return torch.from_numpy(inside).bool()


def read(film: Path, begin: str, count: int) -> list[Frame]:
    """`count` frames of the film."""
    with dreamvid.VideoReader(film, start=Fraction(begin), size=f"{WIDTH}x{HEIGHT}") as frames:
        return [frame for frame, _ in zip(frames, range(count), strict=False)]


@dataclass
class Timed:
    """A finder that counts the seconds it takes."""

    finder: WordFinder
    seconds: float = 0.0

    @property
    def limits(self) -> bool:
        return self.finder.limits

    def look(self, image: Tensor, before: Tensor | None = None, turn: int = 0) -> Tensor:
        return self._timed(lambda: self.finder.look(image, before, turn))

    def masks(self, seen: Tensor, image: Tensor) -> Tensor:
        return self._timed(lambda: self.finder.masks(seen, image))

    def _timed(self, work: Any) -> Tensor:
        started = time.process_time()
        found: Tensor = work()
        self.seconds += time.process_time() - started
        return found


def films(mini: Clip, film: Path) -> Iterator[str]:
    """How still masks hold over a stretch of the film, what leaks and what it costs."""
    yield from (
        row("16 frames of the film from", "sky", "change along flow", "leaks", "of the time"),
        "|---|---|---|---|---|",
    )
    for begin in ("9.375", "18.0"):
        finder = Timed(WordFinder.of(mini, ["sky"], [], THRESHOLD))
        config = SequenceConfig()
        objective = create_objective(mini, PromptConfig(prompt=["fire"]))
        settings = FrameSettings(config, [objective], finder=finder)
        started = time.process_time()
        dreamed = list(
            dream_frames(
                read(film, begin, FRAMES),
                lambda *_, settings=settings: settings,
                flow=create_flow("dis", CPU, calm=True),
                is_cut=lambda *_: False,
            )
        )
        whole = time.process_time() - started
        share = float(torch.stack([mask_of(each).mean() for each in dreamed]).mean())
        leak = sum(map(leaked, dreamed)) / len(dreamed)
        yield row(f"{begin} s", share, flicker(dreamed), leak, finder.seconds / whole)


def mask_of(dreamed: DreamedFrame) -> Tensor:
    """The mask (1, H, W) of a frame."""
    assert dreamed.mask is not None
    return dreamed.mask


def flicker(dreamed: Sequence[DreamedFrame]) -> float:
    """The mean change of masks along the flow of their frames, where it can be trusted."""
    flow, changes = create_flow("dis", CPU), []
    for before, after in pairwise(dreamed):
        back, ahead = flow(after.source, before.source)
        change = (mask_of(after) - warp(mask_of(before), back)).abs()
        sure = trust(back, ahead)
        changes.append(float((change * sure).sum() / sure.sum()))
    return sum(changes) / len(changes)


def leaked(dreamed: DreamedFrame) -> float:
    """The share of the delivered dream's energy where the mask is below one half."""
    mask = mask_of(dreamed)
    energy = (mask * (dreamed.frame.image - dreamed.source)).square().sum(0, keepdim=True)
    return float(energy[mask < 0.5].sum() / energy.sum())


def gains(mini: Clip, judge: Clip) -> Iterator[str]:
    """The judge's gain on a tenth of the picture, where a mask steers and where it only hides."""
    yield from (row("a mask of a tenth", "hides", "steers", "ratio"), "|---|---|---|---|")
    config = DreamConfig(steps=40)
    for name, begin in (("the mountains", "0"), ("the lake", "2.5")):
        source = read(ROOT / "samples" / "flight.mp4", begin, 1)[0].image
        hides, steers = (
            sum(gain(mini, judge, config, source, number, steers) for number in range(len(TEXTS)))
            / len(TEXTS)
            for steers in (False, True)
        )
        yield row(f"on {name}, 40 steps", hides, steers, steers / hides)


def gain(
    mini: Clip, judge: Clip, config: DreamConfig, source: Tensor, number: int, steers: bool
) -> float:
    """The judge's gain of one text in one part of a picture."""
    text, (top, left) = TEXTS[number], PARTS[number % len(PARTS)]
    part = slice(top, top + 64), slice(left, left + 90)
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[0][part] = 1
    objective = create_objective(mini, PromptConfig(prompt=[text]))
    dream = descend(source, [objective], config, region=mask if steers else None)
    before, after = (
        judge.embed_images([image[:, *part] for image in (source, dream)])
        @ judge.embed_texts([text])[0]
    )
    return float(after - before)


if __name__ == "__main__":
    main()
