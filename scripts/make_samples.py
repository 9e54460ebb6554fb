"""Generate `samples/flight.mp4`: two shots over made-up land, with a cut and with sound.

    python scripts/make_samples.py [FOLDER]

Everything comes from seeded noise, so that the same picture comes out each time. The land is a
height field that is periodic in both directions; each picture is drawn column by column, as the
flight simulators of the early nineties did, at several times its size, and averaged down.

Coordinates: x and y along the map in metres, z upwards, 0 at the water. Colours are linear
R, G, B until the last step. Pictures and maps are float32, rows first.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from dreamvid.config import WriteConfig
from dreamvid.media import ColourTags, SoundSource, VideoInfo, VideoWriter
from dreamvid.types import Frame

Array = NDArray[np.float32]
Sound = NDArray[np.float64]
Spectrum = NDArray[np.complex64]

WIDTH, HEIGHT = 320, 180
RATE = 24
SAMPLE_RATE = 48_000
SEED = 7
CRF = 16.0

OVERSAMPLING = 2  # a side
MARGIN = 20  # pixels around the picture, which the banking camera turns into view
FOCAL = 250.0  # pixels
MAP_SIZE = 2048  # cells a side
CELL = 3.0  # metres
NEAREST, FARTHEST = 12.0, 9000.0  # metres
CLOUD_HEIGHT = 1400.0  # metres
BT709 = ColourTags(primaries=1, transfer=1, matrix=1, range=1)


# Noise and textures


def smoothstep(low: float, high: float, value: Array) -> Array:
    """0 below `low`, 1 above `high`, and a smooth rise between them; falls if `high` < `low`."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def mix(first: Any, second: Any, share: Array) -> Array:
    """`first` where `share` is 0 and `second` where it is 1; a colour spreads over a plane."""
    channels = {1, share.ndim + 1} & {np.ndim(first), np.ndim(second)}
    share = share[..., None] if channels else share
    first, second = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return np.asarray(first + (second - first) * share, np.float32)


