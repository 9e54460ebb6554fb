"""The endless zoom: a moving camera views the dreamed picture, and each view is dreamed further.

The picture is kept in a sheet that is larger and finer than a frame. Each frame is resampled once
from the sheet, and the change that dreaming makes is added to the sheet. The sheet itself is
resampled only when the camera leaves it, about once a second. Warping each frame to the next would
blur the picture dozens of times instead.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from dreamvid.config import DreamConfig
from dreamvid.dream.descent import OnStep, descend, frame_generator
from dreamvid.dream.norms import rms
from dreamvid.dream.objective import Objective
from dreamvid.dream.octaves import resize
from dreamvid.dream.symmetry import Symmetry
from dreamvid.film.sequence import SketchAt, no_sketch
from dreamvid.motion.camera import Camera, Plane, Similarity, resample, seen_in
from dreamvid.motion.space import Homography
from dreamvid.types import Frame

ObjectivesAt = Callable[[Fraction], Sequence[Objective]]
"""Time in seconds → the objectives of the picture at that time."""
ConfigAt = Callable[[Fraction], DreamConfig]
"""Time in seconds → the dream options at that time."""

DENSITY = 1.5
"""Texels of a new sheet for each pixel of the frame, along an axis."""
COARSEST, FINEST = 1.0, 2.25
"""Limits of the texels a pixel, beyond which the sheet is resampled."""
MARGIN = 0.15
"""Margin of the sheet around the dreamed area, as a share of its longer side."""
OVERSCAN = 0.1
"""Rim dreamed around the view where new parts enter, as a share of the longer side."""
BANDS = 4
"""Number of octave bands whose strength is held."""
MOST_GAIN = 1.25
"""Largest factor by which a frame strengthens or weakens a band."""
CORING = 0.1
"""Share of a band's cored version that each frame mixes in."""
GRAIN = 0.1
"""Total variation weight of frames after the first, as a share of `config.tv`."""
PATCHES = 2**31
"""Index of the generator of patches; no frame has this index."""
PATCH_RIM = 0.03
"""Width of the rim in which a patch fades in, as a share of the sheet's longer side."""
COLOUR_HOLD = 0.05
"""Share of the mean colour's drift that a frame removes; small, so that prompts may change it."""


@dataclass(frozen=True, eq=False)
class ZoomedFrame:
    """One frame of an endless zoom."""

    frame: Frame
    start: Tensor
    """(3, H, W): the camera's view before it was dreamed."""
    carry: ZoomCarry
    """Carry with which `dream_zoom` resumes after this frame, as if never stopped."""
    sketch: Tensor | None
    """(3, h, w): what its descent has made, at the size at which it dreamed; None without one."""


@dataclass(frozen=True, eq=False)
class ZoomCarry:
    """All that an endless zoom remembers from one frame to the next.

    Holds only tensors and numbers, so that a journal can store it.
    """

    index: int
    """Index of the frame, from 0."""
    image: Tensor
    """The sheet's image, (4, rows, columns)."""
    factor: complex
    shift: complex
    """The similarity from pixels of the frame to pixels of the sheet."""
    seed: int
    """Seed of the sheet's next patches."""
    bands: Tensor
    """The bands of the first frame's look, (BANDS + 1,)."""
    colour: Tensor
    """The colour of the first frame's look, (3, 1, 1)."""
    matrix: Tensor | None = None
    """The homography of a camera that moves in space, (3, 3), in place of the similarity."""

    @property
    def to_sheet(self) -> Plane:
        """The map from pixels of the frame to pixels of the sheet."""
        if self.matrix is None:
            return Similarity(self.factor, self.shift)
        return Homography(self.matrix.cpu().numpy())


