"""Analysis of sound: loudness, bands, onsets, and the beat.

Sound is analysed block by block, and only a few numbers for each hundredth of a second are kept:
the samples of a whole file (317 MB an hour) are never in memory together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 22_050
"""Samples a second of the input of `analyse`."""
WINDOW, HOP = 1024, 256
BANDS_HZ = {"bass": (20.0, 200.0), "mid": (200.0, 2000.0), "high": (2000.0, RATE / 2)}
SILENCE = 1e-4
"""RMS below which sound counts as silence: −80 dB."""
EARLY_HOPS = 1
"""Hops by which a window shows an onset before its centre reaches it: 11 ms on clicks."""
MELS = 64
BLOCK = 64 * WINDOW
FASTEST_BPM = 190.0
SLOWEST_BPM = 50.0
STEADY_S = 0.04
"""Largest median distance, in seconds, of beats from a straight line at an even tempo."""

Series = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sound:
    """Features of a piece over time, as `Schedule` takes them, and beats for a `Clock`."""

    features: Mapping[str, Series]
    """Each scaled to [0, 1] over the piece, every `step` seconds from 0; with `_smooth` forms."""
    step: float
    duration: float
    """Seconds."""
    bpm: float | None
    """None where no beat is found."""
    beats: tuple[float, ...]
    """Times in seconds; the first is beat 0. Empty, or at least two."""
    start: float = 0.0
    """Time 0 in seconds from the beginning of `features`."""
    others: tuple[tuple[str, Sound], ...] = ()
    """Sounds that are heard together with this one, each with what stands before its names."""

    def beside(self, prefix: str, other: Sound) -> Sound:
        """The same together with `other`, the names of whose features begin with `prefix`."""
        return replace(self, others=(*self.others, (prefix, other)))

    def beginning_at(self, start: float) -> Sound:
        """The same piece from `start` seconds on; beat 0 is the first beat from there."""
        beats = tuple(beat - start for beat in self.beats if beat - start > -STEADY_S)
        bpm, beats = (self.bpm, beats) if len(beats) > 1 else (None, ())
        return replace(self, start=self.start + start, bpm=bpm, beats=beats)

    def __call__(self, time: float, duration: float = 0.0) -> dict[str, float]:
        """The maximum of each feature from `time` on for `duration`, both in seconds.

        With the duration of a frame this covers all the time it is shown, so that no onset is lost
        between two frames. Values are 0 outside the piece.
        """
        first = math.ceil((time + self.start) / self.step - 0.5)
        last = max(first + 1, math.ceil((time + self.start + duration) / self.step - 0.5))
        span = slice(max(0, first), max(0, last))
        values = {
            name: float(series[span].max(initial=0.0)) for name, series in self.features.items()
        }
        for prefix, other in self.others:
            values |= {prefix + name: value for name, value in other(time, duration).items()}
        return values


SILENT = Sound({}, HOP / RATE, 0.0, None, ())
"""No sound at all."""


@dataclass(frozen=True, eq=False)
class _Heard:
    """Measurements before scaling, one number for each hop."""

    levels: dict[str, Series]
    onset: Series


def analyse(
    blocks: Iterable[NDArray[np.float32]],
    *,
    attack: float = 0.02,
    release: float = 0.3,
    bpm: float | None = None,
) -> Sound:
    """Analyse mono samples, RATE a second, from time 0, in blocks of any length.

    A feature's `_smooth` form rises within `attack` and falls within `release` seconds (to
    1 − 1/e). `bpm` is the approximate tempo; without it the tempo is estimated.
    """
    heard = _listen(blocks)
    step = HOP / RATE
    features: dict[str, Series] = {}
    for name, level in {**heard.levels, "onset": heard.onset}.items():
        scaled = _scaled(level)
        features[name] = scaled
        features[f"{name}_smooth"] = follow(scaled, step, attack, release)
    duration = len(heard.onset) * step
    tempo, beats = find_beats(heard.onset, heard.levels["rms"], step, bpm)
    return Sound(features, step, duration, tempo, beats)


def _listen(blocks: Iterable[NDArray[np.float32]]) -> _Heard:
    """The levels and the onset strength of all hops."""
    from librosa.filters import mel as mel_filters
    from librosa.onset import onset_strength

    mel = mel_filters(sr=RATE, n_fft=WINDOW, n_mels=MELS, norm=None)
    hertz = np.fft.rfftfreq(WINDOW, 1 / RATE)
    hann = np.hanning(WINDOW + 1)[:-1]
    floor = 1e-8 * (hann.sum() / 2) ** 2  # −80 dB of a full-scale sine
    levels: dict[str, list[Series]] = {name: [] for name in ("rms", *BANDS_HZ, "centroid")}
    onsets: list[Series] = [np.zeros(EARLY_HOPS)]
    before = np.full((MELS, 1), 10 * math.log10(floor))  # silence
    for windows in _windows(blocks):
        loudness = np.sqrt(np.square(windows).mean(1))
        power = np.abs(np.fft.rfft(windows * hann)) ** 2  # (hops, bins)
        levels["rms"].append(loudness)
        for name, (low, high) in BANDS_HZ.items():
            levels[name].append(np.sqrt(power[:, (hertz >= low) & (hertz < high)].sum(1)))
        centroid = np.sqrt(power) @ hertz / np.maximum(np.sqrt(power).sum(1), 1e-9)
        levels["centroid"].append(np.where(loudness > SILENCE, centroid, 0.0))
        decibels = 10 * np.log10(np.maximum(power @ mel.T, floor)).T  # (mels, hops)
        joined = np.concatenate([before, decibels], 1)
        before = decibels[:, -1:]
        onset = onset_strength(S=joined, sr=RATE, hop_length=HOP, center=False)
        onsets.append(onset[1:].astype(np.float64))
    joined_levels = {
        name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in levels.items()
    }
    onset = np.concatenate(onsets)[: len(joined_levels["rms"])]
    return _Heard(joined_levels, onset)


def _windows(blocks: Iterable[NDArray[np.float32]]) -> Iterator[Series]:
    """Batches (hops, WINDOW) of windows; window k is centred on sample k·HOP, zeros outside."""
    held: NDArray[Any] = np.zeros(WINDOW // 2)
    total = 0
    for block in _with_tail(blocks):
        held = np.concatenate([held, block])
        total += len(block)
        hops = (len(held) - WINDOW) // HOP + 1
        if len(held) < WINDOW or (len(held) < BLOCK and len(block)):
            continue
        yield np.lib.stride_tricks.sliding_window_view(held, WINDOW)[: hops * HOP : HOP]
        held = held[hops * HOP :]


def _with_tail(blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[Any]]:
    """The blocks, then zeros, then an empty block that marks the end."""
    yield from (block for block in blocks if len(block))
    yield np.zeros(WINDOW // 2)
    yield np.zeros(0)


def _scaled(level: Series) -> Series:
    """The level scaled so that its 5th percentile becomes 0 and its 99th becomes 1, clamped.

    The lower bound is at most half the upper, so that a constant level is loud, not silent.
    """
    if not len(level) or level.max() <= 0:
        return np.zeros_like(level)
    low, high = np.percentile(level, [5, 99])
    high = high if high > 0 else level.max()
    low = min(low, high / 2)
    scaled: Series = np.clip((level - low) / (high - low), 0.0, 1.0)
    return scaled


def follow(series: Series, step: float, attack: float, release: float) -> Series:
    """An envelope of `series` that rises within `attack` and falls within `release` seconds."""
    rise, fall = (1 - math.exp(-step / time) if time > 0 else 1.0 for time in (attack, release))
    envelope, now = np.empty_like(series), 0.0
    for index, value in enumerate(series.tolist()):
        now += (value - now) * (rise if value > now else fall)
        envelope[index] = now
    return envelope


# The beat


def find_beats(
    onset: Series, loudness: Series, step: float, bpm: float | None = None
) -> tuple[float | None, tuple[float, ...]]:
    """Tempo in beats a minute and the time of each beat, in seconds; None and () without a beat.

    librosa's beats (dynamic programming after Ellis, 2007) are quantised: a straight line through
    them gives tempo and phase. Where they do not fit a line, the tempo is assumed to change, and
    the beats are used as found. `bpm` is the approximate tempo; without it, it is estimated.
    """
    guess = bpm or _guess_bpm(onset, step)
    if guess is None or onset.max(initial=0) <= 0:
        return None, ()
    tracked = _tracked(onset, step, guess)
    rise = np.maximum(np.diff(loudness, prepend=np.zeros(1)), 0)
    if bpm is None and len(tracked) > 3:
        right = guess * _octave(rise, step, tracked, guess)
        tracked = tracked if right == guess else _tracked(onset, step, right)
        guess = right
    if len(tracked) > 3 and _strength(rise, step, tracked + 30 / guess) > 1.5 * _strength(
        rise, step, tracked
    ):
        tracked = tracked + 30 / guess  # the beats lie halfway between
    if len(tracked) < 4:
        return None, ()
    numbers, period, phase = _line(tracked, 60 / guess)
    duration = len(onset) * step
    if np.median(np.abs(tracked - phase - numbers * period)) <= STEADY_S:
        first = math.ceil((-STEADY_S - phase) / period)
        last = max(first + 1, math.floor((duration - phase) / period))
        beats = phase + period * np.arange(first, last + 1, dtype=np.float64)
    else:
        every = np.arange(numbers[0], numbers[-1] + 1)
        beats = np.asarray(np.interp(every, numbers, tracked), np.float64)
    heard = _peaks(onset, step, beats)
    begin = min(int(np.argmax(heard >= 0.3 * np.median(heard))), len(beats) - 2)
    beats = beats[begin:]  # no beats in the silence before
    return float(60 / period), tuple(float(beat) for beat in beats)


def _tracked(onset: Series, step: float, bpm: float) -> Series:
    """librosa's beats in seconds, each moved to the strongest onset near it by a parabola fit."""
    from librosa.beat import beat_track

    _, hops = beat_track(onset_envelope=onset, sr=RATE, hop_length=HOP, bpm=bpm, trim=False)
    around = np.clip(np.asarray(hops)[:, None] + np.arange(-3, 4), 1, len(onset) - 2)
    best = around[np.arange(len(around)), onset[around].argmax(1)]
    before, here, after = onset[best - 1], onset[best], onset[best + 1]
    bend = np.maximum(2 * here - before - after, 1e-9)
    refined: Series = (best + np.clip(0.5 * (after - before) / bend, -0.5, 0.5)) * step
    return refined


