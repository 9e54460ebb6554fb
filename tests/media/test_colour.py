"""Matrix, range and depth, by hand and there and back."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from dreamvid.config import WriteConfig
from dreamvid.errors import MediaError
from dreamvid.media import ColourTags, VideoInfo, VideoReader, VideoWriter, probe
from dreamvid.media.colour import Converter, Orientation, has_alpha, luma_weights, tags_for
from dreamvid.types import Frame

LIMITED, FULL = 1, 2
BT709, BT601, BT2020 = 1, 6, 9

PATCHES = torch.tensor(
    [
        [255, 0, 0, 255, 128, 51, 230, 13],
        [0, 255, 0, 255, 128, 179, 102, 13],
        [0, 0, 255, 255, 128, 102, 25, 51],
    ]
)


def patches(height: int = 16) -> Tensor:
    """(3, H, 128): eight flat colours, 16 columns each."""
    return PATCHES.repeat_interleave(16, 1)[:, None].expand(3, height, 128) / 255


def patch_error(image: Tensor, bits: int = 8) -> float:
    """The largest error in the patches' middles, in 1/255 and to whole steps of the depth."""
    step = (2**bits - 1) / 255
    error = (image * 255 * step).round() / step - patches(image.shape[1]) * 255
    return float(error[:, :, 8::16].abs().max())


def smooth() -> Tensor:
    """(3, 48, 64) of soft waves."""
    y, x = torch.meshgrid(torch.linspace(0, 6, 48), torch.linspace(0, 6, 64), indexing="ij")
    return 0.5 + 0.4 * torch.stack([(x + y).sin(), (x - y).cos(), (0.7 * x).sin() * y.cos()])


@pytest.mark.parametrize(
    ("rgb", "matrix", "colour_range", "depth", "code"),
    [
        ((1, 1, 1), BT709, LIMITED, 8, (235, 128, 128)),
        ((0, 0, 0), BT709, LIMITED, 8, (16, 128, 128)),
        ((1, 0, 0), BT709, LIMITED, 8, (63, 102, 240)),
        ((1, 0, 0), BT601, LIMITED, 8, (81, 90, 240)),
        ((0, 0, 1), BT601, LIMITED, 8, (41, 240, 110)),
        ((0, 1, 0), BT2020, LIMITED, 8, (164, 47, 25)),
        ((1, 1, 1), BT709, FULL, 8, (255, 128, 128)),
        ((1, 0, 0), BT709, FULL, 8, (54, 99, 255)),
        ((1, 0, 0), BT709, LIMITED, 10, (250, 409, 960)),
        ((1, 1, 1), BT601, LIMITED, 10, (940, 512, 512)),
    ],
)
def test_code_values_by_hand(rgb, matrix, colour_range, depth, code):
    image = torch.tensor(rgb, dtype=torch.float32)[:, None, None].expand(3, 4, 4)
    pix_fmt = "yuv420p" if depth == 8 else "yuv420p10le"
    tags = ColourTags(matrix=matrix, range=colour_range)
    frame = Converter("h264").to_frame(image, pix_fmt, tags)
    kind = np.uint8 if depth == 8 else np.dtype("<u2")
    values = tuple(int(np.frombuffer(bytes(plane), dtype=kind)[0]) for plane in frame.planes)
    assert values == code


@pytest.mark.parametrize("matrix", [2, BT601, BT709, BT2020, 7])
@pytest.mark.parametrize("colour_range", [0, LIMITED, FULL])
@pytest.mark.parametrize(
    ("pix_fmt", "limit"),
    [("yuv420p", 1), ("yuv422p", 1), ("yuv444p", 1), ("yuv420p10le", 0.5), ("nv12", 1)],
)
def test_flat_patches_there_and_back(matrix, colour_range, pix_fmt, limit):
    tags = ColourTags(matrix=matrix, range=colour_range)
    frame = Converter("h264").to_frame(patches(), pix_fmt, tags)
    image = Converter("h264").to_tensor(frame)
    assert patch_error(image, 10 if "10" in pix_fmt else 8) <= limit + 1e-3


