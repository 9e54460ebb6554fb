"""Pieces of sound of which everything is known."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreamvid.control.analysis import RATE

Samples = NDArray[Any]


def beat_times(bpm: float, seconds: float, first: float = 0.37) -> Samples:
    beats: Samples = np.arange(first, seconds - 0.1, 60 / bpm)
    return beats


def clicks(times: Samples, seconds: float, rate: int = RATE) -> Samples:
    """Short ringing strokes at `times`, silence between."""
    ring = np.arange(int(0.05 * rate)) / rate
    stroke = 0.8 * np.sin(2 * np.pi * 1000 * ring) * np.exp(-80 * ring)
    samples = np.zeros(int(seconds * rate) + len(stroke), np.float32)
    for time in times:
        begin = round(time * rate)
        samples[begin : begin + len(stroke)] += stroke
    return samples[: int(seconds * rate)]


def drums(bpm: float, seconds: float, first: float = 0.2) -> Samples:
    """A drum on each beat, a second one on every other, hats between, and a chord that stays."""
    random = np.random.default_rng(0)
    ring = np.arange(int(0.4 * RATE)) / RATE
    kick = np.sin(2 * np.pi * (50 * ring + 3 * (1 - np.exp(-30 * ring)))) * np.exp(-9 * ring)
    kick *= 1 - np.exp(-300 * ring)
    snare = 0.5 * random.standard_normal(len(ring)) * np.exp(-20 * ring)
    hat = 0.25 * np.diff(random.standard_normal(len(ring) + 1)) * np.exp(-60 * ring)
    samples = np.zeros(int(seconds * RATE) + len(ring))
    for half, time in enumerate(np.arange(first, seconds, 30 / bpm)):
        begin = round(time * RATE)
        stroke = hat + (kick if half % 2 == 0 else 0) + (snare if half % 4 == 2 else 0)
        samples[begin : begin + len(ring)] += stroke
    time = np.arange(len(samples)) / RATE
    samples += sum(0.05 * np.sin(2 * np.pi * hertz * time) for hertz in (220, 277, 330))
    heard: Samples = samples[: int(seconds * RATE)] / np.abs(samples).max()
    return heard
