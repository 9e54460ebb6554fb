"""A card's decoder, with a stand-in that decodes on the host into the formats of NVDEC."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from av.video.stream import VideoStream

from dreamvid.media import ColourTags, VideoReader
from dreamvid.media.colour import Converter, filter_graph
from dreamvid.media.files import open_input
from dreamvid.media.hardware import (
    PLANAR,
    CardDecoder,
    as_decoded_by_host,
    card_decoder,
    planes_of,
)
from dreamvid.media.marks import mark_of
from tests.media.clips import Clip, make, picture, steady

CARD = "cuda:0"
NVDEC = {planar: form for form, planar in PLANAR.items()}
Change = Callable[[av.VideoFrame], av.VideoFrame]


def as_by_card(frame: av.VideoFrame) -> av.VideoFrame:
    """A picture in the format that NVDEC gives: blue and red in turn, 10 bits at the top of 16."""
    form = NVDEC.get(frame.format.name)
    if form is None:
        return frame
    given = frame.reformat(format=form)  # with all that is told of the picture
    luma, blue, red = (plane << (6 if form == "p010le" else 0) for plane in planes_of(frame))
    brightness, colour = planes_of(given)
    brightness[:], colour[:, ::2], colour[:, 1::2] = luma, blue, red
    return given


class FakeContainer:
    """A file whose decoded pictures are changed."""

    def __init__(self, path: Path, change: Change) -> None:
        self._container, self._change = open_input(path), change

    def decode(self, stream: VideoStream) -> Iterator[av.VideoFrame]:
        return map(self._change, self._container.decode(stream))

    def __enter__(self) -> FakeContainer:
        return self

    def __exit__(self, *error: object) -> None:
        self._container.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)


class FakeDecoder:
    """The decoder of a stream, whose pictures are those of a card."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream

    def decode(self, packet: Any) -> list[av.VideoFrame]:
        return [as_by_card(frame) for frame in self._stream.decode(packet)]


def install(monkeypatch: pytest.MonkeyPatch, change: Change = as_by_card) -> list[Path]:
    """Let the card decode like the host, and then change each picture; the files it opens."""
    opened: list[Path] = []

    def open_(self: CardDecoder, path: Path) -> FakeContainer:
        opened.append(path)
        return FakeContainer(path, change)

    monkeypatch.setattr("dreamvid.media.hardware.hwdevices_available", lambda: ["cuda"])
    monkeypatch.setattr(CardDecoder, "open", open_)
    return opened


@pytest.mark.parametrize("planar", NVDEC)
@pytest.mark.parametrize("codec", ["mpeg2video", "h264"])
@pytest.mark.parametrize("colour_range", [1, 2])
def test_the_formats_of_a_card_hold_the_same_tensors(planar, codec, colour_range):
    tags = ColourTags(matrix=1, range=colour_range)
    for size in ((64, 48), (66, 50), (65, 49)):
        frame = Converter(codec).to_frame(picture(3, *size), planar, tags)
        from_card = as_by_card(frame)
        assert from_card.format.name == NVDEC[planar]
        same = as_decoded_by_host(from_card)
        assert same.format.name == planar
        assert mark_of(same) == mark_of(frame)
        assert torch.equal(Converter(codec).to_tensor(same), Converter(codec).to_tensor(frame))


LIMITED_709 = ColourTags(1, 1, 1, 1)
CLIPS = {
    "8 bits": Clip(times=steady(12), tags=LIMITED_709),
    "10 bits": Clip(times=steady(12), pix_fmt="yuv420p10le"),
    "rotated": Clip(times=steady(12), rotation=90, tags=ColourTags(9, 1, 9, 1)),
    "interlaced": Clip(times=steady(12), options={"crf": "6", "x264-params": "tff=1"}),
}


@pytest.mark.parametrize("name", CLIPS)
def test_a_film_is_the_same_from_a_card(monkeypatch, tmp_path, name):
    path = make(tmp_path / "clip.mp4", CLIPS[name])
    with VideoReader(path) as reader:
        info, expected = reader.info, list(reader)
    opened = install(monkeypatch)
    assert card_decoder(path, CARD) is not None
    monkeypatch.setattr("dreamvid.media.reader.create_decoder", FakeDecoder)
    monkeypatch.setattr("dreamvid.travel._is_cuda", lambda device: False)
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: tensor)
    assert opened == [path]  # compared
    with VideoReader(path, device=CARD) as reader:
        assert reader.info == info
        frames = list(reader)
        reader.skip_past(expected[3].time)
        after = next(iter(reader))
    assert opened == [path, path, path]  # compared, read, and read again from another time
    for frame, other in zip([*frames, after], [*expected, expected[4]], strict=True):
        assert torch.equal(frame.image, other.image)
        assert (frame.time, frame.duration) == (other.time, other.duration)


