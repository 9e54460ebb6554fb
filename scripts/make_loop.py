"""Generate `samples/loop.m4a`: twenty seconds of music at exactly 120 beats a minute.

    python scripts/make_loop.py [FOLDER]

Ten bars: two with a quiet pulse, four with drums and bass, two of chords alone, two with all.
Beat k begins at k/2 seconds to the sample, the end leads into the beginning, and all noise is
seeded. Sounds are float64, mono, 48 kHz.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from numpy.typing import NDArray

Sound = NDArray[np.float64]

RATE = 48_000
BPM = 120
BEAT = RATE * 60 // BPM  # samples
BARS = 10
BIT_RATE = 72_000
QUIET, FULL, CHORDS = (0, 1), (2, 3, 4, 5, 8, 9), (6, 7)
ROOTS = (45, 41, 48, 43)  # MIDI: A, F, C, G, a bar each


def loop() -> Sound:
    """All of it, with peaks at 0.9."""
    sound = np.zeros(BARS * 4 * BEAT)
    kick, snare, hat = _kick(), _snare(), _hat()
    for bar in range(BARS):
        root, begin = ROOTS[bar % 4], bar * 4 * BEAT
        _add(sound, begin, 0.5 * _chord(root + 12, 4 * BEAT))
        for beat in range(4):
            now = begin + beat * BEAT
            if bar in CHORDS:
                continue
            _add(sound, now, (0.5 if bar in QUIET else 1.0) * kick)
            if bar in FULL:
                _add(sound, now + BEAT // 2, 0.7 * hat)
                _add(sound, now + BEAT // 2, 0.5 * _bass(root, BEAT // 2))
            if bar in FULL and beat % 2:
                _add(sound, now, snare)
    mastered: Sound = 0.9 * sound / np.abs(sound).max()
    return mastered


def _add(sound: Sound, begin: int, part: Sound) -> None:
    """Mix `part` in; what passes the end sounds at the beginning."""
    np.add.at(sound, (begin + np.arange(len(part))) % len(sound), part)


def _time(seconds: float) -> Sound:
    time: Sound = np.arange(round(seconds * RATE)) / RATE
    return time


def _kick() -> Sound:
    time = _time(0.35)
    fall = np.sin(2 * np.pi * (48 * time + 4 * (1 - np.exp(-28 * time))))
    stroke: Sound = fall * np.exp(-9 * time) * (1 - np.exp(-600 * time))
    return stroke


def _snare() -> Sound:
    time = _time(0.25)
    noise = np.random.default_rng(1).standard_normal(len(time))
    return 0.35 * (noise + np.sin(2 * np.pi * 190 * time)) * np.exp(-18 * time)


def _hat() -> Sound:
    time = _time(0.1)
    noise = np.diff(np.random.default_rng(2).standard_normal(len(time) + 1))
    return 0.2 * noise * np.exp(-45 * time)


def _bass(note: int, length: int) -> Sound:
    time = np.arange(length) / RATE
    wave = sum(np.sin(2 * np.pi * _hertz(note) * part * time) / part for part in (1, 2, 3))
    shaped: Sound = wave * np.exp(-4 * time) * np.minimum(1, time / 0.005)
    return shaped


def _chord(note: int, length: int) -> Sound:
    """A triad of slightly detuned tones that swells and fades within its bar."""
    time = np.arange(length) / RATE
    tones = [
        np.sin(2 * np.pi * _hertz(note + step) * (1 + cents) * time)
        for step in (0, 3 if note % 12 == 9 else 4, 7)
        for cents in (-0.002, 0.002)
    ]
    swell: Sound = 0.08 * np.sum(tones, axis=0) * np.sin(np.pi * np.arange(length) / length)
    return swell


def _hertz(note: int) -> float:
    return float(440 * 2 ** ((note - 69) / 12))


def write(path: Path, sound: Sound) -> None:
    """Encode as AAC."""
    with av.open(str(path), "w", format="ipod") as container:
        stream: Any = container.add_stream("aac", rate=RATE, layout="mono", bit_rate=BIT_RATE)
        assert isinstance(stream, AudioStream)
        for begin in range(0, len(sound), 1024):
            part = np.ascontiguousarray(sound[None, begin : begin + 1024], np.float32)
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, begin, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    default = Path(__file__).parent.parent / "samples"
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    folder = parser.parse_args().folder
    write(folder / "loop.m4a", loop())


if __name__ == "__main__":
    main()