@lru_cache(maxsize=4)
def frequencies(size: int) -> Array:
    """Base-2 logarithm of cycles a cell, for each place of a real picture's spectrum."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    return np.asarray(np.log2(frequency + 1e-9), np.float32)


def white(rng: np.random.Generator, size: int) -> Spectrum:
    """The spectrum of white noise."""
    return np.asarray(np.fft.rfft2(rng.standard_normal((size, size), np.float32)), np.complex64)


def filtered(spectrum: Spectrum, gain: Array) -> Array:
    """The picture of unit variance that this spectrum has behind a filter."""
    plane = np.fft.irfft2(spectrum * gain, s=(len(spectrum), len(spectrum)))
    return np.asarray(plane / plane.std(), np.float32)


def band(wavelength: float, size: int, octaves: float = 0.5) -> Array:
    """A filter that leaves what is around one wavelength (cells), `octaves` wide."""
    distance = (frequencies(size) + np.float32(math.log2(wavelength))) / np.float32(octaves)
    return np.asarray(np.exp(-0.5 * distance**2), np.float32)


def noise(rng: np.random.Generator, size: int, wavelength: float, octaves: float = 0.5) -> Array:
    """Periodic noise of unit variance around one wavelength (cells)."""
    return filtered(white(rng, size), band(wavelength, size, octaves))


def fractal(
    rng: np.random.Generator, size: int, wavelength: float, roughness: float = 1.0
) -> Array:
    """Periodic noise of unit variance, with ever finer detail below a wavelength (cells).

    With a roughness of 1 each octave is half as strong as the one before, with 0.5 it is 0.7.
    """
    octaves = frequencies(size) + np.float32(math.log2(wavelength))  # finer than the wavelength
    decay = np.exp2(-(1 + roughness) * np.maximum(octaves, 0))
    return filtered(white(rng, size), decay * np.exp(-(np.minimum(octaves, 0) ** 2) / 0.5))


class Texture:
    """A periodic map with its smaller versions, sampled without aliasing.

    The versions lie in one atlas, one above the other, so that a lookup is a single `remap` with
    a level of its own for each pixel.
    """

    def __init__(self, plane: Array, cell: float) -> None:
        self._cell = cell
        self._size = plane.shape[0]
        self._top = int(math.log2(self._size)) - 3
        self._atlas, self._offsets = self._stack(plane)

    def _stack(self, plane: Array) -> tuple[Array, Array]:
        levels, offsets, row = [], [], 0
        width = self._size + 2
        for level in range(self._top + 1):
            if level:
                size = self._size >> level
                plane = np.asarray(cv2.resize(plane, (size, size), interpolation=cv2.INTER_AREA))
            around = cv2.copyMakeBorder(plane, 1, 1, 1, 1, cv2.BORDER_WRAP)
            spare = width - around.shape[1]
            levels.append(cv2.copyMakeBorder(around, 0, 0, 0, spare, cv2.BORDER_CONSTANT))
            offsets.append(row + 1)
            row += around.shape[0]
        return np.vstack(levels).astype(np.float32), np.array(offsets, np.float32)

    def __call__(self, x: Array, y: Array, footprint: Array) -> Array:
        """The map at (x, y), averaged over about `footprint`, all in metres."""
        level = np.clip(np.log2(np.maximum(footprint / self._cell, 1e-3)), 0, self._top)
        lower = np.floor(level)
        fine = self._look_up(x, y, lower)
        coarse = self._look_up(x, y, np.minimum(lower + 1, self._top))
        share = (level - lower).astype(np.float32)
        return mix(fine, coarse, share)

    def _look_up(self, x: Array, y: Array, level: Array) -> Array:
        scale = np.exp2(-level)
        size = self._size * scale
        column = (x * np.float32(1 / self._cell) + 0.5) * scale - 0.5
        row = (y * np.float32(1 / self._cell) + 0.5) * scale - 0.5
        column -= np.floor(column / size) * size  # quicker than np.mod
        row -= np.floor(row / size) * size
        maps = column + 1, row + self._offsets[level.astype(np.intp)]
        return np.asarray(cv2.remap(self._atlas, *maps, cv2.INTER_LINEAR), np.float32)


# Light and land


@dataclass(frozen=True)
class Light:
    """A time of day."""

    azimuth: float
    """Radians from x to y, where the sun stands."""
    elevation: float
    sun: tuple[float, float, float]
    ambient: tuple[float, float, float]
    horizon: tuple[float, float, float]
    zenith: tuple[float, float, float]
    glow: tuple[float, float, float]
    """Of the sky around the sun."""
    cloud: tuple[float, float, float]
    """Of a cloud's sunny side; the other is the sky's."""
    haze: float
    """Metres after which 1/e of the contrast is left."""
    wind: float
    """Which makes waves."""
    exposure: float

    @cached_property
    def direction(self) -> tuple[float, float, float]:
        """Unit vector towards the sun."""
        flat = math.cos(self.elevation)
        return (
            flat * math.cos(self.azimuth),
            flat * math.sin(self.azimuth),
            math.sin(self.elevation),
        )


@dataclass(frozen=True)
class World:
    """What a shot flies over, with its light already on it."""

    light: Light
    height: Texture
    """Metres, nowhere below the water."""
    ground: Texture
    """Lit colour, and how far it is water."""
    grain: Texture
    """Fine brightness of the ground, around 0."""
    waves: Texture
    """Slope of the water along x and y."""
    clouds: Texture
    """Opacity, and how much sun falls on it."""


def ridges(rng: np.random.Generator, wavelength: float) -> Array:
    """Mountain ridges, 0 to about 1: folded noise, rough only where it is already high."""
    spectrum = white(rng, MAP_SIZE)
    total = np.zeros((MAP_SIZE, MAP_SIZE), np.float32)
    weight: Array = np.ones_like(total)
    for octave in range(8):
        layer = filtered(spectrum, band(wavelength / 2**octave, MAP_SIZE))
        fold = np.maximum(1 - np.abs(layer) * 0.7, 0) ** 2
        total += fold * weight * np.float32(0.5**octave)
        weight = np.clip(fold * weight * 2.2, 0.12, 1)
    return total / np.float32(1.7)


def valley_land(rng: np.random.Generator) -> Array:
    """Wooded hills, lakes and mountains; metres, negative under water."""
    swell = fractal(rng, MAP_SIZE, 900)
    mountains = smoothstep(0.0, 1.6, swell) * (320 * ridges(rng, 640) + 30)
    hills = fractal(rng, MAP_SIZE, 230, 0.9) * 30
    return np.asarray(mountains + hills + 26 + 20 * swell, np.float32)


def island_land(rng: np.random.Generator) -> Array:
    """Rocky islands in the middle of a sea; metres, negative under water."""
    axis = (np.arange(MAP_SIZE, dtype=np.float32) - MAP_SIZE / 2) * CELL
    bend = fractal(rng, MAP_SIZE, 300) * 130
    main = np.exp(-((np.hypot(axis[:, None] * 0.75, axis) + bend).clip(0) ** 2) / 520**2)
    side = np.exp(-(np.hypot(axis[:, None] - 900, axis - 350) ** 2) / 230**2) * 0.55
    base = np.maximum(main, side).astype(np.float32)
    return np.asarray(base * (110 + 300 * ridges(rng, 400)) - 42, np.float32)


def slopes(height: Array, cell: float = CELL) -> tuple[Array, Array]:
    """Rise along x and y, by central differences of the periodic map."""
    along_x = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) / (2 * cell)
    along_y = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) / (2 * cell)
    return along_x, along_y


def blurred(plane: Array, sigma: float) -> Array:
    """Gaussian blur of a periodic map; `sigma` in cells."""
    radius = math.ceil(3 * sigma)
    around = cv2.copyMakeBorder(plane, *(radius,) * 4, cv2.BORDER_WRAP)
    return np.asarray(
        cv2.GaussianBlur(around, (0, 0), sigma)[radius:-radius, radius:-radius], np.float32
    )


def shadow(height: Array, light: Light) -> Array:
    """How much of the sun reaches each cell past the land between: 0 to 1."""
    horizon = np.full_like(height, -1e3)
    step = 1.0
    while step < 220:
        offset = (
            -round(step * math.sin(light.azimuth)),
            -round(step * math.cos(light.azimuth)),
        )
        drop = step * CELL * math.tan(light.elevation)
        np.maximum(horizon, np.roll(height, offset, (0, 1)) - np.float32(drop), out=horizon)
        step = step * 1.12 + 0.6
    return smoothstep(10, -1, horizon - height)


def covering(rng: np.random.Generator, land: Array) -> tuple[Array, Array]:
    """Colour of the ground, and how far it is wooded."""
    steep = np.asarray(np.hypot(*slopes(blurred(land, 1.5))), np.float32)
    patches = fractal(rng, MAP_SIZE, 110)
    speckle = fractal(rng, MAP_SIZE, 14)
    meadow = mix((0.105, 0.165, 0.035), (0.27, 0.23, 0.075), smoothstep(-0.8, 1.4, patches))
    wood = smoothstep(-0.35, 0.05, patches + 0.25 * speckle - 0.004 * land + 0.25)
    wood *= smoothstep(0.95, 0.65, steep) * smoothstep(5, 14, land)
    leaves = mix((0.022, 0.062, 0.016), (0.085, 0.105, 0.02), smoothstep(-1.6, 1.8, speckle))
    strata = np.asarray(0.5 + 0.5 * np.sin(land / 7 + 2 * patches + speckle), np.float32)
    stone = mix((0.165, 0.130, 0.105), (0.29, 0.25, 0.21), strata)
    rock = smoothstep(0.55, 0.85, steep + np.float32(0.08) * speckle)
    snow = smoothstep(265, 330, land + 25 * patches) * smoothstep(1.25, 0.8, steep)
    sand = smoothstep(9, 4, land + 2 * speckle) * smoothstep(0.6, 0.35, steep)
    colour = mix(mix(meadow, leaves, wood), stone, rock)
    colour = mix(mix(colour, (0.48, 0.40, 0.27), sand), (0.80, 0.84, 0.90), snow)
    return colour, wood * (1 - rock) * (1 - snow)


def lit(colour: Array, height: Array, light: Light, shade: Array) -> Array:
    """The colour under the sun and the sky; `shade` is what clouds leave of the sun."""
    along_x, along_y = slopes(height)
    to_x, to_y, to_z = light.direction
    upright = 1 / np.sqrt(1 + along_x**2 + along_y**2)
    facing = np.maximum((to_z - to_x * along_x - to_y * along_y) * upright, 0)
    open_sky = (0.45 + 0.55 * upright) * np.clip(1 - (blurred(height, 5) - height) / 28, 0.45, 1.25)
    sun = (facing * shadow(height, light) * shade)[..., None] * np.array(light.sun, np.float32)
    sky = open_sky[..., None] * np.array(light.ambient, np.float32)
    return np.asarray(colour * (sun + sky), np.float32)


def build_world(rng: np.random.Generator, land: Array, light: Light) -> World:
    """Plant, wet and light the land."""
    colour, wood = covering(rng, land)
    crowns = noise(rng, MAP_SIZE, 4.5) * 1.7 + noise(rng, MAP_SIZE, 11) * 1.4 + 5
    height = np.maximum(land, 0) + wood * np.maximum(crowns, 0)
    passing = smoothstep(-0.9, 0.2, fractal(rng, MAP_SIZE, 420))
    lit_land = lit(colour, height, light, 0.35 + 0.65 * passing)
    wet = smoothstep(0.6, -0.6, land)
    brightness = np.asarray(light.sun, np.float32) * light.direction[2] + light.ambient
    deep = mix((0.03, 0.17, 0.16), (0.008, 0.040, 0.060), smoothstep(-1, -16, land)) * brightness
    ground = np.dstack([mix(lit_land, deep, wet), wet]).astype(np.float32)
    return World(
        light=light,
        height=Texture(height.astype(np.float32), CELL),
        ground=Texture(ground, CELL),
        grain=Texture(0.17 * fractal(rng, 512, 10), 0.55),
        waves=build_waves(rng, light.wind),
        clouds=build_clouds(rng, light),
    )


def build_waves(rng: np.random.Generator, wind: float) -> Texture:
    """Slopes of a sea of crossing waves."""
    size, cell = 512, 0.8  # metres
    surface = 0.85 * noise(rng, size, 34, 0.35) + 0.32 * noise(rng, size, 13, 0.4)
    surface += 0.10 * noise(rng, size, 5, 0.4)
    slope = np.dstack(slopes(surface, cell)) * np.float32(0.3 * wind)
    return Texture(slope, cell)


def build_clouds(rng: np.random.Generator, light: Light) -> Texture:
    """A layer of clouds, seen from below."""
    size, cell = 1024, 14.0
    density = smoothstep(-0.1, 2.1, fractal(rng, size, 190))
    opacity = 1 - np.exp(-9 * density)
    ahead = [round(7 * part) for part in light.direction[1::-1]]
    before = blurred(np.roll(density, ahead, (0, 1)), 4)
    sunny = np.exp(-2.6 * (0.45 * blurred(density, 2) + before))
    return Texture(np.dstack([opacity, sunny]).astype(np.float32), cell)


# Drawing


@dataclass(frozen=True)
class Camera:
    """Where a picture is taken from."""

    x: float
    y: float
    z: float
    heading: float
    """Radians from x to y."""
    pitch: float
    """Pixels that the horizon stands above the middle."""
    bank: float
    """Degrees to the right."""
    time: float
    """Seconds, which move the water and the clouds."""


@dataclass(frozen=True)
class View:
    """The rays of an oversampled canvas: a column is a vertical plane."""

    camera: Camera

    width = (WIDTH + 2 * MARGIN) * OVERSAMPLING
    height = (HEIGHT + 2 * MARGIN) * OVERSAMPLING
    focal = FOCAL * OVERSAMPLING

    @cached_property
    def horizon(self) -> float:
        """Row of the horizon."""
        return self.height / 2 - self.camera.pitch * OVERSAMPLING

    @cached_property
    def columns(self) -> tuple[Array, Array]:
        """Metres along x and y, by column, for each metre of depth."""
        across = (np.arange(self.width) + 0.5 - self.width / 2) / self.focal
        sine, cosine = math.sin(self.camera.heading), math.cos(self.camera.heading)
        return (
            np.asarray(cosine + sine * across, np.float32),
            np.asarray(sine - cosine * across, np.float32),
        )

    @cached_property
    def rise(self) -> Array:
        """Metres up, by row, for each metre of depth."""
        rows = np.arange(self.height) + 0.5
        return np.asarray((self.horizon - rows) / self.focal, np.float32)

    def at(self, depth: Array) -> tuple[Array, Array]:
        """Position on the map at this depth; (…, columns)."""
        along_x, along_y = self.columns
        return self.camera.x + depth * along_x, self.camera.y + depth * along_y


def depths() -> Array:
    """Where the rays are looked at: every metre or two at first, then ever more seldom."""
    near = np.arange(NEAREST, 480, 1.9)
    far = 480 * 1.004 ** np.arange(int(math.log(FARTHEST / 480) / math.log(1.004)))
    return np.concatenate([near, far]).astype(np.float32)


def trace(view: View, height: Texture) -> tuple[Array, NDArray[np.bool_]]:
    """Depth at which each pixel's ray meets the land, and whether it does."""
    depth = depths()[:, None]
    x, y = view.at(depth)
    rise = height(x, y, np.broadcast_to(depth / FOCAL, x.shape)) - view.camera.z
    row = view.horizon - rise * view.focal / depth - 0.5  # where each point would be drawn
    top = np.ceil(np.minimum.accumulate(row, axis=0)).clip(0, view.height).astype(np.intp)
    # The first point that hides a pixel has as many before it as end below that pixel.
    index = top * view.width + np.arange(view.width)
    ends = np.bincount(index.ravel(), minlength=(view.height + 1) * view.width)
    ends = ends.reshape(view.height + 1, view.width)
    first = np.cumsum(ends[:0:-1], axis=0)[::-1]
    meets = first < len(depth)
    after = first.clip(1, len(depth) - 1)
    return _between(view, depth[:, 0], rise, after), meets


