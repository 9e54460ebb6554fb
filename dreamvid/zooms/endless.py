"""The endless zoom: what was dreamed is looked at through a moving camera, and dreamed on.

What is carried is not a frame but a sheet, larger and finer than a frame. Each frame is resampled
once from the sheet, and what is dreamed on it goes back into the sheet; the sheet itself is
resampled only when the camera has left it, every second or so. Warping frame after frame instead
would blur each of them dozens of times.
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
from dreamvid.motion.camera import Camera, Similarity, resample, seen_in
from dreamvid.types import Frame

ObjectivesAt = Callable[[Fraction], Sequence[Objective]]
"""Time in seconds → what the picture shall mean then."""
ConfigAt = Callable[[Fraction], DreamConfig]
"""Time in seconds → how it is dreamed then."""

DENSITY = 1.5
"""Texels of a fresh sheet a pixel."""
COARSEST, FINEST = 1.0, 2.25
"""Texels a pixel at which the camera has left the sheet."""
MARGIN = 0.15
"""Of the sheet around what is dreamed, over the longer side."""
OVERSCAN = 0.1
"""Dreamed around the view, over the longer side, where new ground comes in at the border."""
BANDS = 4
"""Octave bands whose strength is held."""
MOST_GAIN = 1.25
"""By which a band is strengthened or weakened a frame."""
CORING = 0.1
"""Share of a band that is cored a frame."""
GRAIN = 0.1
"""Weight of the total variation of frames after the first, over `config.tv`."""
PATCHES = 2**31
"""Index that no frame has, of the generator of patches."""
PATCH_RIM = 0.03
"""Of the sheet's longer side, over which a patch fades in."""
COLOUR_HOLD = 0.05
"""Share of the mean colour's drift that is taken back a frame: prompts may change it slowly."""


@dataclass(frozen=True, eq=False)
class ZoomedFrame:
    """One frame of an endless zoom."""

    frame: Frame
    start: Tensor
    """(3, H, W): what the camera saw before anything was dreamed."""


def dream_zoom(
    source: Tensor,
    times: Sequence[Fraction],
    camera: Camera,
    objectives_at: ObjectivesAt,
    config_at: ConfigAt,
    *,
    first_steps: int,
    on_step: OnStep | None = None,
) -> Iterator[ZoomedFrame]:
    """Film a fall into `source` (3, H, W) under `camera`, at `times` in seconds, dreaming on.

    The first frame is dreamed from the source, every other from what the camera sees of the one
    before, within the `strength` that `config_at` has for its time. New ground is patched with
    other parts of the picture, and dreamed before it is seen. How strong the detail and the
    colours of the first frame are is held, and grain is smoothed, so that a picture which grows
    for ever neither blurs nor runs away.
    """
    height, width = source.shape[1:]
    rim = _rim(camera, times, height, width)
    view = Similarity(1, -complex(rim, rim))  # from pixels of what is dreamed to those of frames
    seed = config_at(times[0]).seed
    sheet = Sheet.of(source, view, (height + 2 * rim, width + 2 * rim), seed)
    look: Look | None = None
    for index, now in enumerate(times):
        config = config_at(now)
        if index:
            back = camera.back(now, times[index - 1], height, width)
            sheet = sheet.moved(view.inverse().after(back).after(view))
        seen = sheet.seen()
        dream = descend(
            seen.clamp(0, 1) if look is None else look.hold(seen),
            objectives_at(now),
            config if look is None else _onwards(config),
            generator=frame_generator(seed, index),
            trust=None if look is None else torch.ones_like(seen[:1]),  # the camera is exact
            steps=first_steps if look is None else config.steps,
            on_step=on_step,
        )
        sheet = sheet.added(dream - seen)
        look = look or Look.of(dream)
        inside = (..., slice(rim, rim + height), slice(rim, rim + width))
        yield ZoomedFrame(Frame(dream[inside], now), seen[inside].clamp(0, 1))


def _onwards(config: DreamConfig) -> DreamConfig:
    """The same for frames after the first."""
    return config.model_copy(update={"tv_of": "image", "tv": config.tv * GRAIN})


