"""Orientation and colour profiles of pictures, and side data that must not end the process."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.packet import Packet
from av.video.stream import VideoStream
from PIL import Image, ImageCms
from torch import Tensor

from dreamvid.media import read_image
from dreamvid.media.image_sequence import ImageSequenceReader
from tests.media.clips import picture

SUFFIXES = (".png", ".jpg", ".tif", ".webp")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
COLORANTS = {  # of sRGB under D50
    "r": (0.4360, 0.2225, 0.0139),
    "g": (0.3851, 0.7169, 0.0971),
    "b": (0.1431, 0.0606, 0.7141),
}


def profile(**swapped: str) -> bytes:
    """An ICC profile of gamma 2.2 with the primaries of sRGB, some under another's name."""

    def xyz(values: tuple[float, float, float]) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))

    text = b"test\0"
    parts = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"wtpt": xyz((0.9642, 1.0, 0.8249)),
        **{f"{c}XYZ".encode(): xyz(COLORANTS[swapped.get(c, c)]) for c in COLORANTS},
        **{
            f"{c}TRC".encode(): b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256))
            for c in COLORANTS
        },
    }
    table, body = b"", b""
    begin = 128 + 4 + 12 * len(parts)
    for name, content in parts.items():
        table += name + struct.pack(">II", begin + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    content = struct.pack(">I", len(parts)) + table + body
    head = struct.pack(
        ">I4sI4s4s4s", 128 + len(content), b"\0" * 4, 0x02100000, b"mntr", b"RGB ", b"XYZ "
    )
    head = head.ljust(36, b"\0") + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + content


def save(path: Path, image: Tensor, icc: bytes, **options: Any) -> Path:
    levels = (image * 255).round().byte().permute(1, 2, 0).numpy()
    lossless: dict[str, Any] = (
        {"lossless": True} if path.suffix == ".webp" else {"quality": 100, "subsampling": 0}
    )
    Image.fromarray(levels).save(path, icc_profile=icc, **lossless, **options)
    return path


def survives(code: str, *arguments: object) -> str:
    """What `code` prints in a process of its own, which must end well."""
    words = [sys.executable, "-c", code, *map(str, arguments)]
    ended = subprocess.run(words, capture_output=True, text=True)
    assert ended.returncode == 0, (ended.returncode, ended.stderr)
    return ended.stdout.strip()


READ_STILL = """
import gc, sys
from pathlib import Path
from typing import Any
from dreamvid.media import read_image
from dreamvid.media.image_sequence import ImageSequenceReader
path = Path(sys.argv[1])
print(*read_image(path).shape)
with ImageSequenceReader([path] * 3) as reader:
    print(len(list(reader)))
gc.collect()
"""
LIST_SIDE_DATA = """
import av, os, sys
frame = next(av.open(sys.argv[1]).decode(video=0))
print(*(data.type.name for data in frame.side_data), flush=True)
os._exit(0)  # before PyAV frees them
"""
READ_FILM = """
import gc, sys
from pathlib import Path
from typing import Any
from dreamvid.media import VideoReader, probe
path = Path(sys.argv[1])
print(probe(path).rotation)
with VideoReader(path) as reader:
    print(len(list(reader)))
gc.collect()
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_picture_with_a_profile_does_not_end_the_process(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix}", picture(3), SRGB)
    assert survives(READ_STILL, path).split() == ["3", "48", "64", "3"]


def with_profile(path: Path) -> None:
    """A film of PNG pictures, each of which has a profile as side data with metadata."""
    stored = io.BytesIO()
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(stored, "png", icc_profile=SRGB)
    with av.open(str(path), "w", format="mov") as container:
        stream = container.add_stream("png", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        for index in range(3):
            packet: Packet[Any] = Packet(stored.getvalue())
            packet.stream, packet.pts, packet.dts = stream, index, index
            packet.time_base, packet.is_keyframe = Fraction(1, 25), True
            container.mux_one(packet)


def with_codec(path: Path, codec: str, form: str, options: dict[str, str]) -> None:
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            black = np.zeros((48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(black, "rgb24")))
        container.mux(stream.encode(None))


def with_hdr_data(path: Path) -> None:
    """Mastering display and light levels, as side data of frames."""
    master = "master-display=G(1,1)B(1,1)R(1,1)WP(1,1)L(10,1):max-cll=100,50:log-level=error"
    with_codec(path, "libx265", "matroska", {"x265-params": master})


def with_captions(path: Path) -> None:
    """Closed captions (CEA-708) as SEI messages before the first picture."""
    with_codec(path, "libx264", "h264", {"x264-params": "annexb=1"})
    stream, begin = path.read_bytes(), b"\0\0\x01\x06"
    captions = b"\xb5\0\x31GA94\x03\x41\xff\xfc\x94\x2c\xff"
    sei = begin + bytes([4, len(captions)]) + captions + b"\x80"
    at = stream.index(begin)
    path.write_bytes(stream[:at] + sei + stream[at:])


def with_time_code(path: Path) -> None:
    """A group of pictures' time code, as MPEG-2 has it."""
    with_codec(path, "mpeg2video", "matroska", {"gop_timecode": "01:02:03:04"})


KINDS = {
    with_profile: "ICC_PROFILE",
    with_hdr_data: "MASTERING_DISPLAY_METADATA",
    with_captions: "A53_CC",
    with_time_code: "GOP_TIMECODE",
}


@pytest.mark.parametrize("make", KINDS)
def test_side_data_of_a_film_do_not_end_the_process(tmp_path, make):
    make(tmp_path / "a.film")
    assert KINDS[make] in survives(LIST_SIDE_DATA, tmp_path / "a.film").split()
    assert survives(READ_FILM, tmp_path / "a.film").split() == ["0", "3"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_profile_counts(tmp_path, suffix):
    red = torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1).expand(3, 24, 32)
    path = save(tmp_path / f"a{suffix}", red, profile(r="b", b="r"))
    blue = torch.tensor([0.0, 0.0, 1.0]).view(3, 1, 1).expand(3, 24, 32)
    assert (read_image(path) - blue).abs().max() * 255 <= 3
    with ImageSequenceReader([path]) as reader:
        assert (next(iter(reader)).image - blue).abs().max() * 255 <= 3


def test_srgb_and_what_is_nearly_srgb_stay_bit_for_bit(tmp_path):
    plain = save(tmp_path / "plain.png", picture(3), b"")
    tagged = save(tmp_path / "tagged.png", picture(3), SRGB)
    assert torch.equal(read_image(plain), read_image(tagged))


@pytest.mark.parametrize("icc", [b"", b"no profile", profile()[:200]])
def test_a_damaged_profile_is_passed_over(tmp_path, icc):
    path = save(tmp_path / "a.png", picture(3), icc)
    assert torch.allclose(read_image(path), picture(3), atol=1 / 255)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_orientation_beside_a_profile(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / f"a{suffix}", picture(3), SRGB, exif=exif)
    plain = read_image(save(tmp_path / f"b{suffix}", picture(3), b""))
    assert torch.equal(read_image(path), plain.rot90(-1, (1, 2)))