def dream_zoom(
    source: Tensor,
    times: Sequence[Fraction],
    camera: Camera,
    objectives_at: ObjectivesAt,
    config_at: ConfigAt,
    *,
    first_steps: int,
    carry: ZoomCarry | None = None,
    on_step: OnStep | None = None,
    sketch_at: SketchAt = no_sketch,
) -> Iterator[ZoomedFrame]:
    """Dream a zoom into `source` (3, H, W) by `camera`, at `times` in seconds.

    The first frame is dreamed from the source, every other frame from the camera's view of the one
    before, within the `strength` of `config_at` at its time. New parts of the scene are filled with
    patches of the picture and dreamed before they enter the view. The strength of detail and the
    colours are held at those of the first frame, and grain is smoothed, so that an endless zoom
    neither blurs nor diverges. The config's symmetry is about the middle of every frame. With
    `carry` it resumes after frame `carry.index`. Where `sketch_at` gives what a frame's descent has
    made before, it is made again without one, to the same bits.
    """
    height, width = source.shape[1:]
    rim = _rim(camera, times, height, width)
    view = Similarity(1, -complex(rim, rim))  # from pixels of the dreamed area to the frame's
    seed = config_at(times[0]).seed
    size = (height + 2 * rim, width + 2 * rim)
    symmetry = Symmetry.of(config_at(times[0]).symmetry)
    symmetry = symmetry and symmetry.within((height, width), size)
    first, look = 0, None
    if carry is None:
        sheet = Sheet.of(source, view, size, seed)
    else:
        first, sheet = carry.index + 1, Sheet(carry.image, carry.to_sheet, size, carry.seed)
        look = Look(carry.bands.unbind(), carry.colour)
    for index, now in enumerate(times[first:], first):
        config = config_at(now)
        if index:
            back = camera.back(now, times[index - 1], height, width)
            sheet = sheet.moved(view.inverse().after(back).after(view))
        seen, sketches = sheet.seen(), list[Tensor]()
        dream = descend(
            seen.clamp(0, 1) if look is None else look.hold(seen),
            objectives_at(now),
            config if look is None else _onwards(config),
            generator=frame_generator(seed, index),
            trust=None if look is None else torch.ones_like(seen[:1]),  # the camera is exact
            steps=first_steps if look is None else config.steps,
            symmetry=symmetry,
            on_step=on_step,
            sketch=sketch_at(index),
            on_sketch=sketches.append,
        )
        sheet = sheet.added(dream - seen)
        look = look or Look.of(dream)
        inside = (..., slice(rim, rim + height), slice(rim, rim + width))
        yield ZoomedFrame(
            Frame(dream[inside], now),
            seen[inside].clamp(0, 1),
            _carry_of(index, sheet, look),
            next(iter(sketches), None),
        )


def _carry_of(index: int, sheet: Sheet, look: Look) -> ZoomCarry:
    flat = sheet.to_sheet if isinstance(sheet.to_sheet, Similarity) else Similarity()
    return ZoomCarry(
        index,
        sheet.image,
        flat.factor,
        flat.shift,
        sheet.seed,
        torch.stack(look.bands),
        look.colour,
        torch.from_numpy(sheet.to_sheet.matrix) if isinstance(sheet.to_sheet, Homography) else None,
    )


def _onwards(config: DreamConfig) -> DreamConfig:
    """The options for frames after the first."""
    return config.model_copy(update={"tv_of": "image", "tv": config.tv * GRAIN})


def _rim(camera: Camera, times: Sequence[Fraction], height: int, width: int) -> int:
    """Width in pixels of the rim to dream around the view; 0 where no new parts enter the view."""
    middle, half = complex(width - 1, height - 1) / 2, complex(width, height) / 2
    corners = [middle + complex(x * half.real, y * half.imag) for x in (-1, 1) for y in (-1, 1)]
    for before, now in pairwise(times):
        back = camera.back(now, before, height, width)
        away = [back(corner) - middle for corner in corners]
        if any(abs(p.real) > half.real + 1e-6 or abs(p.imag) > half.imag + 1e-6 for p in away):
            return round(OVERSCAN * max(height, width))
    return 0