def _rim(camera: Camera, times: Sequence[Fraction], height: int, width: int) -> int:
    """Pixels to dream around the view; none where no frame shows what the one before did not."""
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
    """What has been dreamed so far, larger and finer than a frame."""

    image: Tensor
    """(4, rows, columns): colours, not clamped, and where they have been dreamed, 0 or 1."""
    to_sheet: Similarity
    """From pixels of the frame to those of the sheet."""
    size: tuple[int, int]
    """(height, width) of the frame."""
    seed: int
    """Of the patches."""

    @classmethod
    def of(cls, picture: Tensor, view: Similarity, size: tuple[int, int], seed: int) -> Sheet:
        """Made from a `picture` (3, H, W), which frames of `size` see under `view`."""
        known = torch.ones_like(picture[:1])
        return cls(torch.cat([picture, known]), view, size, seed)._renewed()

    def moved(self, back: Similarity) -> Sheet:
        """For a camera that has moved; `back` leads from a frame's pixels now to those before."""
        moved = replace(self, to_sheet=self.to_sheet.after(back))
        return moved if moved._suffices() else moved._renewed()

    def seen(self) -> Tensor:
        """The frame (3, H, W), not clamped."""
        return resample(self.image[:3], self.to_sheet, *self.size)

    def added(self, difference: Tensor) -> Sheet:
        """With `difference` (3, H, W) of a frame added where it lies."""
        rows, columns = self.image.shape[1:]
        to_frame = self.to_sheet.inverse()
        here = seen_in(to_frame.flow(rows, columns, difference.device), *self.size)
        colours = self.image[:3] + here * resample(difference, to_frame, rows, columns)
        return replace(self, image=torch.cat([colours, self.image[3:].maximum(here)]))

    def _suffices(self) -> bool:
        """Whether the frame lies within the sheet, at a density that serves."""
        height, width = self.size
        rows, columns = self.image.shape[1:]
        corners = [self.to_sheet(complex(x, y)) for x in (0, width - 1) for y in (0, height - 1)]
        return COARSEST <= abs(self.to_sheet.factor) <= FINEST and all(
            0 <= corner.real <= columns - 1 and 0 <= corner.imag <= rows - 1 for corner in corners
        )

    def _renewed(self) -> Sheet:
        """The same, resampled for where the camera looks now, what is new to it patched."""
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

    def _patched(self, image: Tensor, known: Tensor, to_old: Similarity) -> Tensor:
        """`image` (3, rows, columns) with other parts of the old one where it is not `known`.

        Turned and moved at random: the reflection alone, which `image` has there, would be
        dreamed into kaleidoscopes, and its border drawn out into streaks.
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
    """How strong a picture's detail is, octave by octave, and what its colours are."""

    bands: tuple[Tensor, ...]
    """RMS of each octave's band, fine to coarse; scalars. The last is the contrast of the rest."""
    colour: Tensor
    """Mean, (3, 1, 1)."""

    @classmethod
    def of(cls, image: Tensor) -> Look:
        """That of `image` (3, H, W)."""
        bands, rest = _split(image)
        colour = rest.mean((1, 2), keepdim=True)
        return cls(tuple(rms(band) for band in [*bands, rest - colour]), colour)

    def hold(self, image: Tensor) -> Tensor:
        """`image` (3, H, W) brought nearer to this look, in [0, 1]."""
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
    """Burt and Adelson's Laplacian pyramid (1983): bands, fine to coarse, and the rest."""
    bands = []
    for _ in range(BANDS):
        half = resize(image, [max(1, side // 2) for side in image.shape[1:]])
        bands.append(image - _enlarged(half, image))
        image = half
    return bands, image


def _enlarged(image: Tensor, like: Tensor) -> Tensor:
    """`image` (3, h, w) at the size of `like`: cubic, as a linear one's kinks would be held too."""
    enlarged: Tensor = F.interpolate(image[None], like.shape[1:], mode="bicubic")[0]
    return enlarged


def _cored(band: Tensor) -> Tensor:
    """`band` (3, H, W) with what is weak beside its neighbours made weaker, its strength kept.

    Noise lies everywhere, detail at edges: held at one strength, noise would take its place.
    """
    energy = F.avg_pool2d(band.square().mean(0, keepdim=True), 5, 1, 2, count_include_pad=False)
    cored = band * (energy / (energy + energy.mean() / 2).clamp(min=1e-12))
    cored = cored * (rms(band) / rms(cored).clamp(min=1e-6))
    return torch.lerp(band, cored, CORING)