@pytest.mark.parametrize("pix_fmt", ["gbrp", "rgb24", "gbrp10le", "rgb48le", "gbrpf32le", "bgra"])
def test_rgb_formats_keep_their_values(pix_fmt):
    frame = Converter("h264").to_frame(smooth(), pix_fmt, ColourTags())
    assert (Converter("h264").to_tensor(frame) - smooth()).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    ("pix_fmt", "dtype"),
    [
        ("yuv420p", torch.uint8),
        ("yuvj422p", torch.uint8),
        ("bgra", torch.uint8),
        ("yuva444p10le", torch.int16),
        ("gbrp12le", torch.int16),
        ("rgba64le", torch.int16),
        ("gray16le", torch.int16),
    ],
)
@pytest.mark.parametrize("turned", [Orientation(), Orientation(True, True, False)])
@pytest.mark.parametrize("size", [None, (32, 20)])
def test_code_values_travel_and_become_the_same_tensor(monkeypatch, pix_fmt, dtype, turned, size):
    alpha = smooth()[:1] if has_alpha(pix_fmt) else None
    frame = Converter("h264").to_frame(smooth(), pix_fmt, ColourTags(), alpha)
    expected = [each for each in converted(frame, turned, size) if each is not None]
    travelled: list[Tensor] = []

    def to_device(tensor: Tensor, device: object) -> Tensor:
        travelled.append(tensor)
        return tensor

    monkeypatch.setattr("dreamvid.media.colour.to_device", to_device)
    monkeypatch.setattr("dreamvid.media.colour._travels_to", lambda device: True)
    found = [each for each in converted(frame, turned, size) if each is not None]
    assert {tensor.dtype for tensor in travelled} == {dtype}
    assert len(found) == len(expected) == 1 + has_alpha(pix_fmt)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


def converted(
    frame: av.VideoFrame, turned: Orientation, size: tuple[int, int] | None
) -> tuple[Tensor, Tensor | None]:
    """Image and alpha of a picture."""
    converter = Converter("h264", turned)
    return converter.to_tensor(frame, size), converter.to_alpha(frame, size)


@pytest.mark.parametrize(
    ("pix_fmt", "top", "dtype"),
    [("gbrp", 255, torch.uint8), ("gbrp10le", 1023, torch.int16), ("gbrp16le", 65535, torch.int16)],
)
def test_every_code_value_comes_back(monkeypatch, pix_fmt, top, dtype):
    brought: list[Tensor] = []

    def to_host(tensor: Tensor) -> Tensor:
        brought.append(tensor)
        return tensor

    monkeypatch.setattr("dreamvid.media.colour.to_host", to_host)
    levels = torch.arange(65536).remainder(top + 1).view(1, 256, 256).expand(3, -1, -1)
    frame = Converter("h264").to_frame(levels / top, pix_fmt, ColourTags())
    assert [tensor.dtype for tensor in brought] == [dtype]
    assert torch.equal((Converter("h264").to_tensor(frame) * top).round().long(), levels)


def test_alpha_in_floating_point_keeps_its_values():
    alpha = smooth()[:1]
    frame = Converter("h264").to_frame(smooth(), "gbrapf32le", ColourTags(), alpha)
    found = Converter("h264").to_alpha(frame)
    assert found is not None
    assert torch.equal(found, alpha)


def test_grey_is_neutral():
    frame = Converter("h264").to_frame(patches(), "gray", ColourTags(range=FULL))
    image = Converter("h264").to_tensor(frame)
    assert (image - image[:1]).abs().max() < 1e-6
    assert image[0, 0, 56] == pytest.approx(1)


def test_float_matmul_settings_do_not_matter():
    def code() -> bytes:
        return bytes(Converter("h264").to_frame(smooth(), "yuv444p", ColourTags()).planes[0])

    exact = code()
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert code() == exact
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize(("height", "matrix"), [(719, BT601), (720, BT709), (1080, BT709)])
def test_unspecified_matrix_goes_by_height(height, matrix):
    assert luma_weights(2, height) == luma_weights(matrix, 100)


def test_unknown_matrix_is_refused():
    with pytest.raises(MediaError, match=r"colour matrix 8 .* allowed: 0, 2, 1,"):
        luma_weights(8, 100)