def _between(view: View, depth: Array, rise: Array, after: NDArray[np.intp]) -> Array:
    """Depth where the ray crosses the line from one point of the land to the next."""
    before = after - 1
    ray = view.rise[:, None]
    below = ray * depth[before] - np.take_along_axis(rise, before, 0)
    above = np.take_along_axis(rise, after, 0) - ray * depth[after]
    share = np.clip(below / np.maximum(below + above, 1e-6), 0, 1)
    return np.asarray(depth[before] + share * (depth[after] - depth[before]), np.float32)


def empty_sky(view: View, light: Light, rise: Array) -> Array:
    """The sky without clouds towards each column at each `rise`; (rows, columns, 3)."""
    along_x, along_y = view.columns
    to_x, to_y, to_z = light.direction
    length = np.sqrt(along_x**2 + along_y**2 + rise[:, None] ** 2)
    towards = (to_x * along_x + to_y * along_y + to_z * rise[:, None]) / length
    high = 1 - np.exp(-4.2 * np.maximum(rise[:, None] / length, 0))
    sky = mix(light.horizon, light.zenith, high)
    away = towards - 1
    glow = 0.30 * np.exp(5 * away) + 0.55 * np.exp(40 * away) + 1.6 * np.exp(500 * away)
    return np.asarray(sky + glow[..., None] * np.array(light.glow, np.float32), np.float32)


