"""Views of the pictures as a dream's cutouts show things: of any size, anywhere, on scenes."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

CROP_SIDE = 64
"""Of a stored background, in pixels."""

_BACKGROUNDS = 4096
"""Crops of scenes, drawn once."""
_PARTS = 1024
"""Crops of what is above or below the horizon alone."""
_TILED, _PLAIN = 0.12, 0.1
"""Shares of the views with many copies, and of those that show a scene or pattern alone."""

_COARSE = 0.7
"""Views that show a thing without its details, for each that shows it faintly."""
_PLAIN_WEIGHT = 3.0
"""Of each such scene, colour or pattern, where one picture's is 1, when words are drawn."""
_VENDOR_WEIGHTS = {"game-icons": 0.02, "openclipart": 0.2, "photographs": 3.0, "models": 1.0}
_WHOLE_WEIGHT = 0.8
"""Of a photograph that shows what is behind the thing, too, where a thing cut out has 1."""
_DREAMED = ("eye", "skull", "brain", "alien", "ghost", "robot", "star", "cyclone")
"""Concepts that are dreamed of more often than others of their categories."""
_CATEGORY_WEIGHTS = {
    **{"People & Body": 0.06, "Smileys & Emotion": 0.12, "Symbols": 0.08, "Activities": 0.4},
}

COLOURS = {
    "red": (0.9, 0.1, 0.1),
    "orange": (1.0, 0.55, 0.05),
    "yellow": (1.0, 0.9, 0.1),
    "green": (0.15, 0.7, 0.2),
    "turquoise": (0.15, 0.8, 0.75),
    "blue": (0.1, 0.25, 0.9),
    "purple": (0.5, 0.15, 0.75),
    "pink": (1.0, 0.5, 0.75),
    "brown": (0.45, 0.28, 0.12),
    "gold": (0.9, 0.7, 0.2),
    "black": (0.04, 0.04, 0.05),
    "white": (0.97, 0.97, 0.97),
    "grey": (0.5, 0.5, 0.5),
}
SCENES = {
    "apartment": ["room", "interior"],
    "bridge": ["inside", "glass and steel"],
    "city": ["city", "street", "buildings"],
    "dawn": ["desert at dawn", "purple sky"],
    "esplanade": ["shopping mall", "interior"],
    "forest": ["forest", "woods", "trees"],
    "hall": ["hall", "chandeliers"],
    "lab": ["workshop", "green room"],
    "lobby": ["lobby", "interior"],
    "night": ["night", "starry sky over a field"],
    "park": ["meadow", "green grass", "lawn under a blue sky"],
    "sky": ["sky over the sea"],
    "studio": ["studio", "black and white"],
    "sunrise": ["sunrise", "meadow in the morning", "sunlight"],
    "sunset": ["palace", "city square at sunset"],
    "venice": ["sea shore", "bay"],
    "warehouse": ["warehouse", "concrete"],
    "workshop": ["factory", "machines"],
}
"""What the panoramas show, by their names."""
ABOVE = {
    **dict.fromkeys(("city", "dawn", "park", "sunrise", "sunset", "venice"), "sky"),
    **{"night": "night sky", "sky": "clouds"},
}
BELOW = {
    **{"park": "grass", "sunrise": "grass", "dawn": "rocks", "sky": "sea"},
    **{"forest": "forest floor", "sunset": "pavement", "venice": "pavement"},
}
"""What the panoramas show above and below their horizons, where that is one thing."""
PARTS = {
    "sky": ["sky", "the sky", "blue sky"],
    "night sky": ["night sky", "starry sky"],
    "clouds": ["clouds", "cloudy sky", "blue sky with clouds"],
    "grass": ["grass", "lawn"],
    "rocks": ["rocks", "stony desert"],
    "sea": ["sea", "calm sea"],
    "forest floor": ["forest floor"],
    "pavement": ["pavement", "paving stones"],
}
"""What those are called."""
SKIES = (
    *(((0.2, 0.4, 0.8), (0.65, 0.8, 0.95)), ((0.4, 0.6, 0.95), (0.5, 0.7, 0.95))),
    *(((0.35, 0.5, 0.75), (0.95, 0.75, 0.55)), ((0.6, 0.65, 0.7), (0.85, 0.87, 0.9))),
    *(((0.25, 0.5, 0.9), (0.85, 0.9, 0.95)), ((0.1, 0.2, 0.5), (0.9, 0.5, 0.35))),
)
"""Colours of skies: at the top, and at the bottom."""


