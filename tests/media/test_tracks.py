"""Sound copied whole and cut, in step with the pictures."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from dreamvid.config import WriteConfig
from dreamvid.media import SoundSource, VideoReader, VideoWriter, probe
from tests.media.clips import Clip, make, packets_of, samples_of, steady, tone

RATE = 48_000
TICK = 48  # samples in Matroska's millisecond


def copy(
    source: Path,
    path: Path,
    start: Fraction | None = None,
    end: Fraction | None = None,
    **options: Any,
) -> Path:
    """`source` through reader and writer, with its sound."""
    with VideoReader(source, start=start, end=end) as reader:
        sound = SoundSource(source, start, end)
        with VideoWriter(path, reader.info, WriteConfig(**options), sound=sound) as writer:
            for frame in reader:
                writer.write(frame)
    sound.close()
    return path


def packet_times(path: Path) -> list[tuple[Fraction, Fraction]]:
    with av.open(str(path)) as container:
        clock = container.streams.audio[0].time_base or Fraction(1)
        return [
            ((packet.pts or 0) * clock, (packet.duration or 0) * clock)
            for packet in container.demux(audio=0)
            if packet.size
        ]


def lag(heard: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> int:
    """Samples by which `heard` comes late, within 100 ms."""
    middle = slice(len(wanted) // 2 - 4096, len(wanted) // 2 + 4096)
    errors = {
        shift: float(
            np.abs(heard[middle.start + shift : middle.stop + shift] - wanted[middle]).sum()
        )
        for shift in range(-4800, 4801, 4)
    }
    return min(errors, key=lambda shift: errors[shift])


LONG = Clip(times=steady(72), sound="aac")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("sound") / "source.mp4", LONG)


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_a_whole_copy_has_the_same_packets(source, tmp_path, suffix):
    path = copy(source, tmp_path / f"a.{suffix}")
    assert packets_of(path, "audio") == packets_of(source, "audio")
    assert packet_times(path) == packet_times(source)
    (track,), (copied,) = probe(source).sound, probe(path).sound
    assert replace(copied, language=None) == replace(track, language=None)


def test_a_whole_copy_into_matroska_stays_in_step(source, tmp_path):
    path = copy(source, tmp_path / "a.mkv")
    with VideoReader(path) as reader:
        assert next(iter(reader)).time == 0
    assert packet_times(path)[0][0] == 0
    count = 3 * RATE
    assert abs(lag(samples_of(path, count), samples_of(source, count)[:count])) <= TICK


@pytest.mark.parametrize("first", ["mp4", "mkv"])
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize(("start", "end"), [("1", "2"), ("1/7", "3/2"), ("401/300", "5/2")])
def test_a_cut_is_aligned(tmp_path, first, suffix, start, end):
    source = make(tmp_path / f"source.{first}", LONG)
    begin, finish = Fraction(start), Fraction(end)
    path = copy(source, tmp_path / f"a.{suffix}", begin, finish)
    count = round((finish - begin) * RATE)
    heard = samples_of(path, count)
    wanted = tone(np.arange(count) + round(begin * RATE))
    assert abs(lag(heard, wanted)) <= (TICK if "mkv" in (first, suffix) else 4)
    times = packet_times(path)
    packet = Fraction(1024, RATE) + Fraction(1, 1000)
    assert -packet < times[0][0] <= packet
    assert times[-1][0] < finish - begin
    assert times[-1][0] + times[-1][1] <= finish - begin + packet
    assert np.abs(heard[count + 2048 :]).max() < 1e-3


def test_sound_that_outlasts_the_pictures_is_cut_at_the_end(source, tmp_path):
    path = copy(source, tmp_path / "a.mp4", Fraction(5, 2), Fraction(3))
    (track,) = probe(path).sound
    assert track.duration is not None
    assert abs(track.duration - Fraction(1, 2)) <= Fraction(1024, RATE)


def test_every_track_is_copied(tmp_path):
    source = make(tmp_path / "two.mkv", Clip(sound="aac", tracks=2))
    path = copy(source, tmp_path / "a.mp4", Fraction(1, 4))
    assert len(probe(path).sound) == 2
    assert np.array_equal(samples_of(path, RATE // 2, 0), samples_of(path, RATE // 2, 1))


def test_pictures_and_sound_are_interleaved(source, tmp_path):
    path = copy(source, tmp_path / "a.mp4")
    with av.open(str(path)) as container:
        at: dict[str, float] = {"video": 0, "audio": 0}
        for packet in container.demux():
            if packet.size:
                at[packet.stream.type] = float((packet.dts or 0) * packet.time_base)
                assert abs(at["video"] - at["audio"]) < 0.7


@pytest.mark.parametrize(
    ("codec", "first", "suffix", "encoder"),
    [
        ("libopus", "mkv", "mov", "aac"),
        ("pcm_u8", "mkv", "mp4", "aac"),
        ("wmav2", "wmv", "mkv", "opus"),
        ("aac", "mp4", "webm", "opus"),
    ],
)
def test_sound_that_the_container_cannot_hold_is_encoded(tmp_path, codec, first, suffix, encoder):
    clip = Clip(codec="wmv2", options={}, sound=codec) if first == "wmv" else Clip(sound=codec)
    source = make(tmp_path / f"source.{first}", clip)
    with pytest.warns(UserWarning, match=rf"a\.{suffix}': \w+ cannot hold \w+ sound; encoded as"):
        path = copy(source, tmp_path / f"a.{suffix}")
    (track,) = probe(path).sound
    assert (track.codec, track.layout, track.rate) == (encoder, "stereo", 48_000)
    assert probe(copy(source, tmp_path / f"b.{suffix}", sound=False)).sound == ()


@pytest.mark.parametrize("suffix", ["webm"])
@pytest.mark.parametrize(("start", "end"), [(None, None), ("1/7", "3/2"), ("1", "5/2")])
@pytest.mark.filterwarnings("ignore:.*encoded as")
def test_encoded_sound_is_aligned(source, tmp_path, suffix, start, end):
    begin, finish = Fraction(start or 0), Fraction(end or 3)
    path = copy(source, tmp_path / f"a.{suffix}", start and begin, end and finish)
    count = round((finish - begin) * RATE)
    heard = samples_of(path, count)
    wanted = tone(np.arange(count) + round(begin * RATE))
    assert abs(lag(heard, wanted)) <= 2 * TICK
    assert probe(path).sound[0].codec == "opus"


def test_opus_is_copied_into_webm(tmp_path):
    source = make(tmp_path / "source.mkv", Clip(sound="libopus"))
    path = copy(source, tmp_path / "a.webm")
    assert packets_of(path, "audio") == packets_of(source, "audio")


def test_a_format_without_sound_says_so(source, tmp_path):
    with pytest.warns(UserWarning, match="gif holds no sound; it is left out"):
        copy(source, tmp_path / "a.gif")


def test_a_clip_without_sound(tmp_path):
    source = make(tmp_path / "source.mp4", Clip())
    assert probe(copy(source, tmp_path / "a.mp4")).sound == ()


def test_sound_cut_short_ends_there(tmp_path):
    source = make(tmp_path / "a.mp4", Clip(sound="aac", container={"movflags": "faststart"}))
    data = source.read_bytes()
    source.write_bytes(data[: len(data) * 2 // 3])
    with VideoReader(source, on_warning=lambda message: None) as reader:
        sound = SoundSource(source)
        with VideoWriter(tmp_path / "b.mp4", reader.info, WriteConfig(), sound=sound) as writer:
            for frame in reader:
                writer.write(frame)
    assert 0 < len(packet_times(tmp_path / "b.mp4")) < len(packets_of(source, "video")) * 2 + 9


def test_real_clip_whole(bunny, tmp_path):
    path = tmp_path / "a.mp4"
    sound = SoundSource(bunny)
    with (
        VideoReader(bunny, size="64") as reader,
        VideoWriter(path, reader.info, WriteConfig(), sound=sound) as writer,
    ):
        for frame in reader:
            writer.write(frame)
    a, b = probe(bunny), probe(path)
    assert (a.duration, a.frame_count) == (b.duration, b.frame_count)
    assert [track.duration for track in a.sound] == [track.duration for track in b.sound]
    assert packet_times(path) == packet_times(bunny)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_real_clip_cut(bunny, tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    start, end = Fraction(4), Fraction(8)
    with VideoReader(bunny, start=start, end=end, size="64") as reader:
        sound = SoundSource(bunny, start, end)
        with VideoWriter(path, reader.info, WriteConfig(), sound=sound) as writer:
            for frame in reader:
                writer.write(frame)
    info = probe(path)
    assert info.frame_count == 96
    assert info.duration is not None
    assert abs(info.duration - 4) <= Fraction(1, 1000)
    wanted = samples_of(bunny, 9 * RATE)[4 * RATE : 8 * RATE]
    assert abs(lag(samples_of(path, 4 * RATE), wanted)) <= TICK
    times = packet_times(path)
    assert abs(times[-1][0] + times[-1][1] - 4) <= Fraction(1024, RATE)
