"""What is heard, in pieces of which everything is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dreamvid.control.analysis import HOP, RATE, Sound, analyse, follow
from dreamvid.control.names import FEATURE_NAMES
from tests.control.pieces import Samples, beat_times, clicks, drums


def errors(sound: Sound, beats: Samples) -> Samples:
    """Seconds from each of `beats` to the nearest that was found."""
    nearest: Samples = np.abs(beats[:, None] - np.array(sound.beats)).min(1)
    return nearest


def tone(hertz: float, seconds: float = 2.0, level: float = 0.5) -> Samples:
    time = np.arange(int(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


@pytest.mark.parametrize("bpm", [70, 98, 120, 128, 174, 185])
def test_the_beat_of_clicks(bpm):
    beats = beat_times(bpm, 20)
    sound = analyse([clicks(beats, 20)])
    assert sound.bpm == pytest.approx(bpm, abs=0.1)
    assert np.median(errors(sound, beats)) < 0.003
    assert errors(sound, beats).max() < 0.01
    assert sound.beats[0] == pytest.approx(0.37, abs=0.01)


@pytest.mark.parametrize("seconds", [8, 16])
@pytest.mark.parametrize("bpm", [75, 98, 128, 150, 174])
def test_the_beat_of_drums_with_hats_between_is_not_taken_for_half_or_double(bpm, seconds):
    sound = analyse([drums(bpm, seconds)])
    assert sound.bpm == pytest.approx(bpm, abs=0.2)
    assert np.median(errors(sound, beat_times(bpm, seconds, 0.2))) < 0.006


def test_a_tempo_may_be_told():
    sound = analyse([drums(120, 16)], bpm=60)
    assert sound.bpm == pytest.approx(60, abs=0.2)


def test_beats_that_change_their_tempo_count_as_they_are():
    gaps = np.linspace(0.62, 0.45, 40)
    beats = 0.3 + np.cumsum(gaps)
    sound = analyse([clicks(beats, float(beats[-1]) + 1)])
    assert np.median(errors(sound, beats)) < 0.03
    assert sound.bpm == pytest.approx(60 / gaps.mean(), abs=6)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, np.float32),
        np.zeros(100, np.float32),
        np.zeros(RATE * 8, np.float32),
        (0.1 * np.random.default_rng(0).standard_normal(RATE * 12)).astype(np.float32),
        tone(440, 8),
        clicks(np.array([2.0]), 8),
    ],
    ids=["none", "short", "silent", "noise", "tone", "one"],
)
def test_where_nothing_repeats_there_is_no_beat(samples):
    sound = analyse([samples])
    assert (sound.bpm, sound.beats) == (None, ())
    assert set(sound(0.5)) == set(FEATURE_NAMES)
    assert all(0 <= value <= 1 for value in sound(0.5).values())


def test_silence_is_0_everywhere():
    assert set(analyse([np.zeros(RATE, np.float32)])(0.5).values()) == {0.0}
    assert set(analyse([])(0.0).values()) == {0.0}


@pytest.mark.parametrize(("hertz", "band"), [(80, "bass"), (700, "mid"), (6000, "high")])
def test_each_band_hears_its_own(hertz, band):
    silence = np.zeros(RATE, np.float32)
    sound = analyse([silence, tone(hertz), silence])
    loud, quiet = sound(2.0), sound(0.5)
    assert loud[band] > 0.9
    assert loud["rms"] > 0.9
    assert quiet[band] == quiet["rms"] == sound(3.5)[band] == 0


def test_the_centroid_follows_the_pitch():
    sound = analyse([tone(300), tone(3000), tone(1000)])
    low, high, between = (sound(time)["centroid"] for time in (1.0, 3.0, 5.0))
    assert low < 0.1 < between < 0.5 < 0.9 < high


def test_an_onset_falls_into_the_frame_in_which_it_is_heard():
    times = np.array([0.513, 1.107, 2.871])
    for rate in (12, 23.976, 59.94):
        sound = analyse([clicks(times, 4)])
        frames = range(int(4 * rate))
        onsets = np.array([sound(frame / rate, 1 / rate)["onset"] for frame in frames])
        for time in times:
            shown = int(time * rate)
            assert onsets[shown - 1 : shown + 2].max() > 0.5, (rate, time)
            assert onsets[shown - 3] < 0.1
        assert (onsets > 0.3).sum() <= 9


def test_scales_are_robust_and_of_the_whole_piece():
    quiet, loud = tone(700, 4, 0.01), tone(700, 4, 0.02)
    blast = tone(700, 0.02, 1.0)
    sound = analyse([quiet, loud, blast])
    assert sound(6.0)["rms"] > 0.9
    assert sound(2.0)["rms"] < 0.1


def test_what_is_always_there_is_loud():
    assert analyse([tone(80, 4)])(2.0)["bass"] > 0.9


def test_an_envelope_rises_and_falls_in_its_times():
    step = 0.01
    series = np.array([0.0] * 10 + [1.0] * 100 + [0.0] * 100)
    envelope = follow(series, step, 0.1, 0.4)
    assert envelope[9] == 0
    assert envelope[19] == pytest.approx(1 - np.exp(-1))
    assert envelope[109 + 40] == pytest.approx(envelope[109] * np.exp(-1))
    assert (follow(series, step, 0, 0) == series).all()


def test_blocks_of_any_length_give_the_same():
    samples = drums(120, 6)
    whole = analyse([samples])
    parts = analyse(np.split(samples, [1, 700, 701, 50_000, 50_255]))
    assert parts.bpm == whole.bpm
    for name, series in whole.features.items():
        np.testing.assert_allclose(parts.features[name], series, atol=1e-6)


def test_memory_does_not_hold_the_samples():
    """A feature's numbers for an hour are under a tenth of its samples."""
    sound = analyse([np.zeros(RATE * 10, np.float32)])
    assert len(sound.features["rms"]) == pytest.approx(10 * RATE / HOP, abs=1)


def test_a_piece_may_begin_later():
    beats = beat_times(120, 12)
    sound = analyse([clicks(beats, 12)])
    later = sound.beginning_at(2.0)
    assert later(1.0) == sound(3.0)
    assert later.beats[0] == pytest.approx(0.37, abs=0.01)
    assert later.bpm == sound.bpm
    assert sound.beginning_at(99).beats == ()


def test_outside_the_piece_it_is_silent():
    sound = analyse([tone(80, 1)])
    outside: list[Any] = [sound(-0.1), sound(1.2)]
    assert all(value == 0 for values in outside for value in values.values())
