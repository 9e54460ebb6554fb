"""The table of containers: each row holds what it promises, and a new row needs nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch

from dreamvid.config import WriteConfig
from dreamvid.errors import MediaError
from dreamvid.media import (
    SoundSource,
    VideoInfo,
    VideoReader,
    VideoWriter,
    check_output,
    containers,
)
from dreamvid.media.containers import CONTAINERS, Container, container_at, container_of
from dreamvid.types import Frame
from tests.media.clips import Clip, index_of, make, picture, steady

COUNT = 6
SIZE = (64, 48)
ROWS = [pytest.param(row, id=row.format) for row in CONTAINERS]
TIMED = [pytest.param(row, id=row.format) for row in CONTAINERS if row.format != "rawvideo"]
AVI = Container("avi", ".avi", codec="mpeg4", sound_encoder="ac3")


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Callable[[Container], Container]:
    """Gives a row an extension, and a place in the table."""

    def name(row: Container) -> Container:
        suffixed = replace(row, suffix=row.suffix or f".{row.format}")
        others = tuple(other for other in CONTAINERS if other.format != row.format)
        monkeypatch.setattr(containers, "CONTAINERS", (*others, suffixed))
        return suffixed

    return name


def write(path: Path, row: Container, *, alpha: bool = False, sound: Path | None = None) -> Path:
    info = VideoInfo(*SIZE, rate=Fraction(24), time_base=Fraction(1, 24), alpha=alpha)
    config = WriteConfig(codec=row.alpha_codec if alpha else None)
    clear = torch.zeros(1, SIZE[1], SIZE[0])
    source = None if sound is None else SoundSource(sound, on_warning=lambda message: None)
    with VideoWriter(path, info, config, sound=source) as writer:
        assert writer.keeps_alpha == alpha
        for index, time in enumerate(steady(COUNT)):
            writer.write(Frame(picture(index), time, Fraction(1, 24), clear if alpha else None))
    if source is not None:
        source.close()
    return path


def assert_shows_the_clip(path: Path, row: Container) -> None:
    with VideoReader(path) as reader:
        back = list(reader)
    slack = (row.tick or 0) / 2
    assert [index_of(frame.image) for frame in back] == list(range(COUNT))
    assert all(abs(a.time - b) <= slack for a, b in zip(back, steady(COUNT), strict=True))


@pytest.mark.parametrize("row", TIMED)
def test_a_row_gives_the_frames_back_at_their_times(tmp_path, named, row):
    row = named(row)
    assert_shows_the_clip(write(tmp_path / f"a{row.suffix}", row), row)


def test_raw_video_is_rgb24_and_nothing_else(tmp_path, named):
    row = named(container_of("rawvideo"))
    path = write(tmp_path / f"a{row.suffix}", row)
    assert path.stat().st_size == COUNT * SIZE[0] * SIZE[1] * 3


@pytest.mark.parametrize("row", ROWS)
def test_a_row_holds_sound_where_it_says_so(tmp_path, named, row):
    row = named(row)
    source = make(tmp_path / "source.mkv", Clip(times=steady(COUNT), sound="aac"))
    path = write(tmp_path / f"a{row.suffix}", row, sound=source)
    if not row.holds_sound:
        silent = write(tmp_path / f"b{row.suffix}", row)
        assert path.read_bytes() == silent.read_bytes()
        return
    assert_shows_the_clip(path, row)
    with av.open(str(path)) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples >= 48_000 * COUNT / 24


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_the_encoders_that_it_takes(tmp_path, row):
    with av.open(str(tmp_path / "a"), "w", format=row.format) as output:
        for name in (row.codec, row.alpha_codec, row.sound_encoder, row.subtitle_encoder):
            assert name is None or name in output.supported_codecs


@pytest.mark.parametrize("row", ROWS)
def test_a_row_keeps_alpha_where_it_says_so(tmp_path, named, row):
    row = named(row)
    path = tmp_path / f"a{row.suffix}"
    if row.alpha_codec is None:
        info = VideoInfo(*SIZE, rate=Fraction(24), alpha=True)
        with VideoWriter(path, info, WriteConfig()) as writer:
            assert not writer.keeps_alpha
            writer.write(Frame(picture(0), Fraction(0)))
        return
    with VideoReader(write(path, row, alpha=True)) as reader:
        alphas = [frame.alpha for frame in reader]
    assert len(alphas) == COUNT
    assert all(alpha is not None and float(alpha.max()) < 0.02 for alpha in alphas)


@pytest.mark.parametrize("pix_fmt", [None, "yuva420p"])
def test_alpha_in_side_data_is_not_promised_where_it_gets_lost(tmp_path, pix_fmt):
    path = tmp_path / "a.mp4"
    info = VideoInfo(*SIZE, rate=Fraction(24), alpha=True)
    config = WriteConfig(codec="libvpx-vp9", pix_fmt=pix_fmt)
    with VideoWriter(path, info, config) as writer:
        assert not writer.keeps_alpha
        writer.write(Frame(picture(0), Fraction(0), alpha=torch.zeros(1, SIZE[1], SIZE[0])))
    with VideoReader(path) as reader:
        assert not reader.info.alpha


def test_a_new_row_is_all_that_a_format_needs(tmp_path, named):
    path, source = tmp_path / "a.avi", tmp_path / "source.mkv"
    with pytest.raises(MediaError, match=r"unknown extension '\.avi'; allowed: \.mp4, .*\.gif"):
        check_output(path)
    named(AVI)
    check_output(path)
    write(path, AVI, sound=make(source, Clip(times=steady(COUNT), sound="opus")))
    assert_shows_the_clip(path, AVI)
    with av.open(str(path)) as container:
        assert container.streams.audio[0].codec_context.name == "ac3"


def test_what_is_not_in_the_table_is_refused():
    with pytest.raises(ValueError, match="format 'flv' is not written; allowed: mp4, mov"):
        container_of("flv")
    with pytest.raises(ValueError, match=r"'\.flv' is not written; allowed: \.mp4, \.mov"):
        container_at(Path("a.flv"))
    assert container_at(Path("A.MKV")) is container_of("matroska")


def test_imports_leave_the_environment_alone():
    modules = [
        f"dreamvid.media.{path.stem}"
        for path in Path(containers.__file__).parent.glob("*.py")
        if path.stem != "__init__"
    ]
    script = (
        "import importlib, os, numpy, torch, PIL; before = dict(os.environ)\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "assert dict(os.environ) == before, set(os.environ.items()) ^ set(before.items())"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
