"""Palettes: pictures in a few colours.

Nearness is that of Oklab (Ottosson, 2020), in which equal distances look about equally large. The
images are taken for sRGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from dreamvid.config import DreamConfig, parse_colours

Colour = tuple[float, float, float]

SOFTNESS = 0.03
"""Difference in Oklab over which one colour of a palette turns into another."""
SPREAD = 0.02
"""Largest distance in Oklab of a pixel from the colours that it is moved to; 1 is black to white.

So what is near a colour keeps some of its shades.
"""
_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
_FROM_LAB = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
_FROM_CONES = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)


@dataclass(frozen=True)
class Palette:
    """A few colours, each red, green and blue in [0, 1]."""

    colours: tuple[Colour, ...]

    @classmethod
    def of(cls, config: DreamConfig) -> Palette | None:
        """That of the options; None without one.

        Raises ValueError where they name a picture or a number, whose colours are not read here.
        """
        if config.palette is None:
            return None
        colours = parse_colours(config.palette)
        if colours is None:
            raise ValueError(f"'{config.palette}' is no colours; those come from colours_of")
        return cls(tuple(colours))

    def __str__(self) -> str:
        """The colours as the option takes them."""
        numbers = [bytes(round(255 * value) for value in colour) for colour in self.colours]
        return ",".join(f"#{number.hex()}" for number in numbers)

    def __call__(self, image: Tensor) -> Tensor:
        """An image (3, H, W) in [0, 1] moved to the nearest colours, softly between two of them."""
        lab = to_oklab(image)
        target = self._nearest(lab)
        away = lab - target
        distance = away.square().sum(0, keepdim=True).sqrt().clamp(min=1e-9)
        kept = SPREAD * torch.tanh(distance / SPREAD) / distance
        return from_oklab(target + kept * away).clamp(0, 1)

    def _nearest(self, lab: Tensor) -> Tensor:
        """(3, H, W) in Oklab: the mean of the colours, those that are nearest weighing most."""
        distances = torch.stack([_distance(lab, place) for place in self._places])
        weights = torch.softmax(-distances / SOFTNESS**2, 0)
        nearest = torch.zeros_like(lab)
        for weight, place in zip(weights, self._places, strict=True):
            for axis in range(3):
                nearest[axis].add_(weight, alpha=place[axis])
        return nearest

    @cached_property
    def _places(self) -> list[list[float]]:
        """The colours in Oklab: numbers, with which a step can be captured as a graph."""
        return [
            to_oklab(torch.tensor(colour).view(3, 1, 1)).flatten().tolist()
            for colour in self.colours
        ]


def colours_of(images: Sequence[Tensor], count: int) -> Palette:
    """The `count` colours that stand best for images (3, H, W): k-means in Oklab.

    It begins with colours that are far from each other; the same images give the same colours.
    """
    strides = [max(1, max(image.shape[1:]) // 96) for image in images]
    thinned = [
        to_oklab(image[:, ::stride, ::stride]).flatten(1)
        for image, stride in zip(images, strides, strict=True)
    ]
    points = torch.cat(thinned, 1).T.double()
    centres = points.mean(0, keepdim=True)
    for _ in range(count - 1):
        furthest = torch.cdist(points, centres).amin(1).argmax()
        centres = torch.cat([centres, points[furthest : furthest + 1]])
    for _ in range(30):
        nearest = torch.cdist(points, centres).argmin(1)
        groups = [points[nearest == number] for number in range(count)]
        centres = torch.stack(
            [
                group.mean(0) if len(group) else centre
                for group, centre in zip(groups, centres, strict=True)
            ]
        )
    found = from_oklab(centres.T.float()[..., None]).clamp(0, 1)[..., 0].T.tolist()
    return Palette(tuple((red, green, blue) for red, green, blue in found))


def to_oklab(image: Tensor) -> Tensor:
    """An sRGB image (3, H, W) in [0, 1] as lightness in [0, 1], green to red and blue to yellow."""
    linear = torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055).pow(2.4))
    cones = _mixed(_CONES, linear).clamp(min=0)
    return _mixed(_LAB, cones.pow(1 / 3))


def from_oklab(lab: Tensor) -> Tensor:
    """The inverse of `to_oklab`; outside [0, 1] for what no screen shows, or 0."""
    linear = _mixed(_FROM_CONES, _mixed(_FROM_LAB, lab).pow(3)).clamp(min=0)
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.pow(1 / 2.4) - 0.055)


def _mixed(rows: Sequence[Colour], image: Tensor) -> Tensor:
    """A linear map of the three channels."""
    first, second, third = image
    return torch.stack([a * first + b * second + c * third for a, b, c in rows])


def _distance(lab: Tensor, place: Sequence[float]) -> Tensor:
    """The squared distance (H, W) of every pixel from one colour."""
    return torch.stack([(lab[axis] - place[axis]).square() for axis in range(3)]).sum(0)