def draw_sky(view: View, world: World, rows: int) -> Array:
    """Sky and clouds over the upper `rows`; below the horizon the sky of its row goes on."""
    light, camera = world.light, view.camera
    rise = np.maximum(view.rise[:rows], 0.004)
    sky = empty_sky(view, light, rise)
    up = rise[:, None]
    depth = np.asarray((CLOUD_HEIGHT - camera.z) / up, np.float32)
    x, y = view.at(depth)
    footprint = depth / view.focal * np.sqrt(1 / up)
    drift = 9 * camera.time
    cover = world.clouds(x + drift, y, np.broadcast_to(footprint, x.shape))
    opacity = cover[..., 0] * np.exp(-depth / 16_000) * smoothstep(0.015, 0.10, up)
    # What is left of the sun's light in the cloud, and a bluer one from the sky below it.
    shaded = 0.62 * np.array(light.ambient, np.float32) + 0.35 * sky
    colour = shaded + cover[..., 1:] * np.array(light.cloud, np.float32)
    return mix(sky, colour, opacity * 0.95)


def draw_land(view: View, world: World, depth: Array) -> tuple[Array, Array]:
    """Colour of the ground without haze, and how far it is water."""
    x, y = view.at(depth)
    wide = depth / view.focal
    long = np.abs(np.gradient(depth, axis=0)).astype(np.float32)
    footprint = np.asarray(1.3 * np.sqrt(wide * np.clip(long, wide, 12 * wide)), np.float32)
    ground = world.ground(x, y, footprint)
    wet = ground[..., 3]
    grain = 1 + world.grain(x, y, footprint) * (1 - wet)
    return np.asarray(ground[..., :3] * grain[..., None], np.float32), wet