def _peaks(series: Series, step: float, times: Series) -> Series:
    """The highest value near each of `times` (seconds)."""
    around = np.round(times[:, None] / step).astype(int) + np.arange(-3, 4)
    highest: Series = series[np.clip(around, 0, len(series) - 1)].max(1)
    return highest


def _guess_bpm(onset: Series, step: float) -> float | None:
    """The tempo of the strongest repetition, preferably near 120; None where nothing repeats."""
    slowest = math.ceil(60 / SLOWEST_BPM / step)
    if len(onset) < 2 * slowest or onset.max() <= 0:
        return None
    novelty = onset - onset.mean()
    spectrum = np.fft.rfft(novelty, 2 * len(novelty))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: len(novelty)]
    correlation /= correlation[0]
    lags = np.arange(math.floor(60 / FASTEST_BPM / step), slowest + 1)
    octaves = np.log2(60 / (lags * step) / 120)
    best = int(lags[np.argmax(correlation[lags] * np.exp(-0.5 * octaves**2))])
    return 60 / (best * step) if correlation[best] > 0.1 else None


def _octave(rise: Series, step: float, beats: Series, bpm: float) -> float:
    """Factor of the tempo: 2 if only every second beat was found, 0.5 if half are false, else 1.

    Onsets are measured in decibels, in which a hi-hat is as strong as a drum. So this test uses
    `rise`, the rise of the loudness.
    """
    if 2 * bpm <= FASTEST_BPM and _strength(rise, step, beats + 30 / bpm) >= 0.6 * _strength(
        rise, step, beats
    ):
        return 2.0
    weaker, stronger = sorted(_strength(rise, step, beats[first::2]) for first in (0, 1))
    return 0.5 if bpm / 2 >= SLOWEST_BPM and weaker < 0.3 * stronger else 1.0


def _strength(rise: Series, step: float, times: Series) -> float:
    return float(np.median(_peaks(rise, step, times)))


def _line(beats: Series, period: float) -> tuple[Series, float, float]:
    """The number of each beat, and the period and phase in seconds of the line through them."""
    numbers = np.concatenate([[0.0], np.cumsum(np.round(np.diff(beats) / period))])
    phase = float(beats[0])
    for _ in range(3):
        off = np.abs(beats - phase - numbers * period)
        near = off <= max(2 * float(np.median(off)), 1e-3)
        if np.ptp(numbers[near]) > 0:
            period, phase = (float(value) for value in np.polyfit(numbers[near], beats[near], 1))
    return numbers, period, phase
