"""Whatever real footage brings, through reader, loop and writer with a fake guide."""

from __future__ import annotations

import dataclasses
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.packet import Packet
from av.video.stream import VideoStream
from torch import Tensor

from dreamvid.config import VideoConfig
from dreamvid.errors import MediaError
from dreamvid.film.sequence import constant_settings, dream_frames
from dreamvid.media import (
    ColourTags,
    SoundSource,
    VideoInfo,
    VideoReader,
    VideoWriter,
    probe,
    read_image,
)
from dreamvid.media.colour import Converter, filter_graph
from dreamvid.media.image_sequence import ImageSequenceReader, ImageSequenceWriter
from dreamvid.types import Frame
from tests.fakes import KnownFlow, TowardsColour
from tests.media.clips import (
    Clip,
    index_of,
    make,
    picture,
    samples_of,
    steady,
    times_of,
    tone,
    uneven,
)

COUNT = 8
QUICK = VideoConfig(
    steps=1, first_steps=1, octaves=1, cutouts=2, cuts=False, strength=0.004, size="source"
)
"""So weak that pictures and colours stay recognisable."""


def dream(source: Path, out: Path, **options: Any) -> list[str]:
    """`source` as `dreamvid video` dreams it, but for guide and flow; the warnings."""
    config = QUICK.model_copy(update=options)
    warnings: list[str] = []
    with VideoReader(
        source,
        start=config.start,
        end=config.end,
        rate=config.fps,
        size=config.size,
        on_warning=warnings.append,
    ) as reader:
        sound = SoundSource(
            source, config.start, config.end, origin=reader.origin, on_warning=warnings.append
        )
        with VideoWriter(out, reader.info, config, sound=sound) as writer:
            for dreamed in dream_frames(
                reader,
                constant_settings([TowardsColour((1, 0, 0))], config),
                flow=KnownFlow(0),
                is_cut=lambda current, previous: False,
            ):
                writer.write(dreamed.frame)
        sound.close()
    return warnings


def read(path: Path) -> list[Frame]:
    with VideoReader(path) as reader:
        return list(reader)


def upright(image: Tensor) -> Tensor:
    return image


@dataclass(frozen=True)
class Kind:
    """What to make, and what the result must be."""

    suffix: str = "mp4"
    clip: Clip = field(default_factory=Clip)
    turn: Callable[[Tensor], Tensor] = upright
    """From the displayed picture back to the coded one."""
    out: dict[str, Any] = field(default_factory=dict)
    tolerance: float = 3
    """Mean error of 255 against what was encoded; the clips are small and coloured."""


def kind(suffix: str = "mp4", **changes: Any) -> Kind:
    own = {key: changes.pop(key) for key in list(changes) if key in Kind.__dataclass_fields__}
    base = Clip(times=steady(COUNT))
    return Kind(suffix, dataclasses.replace(base, **changes), **own)


