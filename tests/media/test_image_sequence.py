"""Films from picture files: which, in which order, how long, how large."""

from __future__ import annotations

import gc
import weakref
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from dreamvid.config import ReadConfig
from dreamvid.errors import ConfigError, MediaError
from dreamvid.media import write_image
from dreamvid.media.image_sequence import ImageSequenceReader, find_images
from dreamvid.media.source import Source
from dreamvid.types import Frame
from tests.media.clips import Clip, index_of, make, picture, steady


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """frame1.png … frame12.png, a hidden picture and a text."""
    folder = tmp_path / "pictures [a] 🍄"
    folder.mkdir()
    for index in range(12):
        write_image(folder / f"frame{index + 1}.png", picture(index))
    write_image(folder / ".hidden.png", picture(0))
    (folder / "notes.md").write_text("no picture")
    return folder


def read(source: Path, **options: object) -> list[Frame]:
    def fail(message: str) -> None:
        raise AssertionError(message)

    with Source.find(source, ReadConfig.model_validate(options)).open(fail) as reader:
        frames = list(reader)
        assert {tuple(frame.image.shape[1:]) for frame in frames} == {
            (reader.info.height, reader.info.width)
        }
        assert reader.info.frame_count == len(frames)
    return frames


def indices(frames: list[Frame]) -> list[int]:
    return [index_of(frame.image) for frame in frames]


def test_a_folder_in_natural_order_at_25_a_second(folder):
    frames = read(folder)
    assert indices(frames) == list(range(12))
    assert [frame.time for frame in frames] == steady(12, 25)
    assert {frame.duration for frame in frames} == {Fraction(1, 25)}


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("frame%d.png", list(range(12))),
        ("frame%02d.png", [9, 10, 11]),
        ("frame?.png", list(range(9))),
        ("frame*.png", list(range(12))),
        ("frame1*", [0, 9, 10, 11]),
    ],
)
def test_patterns(folder, pattern, wanted):
    assert indices(read(folder / pattern, rate="24000/1001")) == wanted


def test_numbers_count_as_numbers(tmp_path):
    for name, index in (("0100.png", 2), ("0009.png", 0), ("0010.png", 1)):
        write_image(tmp_path / name, picture(index))
    assert indices(read(tmp_path / "%04d.png")) == [0, 1, 2]


def test_a_list_keeps_its_order(folder):
    names = folder.parent / "list.txt"
    names.write_text(f"{folder.name}/frame3.png\n\n{folder.name}/frame1.png\n{folder}/frame3.png\n")
    assert indices(read(names)) == [2, 0, 2]


def test_a_single_picture_stays(folder):
    assert len(read(folder / "frame5.png")) == 1
    frames = read(folder / "frame5.png", seconds="1.5", rate=24)
    assert indices(frames) == [4] * 36
    assert frames[-1].time == Fraction(35, 24)


def test_range_rate_and_size(folder):
    frames = read(folder, rate=10, start="0.2", end="0.8", fps=5, size="32")
    assert indices(frames) == [2, 4, 6]
    assert [frame.time for frame in frames] == steady(3, 5)
    assert frames[0].image.shape == (3, 24, 32)


def test_other_sizes_are_scaled_with_a_warning(folder):
    write_image(folder / "frame3.png", picture(2, 128, 96), overwrite=True)
    warnings: list[str] = []
    with ImageSequenceReader(find_images(folder), on_warning=warnings.append) as reader:
        assert [index_of(frame.image) for frame in reader] == list(range(12))
    assert len(warnings) == 1 and "as 128x96; all are scaled" in warnings[0]


def test_keeps_no_pictures(folder):
    alive: list[weakref.ref[torch.Tensor]] = []
    gc.collect()
    with ImageSequenceReader(find_images(folder)) as reader:
        for frame in reader:
            alive.append(weakref.ref(frame.image))
            assert sum(ref() is not None for ref in alive) <= 2


def test_what_is_no_film_is_refused(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text("none.png\n")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    clip = make(tmp_path / "a.mp4", Clip(times=steady(3)))
    table = [
        (tmp_path / "empty", {}, "gives no picture; allowed: a folder with pictures"),
        (tmp_path / "%03d.png", {}, "gives no picture; allowed: a pattern that fits some file"),
        (tmp_path / "none" / "*.png", {}, r"folder '.*none' does not exist"),
        (tmp_path / "list.txt", {}, r"none\.png' does not exist"),
        (tmp_path / "bytes.txt", {}, "is no text; allowed: one file name a line"),
        (tmp_path / "none.png", {}, "does not exist"),
        (folder, {"seconds": 3}, "--seconds is for a single picture; here are 12"),
        (clip, {"seconds": 3}, "--seconds 3 is for a single picture, which .* allowed here: --end"),
        (folder, {"start": 9}, "no frame from 9 s on; allowed: times before 0.48 s"),
    ]
    for source, options, message in table:
        with pytest.raises((MediaError, ConfigError), match=message) as caught:
            read(source, **options)
        assert "\n" not in str(caught.value)
