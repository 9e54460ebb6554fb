"""Frames, their times, and what becomes of damaged files."""

from __future__ import annotations

import gc
import weakref
import zlib
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path
from typing import Any

import av
import pytest
import torch

from dreamvid.errors import MediaError
from dreamvid.media import VideoReader, probe, write_image
from dreamvid.types import Frame
from tests.media.clips import index_of, steady, times_of, uneven


def read(path: Path, **options: Any) -> list[Frame]:
    with VideoReader(path, **options) as reader:
        return list(reader)


def end_of(frame: Frame) -> Fraction:
    assert frame.duration is not None
    return frame.time + frame.duration


TIMES = {
    "24": (steady(24), Fraction(1, 24)),
    "ntsc": (steady(24, Fraction(30_000, 1001)), Fraction(1001, 30_000)),
    "variable": (uneven(20), Fraction(1, 600)),
    "late": ([time + Fraction(1, 3) for time in steady(10)], Fraction(1, 24)),
}


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_times_are_the_pts(clip, suffix, name):
    times, time_base = TIMES[name]
    options = {"video_track_timescale": "30000", "movie_timescale": "30000"}
    path = clip(
        f"a.{suffix}",
        times=times,
        time_base=time_base,
        container=options if suffix != "mkv" else {},
    )
    frames = read(path)
    if suffix == "mkv":
        times = [Fraction(floor(time * 1000 + Fraction(1, 2)), 1000) for time in times]
    assert [frame.time for frame in frames] == times
    assert [index_of(frame.image) for frame in frames] == list(range(len(times)))
    assert all(end_of(a) == b.time for a, b in pairwise(frames))


def test_last_frame_keeps_its_duration(clip):
    path = clip(times=steady(8), time_base=Fraction(1, 24), options={"bf": "0"}, last=Fraction(2))
    assert read(path)[-1].duration == 2


@pytest.mark.parametrize("start", ["0", "1/7", "3/2", "2", "61/24", "47/12"])
def test_start_and_end_cut_exactly(clip, start):
    start = Fraction(start)
    path = clip(
        times=steady(28, 6), time_base=Fraction(1, 6), options={"g": "5", "bf": "3", "crf": "6"}
    )
    whole = [frame for frame in read(path) if start <= frame.time < start + 1]
    part = read(path, start=start, end=start + 1)
    assert [frame.time + start for frame in part] == [frame.time for frame in whole]
    assert all(torch.equal(a.image, b.image) for a, b in zip(part, whole, strict=True))
    assert end_of(part[-1]) <= 1


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts"])
def test_seeking_finds_every_frame(clip, suffix):
    path = clip(
        f"a.{suffix}",
        times=steady(28, 6),
        time_base=Fraction(1, 6) if suffix != "avi" else Fraction(1, 24),
        codec="libx264" if suffix != "avi" else "mpeg4",
        options={"g": "28", "bf": "2"} if suffix != "avi" else {"qscale": "2"},
    )
    whole = read(path)
    start = whole[-3].time
    assert [index_of(frame.image) for frame in read(path, start=start)] == [25, 26, 27]


@pytest.mark.parametrize(
    ("times", "rate", "start", "end"),
    [
        (steady(24), Fraction(10), None, None),
        (steady(24), Fraction(60), None, None),
        (steady(24), Fraction(24), None, None),
        (steady(24), Fraction(30_000, 1001), Fraction(1, 5), Fraction(4, 5)),
        (uneven(20), Fraction(25), None, None),
        (uneven(20), Fraction(25), Fraction(1, 7), None),
    ],
)
def test_rate_shows_what_the_source_shows(clip, times, rate, start, end):
    path = clip(times=times, time_base=Fraction(1, 600), options={"bf": "0", "crf": "6"})
    frames = read(path, rate=rate, start=start, end=end)
    stop = min(end or 99, times[-1] + (times[-1] - times[-2]))
    moments = [k / rate for k in range(999) if (start or 0) + k / rate < stop]
    assert [frame.time for frame in frames] == moments
    current = [sum(t <= moment + (start or 0) for t in times) - 1 for moment in moments]
    assert [index_of(frame.image) for frame in frames] == current
    assert {frame.duration for frame in frames} == {1 / rate}