@dataclass
class Concept:
    """What some views have in common."""

    names: list[str]
    keywords: list[str]
    """Further words that fit."""
    kinds: list[str] = field(default_factory=list)
    """What kinds of it are called."""


PHOTOGRAPHS, MODELS = "photographs", "models"
LEFT_OUT = ("fluent", "photographs left out")
"""The vendors whose pictures no training sees, and every model is measured by."""
PHOTOGRAPHED, DRAWN = 1.0, -1.0
"""How a view looks; 0 is between."""
_REAL = (PHOTOGRAPHS, LEFT_OUT[1], MODELS)


def left_out(
    rgba: Tensor,
    vendors: Sequence[str],
    concepts: Sequence[str],
    names: Sequence[str],
    vendor: str = LEFT_OUT[0],
) -> tuple[Tensor, Tensor]:
    """That vendor's pictures of what `names` name, on white with a rim, as they are on a page.

    (n, 3, H, W) in [0, 1], of (m, 4, H, W) uint8; (n,) the place of each one's name.
    """
    places = {name: place for place, name in enumerate(names)}
    of = [n for n, v in enumerate(vendors) if v == vendor and concepts[n] in places]
    of.sort(key=lambda n: places[concepts[n]])
    picked = rgba[torch.tensor(of)].float() / 255
    shown = picked[:, :3] * picked[:, 3:] + 1 - picked[:, 3:]
    shown = F.pad(shown, (8, 8, 8, 8), value=1.0) if vendor == LEFT_OUT[0] else shown
    return shown, torch.tensor([places[concepts[n]] for n in of])


def photographed(vendors: Sequence[str], concepts: Sequence[str]) -> list[str]:
    """The names of all that the photographs show, those left out among them."""
    of = (PHOTOGRAPHS, LEFT_OUT[1])
    return sorted({concept for v, concept in zip(vendors, concepts, strict=True) if v in of})