def draw_water(view: View, world: World, depth: Array, dry: Array, wet: Array) -> Array:
    """What the water adds to its own colour: the mirrored picture and the sun on the waves."""
    x, y = view.at(depth)
    along_x, along_y = view.columns
    time = view.camera.time
    footprint = depth / view.focal * np.sqrt(np.clip(0.4 * depth / view.camera.z, 1, 9))
    slope = world.waves(x + 1.6 * time, y + 0.7 * time, footprint)
    slope = slope + 0.6 * world.waves(y * 0.43 - time, x * 0.43, footprint * 0.43)
    tilt = slope[..., 0] * along_x + slope[..., 1] * along_y  # away from the camera
    mirrored = _mirrored(view, dry, wet, tilt)
    grazing = np.maximum(-view.rise[:, None], 1e-3)
    incidence = np.clip(grazing / np.sqrt(1 + grazing**2) - 0.8 * tilt, 0.03, 1)
    share = 0.02 + 0.88 * (1 - incidence) ** 5
    shine = mirrored * share[..., None] + _glint(view, world.light, slope)
    return np.asarray(shine, np.float32)


def _mirrored(view: View, dry: Array, wet: Array, tilt: Array) -> Array:
    """The picture above the waterline, turned over; waves shift what is seen."""
    rows = np.arange(view.height, dtype=np.float32)[:, None]
    shore = np.maximum.accumulate(np.where(wet < 0.5, rows, view.horizon), axis=0)
    shore = cv2.blur(np.asarray(shore, np.float32), (8 * OVERSAMPLING + 1, 1))
    source = 2 * shore - rows - 0.9 * np.abs(tilt) * view.focal
    blurry = cv2.GaussianBlur(dry, (0, 0), sigmaX=2 * OVERSAMPLING, sigmaY=5 * OVERSAMPLING)
    columns = np.broadcast_to(np.arange(view.width, dtype=np.float32), source.shape)
    return np.asarray(
        cv2.remap(
            blurry,
            np.ascontiguousarray(columns),
            source.clip(0, view.height - 1).astype(np.float32),
            cv2.INTER_LINEAR,
        ),
        np.float32,
    )


