"""Animated WebP: its times to the millisecond, its alpha, and what is damaged."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dreamvid.config import ReadConfig
from dreamvid.errors import MediaError
from dreamvid.media import read_image, write_image
from dreamvid.media.source import Source, can_resume
from dreamvid.media.webp import AnimationReader
from dreamvid.types import Frame
from tests.media.clips import Clip, index_of, make, picture, steady

DURATIONS = [40, 70, 110, 33, 17, 250]
BEGINS = [0, 40, 110, 220, 253, 270]


def make_webp(
    path: Path, durations: Sequence[int] = DURATIONS, opaque: bool = True, loop: int = 3
) -> Path:
    """Lossless, frame k shown for durations[k] ms; not opaque, its rows grow clearer."""
    frames = []
    for index in range(len(durations)):
        planes = (picture(index).permute(1, 2, 0) * 255).round().byte().numpy()
        alpha = np.linspace(255, 255 if opaque else 10, 48).astype(np.uint8)
        alpha = np.broadcast_to(alpha[:, None, None], (48, 64, 1))
        frames.append(Image.fromarray(np.concatenate([planes, alpha], 2)))
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=list(durations), lossless=True,
        loop=loop, exact=True,
    )  # fmt: skip
    return path


def read(source: Path, **options: object) -> list[Frame]:
    def fail(message: str) -> None:
        raise AssertionError(message)

    with Source.find(source, ReadConfig.model_validate(options)).open(fail) as reader:
        return list(reader)


def indices(frames: Sequence[Frame]) -> list[int]:
    return [index_of(frame.image) for frame in frames]


def test_times_pictures_and_count_are_exact_and_it_is_shown_once(tmp_path):
    frames = read(make_webp(tmp_path / "a.webp"))
    assert [frame.time * 1000 for frame in frames] == BEGINS
    assert [(frame.duration or 0) * 1000 for frame in frames] == DURATIONS
    for index, frame in enumerate(frames):
        assert (frame.image - picture(index)).abs().max() * 255 <= 0.51
        assert frame.alpha is None


def test_what_is_told_of_it(tmp_path):
    info = Source.find(make_webp(tmp_path / "a.webp")).describe()
    assert (info.width, info.height, info.frame_count, info.alpha) == (64, 48, 6, False)
    assert (info.duration, info.rate) == (Fraction(52, 100), Fraction(600, 52))
    assert (info.container, info.codec) == ("webp", "webp")


def test_alpha_is_kept(tmp_path):
    for frame in read(make_webp(tmp_path / "a.webp", opaque=False)):
        assert frame.alpha is not None
        assert torch.allclose(frame.alpha[0, :, 5] * 255, torch.linspace(255, 10, 48), atol=1)


def test_a_frame_of_no_duration_is_shown_as_browsers_do(tmp_path):
    frames = read(make_webp(tmp_path / "a.webp", [40, 0, 30]))
    assert [frame.time * 1000 for frame in frames] == [0, 40, 140]


def test_range_rate_and_size(tmp_path):
    path = make_webp(tmp_path / "a.webp")
    cut = read(path, start="0.1", end="0.26")
    assert indices(cut) == [2, 3, 4]
    assert [frame.time * 1000 for frame in cut] == [10, 120, 153]
    assert cut[-1].duration == Fraction(7, 1000)
    assert indices(read(path, fps="10")) == [0, 1, 2, 5, 5, 5]
    assert tuple(read(path, size="32x16")[0].image.shape) == (3, 16, 32)
    with pytest.raises(MediaError, match=r"no frame from 1 s on; allowed: times before 0\.52 s"):
        read(path, start="1")


def test_it_goes_on_after_any_frame(tmp_path):
    path = make_webp(tmp_path / "a.webp")
    assert can_resume(Source.find(path), Path("a.mp4"))
    with AnimationReader(path, size="32x16") as reader:
        reader.skip_past(Fraction(110, 1000))
        assert [frame.time * 1000 for frame in reader] == BEGINS[3:]


def test_a_picture_of_it_is_its_first(tmp_path):
    assert index_of(read_image(make_webp(tmp_path / "a.webp"))) == 0


def test_a_still_webp_stays_a_picture(tmp_path):
    write_image(tmp_path / "a.webp", picture(7))
    (frame,) = read(tmp_path / "a.webp")
    assert abs(index_of(frame.image) - 7) <= 1
    assert Source.find(tmp_path / "a.webp").describe().container == "pictures"


def broken(path: Path, index: int) -> Path:
    """The picture of frame `index` is noise."""
    data = bytearray(make_webp(path).read_bytes())
    at = -1
    for _ in range(index + 1):
        at = data.index(b"ANMF", at + 1)
    size = int.from_bytes(data[at + 4 : at + 8], "little")
    data[at + 33 : at + 8 + size - 1] = bytes(size - 26)
    path.write_bytes(data)
    return path


def test_a_damaged_frame_ends_it_with_a_warning(tmp_path):
    warnings: list[str] = []
    with AnimationReader(broken(tmp_path / "a.webp", 2), on_warning=warnings.append) as reader:
        assert indices(list(reader)) == [0, 1]
        assert reader.is_cut_short
    (warning,) = warnings
    assert warning.endswith("it is cut short at 0.110 s")


@pytest.mark.parametrize("cut", [40, 60, 2000])
def test_what_cannot_be_read_is_told_in_one_line(tmp_path, cut):
    path = make_webp(tmp_path / "a.webp")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(MediaError, match=r"a\.webp' cannot be read; allowed: an animated") as told:
        AnimationReader(path)
    assert "\n" not in str(told.value)
    with pytest.raises(MediaError):
        AnimationReader(broken(path, 0))


def test_a_canvas_that_would_fill_the_memory_is_refused(tmp_path):
    path = make_webp(tmp_path / "a.webp")
    data = bytearray(path.read_bytes())
    data[24:30] = (12_000).to_bytes(3, "little") * 2  # 144 million pixels
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"cannot be read"):
        AnimationReader(path)


@pytest.mark.parametrize("kind", ["animation", "pictures", "video"])
def test_every_kind_of_source_is_read_to_a_device_alpha_included(tmp_path, kind):
    if kind == "animation":
        path = make_webp(tmp_path / "in.webp", [100, 100], opaque=False)
    elif kind == "pictures":
        path = tmp_path / "in.png"
        write_image(path, picture(1), alpha=picture(2)[:1])
    else:
        path = make(tmp_path / "in.mp4", Clip(times=steady(3)))
    source = Source.find(path)
    assert source.kind == kind
    with source.open(pytest.fail, torch.device("meta")) as reader:
        tensors = [each for frame in reader for each in (frame.image, frame.alpha)]
    found = [each for each in tensors if each is not None]
    assert {each.device.type for each in found} == {"meta"}
    assert {each.shape[0] for each in found} == ({3} if kind == "video" else {3, 1})
