"""Cameras and screens, which FFmpeg's generator stands in for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from queue import SimpleQueue

import av
import pytest

from dreamvid.config import ReadConfig
from dreamvid.errors import ConfigError, MediaError
from dreamvid.media import live
from dreamvid.media.interlace import TimedFrame
from dreamvid.media.live import LiveReader, Newest
from dreamvid.media.reader import FrameReader
from dreamvid.media.source import Source, can_resume
from dreamvid.types import Frame

RATE = 50
CAMERA = Path(f"testsrc2=size=64x48:rate={RATE},realtime")
"""Gives its pictures at the moments they are for, as a camera does."""


def config(**options: object) -> ReadConfig:
    return ReadConfig.model_validate({"input_format": "lavfi", **options})


def read(name: str, **options: object) -> list[Frame]:
    with Source.find(Path(name), config(**options)).open(lambda message: None) as reader:
        return list(reader)


@pytest.mark.parametrize("base", ["0", "1700000000"])
def test_times_begin_at_0_wherever_the_clock_stands(base):
    frames = read(f"testsrc=size=64x48:rate=30000/1001,setpts=PTS+{base}/TB", seconds="0.2")
    assert [frame.time for frame in frames] == [Fraction(1001 * k, 30_000) for k in range(6)]


def test_the_end_is_the_earlier_one():
    name = "testsrc=size=64x48:rate=10[out0]"  # which is no pattern of file names
    assert len(read(name, start="0.2", seconds="0.5")) == 5
    assert len(read(name, start="0.2", seconds="0.5", end="0.4")) == 2
    source = Source.find(Path(name), config())
    assert (source.kind, source.is_stored, source.is_endless) == ("device", False, True)
    assert not can_resume(source, Path("a.mp4"))
    info = source.describe()
    assert (info.width, info.height, info.rate) == (64, 48, Fraction(10))
    assert info.duration is None


def test_a_generator_s_sound_goes_with_it():
    source = Source.find(Path("testsrc=rate=10[out0];sine[out1]"), config(seconds="0.5"))
    with source.open(lambda message: None) as reader:
        sound = source.open_sound(reader, lambda message: None)
        assert sound is not None
        assert sound.sample_rates == [44_100]
        sound.close()


@pytest.mark.parametrize(
    ("name", "device"), [("no such filter", "lavfi"), ("/dev/video99", "v4l2"), (":99", "x11grab")]
)
def test_a_device_that_is_not_there_is_told_in_one_line(name, device, capfd):
    asked = ReadConfig(input_format=device)
    try:
        source = Source.find(Path(name), asked)
    except MediaError as error:
        pytest.skip(str(error))  # not of this system
    with pytest.raises(MediaError, match=rf"{name}' cannot be opened as {device}; allowed") as told:
        source.open(lambda message: None)
    assert "\n" not in str(told.value)
    assert capfd.readouterr().err == ""


def test_only_devices_have_names():
    with pytest.raises(ConfigError, match=r"is no device's, .* allowed: v4l2, x11g"):
        Source.find(Path("a.nut"), ReadConfig(input_format="nut"))


def test_times_are_those_of_the_camera_from_the_first_picture():
    with LiveReader(CAMERA, input_format="lavfi", end=Fraction(1, 5)) as reader:
        assert isinstance(reader, FrameReader)
        assert reader.info.frame_count is None
        times = [frame.time for frame in reader]
    assert times[0] == 0
    assert all(frame_time * RATE == round(frame_time * RATE) for frame_time in times)
    assert times == sorted(set(times))
    assert times[-1] < Fraction(1, 5)


def test_start_leaves_out_what_comes_first():
    with LiveReader(
        CAMERA, input_format="lavfi", start=Fraction(3, 10), end=Fraction(5, 10), size="32"
    ) as reader:
        frames = list(reader)
    assert 0 <= frames[0].time < Fraction(1, 10)
    assert frames[-1].time < Fraction(2, 10)
    assert frames[0].image.shape == (3, 24, 32)


def pictures(count: int) -> Iterator[TimedFrame]:
    for index in range(count):
        yield TimedFrame(av.VideoFrame(16, 16), Fraction(index, 25), Fraction(1, 25))


def test_a_slow_dream_never_lags_behind():
    coming: SimpleQueue[int] = SimpleQueue()
    asked = threading.Semaphore(0)

    def camera() -> Iterator[TimedFrame]:
        every = list(pictures(10))
        while True:
            asked.release()
            yield every[coming.get()]

    newest = iter(Newest(camera(), "x"))
    asked.acquire()
    for dreamed_meanwhile in ([0], [1, 2, 3], [4], [5, 6, 7, 8]):
        for index in dreamed_meanwhile:
            coming.put(index)
            asked.acquire()  # until it has arrived
        assert next(newest).time == Fraction(dreamed_meanwhile[-1], 25)
    newest.close()  # type: ignore[attr-defined]


def test_the_last_picture_is_given_even_where_all_is_over():
    newest = Newest(pictures(7), "x")
    newest._thread.join()
    assert [picture.time for picture in newest] == [Fraction(6, 25)]


def test_an_error_comes_after_the_last_picture():
    def failing() -> Iterator[TimedFrame]:
        yield from pictures(1)
        raise MediaError("unplugged")

    newest = iter(Newest(failing(), "x"))
    assert next(newest).time == 0
    with pytest.raises(MediaError, match="unplugged"):
        next(newest)


def test_a_device_that_hangs_is_told_and_left_alone(monkeypatch):
    monkeypatch.setattr(live, "PATIENCE_S", 0.1)
    release = threading.Event()

    def hanging() -> Iterator[TimedFrame]:
        yield from pictures(1)
        release.wait()

    newest = Newest(hanging(), "x")
    given = iter(newest)
    next(given)
    with pytest.raises(MediaError, match=r"'x' has given no picture for 0\.1 s; allowed"):
        next(given)
    assert not newest.stop()
    release.set()
    newest._thread.join()
    assert newest.stop()