def _glint(view: View, light: Light, slope: Array) -> Array:
    """The sun, spread over waves that are too small to be drawn."""
    along_x, along_y = view.columns
    length = np.sqrt(along_x**2 + along_y**2 + view.rise[:, None] ** 2)
    to_x, to_y, to_z = light.direction
    half_x, half_y = to_x - along_x / length, to_y - along_y / length
    half_z = np.maximum(to_z - view.rise[:, None] / length, 1e-3)
    miss = (half_x / half_z + slope[..., 0]) ** 2 + (half_y / half_z + slope[..., 1]) ** 2
    return np.asarray(0.55 * np.exp(-miss / 0.035)[..., None] * light.sun, np.float32)


def draw(world: World, camera: Camera) -> Array:
    """One picture: (HEIGHT, WIDTH, 3), R'G'B' in [0, 1]."""
    view = View(camera)
    depth, meets = trace(view, world.height)
    sky = draw_sky(view, world, rows=int(np.count_nonzero(~meets.all(axis=1))))
    land, wet = draw_land(view, world, depth)
    wet = wet * meets
    at_horizon = empty_sky(view, world.light, np.full(1, 0.02, np.float32))
    air = 1 - np.exp(-((depth / world.light.haze) ** 1.4))
    dry = mix(land, at_horizon, air)
    dry[: len(sky)] = np.where(meets[: len(sky), :, None], dry[: len(sky)], sky)
    if wet.any():
        water = draw_water(view, world, depth, dry, wet)
        dry = dry + water * (wet * (1 - air))[..., None]
    return develop(_turned(np.minimum(dry, 4), camera.bank), world.light.exposure)


