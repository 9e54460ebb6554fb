"""Draw the footage that the gallery dreams upon: a few seconds of each of several made-up scenes.

    python scripts/scenes.py [FOLDER] [--only NAME…]

Everything comes from seeded noise, so that the same pictures come out each time. Films are 320×180,
24 frames a second, FFV1. Pictures are float32, rows first, R'G'B' in [0, 1] unless said otherwise.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import make_samples as land
import numpy as np
import torch
from make_samples import HEIGHT, RATE, WIDTH, Array, Camera, Light, fractal, mix, smoothstep

from dreamvid.config import WriteConfig
from dreamvid.media import VideoInfo, VideoWriter
from dreamvid.types import Frame

ROOT = Path(__file__).resolve().parent.parent
FINE = 2  # oversampling of a side
Pictures = Iterator[Array]
Colour = tuple[float, float, float]


def grid() -> tuple[Array, Array]:
    """x and y of the oversampled picture, in pixels of the finished one."""
    rows, columns = np.mgrid[: HEIGHT * FINE, : WIDTH * FINE].astype(np.float32)
    return (columns + 0.5) / FINE, (rows + 0.5) / FINE


def look_up(plane: Array, x: Array, y: Array) -> Array:
    """A periodic plane at (x, y), in its own cells."""
    size = plane.shape[0]
    around = cv2.copyMakeBorder(plane, 0, 1, 0, 1, cv2.BORDER_WRAP)
    maps = (np.mod(x, size).astype(np.float32), np.mod(y, size).astype(np.float32))
    return np.asarray(cv2.remap(around, *maps, cv2.INTER_LINEAR), np.float32)


def finished(picture: Array) -> Array:
    """The oversampled picture averaged down and clipped."""
    small = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small, 0, 1), np.float32)


def gradient(value: Any, *colours: Colour) -> Array:
    """Colours spread evenly over `value` from 0 to 1."""
    places = np.linspace(0, 1, len(colours))
    planes = [np.interp(value, places, [colour[c] for colour in colours]) for c in range(3)]
    return np.stack(planes, -1).astype(np.float32)


def mirrored_below(picture: Array, horizon: float, time: float, seed: int) -> Array:
    """The picture above `horizon` (rows) turned over below it, as in calm water with ripples."""
    x, y = grid()
    ripples = fractal(np.random.default_rng(seed), 256, 40)
    depth = np.maximum(y - horizon, 0)
    flat = 220 / (depth + 4)  # ripples are ever flatter towards the horizon
    wave = look_up(ripples, x * 0.35 * flat**0.5 + 6 * time, depth * flat * 1.6 - 9 * time)
    shift = wave * (0.6 + depth * 0.05)
    rows = (2 * horizon - y + shift * 3) * FINE
    seen = cv2.remap(
        picture,
        ((x + shift) * FINE).astype(np.float32),
        rows.clip(0, horizon * FINE - 1).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    share = smoothstep(-0.5, 0.5, y - horizon)
    return mix(picture, seen * np.float32(0.72), share)


# A city by night


@dataclass(frozen=True)
class Street:
    """A row of houses: a wide picture, and where it is opaque."""

    picture: Array
    cover: Array
    speed: float
    """Pixels a second that it passes."""


def street(seed: int, heights: tuple[int, int], widths: tuple[int, int], colour: Colour) -> Street:
    """Houses with lit windows, standing on the lower edge, with speed 0."""
    rng = np.random.default_rng(seed)
    rows, columns = 140 * FINE, 3 * WIDTH * FINE
    picture = np.zeros((rows, columns, 3), np.float32)
    cover = np.zeros((rows, columns), np.float32)
    lamps = np.array([(1, 0.78, 0.42), (1, 0.9, 0.7), (0.6, 0.85, 1), (1, 0.5, 0.3)], np.float32)
    left = 0
    while left < columns:
        width, height = (int(rng.integers(*span)) * FINE for span in (widths, heights))
        top = rows - height
        shade = np.float32(0.7 + 0.6 * rng.random())
        picture[top:, left : left + width] = np.array(colour, np.float32) * shade
        cover[top:, left : left + width] = 1
        pitch = int(rng.integers(4, 7)) * FINE
        lamp = lamps[rng.integers(len(lamps))]
        for row in range(top + pitch, rows - pitch // 2, pitch):
            for column in range(left + pitch // 2, min(left + width, columns) - pitch, pitch):
                if rng.random() < 0.42:
                    light = lamp * np.float32(0.35 + 0.65 * rng.random())
                    picture[row : row + pitch // 2, column : column + pitch * 3 // 5] = light
        left += width + int(rng.integers(0, 4)) * FINE
    return Street(picture, cover, 0)


def city(frames: int) -> Pictures:
    """A skyline by night across the water, passing by."""
    horizon = 128.0
    streets = [
        replace(street(11, (45, 105), (14, 30), (0.05, 0.06, 0.13)), speed=5),
        replace(street(12, (30, 85), (16, 34), (0.035, 0.04, 0.085)), speed=11),
        replace(street(13, (12, 48), (20, 44), (0.015, 0.017, 0.04)), speed=20),
    ]
    x, y = grid()
    stars = np.random.default_rng(14).random(x.shape, np.float32) > 0.9994
    for number in range(frames):
        time = number / RATE
        picture = gradient(
            y / horizon,
            (0.02, 0.03, 0.12),
            (0.06, 0.06, 0.22),
            (0.30, 0.14, 0.30),
            (0.5, 0.25, 0.25),
        )
        picture += (stars * smoothstep(90, 20, y))[..., None] * np.float32(0.7)
        moon = smoothstep(15, 13.5, np.hypot(x - 250 + 0.6 * time, y - 27))
        picture = mix(picture, (0.98, 0.94, 0.82), moon)
        for each in streets:
            picture = _passed(picture, each, time, horizon)
        glow = cv2.GaussianBlur(np.maximum(picture - 0.35, 0), (0, 0), 6 * FINE)
        yield finished(mirrored_below(picture + 1.4 * glow, horizon, time, 15))


def _passed(picture: Array, row: Street, time: float, horizon: float) -> Array:
    """The picture with a row of houses before it."""
    height = row.cover.shape[0]
    move = np.array([[1, 0, -row.speed * time * FINE], [0, 1, horizon * FINE - height]], np.float32)
    size = (picture.shape[1], picture.shape[0])
    shown, cover = (
        cv2.warpAffine(plane, move, size, flags=cv2.INTER_LINEAR)
        for plane in (row.picture, row.cover)
    )
    return mix(picture, shown, np.asarray(cover, np.float32))


# Northern lights


def aurora(frames: int) -> Pictures:
    """Curtains of light over mountains and a lake."""
    rng = np.random.default_rng(21)
    sway, rays, fold = (fractal(rng, 512, wave) for wave in (150, 9, 90))
    ridge = fractal(rng, 1024, 160, 0.75)[0]
    stars = rng.random((HEIGHT * FINE, WIDTH * FINE), np.float32) > 0.9991
    x, y = grid()
    horizon = 132.0
    for number in range(frames):
        time = number / RATE
        picture = gradient(y / horizon, (0.01, 0.02, 0.08), (0.02, 0.05, 0.15), (0.05, 0.16, 0.22))
        picture += (stars * smoothstep(120, 60, y))[..., None] * np.float32(0.55)
        for curtain in range(3):
            across = (
                x * 0.6
                + 90 * curtain
                + 13 * look_up(sway, x * 0.8 + 8 * time, y * 0.2 + 70 * curtain)
            )
            base = 78 - 20 * curtain + 16 * look_up(fold, across * 0.7, np.full_like(x, 9 * time))
            above = base - y
            streak = 0.55 + 0.45 * look_up(rays, across + 7 * time, 0.05 * y + 12 * time)
            light = smoothstep(-5, 3, above) * np.exp(-np.maximum(above, 0) / 34) * streak
            light *= 0.35 + 0.65 * smoothstep(
                -0.6, 1, look_up(fold, x * 0.5 + 200 * curtain, np.full_like(x, 14 * time))
            )
            colour = gradient(
                above / 75, (0.25, 1, 0.55), (0.12, 0.85, 0.6), (0.45, 0.25, 0.9), (0.7, 0.15, 0.6)
            )
            picture += colour * (light * np.float32(0.75))[..., None]
        peaks = (
            horizon
            - 26
            - 15 * np.interp((x[0] + 3 * time) * 1.2, np.arange(1024), ridge, period=1024)
        )
        picture = mix(picture, (0.015, 0.03, 0.055), smoothstep(-0.7, 0.7, y - peaks[None]))
        yield finished(mirrored_below(picture, horizon, time, 22))


# Ink in water


def ink(frames: int) -> Pictures:
    """Colours that run into one another, folded by their own flow."""
    rng = np.random.default_rng(31)
    planes = [fractal(rng, 512, 120, 1.4) for _ in range(5)]
    x, y = grid()
    for number in range(frames):
        time = number / RATE
        u = look_up(planes[0], x + 7 * time, y - 4 * time)
        v = look_up(planes[1], x - 5 * time, y + 6 * time)
        u2 = look_up(planes[2], x + 17 * u, y + 17 * v + 5 * time)
        v2 = look_up(planes[3], x + 17 * v - 4 * time, y + 17 * u)
        value = look_up(planes[4], x + 26 * u2 + 3 * time, y + 26 * v2)
        picture = gradient(
            0.5 + 0.24 * value,
            (0.02, 0.04, 0.16),
            (0.05, 0.22, 0.42),
            (0.10, 0.52, 0.56),
            (0.93, 0.80, 0.56),
            (0.88, 0.35, 0.22),
            (0.36, 0.06, 0.20),
        )
        along = np.gradient(value, axis=1) - np.gradient(value, axis=0)
        yield finished(picture * (1 + 2.2 * np.clip(along, -0.25, 0.25))[..., None])


# Dunes and sea, by the flight's own engine

DUSK = replace(
    land.EVENING, azimuth=math.radians(22), elevation=math.radians(9), wind=0.9, haze=9000
)
MOMENTS = 8
"""Lights between which a day of the dunes is blended."""
NOON = replace(land.DAY, elevation=math.radians(20), haze=5200, horizon=(0.86, 0.80, 0.72))


def dunes_land(rng: np.random.Generator) -> Array:
    """Long dunes with sharp crests; metres."""
    x = np.arange(land.MAP_SIZE, dtype=np.float32)[None]
    bend = fractal(rng, land.MAP_SIZE, 420) * 46 + fractal(rng, land.MAP_SIZE, 150) * 9
    phase = np.mod(x * (land.MAP_SIZE / 128) / land.MAP_SIZE + bend / 128, 1)
    crest = np.where(phase < 0.74, phase / 0.74, (1 - phase) / 0.26)
    large = 0.55 + 0.45 * smoothstep(-1.2, 1.4, fractal(rng, land.MAP_SIZE, 500))
    return np.asarray(blurred_crests(crest.astype(np.float32)) * 78 * large + 14, np.float32)


def blurred_crests(crest: Array) -> Array:
    """Dunes whose sharpest edge is a little worn."""
    return land.blurred(np.asarray(crest**1.25, np.float32), 1.2)


def dunes(frames: int) -> Pictures:
    """A flight over dunes while the sun goes down."""
    rng = np.random.default_rng(41)
    height = dunes_land(rng)
    sand = mix(
        (0.62, 0.36, 0.15), (0.72, 0.46, 0.22), smoothstep(-1, 1, fractal(rng, land.MAP_SIZE, 60))
    )
    grain, clouds = 0.10 * fractal(rng, 512, 6), land.build_clouds(rng, land.EVENING)
    waves = land.build_waves(np.random.default_rng(42), 0.1)

    @lru_cache(maxsize=2)
    def lit_at(moment: int) -> land.World:
        light = _between_lights(NOON, DUSK, moment / MOMENTS)
        ground = np.dstack([land.lit(sand, height, light, np.ones_like(height)), 0 * height])
        return land.World(
            light=light,
            height=land.Texture(height, land.CELL),
            ground=land.Texture(ground.astype(np.float32), land.CELL),
            grain=land.Texture(grain, 0.55),
            waves=waves,
            clouds=clouds,
        )

    for number in range(frames):
        time = number / RATE
        camera = _over(time, z=150 + 6 * time, pitch=42, speed=60)
        moment, share = divmod(MOMENTS * number / frames, 1)
        before, after = (land.draw(lit_at(int(moment) + late), camera) for late in (0, 1))
        yield mix(before, after, np.full((HEIGHT, WIDTH), share, np.float32))


def _between_lights(first: Light, second: Light, share: float) -> Light:
    """A time of day between two."""

    def between(a: float | Colour, b: float | Colour) -> float | Colour:
        if isinstance(a, tuple) and isinstance(b, tuple):
            red, green, blue = ((1 - share) * p + share * q for p, q in zip(a, b, strict=True))
            return red, green, blue
        assert isinstance(a, float | int) and isinstance(b, float | int)
        return (1 - share) * a + share * b

    fields = {name: between(getattr(first, name), getattr(second, name)) for name in vars(first)}
    return Light(**fields)  # type: ignore[arg-type]


def _over(time: float, z: float, pitch: float, speed: float) -> Camera:
    heading = math.radians(8 + 3 * time)
    return Camera(
        x=1500 + speed * time,
        y=1500 + 0.4 * speed * time,
        z=z,
        heading=heading,
        pitch=pitch,
        bank=-1.0 - 0.6 * time,
        time=time,
    )


def sea(frames: int) -> Pictures:
    """Low over the open sea, towards the setting sun."""
    rng = np.random.default_rng(51)
    bed = np.full((land.MAP_SIZE, land.MAP_SIZE), -30, np.float32)
    world = land.build_world(rng, bed + fractal(rng, land.MAP_SIZE, 300), DUSK)
    for number in range(frames):
        time = number / RATE
        yield land.draw(world, _over(time, z=26 + 2 * time, pitch=-6, speed=45))


SCENES: dict[str, tuple[Callable[[int], Pictures], int]] = {
    "aurora": (aurora, 6),
    "city": (city, 20),
    "dunes": (dunes, 4),
    "ink": (ink, 6),
    "sea": (sea, 4),
}
"""What draws each scene, and its seconds."""


def write(name: str, path: Path) -> None:
    """Draw the scene of this name into the file `path`, without loss."""
    draw, seconds = SCENES[name]
    info = VideoInfo(
        WIDTH, HEIGHT, rate=Fraction(RATE), time_base=Fraction(1, RATE), colour=land.BT709
    )
    lossless = WriteConfig(codec="ffv1", pix_fmt="yuv444p")
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, info, lossless, overwrite=True) as writer:
        for number, picture in enumerate(draw(seconds * RATE)):
            image = torch.from_numpy(picture).permute(2, 0, 1).contiguous()
            writer.write(Frame(image, Fraction(number, RATE), Fraction(1, RATE)))


def main() -> None:
    """Draw the scenes that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "out" / "scenes")
    parser.add_argument("--only", nargs="+", choices=SCENES, default=list(SCENES))
    arguments = parser.parse_args()
    for name in arguments.only:
        path = arguments.folder / f"{name}.mkv"
        write(name, path)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
