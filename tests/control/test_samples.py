"""The sample loop is what it is said to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dreamvid.control.analysis import RATE, analyse
from dreamvid.media.tracks import read_samples

LOOP = Path(__file__).parents[2] / "samples" / "loop.m4a"


def test_the_loop_has_120_beats_a_minute_where_they_were_put():
    sound = analyse(read_samples(LOOP, RATE))
    assert sound.duration == pytest.approx(20, abs=0.05)
    assert sound.bpm == pytest.approx(120, abs=0.1)
    beats = np.array(sound.beats)[:40]
    assert np.abs(beats - 0.5 * np.arange(40)).max() < 0.02
    assert sound(14.2, 0.3)["bass"] < 0.5 < sound(10.0, 0.1)["bass"]  # chords alone, and drums