def _turned(canvas: Array, bank: float) -> Array:
    """The banked camera's cut-out of the canvas, averaged down to the picture's size."""
    height, width = canvas.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), bank, 1)
    turn[:, 2] -= MARGIN * OVERSAMPLING
    size = WIDTH * OVERSAMPLING, HEIGHT * OVERSAMPLING
    picture = cv2.warpAffine(canvas, turn, size, flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))


def develop(linear: Array, exposure: float) -> Array:
    """Linear light to R'G'B', with soft highlights (Narkowicz's fit of the ACES curve)."""
    light = np.maximum(linear, 0) * exposure
    curve = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    return np.asarray(np.clip(curve, 0, 1) ** (1 / 2.2), np.float32)


# The two shots

DAY = Light(
    azimuth=math.radians(150),
    elevation=math.radians(32),
    sun=(3.7, 3.2, 2.45),
    ambient=(0.34, 0.47, 0.70),
    horizon=(0.60, 0.77, 0.95),
    zenith=(0.075, 0.215, 0.60),
    glow=(0.55, 0.48, 0.36),
    cloud=(1.5, 1.42, 1.32),
    haze=6200,
    wind=0.6,
    exposure=0.62,
)
EVENING = Light(
    azimuth=math.radians(118),
    elevation=math.radians(13),
    sun=(4.3, 1.75, 0.55),
    ambient=(0.24, 0.27, 0.50),
    horizon=(0.90, 0.43, 0.30),
    zenith=(0.045, 0.085, 0.30),
    glow=(1.3, 0.66, 0.22),
    cloud=(1.5, 0.55, 0.33),
    haze=7500,
    wind=0.7,
    exposure=0.66,
)


def over_the_lakes(time: float) -> Camera:
    """A gentle turn over wooded hills."""
    heading = math.radians(40 + 9 * time + 2 * time**2)
    return Camera(
        x=1500 + 95 * time,
        y=1500 + 85 * time,
        z=250 + 4 * time,
        heading=heading,
        pitch=34,
        bank=-2.0 - 1.5 * time,
        time=time,
    )


def to_the_island(time: float) -> Camera:
    """Low over the sea, slowly rising."""
    return Camera(
        x=1840 + 75 * time,
        y=2600 + 20 * time,
        z=62 + 9 * time,
        heading=math.radians(20 + 6 * time),
        pitch=14,
        bank=-2.0 + 1.2 * time,
        time=time,
    )


SHOTS = (
    (valley_land, DAY, over_the_lakes, 48),
    (island_land, EVENING, to_the_island, 24),
)
"""Land, light, flight and number of frames."""


def pictures() -> Iterator[Array]:
    """All frames of the clip."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, (land, light, flight, count) in enumerate(SHOTS):
            rng = np.random.default_rng((SEED, number))
            world = build_world(rng, land(rng), light)
            cameras = (flight(frame / RATE) for frame in range(count))
            yield from pool.map(partial(draw, world), cameras)


# Sound

CHORDS = (
    (0.0, (50, 57, 62, 66, 69, 76)),
    (2.0, (47, 54, 59, 62, 66, 73)),
)
"""When a chord begins, in seconds (the second one with the cut), and its keys as MIDI counts."""
BEAT = 0.25  # seconds


def pitch(key: int) -> float:
    """Hertz of a key."""
    return float(440 * 2 ** ((key - 69) / 12))


def plucked(frequency: float, seconds: Sound) -> Sound:
    """A string plucked at 0: overtones that die the sooner the higher they are."""
    after = np.maximum(seconds, 0)
    tone = np.zeros_like(seconds)
    for n in range(1, 9):
        tone += np.sin(2 * np.pi * frequency * n * after) * np.exp(-after * (1.6 + n)) / n**1.5
    return tone * (seconds >= 0) * np.minimum(after / 0.004, 1)


def pad(frequency: float, seconds: Sound) -> Sound:
    """A soft held tone that swells from 0 on."""
    after = np.maximum(seconds, 0)
    beating = sum(np.sin(2 * np.pi * frequency * (1 + d) * after) for d in (-0.002, 0, 0.0025))
    return np.asarray(beating * (1 - np.exp(-after / 0.35)) / 3)


def wind(rng: np.random.Generator, seconds: Sound) -> Sound:
    """Noise around 400 Hz that comes and goes."""
    spectrum = np.fft.rfft(rng.standard_normal(len(seconds)))
    hertz = np.fft.rfftfreq(len(seconds), 1 / SAMPLE_RATE) + 1e-9
    hiss = np.fft.irfft(spectrum * np.exp(-(np.log2(hertz / 400) ** 2) / 2), len(seconds))
    return np.asarray(hiss / hiss.std() * (0.7 + 0.3 * np.sin(2 * np.pi * seconds / 2.3)))


def hall(rng: np.random.Generator, sound: Sound) -> Sound:
    """The sound's echo from a large space."""
    length = len(sound)
    late = np.arange(length) / SAMPLE_RATE
    answer = rng.standard_normal(length) * np.exp(-late / 0.45)
    both = np.fft.rfft(sound, 2 * length) * np.fft.rfft(answer, 2 * length)
    return np.asarray(np.fft.irfft(both)[:length] / 40)


