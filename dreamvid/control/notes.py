"""Features of notes over time, as an expression uses them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from itertools import zip_longest

import numpy as np

from dreamvid.control.analysis import HOP, RATE, Series, Sound, follow
from dreamvid.control.names import DRUMS, channel_and_note
from dreamvid.types import Note, Score

STEP = HOP / RATE
"""Seconds from one value to the next, those of a sound's features."""
PERCUSSION = 10
"""Channel of the drums."""


def hear_notes(score: Score, names: Collection[str], *, release: float = 0.3) -> Sound:
    """The features `names` of `score`, and its beats.

    `note` is the number of the note that began last. The others are the velocity, from 0 to 1, of
    the loudest note: while it sounds, but a drum only as it is struck. Their `_smooth` forms rise
    at once and fall within `release` seconds (to 1 − 1/e).
    """
    features: dict[str, Series] = {}
    for name in sorted(names):
        plain = name.removesuffix("_smooth")
        values = _feature(score, plain)
        features[name] = values if plain == name else follow(values, STEP, 0.0, release)
    bpm = 60 * (len(score.beats) - 1) / (score.beats[-1] - score.beats[0])
    return Sound(features, STEP, score.duration, bpm, score.beats)


def _feature(score: Score, name: str) -> Series:
    drums = [note for note in score.notes if note.channel == PERCUSSION]
    others = [note for note in score.notes if note.channel != PERCUSSION]
    series = np.zeros(math.ceil(score.duration / STEP) + 1)
    if name in DRUMS:  # a file without channel 10 may be all drums
        struck = [note for note in drums or others if note.number in DRUMS[name]]
        return _drawn(series, struck, lasts=False)
    if name == "note":
        return _latest(series, others or drums)
    if name == "velocity":
        return _drawn(series, score.notes)
    chosen = _chooser(name)
    return _drawn(series, [note for note in score.notes if chosen(note)])


def _chooser(name: str) -> Callable[[Note], bool]:
    """Whether a note is on the channel, and has the number, of a name as `ch2_note60`."""
    found = channel_and_note(name)
    assert found is not None
    channel, number = found
    return lambda note: channel in (None, note.channel) and number in (None, note.number)


def _drawn(series: Series, notes: Sequence[Note], *, lasts: bool = True) -> Series:
    """Draw the velocity of the loudest of `notes` into `series`."""
    for note in notes:
        first = _index(note.begin)
        span = slice(first, max(first + 1, _index(note.end)) if lasts else first + 1)
        series[span] = np.maximum(series[span], note.velocity)
    return series


def _latest(series: Series, notes: Sequence[Note]) -> Series:
    """Draw the number of the note that began last into `series`."""
    for note, after in zip_longest(notes, notes[1:]):
        series[_index(note.begin) : None if after is None else _index(after.begin)] = note.number
    return series


def _index(time: float) -> int:
    """The value that stands for a moment; `Sound` looks it up in the frame of that moment."""
    return math.ceil(time / STEP - 0.5)
