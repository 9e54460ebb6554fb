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
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
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

WIDTH, HEIGHT = 320, 180
RATE = 24
SAMPLE_RATE = 48_000
SEED = 7
CRF = 20.0

OVERSAMPLING = 3  # a side
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
    share = share[..., None] if np.ndim(first) != share.ndim or np.ndim(second) == 1 else share
    first, second = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return first + (second - first) * share


def noise(rng: np.random.Generator, size: int, wavelength: float, octaves: float = 0.5) -> Array:
    """Periodic noise of unit variance around one wavelength (cells), `octaves` wide."""
    spectrum = np.fft.rfft2(rng.standard_normal((size, size), np.float32))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)) + 1e-9
    distance = np.log2(frequency * wavelength) / octaves
    spectrum *= np.exp(-0.5 * distance**2).astype(np.float32)
    plane = np.fft.irfft2(spectrum, (size, size))
    return np.asarray(plane / plane.std(), np.float32)


def clouds_of_noise(rng: np.random.Generator, size: int, wavelength: float, count: int) -> Array:
    """Fractal noise of about unit variance: `count` octaves, each half as strong as the last."""
    total = sum(noise(rng, size, wavelength / 2**i) / 2**i for i in range(count))
    return np.asarray(total, np.float32) / np.float32(1.15)


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
        return fine + (coarse - fine) * (share if fine.ndim == share.ndim else share[..., None])

    def _look_up(self, x: Array, y: Array, level: Array) -> Array:
        scale = np.exp2(-level)
        size = self._size * scale
        column = np.mod((x / self._cell + 0.5) * scale - 0.5, size) + 1
        row = np.mod((y / self._cell + 0.5) * scale - 0.5, size)
        row += self._offsets[level.astype(np.intp)]
        maps = column.astype(np.float32), row.astype(np.float32)
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
    """Fine brightness of the ground, around 1."""
    waves: Texture
    """Slope of the water along x and y."""
    clouds: Texture
    """Opacity, and how much sun falls on it."""


def ridges(rng: np.random.Generator, wavelength: float) -> Array:
    """Mountain ridges, 0 to about 1: folded noise, rough only where it is already high."""
    total = np.zeros((MAP_SIZE, MAP_SIZE), np.float32)
    weight: Array = np.ones_like(total)
    for octave in range(8):
        fold = np.maximum(1 - np.abs(noise(rng, MAP_SIZE, wavelength / 2**octave)) * 0.9, 0) ** 2
        total += fold * weight * np.float32(0.48**octave)
        weight = np.clip(fold * weight * 1.7, 0, 1)
    return total / np.float32(1.7)


def valley_land(rng: np.random.Generator) -> Array:
    """Mountains around a chain of lakes; metres, negative under water."""
    swell = clouds_of_noise(rng, MAP_SIZE, 900, 3)
    mountains = ridges(rng, 420)
    rise = smoothstep(-1.1, 1.3, swell)
    hills = clouds_of_noise(rng, MAP_SIZE, 160, 6) * 14
    return np.asarray(rise * (60 + 430 * mountains) + hills * (0.3 + rise) - 58, np.float32)


def island_land(rng: np.random.Generator) -> Array:
    """Rocky islands in the middle of a sea; metres, negative under water."""
    axis = (np.arange(MAP_SIZE, dtype=np.float32) - MAP_SIZE / 2) * CELL
    bend = clouds_of_noise(rng, MAP_SIZE, 300, 4) * 130
    main = np.exp(-(np.hypot(axis[:, None] * 0.75, axis) + bend).clip(0) ** 2 / 520**2)
    side = np.exp(-np.hypot(axis[:, None] - 900, axis - 350) ** 2 / 230**2) * 0.55
    base = np.maximum(main, side).astype(np.float32)
    return np.asarray(base * (90 + 480 * ridges(rng, 330)) - 42, np.float32)


def slopes(height: Array) -> tuple[Array, Array]:
    """Rise along x and y, by central differences of the periodic map."""
    along_x = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) / (2 * CELL)
    along_y = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) / (2 * CELL)
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
    steep = np.hypot(*slopes(blurred(land, 1.5)))
    patches = clouds_of_noise(rng, MAP_SIZE, 110, 6)
    speckle = clouds_of_noise(rng, MAP_SIZE, 14, 3)
    meadow = mix((0.105, 0.165, 0.035), (0.27, 0.23, 0.075), smoothstep(-0.8, 1.4, patches))
    wood = smoothstep(-0.35, 0.05, patches + 0.25 * speckle - land / 260 + 0.25)
    wood *= smoothstep(0.95, 0.65, steep) * smoothstep(5, 14, land)
    leaves = mix((0.022, 0.062, 0.016), (0.085, 0.105, 0.02), smoothstep(-1.6, 1.8, speckle))
    strata = 0.5 + 0.5 * np.sin(land / 7 + 2 * patches + speckle)
    stone = mix((0.20, 0.165, 0.135), (0.34, 0.30, 0.26), np.asarray(strata, np.float32))
    rock = smoothstep(0.55, 0.85, steep + 0.08 * speckle)
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
    passing = smoothstep(-0.9, 0.2, clouds_of_noise(rng, MAP_SIZE, 420, 4))
    lit_land = lit(colour, height, light, 0.35 + 0.65 * passing)
    wet = smoothstep(0.6, -0.6, land)
    brightness = np.asarray(light.sun, np.float32) * light.direction[2] + light.ambient
    deep = mix((0.03, 0.17, 0.16), (0.008, 0.040, 0.060), smoothstep(-1, -16, land)) * brightness
    ground = np.dstack([mix(lit_land, deep, wet), wet]).astype(np.float32)
    return World(
        light=light,
        height=Texture(height.astype(np.float32), CELL),
        ground=Texture(ground, CELL),
        grain=Texture(1 + 0.17 * clouds_of_noise(rng, 512, 10, 3), 0.55),
        waves=build_waves(rng),
        clouds=build_clouds(rng, light),
    )