def test_tags_for_a_change_between_rgb_and_yuv():
    rgb, yuv = ColourTags(1, 13, 0, FULL), ColourTags(9, 16, 9, LIMITED)
    assert tags_for(rgb, "yuv420p", 480) == ColourTags(1, 13, BT601, LIMITED)
    assert tags_for(rgb, "yuv420p", 1080).matrix == BT709
    assert tags_for(yuv, "gbrp", 480) == ColourTags(9, 16, 0, FULL)
    assert tags_for(yuv, "yuv444p", 480) == yuv
    assert tags_for(yuv, "yuvj420p", 480).range == tags_for(rgb, "yuvj420p", 480).range == FULL


def written(path: Path, image: Tensor, info: VideoInfo, config: WriteConfig) -> Tensor:
    """`image`, written and read back."""
    with VideoWriter(path, info, config) as writer:
        for k in range(3):
            writer.write(Frame(image, Fraction(k, 24)))
    with VideoReader(path) as reader:
        return list(reader)[1].image


def info_of(image: Tensor, tags: ColourTags) -> VideoInfo:
    _, height, width = image.shape
    return VideoInfo(width, height, rate=Fraction(24), time_base=Fraction(1, 24), colour=tags)


TAGS = [
    ColourTags(),
    ColourTags(BT709, BT709, BT709, LIMITED),
    ColourTags(BT601, BT601, BT601, LIMITED),
    ColourTags(5, 6, 5, FULL),
    ColourTags(BT709, 13, BT709, FULL),
    ColourTags(9, 14, BT2020, LIMITED),
]


@pytest.mark.parametrize("tags", TAGS)
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_files_keep_colours_and_tags(tmp_path, suffix, tags):
    path = tmp_path / f"a.{suffix}"
    back = written(path, smooth(), info_of(smooth(), tags), WriteConfig(crf=1))
    assert (back - smooth()).abs().mean() * 255 <= 1.5
    assert probe(path).colour == tags


@pytest.mark.parametrize("tags", TAGS)
def test_flat_colours_survive_a_file(tmp_path, tags):
    image = patches(32)
    back = written(tmp_path / "a.mp4", image, info_of(image, tags), WriteConfig(crf=0))
    assert patch_error(back) <= 1.001


def test_unspecified_round_trips_at_both_heights(tmp_path):
    for height in (32, 720):
        image = patches(height)
        path = tmp_path / f"{height}.mp4"
        back = written(path, image, info_of(image, ColourTags()), WriteConfig(crf=0))
        assert patch_error(back) <= 1.001
        assert probe(path).colour == ColourTags()


def test_444_is_nearly_exact(tmp_path):
    config = WriteConfig(crf=0, pix_fmt="yuv444p")
    back = written(tmp_path / "a.mp4", smooth(), info_of(smooth(), ColourTags()), config)
    assert (back - smooth()).abs().mean() * 255 <= 0.6


def test_ten_bits_are_kept(tmp_path):
    ramp = torch.linspace(0.2, 0.3, 256).expand(3, 32, 256).contiguous()
    config = WriteConfig(codec="ffv1", pix_fmt="yuv420p10le")
    back = written(tmp_path / "a.mkv", ramp, info_of(ramp, ColourTags()), config)
    assert len(set(back[0, 0].tolist())) > 60  # 8 bits have 26 steps here
    assert (back - ramp).abs().max() * 255 < 0.35


def test_rgb_file_is_exact(tmp_path):
    image = (smooth() * 255).round() / 255
    config = WriteConfig(codec="ffv1", pix_fmt="bgr0")
    back = written(tmp_path / "a.mkv", image, info_of(image, ColourTags()), config)
    assert torch.equal((back * 255).round(), (image * 255).round())


def test_full_range_of_a_yuvj_source(tmp_path):
    tags = ColourTags(range=FULL)
    frame = Converter("h264").to_frame(patches(), "yuvj420p", tags)
    assert frame.format.name == "yuvj420p"
    frame.color_range = 0
    assert patch_error(Converter("h264").to_tensor(frame)) <= 1.001
