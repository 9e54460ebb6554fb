"""Numbered picture files: whole or not at all."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from dreamvid.errors import MediaError
from dreamvid.media.image_sequence import (
    ImageSequenceWriter,
    find_images,
    numbered_path,
    output_pattern,
)
from dreamvid.media.source import Source, check_result
from dreamvid.media.still import read_image
from dreamvid.types import Frame
from tests.media.clips import index_of, picture


def write(pattern: Path, count: int = 12, overwrite: bool = False) -> None:
    with ImageSequenceWriter(pattern, overwrite=overwrite) as writer:
        for index in range(count):
            writer.write(Frame(picture(index), Fraction(index, 24)))
            assert not numbered_path(pattern, 1).exists() or overwrite


def test_names_and_order(tmp_path):
    write(tmp_path / "a%03d.png")
    assert sorted(path.name for path in tmp_path.iterdir())[::11] == ["a001.png", "a012.png"]
    images = [read_image(path) for path in find_images(tmp_path / "a%03d.png")]
    assert [index_of(image) for image in images] == list(range(12))


def test_what_names_pictures(tmp_path):
    assert output_pattern(tmp_path) == tmp_path / "%06d.png"
    for name in ("%d.jpg", "%05d.PNG"):
        assert output_pattern(tmp_path / name) == tmp_path / name
    for name in ("a.mp4", "%d.mp4", "%d-%d.png", "none"):
        assert output_pattern(tmp_path / name) is None


def test_an_extension_in_upper_case(tmp_path):
    pattern = tmp_path / "%03d.PNG"
    check_result(pattern, None, overwrite=False)
    clear = torch.full((1, 48, 64), 0.2)
    with ImageSequenceWriter(pattern) as writer:
        assert writer.keeps_alpha
        writer.write(Frame(picture(3), Fraction(0), alpha=clear))
    assert index_of(read_image(tmp_path / "001.PNG")) == 3


def test_an_exception_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), ImageSequenceWriter(tmp_path / "%d.png") as writer:
        writer.write(Frame(picture(0), Fraction(0)))
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MediaError, match="no frame has come"):
        ImageSequenceWriter(tmp_path / "%d.png").close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_replaced_unasked(tmp_path):
    (tmp_path / "1.png").write_bytes(b"precious")
    with pytest.raises(MediaError, match=r"1\.png' exists; --overwrite replaces it"):
        ImageSequenceWriter(tmp_path / "%d.png")
    write(tmp_path / "%d.png", 3, overwrite=True)
    (tmp_path / "1.png").unlink()
    with pytest.raises(MediaError, match=r"2\.png' exists; --overwrite replaces it"):
        write(tmp_path / "%d.png", 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.png", "3.png"]
    with pytest.raises(MediaError, match=r"folder .* does not exist"):
        ImageSequenceWriter(tmp_path / "none" / "%d.png")


def test_the_input_itself_is_never_replaced(tmp_path):
    write(tmp_path / "%06d.png", 2)
    for source in (tmp_path, tmp_path / "*.png", tmp_path / "000001.png"):
        for out in (tmp_path, tmp_path / "%06d.png"):
            with pytest.raises(MediaError, match="names the input itself; allowed: other names"):
                check_result(out, Source.find(source), overwrite=True)
        check_result(tmp_path / "new%d.png", Source.find(source), overwrite=False)