def build_waves(rng: np.random.Generator) -> Texture:
    """Slopes of a sea of crossing waves."""
    size, cell = 512, 0.8
    surface = 0.85 * noise(rng, size, 34, 0.35) + 0.32 * noise(rng, size, 13, 0.4)
    surface += 0.10 * noise(rng, size, 5, 0.4)
    along_x, along_y = (np.gradient(np.pad(surface, 1, "wrap"), cell, axis=a) for a in (1, 0))
    return Texture(np.dstack([along_x, along_y])[1:-1, 1:-1].astype(np.float32) * 0.30, cell)


def build_clouds(rng: np.random.Generator, light: Light) -> Texture:
    """A layer of clouds, seen from below."""
    size, cell = 1024, 14.0
    density = smoothstep(-0.1, 2.1, clouds_of_noise(rng, size, 190, 7))
    opacity = 1 - np.exp(-9 * density)
    ahead = [round(7 * part) for part in light.direction[1::-1]]
    sunny = np.exp(-2.6 * (0.45 * blurred(density, 2) + blurred(np.roll(density, ahead, (0, 1)), 4)))
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
    around = np.maximum(towards, 0)
    glow = 0.30 * around**6 + 0.55 * around**40 + 1.6 * around**500
    return sky + glow[..., None] * np.array(light.glow, np.float32)


def draw_sky(view: View, world: World) -> Array:
    """Sky and clouds over the whole canvas; below the horizon its lowest row goes on."""
    light, camera = world.light, view.camera
    rise = np.maximum(view.rise, 0.004)
    sky = empty_sky(view, light, rise)
    up = rise[:, None]
    depth = (CLOUD_HEIGHT - camera.z) / up
    x, y = view.at(depth)
    footprint = depth / view.focal * np.sqrt(np.maximum(1 / up, 1))
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
    footprint = np.sqrt(wide * np.clip(long, wide, 12 * wide))
    ground = world.ground(x, y, footprint * 1.3)
    wet = ground[..., 3]
    grain = world.grain(x, y, footprint * 1.3)
    return ground[..., :3] * mix(grain, np.float32(1), wet)[..., None], wet


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
    return mirrored * share[..., None] + _glint(view, world.light, slope)


def _mirrored(view: View, dry: Array, wet: Array, tilt: Array) -> Array:
    """The picture above the waterline, turned over; waves shift what is seen."""
    rows = np.arange(view.height, dtype=np.float32)[:, None]
    shore = np.maximum.accumulate(np.where(wet < 0.5, rows, view.horizon), axis=0)
    shore = cv2.blur(np.asarray(shore, np.float32), (25, 1))
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
    sky = draw_sky(view, world)
    land, wet = draw_land(view, world, depth)
    wet = wet * meets
    at_horizon = empty_sky(view, world.light, np.full(view.height, 0.02, np.float32))
    air = 1 - np.exp(-((depth / world.light.haze) ** 1.4))
    dry = np.where(meets[..., None], mix(land, at_horizon, air), sky)
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
    elevation=math.radians(34),
    sun=(3.1, 2.75, 2.2),
    ambient=(0.40, 0.52, 0.72),
    horizon=(0.62, 0.76, 0.92),
    zenith=(0.10, 0.25, 0.62),
    glow=(0.55, 0.48, 0.36),
    cloud=(1.05, 1.0, 0.95),
    haze=4200,
    exposure=0.62,
)
EVENING = Light(
    azimuth=math.radians(28),
    elevation=math.radians(9),
    sun=(2.9, 1.35, 0.55),
    ambient=(0.20, 0.19, 0.30),
    horizon=(0.95, 0.46, 0.24),
    zenith=(0.07, 0.10, 0.28),
    glow=(1.5, 0.72, 0.25),
    cloud=(1.1, 0.48, 0.28),
    haze=5200,
    exposure=0.62,
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
        bank=2.5 + 1.5 * time,
        time=time,
    )


def to_the_island(time: float) -> Camera:
    """Low over the sea, slowly rising."""
    return Camera(
        x=1500 + 42 * time,
        y=2950 + 3 * time,
        z=26 + 5 * time,
        heading=math.radians(3 + 3 * time),
        pitch=18,
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
    for number, (land, light, flight, count) in enumerate(SHOTS):
        rng = np.random.default_rng((SEED, number))
        world = build_world(rng, land(rng), light)
        for frame in range(count):
            yield draw(world, flight(frame / RATE))
