"""What is written, what is refused, and what is left behind."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
import torch
import torch.nn.functional as F

from dreamvid.config import WriteConfig
from dreamvid.errors import MediaError
from dreamvid.media import SoundSource, VideoInfo, VideoReader, VideoWriter, check_output, probe
from dreamvid.types import Frame
from tests.media.clips import index_of, packets_of, picture, steady, times_of, uneven

INFO = VideoInfo(64, 48, rate=Fraction(24), time_base=Fraction(1, 24))


def frames(
    times: Sequence[Fraction], last: Fraction | None = None, size: tuple[int, int] = (64, 48)
) -> Iterator[Frame]:
    for index, time in enumerate(times):
        duration = last if index == len(times) - 1 else None
        yield Frame(picture(index, *size), time, duration)


def write(
    path: Path,
    times: Sequence[Fraction] | None = None,
    info: VideoInfo = INFO,
    last: Fraction | None = None,
    config: WriteConfig | None = None,
    **options: Any,
) -> Path:
    with VideoWriter(path, info, config or WriteConfig(), **options) as writer:
        for frame in frames(times or steady(12), last, (info.width, info.height)):
            writer.write(frame)
    return path


TIMES = {
    "24": (steady(24), Fraction(1, 24)),
    "ntsc": (steady(24, Fraction(30_000, 1001)), Fraction(1001, 30_000)),
    "variable": (uneven(20), Fraction(1, 600)),
    "late": ([time + Fraction(1, 3) for time in steady(10)], Fraction(1, 24)),
    "awkward": ([time + Fraction(1, 7) for time in steady(10)], Fraction(1, 168)),
    "fine": (steady(10, 997), Fraction(1, 997)),
}
CODECS = [
    ("libx264", ["mp4", "mov", "mkv"]),
    ("libx265", ["mp4", "mov", "mkv"]),
    ("libsvtav1", ["mp4", "mkv", "webm"]),
    ("libvpx-vp9", ["webm", "mkv", "mp4"]),
    ("mpeg4", ["mp4", "mov", "mkv"]),
    ("ffv1", ["mkv"]),
    ("prores_ks", ["mov", "mkv"]),
    ("gif", ["gif"]),
    ("mjpeg", ["mov"]),
]


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_times_and_last_duration(tmp_path, suffix, name):
    times, time_base = TIMES[name]
    info = VideoInfo(64, 48, rate=Fraction(24), time_base=time_base)
    last = 8 * (times[1] - times[0])
    path = write(tmp_path / f"a.{suffix}", times, info, last=last)
    with VideoReader(path) as reader:
        back = list(reader)
    tick = Fraction(1, 1000) if suffix == "mkv" else 0
    assert len(back) == len(times)
    assert all(abs(a.time - b) <= tick / 2 for a, b in zip(back, times, strict=True))
    assert [index_of(frame.image) for frame in back] == list(range(len(times)))
    assert back[-1].duration is not None
    assert abs(back[-1].duration - last) <= tick
    assert all(a.duration == b.time - a.time for a, b in pairwise(back))


@pytest.mark.parametrize(
    ("codec", "suffix"), [(codec, suffix) for codec, held in CODECS for suffix in held]
)
def test_codecs(tmp_path, capfd, codec, suffix):
    path = write(tmp_path / f"a.{suffix}", config=WriteConfig(codec=codec))
    with VideoReader(path) as reader:
        back = list(reader)
    assert [index_of(frame.image) for frame in back] == list(range(12))
    assert capfd.readouterr().err == ""


def test_svt_av1_is_silent_in_a_process_that_first_opens_it(tmp_path):
    script = (
        "import os, sys, torch; from pathlib import Path; from fractions import Fraction\n"
        "from dreamvid.config import WriteConfig; from dreamvid.types import Frame\n"
        "from dreamvid.media import VideoInfo, VideoWriter\n"
        "config, info = WriteConfig(codec='libsvtav1'), VideoInfo(64, 48, rate=Fraction(24))\n"
        "with VideoWriter(Path(sys.argv[1]), info, config) as writer:\n"
        "    writer.write(Frame(torch.zeros(3, 48, 64), Fraction(0)))\n"
        "assert 'SVT_LOG' not in os.environ"
    )
    environment = {key: value for key, value in os.environ.items() if key != "SVT_LOG"}
    command = [sys.executable, "-c", script, str(tmp_path / "a.mp4")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("rate", [24, 60])
def test_gif_has_its_nearest_ticks_and_each_its_palette(tmp_path, rate):
    times = steady(12, rate)
    info = dataclasses.replace(INFO, rate=Fraction(rate), time_base=Fraction(1, rate))
    path = write(tmp_path / "a.gif", times, info)
    with VideoReader(path) as reader:
        back = list(reader)
    assert [index_of(frame.image) for frame in back] == list(range(12))
    assert all(abs(a.time - b) <= Fraction(1, 200) for a, b in zip(back, times, strict=True))
    assert max((f.image - picture(i)).abs().mean() * 255 for i, f in enumerate(back)) < 6


def test_default_is_h264_yuv420p_at_the_header_s_rate(tmp_path):
    info = probe(write(tmp_path / "a.mp4"))
    assert (info.codec, info.pix_fmt, info.frame_count) == ("h264", "yuv420p", 12)
    assert info.rate == 24
    assert info.duration == Fraction(1, 2)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_pixel_shape(tmp_path, suffix):
    info = VideoInfo(64, 48, rate=Fraction(24), sample_aspect_ratio=Fraction(16, 11))
    path = write(tmp_path / f"a.{suffix}", info=info)
    assert probe(path).sample_aspect_ratio == Fraction(16, 11)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "padding"),
    [
        ("libx264", None, (1, 1)),
        ("libx264", "yuv444p", (0, 0)),
        ("libx264", "yuv422p", (1, 0)),
        ("libx265", None, (1, 1)),
        ("ffv1", None, (0, 0)),
        ("libvpx-vp9", None, (0, 0)),
    ],
)
def test_odd_sizes(tmp_path, codec, pix_fmt, padding):
    # Not smaller: x265 4.1 corrupts the heap below 64 pixels a side.
    width, height = 97, 75
    config = WriteConfig(codec=codec, pix_fmt=pix_fmt, crf=None if codec == "ffv1" else 4)
    info = VideoInfo(width, height, rate=Fraction(24), time_base=Fraction(1, 24))
    path = write(tmp_path / "a.mkv", info=info, config=config)
    with VideoReader(path) as reader:
        image = next(iter(reader)).image
    assert tuple(image.shape) == (3, height + padding[1], width + padding[0])
    whole = F.pad(picture(0, width, height)[None], (0, padding[0], 0, padding[1]), "replicate")[0]
    assert (image - whole).abs().mean() * 255 < 4
    assert (image - whole)[:, -2:].abs().mean() * 255 < 6
    assert (image - whole)[:, :, -2:].abs().mean() * 255 < 6


def test_x264_is_deterministic(tmp_path):
    info = VideoInfo(320, 180, rate=Fraction(24), time_base=Fraction(1, 24))
    runs = [packets_of(write(tmp_path / f"{run}.mp4", steady(28), info)) for run in range(3)]
    assert runs[0] == runs[1] == runs[2]


METADATA = {
    "dreamvid": json.dumps({"prompt": "ein Wald 森 🍄 'x' \"y\" ;=#\\ é" * 50}, ensure_ascii=False),
    "comment": "two\nlines",
}


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_metadata(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", metadata=METADATA)
    assert len(METADATA["dreamvid"]) > 1500
    assert {key: probe(path).metadata[key] for key in METADATA} == METADATA


def test_name_with_everything_in_it(tmp_path):
    name = "-file:con%03d 'quoted' \"two\" 🍄é.mp4"
    path = write(tmp_path / name)
    assert len(times_of(path)) == 12
    assert [found.name for found in tmp_path.iterdir()] == [name]


def test_long_name(tmp_path):
    write(tmp_path / ("ü" * 120 + ".mp4"))


# Refused before any frame

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "codec": ({"codec": "nonsense"}, r"--codec 'nonsense' is no video encoder.*allowed: libx264"),
    "audio codec": ({"codec": "aac"}, r"--codec 'aac' is no video encoder here; allowed: libx264"),
    "container": (
        {"codec": "prores_ks"},
        r"--codec prores_ks: mp4 cannot hold it; allowed: libx264, ",
    ),
    "webm": (
        {"codec": "libx264"},
        r"--codec libx264: webm cannot hold it; allowed: libsvtav1, libvpx-vp9, .*or another",
    ),
    "header": ({"codec": "libsvtav1"}, r"a\.mov': mov cannot hold libsvtav1; allowed: .*\.mkv"),
    "pix_fmt": ({"pix_fmt": "rgb24"}, r"--pix-fmt 'rgb24' is not for libx264; allowed: yuv420p"),
    "crf": (
        {"codec": "mpeg4", "crf": 20},
        r"--crf 20: mpeg4 has no such option; .*--codec libx264",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_options(tmp_path, name):
    options, message = REFUSED[name]
    suffix = {"header": "mov", "webm": "webm"}.get(name, "mp4")
    with pytest.raises(MediaError, match=message) as caught:
        VideoWriter(tmp_path / f"a.{suffix}", INFO, WriteConfig(**options))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_there", [True, False])
def test_hardware_is_offered_only_where_it_can_be_opened(tmp_path, monkeypatch, is_there):
    if "h264_nvenc" not in av.codecs_available:
        pytest.skip("this build of FFmpeg knows no hardware")
    monkeypatch.setattr("dreamvid.media.encoders._opens", lambda *arguments: is_there)
    with pytest.raises(MediaError) as told:
        VideoWriter(tmp_path / "a.mp4", INFO, WriteConfig(codec="nonsense"))
    assert ("h264_nvenc, hevc_nvenc" in str(told.value)) == is_there
    assert "libx264, libx264rgb" in str(told.value)


def test_size_that_the_encoder_refuses(tmp_path):
    info = VideoInfo(20_000, 16, rate=Fraction(24))
    with pytest.raises(MediaError, match=r"--codec libx264 cannot encode 20000x16 yuv420p: "):
        VideoWriter(tmp_path / "a.mp4", info, WriteConfig())
    assert list(tmp_path.iterdir()) == []


def test_wrong_frames_are_the_caller_s_fault(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", INFO, WriteConfig()) as writer:
        with pytest.raises(ValueError, match=r"is \(3, 48, 64\), not \(3, 10, 10\)"):
            writer.write(Frame(torch.zeros(3, 10, 10), Fraction(0)))
        writer.write(Frame(torch.zeros(3, 48, 64), Fraction(1)))
        with pytest.raises(ValueError, match="after one at 1 s"):
            writer.write(Frame(torch.zeros(3, 48, 64), Fraction(1)))


# Paths


def test_paths_that_may_not_be_written(tmp_path):
    source = tmp_path / "source.mp4"
    source.write_bytes(b"x")
    (tmp_path / "link.mp4").symlink_to(source)
    (tmp_path / "folder.mp4").mkdir()
    table = [
        (tmp_path / "a.avi", r"unknown extension '\.avi'; allowed: \.mp4, .*, \.gif"),
        (tmp_path / "a", r"unknown extension ''; allowed: \.mp4"),
        (tmp_path / "none" / "a.mp4", r"folder '.*none' does not exist"),
        (source / "a.mp4", r"folder '.*source.mp4' does not exist"),
        (tmp_path / "folder.mp4", r"is a folder; allowed: the name of a file"),
    ]
    for path, message in table:
        with pytest.raises(MediaError, match=message):
            check_output(path)
        with pytest.raises(MediaError, match=message):
            VideoWriter(path, INFO, WriteConfig(), overwrite=True)
    with pytest.raises(MediaError, match=r"exists; --overwrite replaces it"):
        check_output(source)
    for path in (source, tmp_path / "link.mp4", tmp_path / "." / "source.mp4"):
        with pytest.raises(MediaError, match=r"is the input itself; allowed: any other file"):
            check_output(path, source, overwrite=True)
    check_output(source, tmp_path / "other.mp4", overwrite=True)


def test_folder_that_is_not_writable(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(MediaError, match=r"folder '.*' is not writable"):
        check_output(tmp_path / "a.mp4")


@pytest.mark.skipif(not Path("/proc/1").exists(), reason="needs a folder that even root fails in")
def test_folder_where_creation_fails():
    with pytest.raises(MediaError, match=r"'/proc/a\.mp4' cannot be written: .+"):
        VideoWriter(Path("/proc/a.mp4"), INFO, WriteConfig())


# Whole or not at all


class StopError(Exception):
    pass


def test_nothing_under_the_name_until_closed(tmp_path):
    path = tmp_path / "a.mp4"
    with VideoWriter(path, INFO, WriteConfig()) as writer:
        for frame in frames(steady(12)):
            writer.write(frame)
            assert not path.exists()
            assert [found.name[0] for found in tmp_path.iterdir()] == ["."]
    assert [found.name for found in tmp_path.iterdir()] == ["a.mp4"]
    writer.close()
    writer.abort()
    assert path.exists()


@pytest.mark.parametrize("count", [0, 1, 12])
def test_an_exception_leaves_nothing(tmp_path, count):
    with pytest.raises(StopError), VideoWriter(tmp_path / "a.mp4", INFO, WriteConfig()) as writer:
        for frame in frames(steady(count)):
            writer.write(frame)
        raise StopError
    assert list(tmp_path.iterdir()) == []


def test_no_frames_leave_nothing(tmp_path):
    with pytest.raises(MediaError, match="no frame has come"):
        VideoWriter(tmp_path / "a.mp4", INFO, WriteConfig()).close()
    assert list(tmp_path.iterdir()) == []


def test_overwrite(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"precious")
    with pytest.raises(MediaError, match="exists; --overwrite replaces it"):
        VideoWriter(path, INFO, WriteConfig())
    assert path.read_bytes() == b"precious"
    write(path, overwrite=True)
    assert len(times_of(path)) == 12


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "a.mp4"
    writer = VideoWriter(path, INFO, WriteConfig())
    writer.write(Frame(picture(0), Fraction(0)))
    path.write_bytes(b"precious")
    with pytest.raises(MediaError, match="exists; --overwrite replaces it"):
        writer.close()
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


def test_without_hard_links(tmp_path, monkeypatch):
    def refuse(self: Path, target: Path) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    path = write(tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files as POSIX does")
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_full_disk(tmp_path, suffix):
    import resource

    info = VideoInfo(320, 180, rate=Fraction(24), time_base=Fraction(1, 24))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))
        with pytest.raises(MediaError, match=rf"a\.{suffix}' cannot be written: .+"):
            write(tmp_path / f"a.{suffix}", steady(28), info, config=WriteConfig(crf=0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_keeps_no_frames(tmp_path):
    alive: list[weakref.ref[torch.Tensor]] = []
    with VideoWriter(tmp_path / "a.mp4", INFO, WriteConfig()) as writer:
        for frame in frames(steady(24)):
            alive.append(weakref.ref(frame.image))
            writer.write(frame)
            assert sum(ref() is not None for ref in alive) <= 2
    assert not writer._durations


def test_a_clip_through_both(clip, tmp_path):
    source = clip(times=uneven(20), time_base=Fraction(1, 600), sound="aac")
    path = tmp_path / "out.mp4"
    with VideoReader(source) as reader:
        sound = SoundSource(source)
        with VideoWriter(path, reader.info, WriteConfig(), sound=sound) as writer:
            for frame in reader:
                writer.write(frame)
    assert times_of(path) == times_of(source)
    a, b = probe(source), probe(path)
    assert (a.colour, a.sample_aspect_ratio) == (b.colour, b.sample_aspect_ratio)
    with av.open(str(path)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