def test_where_a_card_fails_in_a_film_the_host_goes_on(monkeypatch, tmp_path):
    path = make(tmp_path / "clip.mp4", CLIPS["8 bits"])
    with VideoReader(path) as reader:
        expected = list(reader)
    install(monkeypatch)
    given: list[av.VideoFrame] = []

    class FailingDecoder(FakeDecoder):
        def decode(self, packet: Any) -> list[av.VideoFrame]:
            if len(given) >= 5:
                raise av.FFmpegError(1, "no surface is left")
            given.extend(frames := super().decode(packet))
            return frames

    def create(stream: VideoStream) -> VideoStream | FakeDecoder:
        return FailingDecoder(stream) if len(given) < 5 else stream

    monkeypatch.setattr("dreamvid.media.reader.create_decoder", create)
    monkeypatch.setattr("dreamvid.travel._is_cuda", lambda device: False)
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: tensor)
    warned: list[str] = []
    with VideoReader(path, device=CARD, on_warning=warned.append) as reader:
        frames = list(reader)
    assert [frame.time for frame in frames] == [frame.time for frame in expected]
    assert all(torch.equal(a.image, b.image) for a, b in zip(frames, expected, strict=True))
    assert len(warned) == 1
    assert "the card fails" in warned[0]
    assert "the host decodes on" in warned[0]


def brighter(frame: av.VideoFrame) -> av.VideoFrame:
    """One code value higher in one pixel."""
    made = frame.reformat(format=frame.format.name)
    changed = as_by_card(made)
    bytes_ = bytearray(changed.planes[0])
    bytes_[0] += 1
    changed.planes[0].update(bytes(bytes_))
    return changed


def untagged(frame: av.VideoFrame) -> av.VideoFrame:
    frame.colorspace = 2
    return as_by_card(frame)


def sited_otherwise(frame: av.VideoFrame) -> av.VideoFrame:
    graph = filter_graph(frame, ("setparams", "chroma_location=center"))
    graph.vpush(frame)
    moved = graph.vpull()
    moved.pts = frame.pts
    return as_by_card(moved)


def of_16_bits(frame: av.VideoFrame) -> av.VideoFrame:
    return frame.reformat(format="p016le")


def broken(frame: av.VideoFrame) -> av.VideoFrame:
    raise av.FFmpegError(1, "no surface is left")


@pytest.mark.parametrize("change", [brighter, untagged, sited_otherwise, of_16_bits, broken])
def test_a_card_that_gives_anything_else_does_not_decode(monkeypatch, tmp_path, change):
    path = make(tmp_path / "clip.mp4", CLIPS["8 bits"])
    assert install(monkeypatch, change) == []
    assert card_decoder(path, CARD) is None


def test_a_file_is_compared_once_for_each_card_and_again_when_it_has_changed(monkeypatch, tmp_path):
    path = make(tmp_path / "clip.mp4", CLIPS["8 bits"])
    opened = install(monkeypatch)
    assert card_decoder(path, CARD) is not None
    assert card_decoder(path, CARD) is not None
    assert len(opened) == 1
    card_decoder(path, "cuda:1")
    assert len(opened) == 2
    make(path, replace(CLIPS["8 bits"], times=steady(9)))
    install(monkeypatch, brighter)
    assert card_decoder(path, CARD) is None
    install(monkeypatch)
    assert card_decoder(path, CARD) is None
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert card_decoder(path, CARD) is not None
    path.unlink()
    assert card_decoder(path, CARD) is None


@pytest.mark.parametrize(
    "clip",
    [
        replace(CLIPS["8 bits"], codec="mpeg4", options={}),
        replace(CLIPS["8 bits"], pix_fmt="yuv444p"),
        replace(CLIPS["8 bits"], tags=ColourTags(1, 1, 1, 2)),  # to FFmpeg another format, yuvj420p
        replace(CLIPS["8 bits"], codec="ffv1", options={}),
    ],
)
def test_only_what_a_standard_fixes_in_every_bit_is_left_to_a_card(monkeypatch, tmp_path, clip):
    path = make(tmp_path / "clip.mkv", clip)
    opened = install(monkeypatch)
    assert card_decoder(path, CARD) is None
    assert opened == []


def test_on_the_cpu_no_card_is_asked(monkeypatch, tmp_path):
    opened = install(monkeypatch)
    path = make(tmp_path / "clip.mp4", Clip(times=[Fraction(0), Fraction(1, 24)]))
    with VideoReader(path) as reader:
        assert len(list(reader)) == 2
    assert card_decoder(tmp_path / "none.mp4", CARD) is None  # which the reader then tells
    assert opened == []