@dataclass(frozen=True, eq=False)
class Sheet:
    """The picture dreamed so far, larger and finer than a frame."""

    image: Tensor
    """(4, rows, columns): colours, not clamped, and 1 where they have been dreamed, else 0."""
    to_sheet: Plane
    """Map from pixels of the frame to pixels of the sheet."""
    size: tuple[int, int]
    """(height, width) of the frame."""
    seed: int
    """Seed of the patches."""

    @classmethod
    def of(cls, picture: Tensor, view: Similarity, size: tuple[int, int], seed: int) -> Sheet:
        """The sheet of a `picture` (3, H, W), to which `view` maps pixels of a frame of `size`."""
        known = torch.ones_like(picture[:1])
        return cls(torch.cat([picture, known]), view, size, seed)._renewed()

    def moved(self, back: Plane) -> Sheet:
        """The sheet after a camera move; `back` maps pixels of the new frame to the old frame."""
        moved = replace(self, to_sheet=self.to_sheet.after(back))
        return moved if moved._suffices() else moved._renewed()

    def seen(self) -> Tensor:
        """The frame (3, H, W), not clamped."""
        return resample(self.image[:3], self.to_sheet, *self.size)

    def added(self, difference: Tensor) -> Sheet:
        """The sheet with a frame's `difference` (3, H, W) added in the frame's place."""
        rows, columns = self.image.shape[1:]
        to_frame = self.to_sheet.inverse()
        here = seen_in(to_frame.flow(rows, columns, difference.device), *self.size)
        colours = self.image[:3] + here * resample(difference, to_frame, rows, columns)
        return replace(self, image=torch.cat([colours, self.image[3:].maximum(here)]))

    def _suffices(self) -> bool:
        """Whether the frame lies within the sheet and the density is within its limits."""
        height, width = self.size
        rows, columns = self.image.shape[1:]
        corners = [self.to_sheet(complex(x, y)) for x in (0, width - 1) for y in (0, height - 1)]
        scales = self.to_sheet.scales(height, width)
        return all(COARSEST <= scale <= FINEST for scale in scales) and all(
            0 <= corner.real <= columns - 1 and 0 <= corner.imag <= rows - 1 for corner in corners
        )

    def _renewed(self) -> Sheet:
        """A sheet resampled around the current frame, with patches in its new parts."""
        margin = round(MARGIN * max(self.size))
        rows, columns = (round((side + 2 * margin) * DENSITY) for side in self.size)
        first = (0.5 + margin) * DENSITY - 0.5
        to_sheet = Similarity(DENSITY, complex(first, first))
        to_old = self.to_sheet.after(to_sheet.inverse())
        image = resample(self.image, to_old, rows, columns)
        inside = seen_in(to_old.flow(rows, columns, image.device), *self.image.shape[1:])
        known = (image[3:] * inside > 0.5).float()
        image = torch.cat([self._patched(image[:3], known, to_old), known])
        return Sheet(image, to_sheet, self.size, self.seed + 1)

    def _patched(self, image: Tensor, known: Tensor, to_old: Plane) -> Tensor:
        """`image` (3, rows, columns) with patches of the old sheet where it is not `known`.

        Patches are rotated and moved at random. Without them `image` has reflections there, which
        dreaming would turn into kaleidoscopes, with streaks at the border.
        """
        if known.all():
            return image
        rows, columns = image.shape[1:]
        generator = frame_generator(self.seed, PATCHES)
        turn, x, y = torch.rand(3, generator=generator).tolist()
        about = complex(x * columns, y * rows)
        factor = cmath.exp(2j * math.pi * turn)
        moved = to_old.after(Similarity(factor, about - factor * about))
        patch = resample(self.image[:3], moved, rows, columns)
        width = 2 * round(PATCH_RIM * max(rows, columns)) + 1
        near = F.avg_pool2d(known[None], width, 1, width // 2, count_include_pad=False)[0]
        return torch.where(known > 0, image, torch.lerp(patch, image, (2 * near).clamp(0, 1)))


@dataclass(frozen=True, eq=False)
class Look:
    """Strength of a picture's detail in each octave band, and its mean colour."""

    bands: tuple[Tensor, ...]
    """RMS of each octave band, fine to coarse, scalars; the last is the rest's contrast."""
    colour: Tensor
    """Mean colour, (3, 1, 1)."""

    @classmethod
    def of(cls, image: Tensor) -> Look:
        """The look of `image` (3, H, W)."""
        bands, rest = _split(image)
        colour = rest.mean((1, 2), keepdim=True)
        return cls(tuple(rms(band) for band in [*bands, rest - colour]), colour)

    def hold(self, image: Tensor) -> Tensor:
        """`image` (3, H, W) moved towards this look, in [0, 1]."""
        bands, rest = _split(image)
        colour = rest.mean((1, 2), keepdim=True)
        bands = [_cored(band) for band in bands]
        gains = [
            (wanted / rms(band).clamp(min=1e-4)).clamp(1 / MOST_GAIN, MOST_GAIN)
            for wanted, band in zip(self.bands, [*bands, rest - colour], strict=True)
        ]
        held = colour + COLOUR_HOLD * (self.colour - colour) + gains[-1] * (rest - colour)
        for band, gain in zip(reversed(bands), reversed(gains[:-1]), strict=True):
            held = _enlarged(held, band) + gain * band
        return held.clamp(0, 1)


def _split(image: Tensor) -> tuple[list[Tensor], Tensor]:
    """Bands, fine to coarse, and the rest: a Laplacian pyramid (Burt and Adelson, 1983)."""
    bands = []
    for _ in range(BANDS):
        half = resize(image, [max(1, side // 2) for side in image.shape[1:]])
        bands.append(image - _enlarged(half, image))
        image = half
    return bands, image


def _enlarged(image: Tensor, like: Tensor) -> Tensor:
    """`image` (3, h, w) at the size of `like`; cubic, because `Look` would keep linear kinks."""
    enlarged: Tensor = F.interpolate(image[None], like.shape[1:], mode="bicubic")[0]
    return enlarged


def _cored(band: Tensor) -> Tensor:
    """`band` (3, H, W) with its weak areas made weaker, at the same RMS (coring).

    Noise is everywhere, detail is at edges: at a constant strength, noise would replace detail.
    """
    energy = F.avg_pool2d(band.square().mean(0, keepdim=True), 5, 1, 2, count_include_pad=False)
    cored = band * (energy / (energy + energy.mean() / 2).clamp(min=1e-12))
    cored = cored * (rms(band) / rms(cored).clamp(min=1e-6))
    return torch.lerp(band, cored, CORING)
