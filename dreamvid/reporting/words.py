"""The figures of a result in words: a title and a sentence for each that a page shows first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dreamvid.evaluation.figures import FIGURES

FIRST = {
    "judge_gain": (
        "Gain in meaning",
        "How much nearer to the prompts it is than its source, in the eyes of a judge that had no "
        "part in the dream. The figure that counts most.",
    ),
    "strength": (
        "Strength",
        "How far the picture is from its source, of a full range of 1: 0.1 is a tint, 0.3 leaves "
        "little of the source.",
    ),
    "relative_dream_warp_error": (
        "Comes off what moves",
        "How much the dream slips from one frame to the next on the things it is painted on: 0 "
        "moves with the world, 2 is a new dream in each frame.",
    ),
    "relative_dream_warp_error_24": (
        "Comes off in 24 frames",
        "The same over 24 frames, about a second: what the eye takes for boiling or for calm.",
    ),
    "tof": (
        "Motion kept",
        "Distance of the result's motion from the source's, in pixels of the measured size: at 0, "
        "everything moves as it did.",
    ),
    "colour_drift": (
        "Colour drift",
        "How far the colours wander from the source's between the first and the last second of the "
        "longest shot: 0 is not at all.",
    ),
    "ssim": (
        "Structure kept",
        "How much of the source's structure is still seen: 1 is all of it. A strong dream has "
        "little.",
    ),
    "sharpness": (
        "Sharpness",
        "Fine detail beside the source's: above 1 it is richer, below 1 softer.",
    ),
    "join": (
        "Join",
        "The step from the last frame to the first, beside the usual step from frame to frame: "
        "about 1 is a loop without a seam.",
    ),
    "zoom": ("Zoom", "Factor by which the picture grows in a second, as measured."),
    "rotate": ("Rotation", "Degrees a second by which it turns, clockwise, as measured."),
}
"""Titles and sentences of the figures that a page shows first, in their order."""


@dataclass(frozen=True)
class Figure:
    """One figure with its words."""

    name: str
    title: str
    value: str
    words: str


def first_figures(figures: Mapping[str, float | None]) -> list[Figure]:
    """The figures that say most, with a sentence each; those without a value are left out."""
    return [
        Figure(name, title, shown(value), words)
        for name, (title, words) in FIRST.items()
        if (value := figures.get(name)) is not None
    ]


def other_figures(figures: Mapping[str, float | None]) -> list[Figure]:
    """The others that have a value, with their definitions."""
    return [
        Figure(name, name.replace("_", " "), shown(value), FIGURES.get(name, ""))
        for name, value in figures.items()
        if value is not None and name not in FIRST
    ]


def signed(value: float) -> str:
    """A similarity to two digits, with a true minus."""
    return f"{value:.2f}".replace("-", "−")


def shown(value: float | None) -> str:
    """A figure to three digits; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:d}" if isinstance(value, int) else f"{value:.3g}".replace("-", "−")
