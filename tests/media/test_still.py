"""Still pictures there and back."""

from __future__ import annotations

import json
import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dreamvid.errors import MediaError
from dreamvid.media import IMAGE_SUFFIXES, read_image, write_image
from tests.media.clips import Clip, make, picture

SAMPLE = (picture(5, 65, 47) * 255).round() / 255


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_there_and_back(tmp_path, suffix):
    path = tmp_path / f"100%03d: a 'picture' 🍄{suffix}"
    write_image(path, SAMPLE)
    back = read_image(path)
    assert back.shape == SAMPLE.shape
    assert back.dtype == torch.float32
    error = (back - SAMPLE).abs() * 255
    limits = {".jpg": 2.0, ".jpeg": 2.0, ".webp": 4.0}
    assert error.mean() <= limits.get(suffix, 0.001)
    assert list(tmp_path.iterdir()) == [path]


def test_all_the_usual_kinds_are_there():
    assert {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"} == set(IMAGE_SUFFIXES)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_flat_colours(tmp_path, suffix):
    for height in (32, 800):  # unspecified is BT.601 for pictures of any size
        flat = torch.tensor([0.9, 0.2, 0.4])[:, None, None].expand(3, height, 32)
        write_image(tmp_path / f"{height}{suffix}", flat)
        back = read_image(tmp_path / f"{height}{suffix}")
        assert (back - flat).abs().max() * 255 <= 2.5


@pytest.mark.parametrize(("size", "shape"), [("32x20", (3, 20, 32)), ("130", (3, 94, 130))])
def test_size(tmp_path, size, shape):
    write_image(tmp_path / "a.png", SAMPLE)
    assert read_image(tmp_path / "a.png", size=size).shape == shape


def encode(path: Path, array: NDArray[Any], form: str) -> Path:
    context = av.CodecContext.create("png", "w")
    assert isinstance(context, av.VideoCodecContext)
    frame = av.VideoFrame.from_ndarray(array, format=form)
    context.width, context.height, context.pix_fmt = frame.width, frame.height, form
    context.time_base = Fraction(1, 25)
    frame.pts = 0
    path.write_bytes(b"".join(map(bytes, [*context.encode(frame), *context.encode(None)])))
    return path


def test_depth_alpha_and_grey(tmp_path):
    deep = np.full((8, 8, 3), 0x1234, dtype=np.uint16)
    image = read_image(encode(tmp_path / "deep.png", deep, "rgb48be"))
    assert image[0, 0, 0] == pytest.approx(0x1234 / 65_535, abs=1e-6)
    see_through = np.full((8, 8, 4), 200, dtype=np.uint8)
    see_through[:, :4, 3] = 0
    image = read_image(encode(tmp_path / "alpha.png", see_through, "rgba"))
    assert torch.allclose(image, torch.full((3, 8, 8), 200 / 255))
    image = read_image(encode(tmp_path / "grey.png", np.full((8, 8), 77, np.uint8), "gray"))
    assert torch.allclose(image, torch.full((3, 8, 8), 77 / 255), atol=1e-6)


def exif(orientation: int) -> bytes:
    """An APP1 segment with nothing but an orientation."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    body = b"Exif\0\0" + b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + b"\0\0\0\0"
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    path = tmp_path / "a.jpg"
    write_image(path, SAMPLE)
    data = path.read_bytes()
    plain = read_image(path)
    path.write_bytes(data[:2] + exif(orientation) + data[2:])
    wanted = {
        1: plain,
        2: plain.flip(2),
        3: plain.rot90(2, (1, 2)),
        4: plain.flip(1),
        5: plain.transpose(1, 2),
        6: plain.rot90(-1, (1, 2)),
        7: plain.rot90(2, (1, 2)).transpose(1, 2),
        8: plain.rot90(1, (1, 2)),
    }[orientation]
    assert torch.equal(read_image(path), wanted)


METADATA = {"dreamvid": json.dumps({"prompt": "森 é 🍄" * 200}, ensure_ascii=False), "b": ""}


def test_png_metadata(tmp_path):
    path = tmp_path / "a.png"
    write_image(path, SAMPLE, metadata=METADATA)
    data, at, found = path.read_bytes(), 8, {}
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert checksum == zlib.crc32(kind + body)
        if kind == b"iTXt":
            key, text = body.split(b"\0\0\0\0\0", 1)
            found[key.decode()] = text.decode()
        at += 12 + length
    assert found == METADATA
    assert torch.equal(read_image(path), SAMPLE)


@pytest.mark.parametrize("length", [10, 200_000])
def test_jpeg_metadata(tmp_path, length):
    path = tmp_path / "a.jpg"
    write_image(path, SAMPLE, metadata={"dreamvid": "x" * length})
    comment, data, at = b"", path.read_bytes(), 2
    while data[at + 1] == 0xFE:
        (size,) = struct.unpack(">H", data[at + 2 : at + 4])
        comment += data[at + 4 : at + 2 + size]
        at += 2 + size
    assert comment.startswith(b"dreamvid=" + b"x" * length)
    assert read_image(path).shape == SAMPLE.shape


def test_first_frame_of_a_film(tmp_path):
    image = read_image(make(tmp_path / "a.mp4", Clip()))
    assert image.shape == (3, 48, 64)


def test_pictures_that_cannot_be_read(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    write_image(tmp_path / "cut.png", SAMPLE)
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:60])
    for name, message in {
        "none.png": "none.png' does not exist; allowed",
        "empty.png": "empty.png' is empty; allowed",
        "text.png": "text.png' cannot be read; allowed: a picture that FFmpeg can read: .+",
        "cut.png": "cut.png' (cannot be read|holds no picture)",
        "": "is a folder; allowed: a file",
    }.items():
        with pytest.raises(MediaError, match=message) as caught:
            read_image(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_pictures_that_cannot_be_written(tmp_path):
    with pytest.raises(MediaError, match=r"unknown extension '\.mp4'; allowed: \.png, \.jpg"):
        write_image(tmp_path / "a.mp4", SAMPLE)
    (tmp_path / "a.png").write_bytes(b"precious")
    with pytest.raises(MediaError, match="exists; --overwrite replaces it"):
        write_image(tmp_path / "a.png", SAMPLE)
    assert (tmp_path / "a.png").read_bytes() == b"precious"
    write_image(tmp_path / "a.png", SAMPLE, overwrite=True)
    with pytest.raises(ValueError, match=r"\(3, H, W\)"):
        write_image(tmp_path / "b.png", torch.zeros(1, 4, 4))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