@pytest.mark.parametrize(
    ("asked", "aspect", "size"),
    [
        ("source", Fraction(1), (64, 48)),
        ("32x20", Fraction(1), (32, 20)),
        ("33x17", Fraction(1), (33, 17)),
        ("128", Fraction(1), (128, 96)),
        ("50", Fraction(1), (50, 38)),
        ("64", Fraction(4, 3), (64, 36)),
    ],
)
def test_size(clip, asked, aspect, size):
    path = clip(aspect=aspect, times=steady(4))
    with VideoReader(path, size=asked) as reader:
        shape = next(iter(reader)).image.shape
    assert (shape[2], shape[1]) == (reader.info.width, reader.info.height) == size
    assert reader.info.sample_aspect_ratio == (aspect if asked == "source" else 1)


def test_shrinking_averages(tmp_path):
    stripes = torch.zeros(3, 96, 128)
    stripes[:, :, ::2] = 1
    write_image(tmp_path / "stripes.png", stripes)
    (frame,) = read(tmp_path / "stripes.png", size="32")
    assert (frame.image - 0.5)[:, :, 1:-1].abs().max() < 0.02


ROTATIONS = {  # counter-clockwise, mirrored → what the display does to (3, H, W)
    (90, False): lambda image: image.rot90(1, (1, 2)),
    (180, False): lambda image: image.rot90(2, (1, 2)),
    (-90, False): lambda image: image.rot90(-1, (1, 2)),
    (0, True): lambda image: image.flip(2),
}


@pytest.mark.parametrize("turn", ROTATIONS)
@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_rotation_is_applied_to_the_pixels(clip, turn, suffix):
    plain = read(clip("plain.mp4", times=steady(3)))
    path = clip(
        f"a.{suffix}", times=steady(3), rotation=turn[0], hflip=turn[1], aspect=Fraction(4, 3)
    )
    frames = read(path)
    for turned, straight in zip(frames, plain, strict=True):
        assert torch.equal(turned.image, ROTATIONS[turn](straight.image))
    info = probe(path)
    assert (info.height, info.width) == tuple(frames[0].image.shape[1:])
    assert info.rotation == -turn[0] % 360
    assert info.sample_aspect_ratio == (Fraction(3, 4) if turn[0] % 180 else Fraction(4, 3))


def test_size_counts_after_rotation(clip):
    path = clip(times=steady(3), rotation=90)
    assert read(path, size="24")[0].image.shape == (3, 32, 24)


def test_info_of_an_ordinary_clip(clip):
    info = probe(clip(sound="aac", aspect=Fraction(4, 3)))
    assert (info.width, info.height, info.frame_count, info.rotation) == (64, 48, 24, 0)
    assert info.rate == 24
    assert info.duration == 1
    assert info.start_time == 0
    assert info.sample_aspect_ratio == Fraction(4, 3)
    assert (info.codec, info.pix_fmt) == ("h264", "yuv420p")
    assert [(t.codec, t.rate, t.channels, t.layout) for t in info.sound] == [
        ("aac", 48_000, 2, "stereo")
    ]
    assert "mp4" in info.container


def test_info_tells_what_is_delivered(clip):
    path = clip()
    with VideoReader(path, start=Fraction(1, 4), end=Fraction(3, 4), rate=Fraction(10)) as reader:
        count = len(list(reader))
    assert reader.info.frame_count == count
    assert reader.info.rate == 10
    assert reader.info.duration == Fraction(1, 2)
    with VideoReader(path, start=Fraction(1, 7)) as reader:
        assert all((frame.time / reader.info.time_base).denominator == 1 for frame in reader)


def test_raw_stream_without_pts(clip):
    path = clip("a.h264", options={"bf": "0"})
    frames = read(path)
    assert [index_of(frame.image) for frame in frames] == list(range(24))
    assert all(a.time < b.time for a, b in pairwise(frames))


def test_all_frames_are_drained(clip):
    assert len(read(clip(options={"bf": "8", "b_strategy": "0", "refs": "8"}))) == 24


