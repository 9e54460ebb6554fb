"""The endless zoom: what was dreamed is looked at through a moving camera, and dreamed on.

What is carried is not a frame but a sheet, larger and finer than a frame. Each frame is resampled
once from the sheet, and what is dreamed on it goes back into the sheet; the sheet itself is
resampled only when the camera has left it, every second or so. Warping frame after frame instead
would blur each of them dozens of times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from dreamvid.config import DreamConfig
from dreamvid.dream.octaves import resize
from dreamvid.dream.optimise import Objective, OnStep, dream_image, frame_generator
from dreamvid.motion.camera import Camera, Similarity, resample, seen_before, seen_in
from dreamvid.types import Frame

ObjectivesAt = Callable[[Fraction], Sequence[Objective]]
"""Time in seconds → what the picture shall mean then."""

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
CORING = float(__import__("os").environ.get("CORING", "0.1"))
HOLD = 0.5
"""Share of a band's or colour's deviation that is taken back a frame."""


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
    config: DreamConfig,
    *,
    first_steps: int,
    on_step: OnStep | None = None,
) -> Iterator[ZoomedFrame]:
    """Film a fall into `source` (3, H, W) under `camera`, at `times` in seconds, dreaming on.

    The first frame is dreamed from the source, every other from what the camera sees of the one
    before, within `config.strength` of it. New ground at the border is first the reflection of
    what is there, and dreamed before it is seen. How strong the detail and the colours of the
    first frame are is held, so that a picture which grows for ever neither blurs nor runs away.
    """
    height, width = source.shape[1:]
    rim = (
        round(OVERSCAN * max(height, width)) if _brings_ground(camera, times, height, width) else 0
    )
    view = Similarity(1, -complex(rim, rim))  # from pixels of what is dreamed to those of frames
    onwards = config.model_copy(
        update={
            "tv_of": "image",
            "tv": config.tv * float(__import__("os").environ.get("ONTV", "0.25")),
        }
    )
    sheet, look, before = None, None, times[0]
    for index, now in enumerate(times):
        if sheet is None or look is None:
            seen = resample(source, view, height + 2 * rim, width + 2 * rim)
            held = seen
        else:
            move = camera.back(now, before, height, width)
            back = view.inverse().after(move).after(view)
            sheet = sheet.moved(back)
            seen = sheet.seen()
            generator = frame_generator(config.seed, 2**31 + index)
            held = look.hold(look.fill(seen[:3], seen[3:].clamp(0, 1), generator))
            seen = seen[:3]
        dream = dream_image(
            held,
            objectives_at(now),
            config if sheet is None else onwards,
            generator=frame_generator(config.seed, index),
            steps=config.steps if index else first_steps,
            on_step=on_step,
        )
        if sheet is None or look is None:
            sheet, look = Sheet.around(dream), Look.of(dream)
        else:
            sheet = sheet.added(dream - seen)
        before = now
        inside = (..., slice(rim, rim + height), slice(rim, rim + width))
        yield ZoomedFrame(Frame(dream[inside], now), seen[inside])


def _brings_ground(camera: Camera, times: Sequence[Fraction], height: int, width: int) -> bool:
    """Whether some frame shows what the one before did not."""
    return any(
        bool((seen_before(camera.flow(now, before, height, width)) == 0).any())
        for before, now in pairwise(times)
    )


def expose(frame: Frame, camera: Camera, shutter: Fraction) -> Frame:
    """`frame` as a shutter sees it that is open for so many seconds while the camera moves."""
    height, width = frame.image.shape[1:]
    moments = camera.exposures(frame.time, shutter, height, width)
    if len(moments) == 1:
        return frame
    views = [
        resample(frame.image, camera.back(moment, frame.time, height, width), height, width)
        for moment in moments
    ]
    return frame.with_image(torch.stack(views).mean(0).clamp(0, 1))


@dataclass(frozen=True, eq=False)
class Sheet:
    """What has been dreamed so far, larger and finer than a frame."""

    image: Tensor
    """(4, rows, columns): colours, not clamped, and where they have been dreamed, 0 or 1."""
    to_sheet: Similarity
    """From pixels of the frame to those of the sheet."""
    size: tuple[int, int]
    """(height, width) of the frame."""

    @classmethod
    def around(cls, frame: Tensor) -> Sheet:
        """A fresh one, with `frame` (3, H, W) in its middle and its reflection around that."""
        height, width = frame.shape[1:]
        unknown = cls(F.pad(frame, (0, 0, 0, 0, 0, 1)), Similarity(), (height, width))._renewed()
        return unknown.added(torch.zeros_like(frame))

    def moved(self, back: Similarity) -> Sheet:
        """For a camera that has moved; `back` leads from a frame's pixels now to those before."""
        moved = replace(self, to_sheet=self.to_sheet.after(back))
        return moved if moved._suffices() else moved._renewed()

    def seen(self) -> Tensor:
        """The frame (4, H, W), its last channel where it has been dreamed."""
        return resample(self.image, self.to_sheet, *self.size)

    def added(self, difference: Tensor) -> Sheet:
        """With `difference` (3, H, W) of a frame added, and its reflection around that."""
        rows, columns = self.image.shape[1:]
        to_frame = self.to_sheet.inverse()
        colours = self.image[:3] + resample(difference, to_frame, rows, columns)
        dreamed = seen_in(to_frame.flow(rows, columns, difference.device), *self.size)
        return replace(self, image=torch.cat([colours, self.image[3:].maximum(dreamed)]))

    def _suffices(self) -> bool:
        """Whether the frame lies within the sheet, at a density that serves."""
        height, width = self.size
        rows, columns = self.image.shape[1:]
        corners = [self.to_sheet(complex(x, y)) for x in (0, width - 1) for y in (0, height - 1)]
        return COARSEST <= abs(self.to_sheet.factor) <= FINEST and all(
            0 <= corner.real <= columns - 1 and 0 <= corner.imag <= rows - 1 for corner in corners
        )

    def _renewed(self) -> Sheet:
        """The same, resampled for where the camera looks now."""
        margin = round(MARGIN * max(self.size))
        rows, columns = (round((side + 2 * margin) * DENSITY) for side in self.size)
        first = (0.5 + margin) * DENSITY - 0.5
        to_sheet = Similarity(DENSITY, complex(first, first))
        to_old = self.to_sheet.after(to_sheet.inverse())
        return Sheet(resample(self.image, to_old, rows, columns), to_sheet, self.size)


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
        return cls(tuple(_rms(band) for band in [*bands, rest - colour]), colour)

    def fill(self, image: Tensor, known: Tensor, generator: Generator) -> Tensor:
        """`image` (3, H, W) with ground to dream on where it is not `known` (1, H, W).

        Its own colours, blurred, and noise as strong as detail is here: reflected detail would
        be dreamed into kaleidoscopes.
        """
        if bool((known > 0.99).all()):
            return image
        height, width = image.shape[1:]
        ground = resize(resize(image, [max(1, height // 16), max(1, width // 16)]), (height, width))
        for octave, strength in enumerate(self.bands[1:BANDS], 1):
            size = [max(2, side >> octave) for side in (height, width)]
            noise = torch.randn(3, *size, generator=generator).to(image.device)
            ground = ground + strength * resize(noise, (height, width))
        return torch.lerp(ground, image, known)

    def hold(self, image: Tensor) -> Tensor:
        """`image` (3, H, W) brought nearer to this look, in [0, 1]."""
        bands, rest = _split(image)
        colour = rest.mean((1, 2), keepdim=True)
        bands = [_cored(band) for band in bands]
        gains = [
            (wanted / _rms(band).clamp(min=1e-4)).pow(HOLD).clamp(0.8, 1.25)
            for wanted, band in zip(self.bands, [*bands, rest - colour], strict=True)
        ]
        held = colour + HOLD * (self.colour - colour) + gains[-1] * (rest - colour)
        for band, gain in zip(reversed(bands), reversed(gains[:-1]), strict=True):
            held = resize(held, band.shape[1:]) + gain * band
        return held.clamp(0, 1)


def _split(image: Tensor) -> tuple[list[Tensor], Tensor]:
    """Burt and Adelson's Laplacian pyramid (1983): bands, fine to coarse, and the rest."""
    bands = []
    for _ in range(BANDS):
        half = resize(image, [max(1, side // 2) for side in image.shape[1:]])
        bands.append(image - resize(half, image.shape[1:]))
        image = half
    return bands, image


def _cored(band: Tensor) -> Tensor:
    """`band` (3, H, W) with what is weak beside its neighbours made weaker, its strength kept.

    Noise lies everywhere, detail at edges: held at one strength, noise would take its place.
    """
    energy = F.avg_pool2d(band.square().mean(0, keepdim=True), 5, 1, 2, count_include_pad=False)
    cored = band * (energy / (energy + energy.mean() / 2).clamp(min=1e-12))
    cored = cored * (_rms(band) / _rms(cored).clamp(min=1e-6))
    return torch.lerp(band, cored, CORING)


def _rms(image: Tensor) -> Tensor:
    return image.square().mean().sqrt()