class Views:
    """Draws views, each of one of the `concepts`, named by its number.

    `weights` says how often each of those should be spoken of: (concepts,), float64.
    """

    def __init__(
        self, folder: Path, left_out: tuple[str, ...] = (), photographic: float = 0.0
    ) -> None:
        """Of the prepared data in `folder`, without the vendors that are `left_out`.

        The share `photographic` of the views on backgrounds have a photograph's light, lens and
        colours.
        """
        self._photographic = photographic
        data = np.load(folder / "data.npz")
        facts = json.loads((folder / "captions.json").read_text())
        self._pictures: list[dict[str, Any]] = facts["pictures"]
        self.vendors = {p["vendor"] for p in self._pictures}
        self._rgba = torch.from_numpy(data["rgba"]).permute(0, 3, 1, 2)
        self._retrieval: list[str] = facts["retrieval"]
        self.numbers: dict[str, int] = {}
        self.concepts: list[Concept] = []
        self._labels = torch.tensor(
            [self._label(p["concept"], p["names"], p["keywords"]) for p in self._pictures]
        )
        whole = [bool(p.get("is_whole")) for p in self._pictures]
        self._is_whole = torch.tensor(whole)
        self._is_real = torch.tensor([p["vendor"] in _REAL for p in self._pictures])
        keep = [n for n, p in enumerate(self._pictures) if p["vendor"] not in left_out]
        self._keep = torch.tensor(keep)
        self.has_photographs = bool(self._is_real[self._keep].any())
        alike = Counter(_kin(self._pictures[n]) for n in keep)
        weights = [_weight(p, alike[_kin(p)]) for p in (self._pictures[n] for n in keep)]
        self._weights = torch.tensor(weights, dtype=torch.float64)
        self._scenes = torch.from_numpy(data["scenes"]).permute(0, 3, 1, 2)
        self._scene_names: list[str] = facts["scenes"]
        self._scene_labels = [
            self._label(f"{name} scene", [*SCENES[name], *({name} - PARTS.keys())])
            for name in self._scene_names
        ]
        self._part_labels = {
            name: self._label(f"{name} part", called) for name, called in PARTS.items()
        }
        self._colour_labels = {
            name: self._label(f"{name} colour", [name, f"{name} colour"]) for name in COLOURS
        }
        self._pattern_labels = {
            name: self._label(f"{name} pattern", [name, f"{name} pattern"]) for name in PATTERNS
        }
        shown = torch.zeros(len(self.concepts), dtype=torch.float64)
        shown.index_add_(0, self._labels[self._keep], self._weights)
        for labels in (
            self._scene_labels,
            self._part_labels.values(),
            self._colour_labels.values(),
            self._pattern_labels.values(),
        ):
            shown[list(labels)] = _PLAIN_WEIGHT
        self.weights = shown
        for name, kinds in facts.get("kinds", {}).items():
            self.concepts[self.numbers[name]].kinds += kinds
        self._crops, self._crop_labels = self._draw_crops()

    def _label(self, concept: str, names: Sequence[str], keywords: Sequence[str] = ()) -> int:
        """The concept's number, all that it is called noted."""
        number = self.numbers.setdefault(concept, len(self.concepts))
        if number == len(self.concepts):
            self.concepts.append(Concept([], []))
        known = self.concepts[number]
        known.names += [name for name in names if name not in known.names]
        known.keywords += [word for word in keywords if word not in known.keywords]
        return number

    def draw(
        self, count: int, side: int, simple: float, faint: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """So many views of `side` pixels, their concepts, how much there is of each, and its style.

        (count, 3, side, side) in [0, 1], (count,) numbers, (count,) in (0, 1], and (count,) of
        PHOTOGRAPHED, DRAWN or 0.

        From torch's own random numbers; the share `simple` of them as on a page, the share `faint`
        as in a young dream.
        """
        plain = int((torch.rand(count) < _PLAIN).sum())
        picked = self._keep[torch.multinomial(self._weights, count - plain, replacement=True)]
        others = [self._plain(side) for _ in range(plain)]
        presence = _presence(len(picked), faint)
        things, styles = self.show(picked, side, simple, presence)
        shown = [_some_coarse(things, faint * _COARSE), *(image[None] for image, _ in others)]
        labels = [self._labels[picked], torch.tensor([label for _, label in others]).long()]
        all_presence = F.pad(presence, (0, plain), value=1.0)
        images, all_styles = _jittered(torch.cat(shown)), F.pad(styles, (0, plain))
        return images, torch.cat(labels), all_presence, all_styles

    def some_of_each(self, side: int, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """A view of each picture of the concepts that are `wanted`, (concepts,) of bool, and which.

        (n, 3, side, side) in [0, 1], (n,).
        """
        picked = self._keep[wanted[self._labels[self._keep]]]
        images, _ = self.show(picked, side, 1.0, torch.ones(len(picked)))
        return images, self._labels[picked]

    def show(
        self, picked: Tensor, side: int, simple: float, presence: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Each of those pictures somewhere on a background, and its style, as `draw` has them.

        Some are shown whole and on flat ground; of the others some as if photographed.
        """
        rgba = self._rgba[picked].float() / 255
        silhouettes = [self._pictures[n]["vendor"] == "game-icons" for n in picked.tolist()]
        tint = torch.rand(len(picked), 3, 1, 1)
        rgb = torch.where(torch.tensor(silhouettes).view(-1, 1, 1, 1), tint, rgba[:, :3])
        premultiplied = torch.cat([rgb * rgba[:, 3:], rgba[:, 3:]], 1)
        on_pages = int((torch.rand(len(picked)) < simple).sum())
        anywhere = len(picked) - on_pages
        grids, grounds = [], []
        if on_pages:
            grids.append(_centred(on_pages, side))
            grounds.append(_flat(on_pages).expand(-1, -1, side, side))
        if anywhere:
            grids.append(_placements(anywhere, side))
            grounds.append(self._backgrounds(anywhere, side))
        grid, ground = torch.cat(grids), torch.cat(grounds)
        whole, real = self._is_whole[picked], self._is_real[picked]
        if whole.any():
            grid[whole] = _frames(int(whole.sum()), side)
        placed = F.grid_sample(premultiplied, grid, align_corners=False)
        lit = (torch.rand(len(picked)) < self._photographic) & (
            torch.arange(len(picked)) >= on_pages
        )
        sculpted, drawn = lit & ~whole, lit & ~real
        if sculpted.any():
            ground[sculpted] = ground[sculpted] * (1 - _shadows(placed[sculpted, 3:]))
        if drawn.any():
            placed[drawn, :3] = placed[drawn, :3] * _relief(placed[drawn, 3:])
        placed *= presence.view(-1, 1, 1, 1)
        shown = placed[:, :3] + (1 - placed[:, 3:]) * ground
        if lit.any():
            shown[lit] = _developed(shown[lit])
        drawn_style = DRAWN if self.has_photographs else 0.0
        styles = torch.where(real, PHOTOGRAPHED, torch.where(lit, 0.0, drawn_style))
        return shown, styles

    def left_out(self, side: int, vendor: str = LEFT_OUT[0]) -> tuple[Tensor, Tensor, Tensor]:
        """As `left_out`, the pictures (n, 3, side, side), and the concepts that are named."""
        vendors, concepts = ([p[key] for p in self._pictures] for key in ("vendor", "concept"))
        names = self._retrieval if vendor == LEFT_OUT[0] else photographed(vendors, concepts)
        shown, right = left_out(self._rgba, vendors, concepts, names, vendor)
        shown = F.interpolate(shown, size=(side, side), mode="bilinear", antialias=True)
        return shown, right, torch.tensor([self.numbers[name] for name in names])

    def _draw_crops(self) -> tuple[Tensor, list[int]]:
        """The backgrounds, scenes first, then what is above and below horizons; and their labels.

        (n, 3, CROP_SIDE, CROP_SIDE) uint8, and n numbers.
        """
        generator = torch.Generator().manual_seed(5)
        height = self._scenes.shape[-2]
        # The rims above and below are what a panorama distorts most.
        scenes = dict(zip(self._scene_names, self._scene_labels, strict=True))
        crops, labels = self._crops_of(_BACKGROUNDS, scenes, (4, height - 4), 48, generator)
        middle = height // 2
        for parts, rows in ((ABOVE, (4, middle - 6)), (BELOW, (middle + 6, height - 12))):
            known = {n: self._part_labels[part] for n, part in parts.items() if n in scenes}
            if known:
                some, theirs = self._crops_of(_PARTS, known, rows, 24, generator)
                crops, labels = torch.cat([crops, some]), labels + theirs
        return crops, labels

    def _crops_of(
        self,
        count: int,
        labels: dict[str, int],
        rows: tuple[int, int],
        least: int,
        generator: torch.Generator,
    ) -> tuple[Tensor, list[int]]:
        """So many crops of those rows of the scenes that have `labels`, and each one's label.

        They are at least so many pixels wide before they are stored.
        """

        def integer(low: int, high: int) -> int:
            return int(torch.randint(low, high, (), generator=generator))

        first, end = rows
        names = [list(labels)[integer(0, len(labels))] for _ in range(count)]
        crops = []
        for name in names:
            scene = self._scenes[self._scene_names.index(name)]
            side = integer(least, end - first)
            top, left = integer(first, end - side + 1), integer(0, scene.shape[-1] - side)
            crop = scene[:, top : top + side, left : left + side]
            resized = F.interpolate(
                crop[None].float(), size=(CROP_SIDE, CROP_SIDE), mode="bilinear", antialias=True
            )
            crops.append(resized[0].round().clamp(0, 255).byte())
        return torch.stack(crops), [labels[name] for name in names]

    def _backgrounds(self, count: int, side: int) -> Tensor:
        """Flat, shaded, cloudy at many scales, or a real scene."""
        kind = torch.randint(0, 8, (count,)).view(-1, 1, 1, 1)
        flat = torch.rand(count, 3, 1, 1).expand(count, 3, side, side)
        shaded = F.interpolate(
            torch.rand(count, 3, 2, 2), size=(side, side), mode="bilinear", align_corners=True
        )
        crops = self._crop(torch.randint(len(self._crops), (count,)), side)
        grounds = torch.where(kind == 0, flat, torch.where(kind <= 2, shaded, crops))
        cloudy = ((kind == 3) | (kind == 4)).flatten()
        grounds[cloudy] = clouds(int(cloudy.sum()), side)
        return grounds

    def _crop(self, numbers: Tensor, side: int) -> Tensor:
        crops = self._crops[numbers].float() / 255
        return F.interpolate(crops, size=(side, side), mode="area") if side != CROP_SIDE else crops

    def _plain(self, side: int) -> tuple[Tensor, int]:
        """A scene, a part of one, a sky, a colour or a pattern, alone."""
        kind = ("scene", "part", "sky", "colour", "pattern")[int(torch.randint(0, 5, ()))]
        if kind in ("scene", "part"):
            first, end = (0, _BACKGROUNDS) if kind == "scene" else (_BACKGROUNDS, len(self._crops))
            crop = int(torch.randint(first, end, ()))
            return self._crop(torch.tensor([crop]), side)[0], self._crop_labels[crop]
        if kind == "sky":
            return _sky(side), self._part_labels["sky"]
        if kind == "colour":
            name = list(COLOURS)[int(torch.randint(len(COLOURS), ()))]
            shade = (clouds(1, side)[0].mean(0, keepdim=True) - 0.5) * float(torch.rand(())) * 0.4
            colour = torch.tensor(COLOURS[name]).view(3, 1, 1)
            return (colour + shade).clamp(0, 1), self._colour_labels[name]
        name = PATTERNS[int(torch.randint(len(PATTERNS), ()))]
        return _pattern(name, side), self._pattern_labels[name]


def _kin(picture: dict[str, Any]) -> tuple[str, str, bool]:
    """What pictures of one thing by one vendor have in common."""
    return picture["vendor"], picture["concept"], bool(picture.get("is_whole"))


def _weight(picture: dict[str, Any], alike: int) -> float:
    """How often a picture is shown, beside others.

    Silhouettes and clip art widen the vocabulary; of people and faces there are more than anyone
    dreams of; and of photographs and models of one thing, `alike`, there are few or many.
    """
    vendor, category = picture["vendor"], picture["category"]
    if picture["concept"] in _DREAMED:
        category = ""
    weight = _VENDOR_WEIGHTS.get(vendor, 1.0) * _CATEGORY_WEIGHTS.get(category, 1.0)
    if vendor in _REAL:
        weight /= math.sqrt(alike)
    return weight * _WHOLE_WEIGHT if picture.get("is_whole") else weight


PATTERNS = ("stripes", "checkerboard", "polka dots", "spiral", "rings", "waves", "rainbow", "stars")


def clouds(count: int, side: int) -> Tensor:
    """(count, 3, side, side) of noise whose coarse parts are the stronger ones, in [0, 1]."""
    total = torch.zeros(count, 3, side, side)
    steepness = torch.empty(count, 1, 1, 1).uniform_(0.2, 0.9)
    for level in range(5):
        cells = min(3 * 2**level, side)
        noise = torch.rand(count, 3, cells, cells) - 0.5
        noise = F.interpolate(noise, size=(side, side), mode="bilinear", align_corners=False)
        total += noise * steepness**level
    return (0.5 + total * torch.empty(count, 1, 1, 1).uniform_(0.2, 1.0)).clamp(0, 1)


def _sky(side: int) -> Tensor:
    """(3, side, side): shaded from top to bottom, with clouds or none."""
    ends = torch.tensor(SKIES[int(torch.randint(len(SKIES), ()))])
    fall = torch.linspace(0, 1, side).view(1, side, 1) * torch.rand(()) + 0.5 * torch.rand(())
    sky = torch.lerp(ends[0].view(3, 1, 1), ends[1].view(3, 1, 1), fall.clamp(max=1))
    cover = (clouds(1, side)[0].mean(0) - 0.5 - 0.2 * torch.rand(())).clamp(min=0)
    return torch.lerp(sky, torch.tensor(0.97), (cover * 8 * torch.rand(())).clamp(max=0.95))


def _pattern(name: str, side: int) -> Tensor:
    """(3, side, side): two random colours laid out so."""
    axis = torch.linspace(-1, 1, side)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    angle, scale = float(torch.rand(())) * math.pi, 4 + float(torch.rand(())) * 12
    u, v = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
    radius, turn = torch.hypot(x, y), torch.atan2(y, x)
    if name == "rainbow":
        hue = (radius if float(torch.rand(())) < 0.5 else u) * 3
        return torch.stack([0.5 + 0.5 * torch.cos(hue + k * 2.094) for k in range(3)])
    layout = {
        "stripes": torch.sin(u * scale),
        "checkerboard": torch.sin(u * scale) * torch.sin(v * scale),
        "polka dots": torch.cos(u * scale) + torch.cos(v * scale) - 1,
        "spiral": torch.sin(turn + radius * scale),
        "rings": torch.sin(radius * scale * 1.5),
        "waves": torch.sin(v * scale + 0.8 * torch.sin(u * scale / 2)),
        "stars": F.max_pool2d((torch.rand(1, side, side) > 0.985).float(), 3, 1, 1)[0] * 2 - 1,
    }[name]
    mix = torch.sigmoid(layout * 8)
    one, other = torch.rand(3, 1, 1), torch.rand(3, 1, 1)
    if name == "stars":
        one, other = torch.tensor([1.0, 1.0, 0.85]).view(3, 1, 1), other * 0.25
    return mix * one + (1 - mix) * other


def _placements(count: int, side: int) -> Tensor:
    """Sampling grids: half the views larger than the thing, half smaller, some with many."""
    scale = torch.exp(torch.empty(count).uniform_(math.log(0.65), math.log(1.7)))
    angle = torch.empty(count).normal_(0, 0.25)
    flip = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    stretch = torch.exp(torch.empty(count).normal_(0, 0.08))
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = scale * stretch * flip * angle.cos()
    theta[:, 0, 1] = -scale * angle.sin()
    theta[:, 1, 0] = scale * flip * angle.sin()
    theta[:, 1, 1] = scale / stretch * angle.cos()
    room = (scale - 1).abs().clamp(max=0.7) + 0.1
    theta[:, :, 2] = torch.empty(count, 2).uniform_(-1, 1) * room[:, None]
    tiled = torch.rand(count) < _TILED
    theta[tiled] *= torch.empty(int(tiled.sum()), 1, 1).uniform_(1.2, 2.2)
    grid = F.affine_grid(theta, [count, 4, side, side], align_corners=False)
    wrapped = torch.remainder(grid + 1.05, 2.1) - 1.05
    return torch.where(tiled.view(-1, 1, 1, 1), wrapped, grid)


def _frames(count: int, side: int) -> Tensor:
    """Sampling grids of what fills its square: most of it, about its middle, where the thing is."""
    theta = torch.zeros(count, 2, 3)
    scale = torch.exp(torch.empty(count).uniform_(math.log(0.5), math.log(0.95)))
    stretch = torch.exp(torch.empty(count).normal_(0, 0.08))
    theta[:, 0, 0] = scale * stretch * torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    theta[:, 1, 1] = scale / stretch
    room = (1 - scale) * 0.6
    theta[:, :, 2] = torch.empty(count, 2).uniform_(-1, 1) * room[:, None]
    grid = F.affine_grid(theta, [count, 4, side, side], align_corners=False)
    return grid.clamp(-0.98, 0.98)


def _blurred(images: Tensor, radius: int) -> Tensor:
    """Twice the mean of squares, near enough to a bell."""
    for _ in range(2):
        padded = F.pad(images, (radius,) * 4, mode="replicate")
        images = F.avg_pool2d(padded, 2 * radius + 1, stride=1)
    return images


def _shadows(alpha: Tensor) -> Tensor:
    """How much darker the ground is about things of that (n, 1, side, side) alpha."""
    side = alpha.shape[-1]
    right, down = (int(torch.randint(-side // 8, side // 8 + 1, ())) for _ in range(2))
    soft = _blurred(torch.roll(alpha, (abs(down), right), (2, 3)), max(1, side // 24))
    return soft * torch.empty(len(alpha), 1, 1, 1).uniform_(0, 0.7)


def _relief(alpha: Tensor) -> Tensor:
    """Light on a thing, as if it were thickest in its middle and rough: (n, 3, side, side)."""
    count, side = len(alpha), alpha.shape[-1]

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(count, 1, 1, 1).uniform_(low, high)

    rough = clouds(count, side).mean(1, keepdim=True)
    height = sum(_blurred(alpha, side // part) for part in (5, 10, 20)) * uniform(1, 5)
    height = height + rough * uniform(0, 1.5)
    across = F.pad(height[..., :, 2:] - height[..., :, :-2], (1, 1, 0, 0), mode="replicate")
    along = F.pad(height[..., 2:, :] - height[..., :-2, :], (0, 0, 1, 1), mode="replicate")
    scale = side / 16
    x, y, z = uniform(-1, 1), uniform(-0.4, 1), uniform(0.4, 1)
    facing = (z + (x * across + y * along) * scale) / (
        (1 + (across.square() + along.square()) * scale**2).sqrt()
        * (x.square() + y.square() + z.square()).sqrt()
    )
    ambient = uniform(0.35, 0.7)
    light = ambient + (1.25 - ambient) * facing.clamp(min=0)
    return (light * (1 + (rough - 0.5) * uniform(0, 0.8))).expand(-1, 3, -1, -1)


def _developed(images: Tensor) -> Tensor:
    """Seen through a lens: some blur, a colour of the light, paler colours, darker corners."""
    count, side = len(images), images.shape[-1]

    def uniform(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.empty(count, channels, 1, 1).uniform_(low, high)

    sharp = uniform(0.0, 1.3).clamp(max=1)
    images = sharp * images + (1 - sharp) * _blurred(images, 1)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * uniform(0.35, 1.15)
    images = images.clamp(min=1e-4) ** uniform(0.7, 1.5)
    axis = torch.linspace(-1, 1, side)
    corner = (axis.square()[:, None] + axis.square()) * uniform(0, 0.25)
    return (images * uniform(0.82, 1.12, 3) * (1 - corner)).clamp(0, 1)


def _presence(count: int, faint: float) -> Tensor:
    """(count,): how much there is of a thing; of the share `faint` less than all."""
    is_faint = torch.rand(count) < faint
    return torch.where(is_faint, torch.empty(count).uniform_(0.15, 1), 1.0)


def _some_coarse(images: Tensor, share: float) -> Tensor:
    """The images, some without their details, as the first octaves of a dream."""
    side = images.shape[-1]
    chosen = torch.rand(len(images)) < share
    if chosen.any():
        coarse = int(torch.randint(side // 5, side * 2 // 3, ()))
        small = F.interpolate(images[chosen], size=(coarse, coarse), mode="area")
        images[chosen] = F.interpolate(small, size=(side, side), mode="bilinear")
    return images


def _centred(count: int, side: int) -> Tensor:
    """Sampling grids: the whole thing, upright, about as large as the view."""
    theta = torch.zeros(count, 2, 3)
    scale = torch.empty(count).uniform_(0.85, 1.3)
    theta[:, 0, 0] = scale * torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    theta[:, 1, 1] = scale
    theta[:, :, 2] = torch.empty(count, 2).uniform_(-0.12, 0.12)
    return F.affine_grid(theta, [count, 4, side, side], align_corners=False)


def _flat(count: int) -> Tensor:
    """(count, 3, 1, 1): white, mostly, or any colour."""
    return torch.where(torch.rand(count, 1, 1, 1) < 0.6, 1.0, torch.rand(count, 3, 1, 1))


def _jittered(images: Tensor) -> Tensor:
    """Other light, contrast and saturation; a little noise."""
    count = len(images)

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(count, 1, 1, 1).uniform_(low, high)

    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * uniform(0.7, 1.3)
    images = (images - 0.5) * uniform(0.7, 1.2) + 0.5 + uniform(-0.12, 0.12)
    noise = torch.randn_like(images) * uniform(0, 0.1)
    return (images + noise).clamp(0, 1)