def cut_short(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * share)])
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("sound", [None, "aac"])
def test_truncated_file_gives_what_it_has(clip, suffix, sound):
    path = clip(
        f"a.{suffix}",
        times=steady(24, 8),
        time_base=Fraction(1, 24),
        sound=sound,
        container={"movflags": "faststart"} if suffix == "mp4" else {},
    )
    whole = times_of(path)
    warnings: list[str] = []
    frames = read(cut_short(path, 0.5), on_warning=warnings.append)
    assert 0 < len(frames) < len(whole)
    assert [frame.time for frame in frames] == whole[: len(frames)]
    assert len(warnings) == 1 and "cut short" in warnings[0] and str(path) in warnings[0]


def test_whole_files_do_not_warn(clip):
    for suffix in ("mp4", "mkv", "mov"):
        read(clip(f"a.{suffix}", sound="aac", last=Fraction(1)))  # a warning is an error here


def damage(path: Path, number: int) -> Fraction:
    """Overwrite the packet of that number, and return its time."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        hit = packets[number]
    data = bytearray(path.read_bytes())
    assert hit.pos is not None
    data[hit.pos : hit.pos + hit.size] = bytes(255 - byte for byte in data[hit.pos :][: hit.size])
    path.write_bytes(data)
    return (hit.pts or 0) * hit.time_base


@pytest.mark.parametrize(
    ("codec", "options"), [("png", {}), ("libx264", {"g": "1"}), ("libx264", {"bf": "0", "g": "6"})]
)
def test_corrupt_packet_is_reported_and_the_rest_stays(clip, codec, options):
    pix_fmt = "rgb24" if codec == "png" else "yuv420p"
    path = clip("a.mov", codec=codec, options=options, pix_fmt=pix_fmt)
    lost = damage(path, 7)
    warnings: list[str] = []
    frames = read(path, on_warning=warnings.append)
    assert [frame.time for frame in frames] == [time for time in steady(24) if time != lost]
    assert len(warnings) == 1 and "damaged packet" in warnings[0]
    assert all(index_of(frame.image) == frame.time * 24 for frame in frames if frame.time < lost)


def test_keeps_no_frames(clip):
    alive: list[weakref.ref[torch.Tensor]] = []
    with VideoReader(clip()) as reader:
        for frame in reader:
            alive.append(weakref.ref(frame.image))
            assert sum(ref() is not None for ref in alive) <= 2


def test_decoded_pictures_do_not_wait_for_the_garbage_collector(clip):
    with VideoReader(clip()) as reader:
        iterator = iter(reader)
        next(iterator)
        gc.collect()
        gc.disable()
        try:
            assert sum(1 for _ in iterator) == 23
            assert gc.collect() < 20
        finally:
            gc.enable()


def test_nothing_comes_after_closing(clip):
    with VideoReader(clip()) as reader:
        iterator = iter(reader)
        next(iterator)
    assert list(iterator) == list(reader) == []


def test_real_clip_cut(bunny):
    with VideoReader(bunny, start=Fraction(4), end=Fraction(8), size="320") as reader:
        frames = list(reader)
    assert [frame.time for frame in frames] == steady(96)
    assert reader.info.frame_count == 96
    assert frames[0].image.shape == (3, 180, 320)
    (frame,) = read(bunny, start=Fraction(20), end=Fraction(20) + Fraction(1, 24))
    assert frame.time == 0


@pytest.mark.parametrize("start", [Fraction(2), Fraction(100)])
def test_start_past_the_end(clip, start):
    with pytest.raises(MediaError, match=rf"no frame from {start} s on; allowed: .* before 1 s"):
        VideoReader(clip(), start=start)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
def test_a_picture_has_the_mark_of_its_code_values_on_every_device(clip, pix_fmt):
    path = clip(times=steady(4), size=(66, 50), pix_fmt=pix_fmt)
    with av.open(str(path)) as container:
        expected = [zlib.crc32(frame.to_ndarray().tobytes()) for frame in container.decode(video=0)]
    assert len(set(expected)) == 4
    for size, device in [("source", "cpu"), ("24", "cpu"), ("source", "meta")]:
        with VideoReader(path, size=size, device=device) as reader:
            frames = [(frame.time, frame.image.device.type, reader.mark) for frame in reader]
            assert [mark for _, _, mark in frames] == expected
            assert {where for _, where, _ in frames} == {device}
            reader.skip_past(frames[2][0], lambda image: reader.mark == expected[2])
            with pytest.raises(MediaError, match="does not show at"):
                reader.skip_past(frames[2][0], lambda image: reader.mark == expected[1])