def compose() -> NDArray[np.float32]:
    """Arpeggio, pad and wind: (2, samples) within ±1, as long as the pictures."""
    rng = np.random.default_rng((SEED, len(SHOTS)))
    seconds = np.arange(round(clip_length() * SAMPLE_RATE)) / SAMPLE_RATE
    channels = []
    for side in (-1, 1):
        sound = _music(seconds, side)
        sound = sound + 0.35 * hall(rng, sound) + 0.10 * wind(rng, seconds)
        channels.append(sound)
    stereo = np.stack(channels)
    fade = np.minimum(1, np.minimum(seconds / 0.03, (seconds[-1] - seconds) / 0.35))
    return np.asarray(0.6 * stereo * fade / np.abs(stereo).max(), np.float32)


def _music(seconds: Sound, side: int) -> Sound:
    """One channel; the strings stand in a row from left (-1) to right (1)."""
    sound = np.zeros_like(seconds)
    ends = [begin for begin, _ in CHORDS[1:]] + [float(clip_length())]
    for (begin, keys), end in zip(CHORDS, ends, strict=True):
        held = np.clip((end - seconds) / 0.15, 0, 1)
        sound += 0.10 * held * sum(pad(pitch(key), seconds - begin) for key in keys[:4])
        for note in range(round((end - begin) / BEAT)):
            place = (note * 2) % len(keys) if note % 4 < 3 else len(keys) - 1
            loudness = 0.5 * (1 + 0.6 * side * (place / (len(keys) - 1) * 2 - 1))
            sound += loudness * plucked(pitch(keys[place] + 12), seconds - begin - note * BEAT)
    return sound


# The file


def clip_length() -> Fraction:
    """Seconds."""
    return Fraction(sum(count for *_, count in SHOTS), RATE)


def write_sound(path: Path, samples: NDArray[np.float32]) -> None:
    """Encode (2, samples) as AAC."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=SAMPLE_RATE)
        assert isinstance(stream, AudioStream)
        stream.codec_context.layout = "stereo"
        stream.codec_context.bit_rate = 128_000
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = SAMPLE_RATE, 0
        frame.time_base = Fraction(1, SAMPLE_RATE)
        container.mux([*stream.encode(frame), *stream.encode(None)])


def write_clip(path: Path) -> None:
    """Draw and write the whole clip, replacing what is there."""
    info = VideoInfo(
        WIDTH, HEIGHT, rate=Fraction(RATE), time_base=Fraction(1, 512 * RATE), colour=BT709
    )
    with tempfile.TemporaryDirectory() as folder:
        sound_file = Path(folder) / "sound.mp4"
        write_sound(sound_file, compose())
        sound = SoundSource(sound_file)
        with VideoWriter(path, info, WriteConfig(crf=CRF), overwrite=True, sound=sound) as writer:
            for number, picture in enumerate(pictures()):
                image = torch.from_numpy(picture).permute(2, 0, 1).contiguous()
                writer.write(Frame(image, Fraction(number, RATE), Fraction(1, RATE)))
        sound.close()


def main() -> None:
    """Write the samples into the folder that is named, or into the project's own."""
    parser = argparse.ArgumentParser(description="Generate the sample clip.")
    default = Path(__file__).resolve().parent.parent / "samples"
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "flight.mp4"
    write_clip(path)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