BT601 = ColourTags(6, 6, 6, 1)
BT709 = ColourTags(1, 1, 1, 1)
BT2020 = ColourTags(9, 14, 9, 1)
NO_OPTIONS: dict[str, str] = {}
INTRA_10 = {
    "codec": "prores_ks",
    "options": {"profile": "3"},
    "pix_fmt": "yuv422p10le",
    "size": (128, 96),
}
KINDS = {
    "b-frames": kind(options={"crf": "6", "bf": "3", "b_strategy": "0"}),
    "open GOP": kind("mkv", options={"crf": "6", "bf": "2", "g": "4", "x264-params": "open-gop=1"}),
    "phone": kind(
        "mov",
        times=uneven(COUNT),
        time_base=Fraction(1, 600),
        rotation=-90,
        turn=lambda image: image.rot90(1, (1, 2)),
    ),
    "upside down": kind(rotation=180, turn=lambda image: image.rot90(2, (1, 2))),
    "mirrored": kind(hflip=True, turn=lambda image: image.flip(2)),
    "late, by an edit list": kind(
        times=[time + Fraction(1, 2) for time in steady(COUNT)],
        options={"crf": "6", "bf": "3", "b_strategy": "0"},
    ),
    "late": kind("mkv", times=[time + Fraction(1, 2) for time in steady(COUNT)]),
    "4:2:2": kind(pix_fmt="yuv422p", tolerance=2),
    "4:4:4": kind(pix_fmt="yuv444p", tolerance=2),
    "10 bits": kind(
        "mkv", codec="ffv1", options=NO_OPTIONS, pix_fmt="yuv420p10le", tolerance=2,
        out={"pix_fmt": "yuv420p10le"},
    ),
    "ProRes": kind("mov", **INTRA_10, out={"pix_fmt": "yuv420p10le", "codec": "libx265"}),
    "R'G'B'": kind("mov", codec="png", options=NO_OPTIONS, pix_fmt="rgb24"),
    "grey": kind("mkv", codec="ffv1", options=NO_OPTIONS, pix_fmt="gray", tolerance=40),
    "full range": kind(tags=dataclasses.replace(BT709, range=2)),
    "BT.601": kind(tags=BT601),
    "BT.709": kind(tags=BT709),
    "BT.2020": kind(tags=BT2020),
    "pixel shape": kind(aspect=Fraction(16, 11)),
    "VP9": kind("webm", codec="libvpx-vp9", options={"crf": "8"}),
    "AV1": kind("mp4", codec="libsvtav1", options={"crf": "10", "preset": "10"}, size=(128, 96)),
    "broadcast": kind("ts", sound="aac"),
    "program stream": kind("mpg", codec="mpeg2video", options={"qmin": "1", "qmax": "2"}),
    "two sounds": kind("mkv", sound="aac", tracks=2),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_kinds(tmp_path, capfd, name, suffix):
    case = KINDS[name]
    source = make(tmp_path / f"source.{case.suffix}", case.clip)
    out = tmp_path / f"out.{suffix}"
    assert dream(source, out, crf=6, **case.out) == []
    before, after = read(source), read(out)
    assert len(before) == len(after) == COUNT
    tick = Fraction(1, 2000) if suffix == "mkv" else 0
    assert all(abs(a.time - b.time) <= tick for a, b in zip(before, after, strict=True))
    images = [case.turn(frame.image) for frame in after]
    assert [index_of(image) for image in images] == list(range(COUNT))
    wanted = [picture(index, *case.clip.size) for index in range(COUNT)]
    errors = [(a - b).abs().mean() * 255 for a, b in zip(images, wanted, strict=True)]
    assert max(errors) < case.tolerance
    a, b = probe(source), probe(out)
    assert (b.width, b.height, b.rotation) == (a.width, a.height, 0)
    assert b.pix_fmt.replace("j", "") == case.out.get("pix_fmt", "yuv420p")
    assert b.sample_aspect_ratio == a.sample_aspect_ratio
    assert [(t.codec, t.rate, t.layout) for t in b.sound] == [
        (t.codec, t.rate, t.layout) for t in a.sound
    ]
    if a.colour.matrix != 0 and case.clip.tags != ColourTags():
        assert b.colour == a.colour
    assert capfd.readouterr().err == ""


def test_ten_bits_stay_ten_bits(tmp_path):
    ramp = torch.linspace(0.2, 0.3, 256).expand(3, 64, 256)
    source, out = tmp_path / "a.mkv", tmp_path / "b.mkv"
    tags = ColourTags(1, 1, 1, 1)
    info = dataclasses.replace(probe(make(tmp_path / "x.mp4", Clip())), width=256, height=64)
    config = VideoConfig(codec="ffv1", pix_fmt="yuv420p10le")
    info = dataclasses.replace(info, colour=tags)
    with VideoWriter(source, info, config) as writer:
        writer.write(Frame(ramp, Fraction(0)))
    dream(source, out, codec="ffv1", pix_fmt="yuv420p10le", strength=0.0)
    (frame,) = read(out)
    assert len(set(frame.image[1, 0].tolist())) > 60  # 8 bits have 23 levels there


# Colour


@pytest.mark.parametrize("tags", [BT601, BT709, BT2020], ids=["601", "709", "2020"])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize(("pix_fmt", "bar"), [("yuv444p", 1.0), ("yuv420p", 1.5)])
def test_colour_survives_decoding_and_encoding(tmp_path, tags, full, pix_fmt, bar):
    tags = dataclasses.replace(tags, range=2 if full else 1)
    source, out = tmp_path / "a.mkv", tmp_path / "b.mkv"
    size = (192, 144)
    make(source, dataclasses.replace(
        Clip(times=steady(2)), codec="ffv1", options={}, pix_fmt=pix_fmt, tags=tags, size=size
    ))  # fmt: skip
    dream(source, out, codec="ffv1", pix_fmt=pix_fmt, strength=0.0)
    assert probe(out).colour == tags
    for index, (frame, again) in enumerate(zip(read(source), read(out), strict=True)):
        assert (again.image - frame.image).abs().mean() * 255 < bar / 2
        error = (again.image - picture(index, *size)).abs() * 255
        assert error.mean() < bar
        assert error[:, :, : size[0] // 4 - 12].max() < 1  # beyond reach of the chroma's filter


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_in_one_line(tmp_path, transfer, name):
    tags = ColourTags(9, transfer, 9, 1)
    source = make(tmp_path / "a.mkv", Clip(times=steady(2), pix_fmt="yuv420p10le", tags=tags))
    for opens in (VideoReader, read_image):
        with pytest.raises(MediaError, match=rf"a\.mkv' is HDR \({name}, .*allowed: SDR") as caught:
            opens(source)
        assert "\n" not in str(caught.value)
    assert probe(source).colour == tags


# Interlaced


def combed(count: int, size: tuple[int, int]) -> Iterator[Tensor]:
    """A bright bar that moves 4 pixels a field, even rows first."""
    width, height = size
    x = torch.arange(width).expand(height, width)
    rows = torch.arange(height)[:, None] % 2
    for index in range(count):
        left = 8 + 8 * index + 4 * rows
        bar = ((x >= left) & (x < left + 24)).float()
        yield (0.1 + 0.8 * bar).expand(3, height, width)


def make_interlaced(path: Path, size: tuple[int, int] = (192, 64)) -> Path:
    with av.open(str(path), "w") as container:
        options = {"crf": "1", "bf": "0", "flags": "+ildct", "x264-params": "mbtree=0"}
        stream = container.add_stream("libx264", rate=25, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size
        graph = None
        for index, image in enumerate(combed(COUNT, size)):
            frame = Converter("h264").to_frame(image, "yuv420p", BT709)
            graph = graph or filter_graph(frame, ("setfield", "tff"))
            graph.vpush(frame)
            flagged = graph.vpull()
            flagged.pts, flagged.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(flagged))
        container.mux(stream.encode(None))
    return path


def comb(image: Tensor) -> float:
    """How much rows differ from their neighbours' mean."""
    inner = image[:, 1:-1] - (image[:, :-2] + image[:, 2:]) / 2
    return float(inner.abs().mean())


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_interlaced_is_made_whole_at_the_same_rate(tmp_path, suffix):
    source = make_interlaced(tmp_path / "source.mp4")
    assert probe(source).interlaced
    before = [comb(image) for image in combed(COUNT, (192, 64))]
    out = tmp_path / f"out.{suffix}"
    assert dream(source, out, crf=1) == []
    frames = read(out)
    assert [frame.time for frame in frames] == steady(COUNT, 25)
    after = [comb(frame.image) for frame in frames]
    assert all(b < a / 6 for a, b in zip(before[1:-1], after[1:-1], strict=True))
    assert not probe(out).interlaced
    for index, frame in enumerate(frames[1:-1], 1):  # the first field's moment
        columns = frame.image.mean((0, 1)) > 0.5
        assert abs(int(columns.nonzero()[0]) - (8 + 8 * index)) <= 2


def test_progressive_pictures_do_not_pass_the_filter(clip):
    with VideoReader(clip()) as reader:
        images = [frame.image for frame in reader]
    assert all(index_of(image) == index for index, image in enumerate(images))


# A size that changes


def make_growing(path: Path) -> Path:
    """Four frames of 64×48, then four of 128×96, in one stream."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=24, options={"qmin": "1", "qmax": "2"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj444p"
        for half, size in enumerate([(64, 48), (128, 96)]):
            encoder = stream.codec_context if half == 0 else av.CodecContext.create("mjpeg", "w")
            assert isinstance(encoder, av.VideoCodecContext)
            if half:
                encoder.width, encoder.height, encoder.pix_fmt = *size, "yuvj444p"
                encoder.time_base, encoder.options = Fraction(1, 24), {"qmin": "1", "qmax": "2"}
            packets: list[Packet[Any]] = []
            for index in range(4 * half, 4 * half + 4):
                tags = ColourTags(matrix=6, range=2)
                frame = Converter("mjpeg").to_frame(picture(index, *size), "yuvj444p", tags)
                frame.pts, frame.time_base = index, Fraction(1, 24)
                packets += encoder.encode(frame)
            packets += encoder.encode(None) if half else []
            for packet in packets:
                packet.stream = stream
            container.mux(packets)
    return path


def test_a_size_that_changes_is_scaled_to_the_first(tmp_path):
    source = make_growing(tmp_path / "a.mkv")
    (warning,) = dream(source, tmp_path / "b.mp4")
    assert "size changes to 128x96 at 0.167 s" in warning
    frames = read(tmp_path / "b.mp4")
    assert [index_of(frame.image) for frame in frames] == list(range(COUNT))
    assert {tuple(frame.image.shape) for frame in frames} == {(3, 48, 64)}


# Times


def make_stamped(path: Path, stamps: Sequence[int], sound: bool = False) -> Path:
    """One frame a stamp, in ms, without B-frames; sound of the same span where asked for."""
    with av.open(str(path), "w", container_options={"avoid_negative_ts": "disabled"}) as container:
        stream = container.add_stream("ffv1", rate=20)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = 64, 48
        stream.codec_context.time_base = Fraction(1, 1000)
        tone = container.add_stream("pcm_s16le", rate=8000, layout="mono") if sound else None
        packets: list[Packet[Any]] = []
        for index, stamp in enumerate(stamps):
            frame = Converter("ffv1").to_frame(picture(index), "yuv420p", BT709)
            frame.pts, frame.time_base = index, Fraction(1, 1000)
            for packet in stream.encode(frame):
                packet.pts = packet.dts = stamp
                packets.append(packet)
        if isinstance(tone, av.AudioStream):
            for begin in range(stamps[0] * 8, stamps[-1] * 8, 400):
                block = av.AudioFrame(format="s16", layout="mono", samples=400)
                block.sample_rate, block.pts, block.time_base = 8000, begin, Fraction(1, 8000)
                packets += tone.encode(block)
        container.mux(sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base))
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("sound", [False, True])
def test_negative_times_begin_at_0(tmp_path, suffix, sound):
    stamps = [-300 + 50 * k for k in range(COUNT)]
    source = make_stamped(tmp_path / "a.mkv", stamps, sound)
    assert times_of(source)[0] < 0
    out = tmp_path / f"b.{suffix}"
    options = {"sound": False} if suffix == "mp4" else {}  # which holds no PCM
    assert dream(source, out, **options) == []
    frames = read(out)
    assert [frame.time for frame in frames] == steady(COUNT, 20)
    assert [index_of(frame.image) for frame in frames] == list(range(COUNT))
    if sound and suffix == "mkv":
        with av.open(str(out)) as container:
            block = next(container.decode(audio=0))
            assert block.pts == 0


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_large_times_stay(tmp_path, suffix):
    stamps = [100_000 + 50 * k for k in range(COUNT)]
    source = make_stamped(tmp_path / "a.mkv", stamps)
    assert dream(source, tmp_path / f"b.{suffix}") == []
    frames = read(tmp_path / f"b.{suffix}")
    assert [frame.time for frame in frames] == [Fraction(stamp, 1000) for stamp in stamps]


def test_a_broadcast_s_clock_begins_at_0(tmp_path):
    times = [time + 100 for time in steady(COUNT)]
    source = make(tmp_path / "a.ts", Clip(times=times))
    assert probe(source).start_time > 90
    dream(source, tmp_path / "b.mp4")
    a, b = read(source), read(tmp_path / "b.mp4")
    assert [frame.time for frame in a] == [frame.time for frame in b]
    assert 0 <= a[0].time < Fraction(1, 10)
    with VideoReader(source, start=a[4].time) as reader:
        assert index_of(next(iter(reader)).image) == 4


def test_frames_at_one_time_are_told_and_left_out(tmp_path):
    stamps = [0, 50, 50, 100, 150, 150, 200, 250]
    source = make_stamped(tmp_path / "a.mkv", stamps)
    warnings = dream(source, tmp_path / "b.mp4")
    assert [frame.time * 1000 for frame in read(tmp_path / "b.mp4")] == sorted(set(stamps))
    assert len(warnings) == 2 and "follows one at 0.050 s and is left out" in warnings[0]


def test_missing_times_are_counted(tmp_path):
    source = make(tmp_path / "a.h264", Clip(times=steady(COUNT), options={"bf": "0"}))
    for suffix in ("mp4", "mkv"):
        dream(source, tmp_path / f"b.{suffix}")
        frames = read(tmp_path / f"b.{suffix}")
        assert [index_of(frame.image) for frame in frames] == list(range(COUNT))


def trim(path: Path, frames: int) -> Path:
    """Let the edit lists of an MP4 of 24 frames a second hide its first frames, and their sound."""
    data = bytearray(path.read_bytes())
    at = 0
    for ticks in (ticks_of(data, b"vide"), ticks_of(data, b"soun")):
        at = data.index(b"elst", at) + 12
        duration, begin = struct.unpack(">Ii", data[at : at + 8])
        cut = duration - frames * ticks_of(data, b"") // 24, begin + frames * ticks // 24
        data[at : at + 8] = struct.pack(">Ii", *cut)
    path.write_bytes(data)
    return path


def ticks_of(data: bytes | bytearray, handler: bytes) -> int:
    """Ticks a second of the track of that kind; of the whole film for none."""
    if not handler:
        at = data.index(b"mvhd") + 16
    else:
        track = next(
            data.index(b"mdhd", at)
            for at in (match.start() for match in re.finditer(b"trak", data))
            if data[data.index(b"hdlr", at) + 12 :].startswith(handler)
        )
        at = track + 16
    return int.from_bytes(data[at : at + 4], "big")


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("delay", ["0", "3"])
def test_what_an_edit_list_hides_stays_hidden(tmp_path, suffix, delay):
    options = {"crf": "6", "bf": delay, "b_strategy": "0"}
    clip = Clip(times=steady(COUNT + 20), options=options, sound="aac")
    source = trim(make(tmp_path / "a.mp4", clip), 20)
    out = tmp_path / f"b.{suffix}"
    assert dream(source, out) == []
    frames = read(out)
    assert [index_of(frame.image) for frame in frames] == list(range(20, 20 + COUNT))
    for path in (source, out):
        heard = samples_of(path, 12_000)[2_000:12_000]
        wanted = tone(np.arange(2_000, 12_000) + 40_000)
        assert np.abs(heard - wanted).mean() < 0.02, path
    with VideoReader(source, start=Fraction(1, 8)) as reader:
        assert index_of(next(iter(reader)).image) == 23


def test_a_jump_back_in_time_is_told_once_and_the_rest_keeps_its_times(tmp_path):
    long, short = Clip(times=steady(COUNT), sound="mp2"), Clip(times=steady(3), sound="mp2")
    source = tmp_path / "joined.ts"  # as two recordings are
    parts = [make(tmp_path / f"{k}.ts", clip) for k, clip in enumerate((short, long))]
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    for suffix in ("mp4", "mkv"):
        warnings = dream(source, tmp_path / f"b.{suffix}")
        back = [text for text in warnings if text.endswith("left out, with all until a later one")]
        assert len(back) == 1
        frames = read(tmp_path / f"b.{suffix}")
        times = [frame.time - frames[0].time for frame in frames]
        gaps = zip(times, steady(COUNT), strict=True)
        assert all(abs(a - b) <= Fraction(1, 999) for a, b in gaps)
        assert [index_of(frame.image) for frame in frames[3:]] == list(range(3, COUNT))


# What stands beside the pictures

CHAPTERS = [(0, 100, "One"), (100, 250, "Zwei 🍄"), (250, 400, "Three")]
TEXTS = [(0, 90, b"first"), (100, 120, b"second"), (300, 50, b"third")]


def make_rich(path: Path, subtitles: str | None = "subrip") -> Path:
    """Chapters, metadata and, but for None, two tracks of subtitles; 8 frames, 20 a second."""
    with av.open(str(path), "w") as container:
        container.metadata.update({"title": "Meer & Möwen", "artist": "someone"})
        container.set_chapters(
            [
                {"id": k, "start": a, "end": b, "time_base": Fraction(1, 1000),
                 "metadata": {"title": title}}
                for k, (a, b, title) in enumerate(CHAPTERS)
            ]
        )  # fmt: skip
        stream = container.add_stream("libx264", rate=20, options={"bf": "0", "crf": "6"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = 64, 48
        texts = [container.add_mux_stream(subtitles) for _ in range(2) if subtitles]
        for track, language in zip(texts, ("ger", "eng"), strict=False):
            track.metadata["language"] = language
            track.time_base = Fraction(1, 1000)
        packets: list[Packet[Any]] = []
        for index in range(COUNT):
            frame = Converter("h264").to_frame(picture(index), "yuv420p", BT709)
            frame.pts, frame.time_base = index, Fraction(1, 20)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for track in texts:
            for start, duration, text in TEXTS:
                packet = Packet(
                    text if subtitles == "subrip" else len(text).to_bytes(2, "big") + text
                )
                packet.pts = packet.dts = start
                packet.duration, packet.time_base, packet.stream = (
                    duration, Fraction(1, 1000), track,
                )  # fmt: skip
                packets.append(packet)
        container.mux(sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base))
    return path


def texts_of(path: Path, track: int = 0) -> list[tuple[int, int, bytes]]:
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[track]
        return [
            (
                round((packet.pts or 0) * packet.time_base * 1000),
                round((packet.duration or 0) * packet.time_base * 1000),
                bytes(packet),
            )
            for packet in container.demux(stream)
            if packet.size > 2
        ]


@pytest.mark.parametrize("first", ["mp4", "mkv"])
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_chapters_and_metadata_are_copied(tmp_path, first, suffix):
    source = make_rich(tmp_path / f"a.{first}", None)
    out = tmp_path / f"b.{suffix}"
    assert dream(source, out) == []
    info = probe(out)
    assert [
        (int(c.start * 1000), int(c.end * 1000), c.metadata["title"]) for c in info.chapters
    ] == CHAPTERS
    assert (info.metadata["title"], info.metadata["artist"]) == ("Meer & Möwen", "someone")
    assert len(read(out)) == COUNT


def test_chapters_are_cut_to_the_range(tmp_path):
    source = make_rich(tmp_path / "a.mkv")
    out = tmp_path / "b.mp4"
    dream(source, out, start=Fraction(15, 100), end=Fraction(3, 10))
    cut = [(int(c.start * 1000), int(c.end * 1000)) for c in probe(out).chapters]
    assert cut == [(0, 100), (100, 150)]


def test_subtitles_are_copied(tmp_path):
    source, out = make_rich(tmp_path / "a.mkv"), tmp_path / "b.mkv"
    assert dream(source, out) == []
    assert [(t.codec, t.language) for t in probe(out).subtitles] == [
        ("subrip", "ger"), ("subrip", "eng"),
    ]  # fmt: skip
    assert texts_of(out, 1) == texts_of(source, 1) == TEXTS
    assert dream(source, tmp_path / "c.mkv", subtitles=False) == []
    assert probe(tmp_path / "c.mkv").subtitles == ()


def test_subtitles_are_cut_to_the_range(tmp_path):
    source, out = make_rich(tmp_path / "a.mkv"), tmp_path / "b.mkv"
    dream(source, out, start=Fraction(1, 10) + Fraction(1, 20), end=Fraction(3, 10))
    assert texts_of(out) == [(0, 70, b"second")]


def test_subtitles_stay_in_mp4_and_mov(tmp_path):
    source = make_rich(tmp_path / "a.mp4", "mov_text")
    for suffix in ("mp4", "mov"):
        assert dream(source, tmp_path / f"b.{suffix}") == []
        assert texts_of(tmp_path / f"b.{suffix}") == texts_of(source)


STYLED = [(0, 90, "<i>erst\u00e9</i> 🍄"), (100, 120, "second\nline"), (300, 50, "third")]


@pytest.mark.parametrize(
    ("first", "codec", "suffix", "encoder"),
    [("mkv", "subrip", "mp4", "mov_text"), ("mkv", "subrip", "mov", "mov_text"),
     ("mp4", "mov_text", "mkv", "subrip"), ("mkv", "subrip", "webm", "webvtt")],
)  # fmt: skip
def test_subtitles_that_cannot_be_held_are_encoded(
    tmp_path, monkeypatch, first, codec, suffix, encoder
):
    texts = STYLED if codec == "subrip" else [(a, b, text.decode()) for a, b, text in TEXTS]
    monkeypatch.setattr(
        "tests.media.test_footage.TEXTS", [(a, b, text.encode()) for a, b, text in texts]
    )
    source, out = make_rich(tmp_path / f"a.{first}", codec), tmp_path / f"b.{suffix}"
    warnings = dream(source, out)
    assert len(warnings) == 2
    assert all(text.endswith(f"subtitles; encoded as {encoder}") for text in warnings)
    assert [track.codec for track in probe(out).subtitles] == [encoder] * 2
    assert [track.language for track in probe(out).subtitles] == ["ger", "eng"]
    # Back again, so that all formats tell their texts in the same words.
    dream(out, tmp_path / "c.mkv")
    found = [(a, b, text.decode().strip()) for a, b, text in texts_of(tmp_path / "c.mkv")]
    assert found == texts


def test_subtitles_that_are_cut_are_encoded_too(tmp_path):
    source, out = make_rich(tmp_path / "a.mkv"), tmp_path / "b.mp4"
    dream(source, out, start=Fraction(1, 10) + Fraction(1, 20), end=Fraction(3, 10))
    assert texts_of(out)[0] == (0, 70, b"\x00\x06second")


def test_subtitles_that_are_pictures_are_told_and_left_out(tmp_path):
    source = make_rich(tmp_path / "a.mkv", "hdmv_pgs_subtitle")
    warnings = dream(source, tmp_path / "b.mp4")
    assert len(warnings) == 2
    assert "mp4 cannot hold pgssub subtitles, left out" in warnings[0]
    assert probe(tmp_path / "b.mp4").subtitles == ()


NAMES = ["two words.mp4", 'it\'s "so".mp4', "🍄 réel.mkv", "-dash.mp4", "%03d.mkv", "a:b|c.mkv"]


@pytest.mark.parametrize("name", NAMES)
def test_names(tmp_path, name):
    source = make(tmp_path / name, Clip(times=steady(COUNT)))
    (tmp_path / "out").mkdir()
    dream(source, tmp_path / "out" / name)
    assert len(read(tmp_path / "out" / name)) == COUNT


# Alpha

RAMP = torch.linspace(0, 1, 96).expand(1, 72, 96)


def make_clear(path: Path, codec: str | None = None) -> Path:
    info = VideoInfo(96, 72, rate=Fraction(24), time_base=Fraction(1, 24), alpha=True, colour=BT709)
    with VideoWriter(path, info, VideoConfig(codec=codec)) as writer:
        for index in range(COUNT):
            writer.write(Frame(picture(index, 96, 72), Fraction(index, 24), alpha=RAMP))
    return path


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mov", "prores_ks"), ("a.mkv", "ffv1"), ("a.webm", None), ("a.mov", "qtrle"),
     ("a.mov", "png")],
)  # fmt: skip
def test_alpha_is_kept_beside_the_dream(tmp_path, name, codec):
    source = make_clear(tmp_path / name, codec)
    out = tmp_path / f"out-{name}"
    assert probe(source).alpha
    dream(source, out, codec=codec)
    assert probe(out).alpha
    for index, frame in enumerate(read(out)):
        assert index_of(frame.image) == index
        assert frame.alpha is not None
        assert (frame.alpha - RAMP).abs().max() * 255 < 1
        assert (frame.image - picture(index, 96, 72)).abs().mean() * 255 < 3


def test_alpha_is_scaled_and_turned_with_the_picture(tmp_path):
    source = make_clear(tmp_path / "a.mkv", "ffv1")
    with VideoReader(source, size="48") as reader:
        frame = next(iter(reader))
    assert frame.alpha is not None
    assert frame.alpha.shape == (1, 36, 48)
    assert (frame.alpha - RAMP[:, ::2, ::2]).abs().max() < 0.02


def test_opaque_footage_has_no_alpha(clip, tmp_path):
    assert not probe(clip()).alpha
    info = VideoInfo(64, 48, rate=Fraction(24), time_base=Fraction(1, 24))
    with VideoWriter(tmp_path / "a.gif", info, VideoConfig()) as writer:
        writer.write(Frame(picture(0), Fraction(0)))
        assert not writer.keeps_alpha
    assert not probe(tmp_path / "a.gif").alpha
    assert all(frame.alpha is None for frame in read(tmp_path / "a.gif"))


def test_pictures_keep_alpha(tmp_path):
    with ImageSequenceWriter(tmp_path / "%d.png") as writer:
        assert writer.keeps_alpha
        writer.write(Frame(picture(3, 96, 72), Fraction(0), alpha=RAMP))
    with ImageSequenceReader([tmp_path / "1.png"]) as reader:
        (frame,) = reader
    assert index_of(frame.image) == 3
    assert frame.alpha is not None
    assert (frame.alpha - RAMP).abs().max() * 255 <= 0.51
