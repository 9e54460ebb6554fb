"""Samples read to be listened to: where they lie in time, and in step with the pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from dreamvid.config import VideoConfig
from dreamvid.control.analysis import RATE
from dreamvid.errors import MediaError
from dreamvid.events import ignore
from dreamvid.film.listening import schedule_of
from dreamvid.media import VideoReader
from dreamvid.media.source import Source
from dreamvid.media.tracks import read_samples
from tests.control.pieces import clicks
from tests.media import clips
from tests.media.clips import Clip, make, steady, uneven

CLICKS = np.arange(0.37, 70, 0.5)


@pytest.fixture(autouse=True)
def clicking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips have clicks twice a second for sound."""
    samples = clicks(CLICKS, 70, 48_000)
    monkeypatch.setattr(clips, "tone", lambda index: samples[index])


def peaks(samples: np.ndarray[Any, Any], rate: int = RATE) -> list[float]:
    """When a click begins, in seconds: the first sample above a quarter of the highest."""
    high = np.flatnonzero(np.abs(samples) > 0.25 * np.abs(samples).max()) / rate
    return [float(time) for time in high[np.diff(high, prepend=-1) > 0.2]]


@pytest.mark.parametrize(
    ("name", "sound"), [("a.mp4", "aac"), ("a.mkv", "libopus"), ("a.mkv", "flac")]
)
def test_samples_lie_where_they_are_heard(tmp_path, name, sound):
    path = make(tmp_path / name, Clip(times=steady(72), sound=sound))
    with VideoReader(path) as reader:
        samples = np.concatenate(list(read_samples(path, RATE, origin=reader.origin)))
    wanted = [time for time in CLICKS if time < 3]
    assert peaks(samples)[: len(wanted)] == pytest.approx(wanted, abs=0.004)
    assert len(samples) == pytest.approx(3.06 * RATE, abs=0.1 * RATE)


def test_what_lies_before_the_origin_is_left_out(tmp_path):
    path = make(tmp_path / "a.mp4", Clip(times=steady(72), sound="aac"))
    samples = np.concatenate(list(read_samples(path, RATE, origin=Fraction(1))))
    assert peaks(samples)[0] == pytest.approx(0.37, abs=0.004)
    late = np.concatenate(list(read_samples(path, RATE, origin=Fraction(-1))))
    assert peaks(late)[0] == pytest.approx(1.37, abs=0.004)


def test_a_gap_is_silence(tmp_path):
    path = tmp_path / "gap.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48_000, layout="mono")
        for begin in (0, 96_000):
            samples = np.full((1, 24_000), 8000, np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, begin, Fraction(1, 48_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    samples = np.concatenate(list(read_samples(path, 16_000)))
    assert len(samples) == pytest.approx(40_000, abs=64)
    loud = np.abs(samples) > 0.1
    assert loud[100:7900].all()
    assert not loud[8100:31_900].any()
    assert loud[32_100:39_900].all()


def test_without_sound_there_are_no_samples(tmp_path):
    path = make(tmp_path / "a.mp4", Clip(times=steady(6)))
    assert list(read_samples(path, RATE)) == []
    with pytest.raises(MediaError, match=r"does not exist|cannot"):
        list(read_samples(tmp_path / "none.wav", RATE))


def in_step(path: Path, **options: Any) -> None:
    """Every click shows in the frame that is shown when it sounds, or in a neighbour."""
    config = VideoConfig(prompt=["ice"], set_=["strength=onset"], **options)
    with VideoReader(path, start=config.start) as reader:
        frames = [(frame.time, index, frame.duration) for index, frame in enumerate(reader)]
        schedule, _ = schedule_of(config, Source.find(path, config), reader, ignore)
    onsets = np.array([schedule(*frame).values["strength"] for frame in frames])
    seconds = np.array([float(time) for time, _, _ in frames])
    start = float(config.start or 0)
    heard = [click - start for click in CLICKS if start < click < start + seconds[-3]]
    assert heard
    for click in heard:
        shown = int(np.searchsorted(seconds, click, "right")) - 1
        assert onsets[shown - 1 : shown + 2].max() > 0.5, click
        quiet = (seconds < seconds[shown - 1]) & (seconds > click - 0.3)
        assert onsets[quiet].max(initial=0) < 0.2, click


@pytest.mark.parametrize(
    ("times", "clock"),
    [
        (steady(60 * 24, Fraction(24000, 1001)), Fraction(1001, 24000)),
        (steady(60 * 25, 25), Fraction(1, 25)),
        (steady(60 * 60, Fraction(60000, 1001)), Fraction(1001, 60000)),
        (uneven(60 * 17), Fraction(1, 600)),
    ],
    ids=["23.976", "25", "59.94", "variable"],
)
def test_frames_follow_the_sound_for_a_minute(tmp_path, times, clock):
    clip = Clip(
        times=times, time_base=clock, size=(32, 32), sound="aac", options={"preset": "ultrafast"}
    )
    in_step(make(tmp_path / "a.mp4", clip))


def test_frames_follow_the_sound_of_a_part(tmp_path):
    in_step(make(tmp_path / "a.mp4", Clip(times=steady(96), sound="aac")), start=Fraction(3, 2))
