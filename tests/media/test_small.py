"""Small films: their frames, times and sound arrive, and their size is bounded."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import torch

from dreamvid.media import VideoReader
from dreamvid.media.probing import VideoInfo
from dreamvid.media.small import KILOBITS, SmallFilm
from dreamvid.types import Frame
from tests.media.clips import Clip, index_of, make, steady, uneven


def test_frames_keep_their_times_and_the_sound_is_aac(tmp_path):
    clip = make(tmp_path / "a.mp4", Clip(uneven(8), time_base=Fraction(1, 600), sound="aac"))
    with VideoReader(clip) as reader:
        film = SmallFilm(reader.info)
        for frame in reader:
            film.add(frame)
    small = tmp_path / "small.mp4"
    small.write_bytes(film.finish(clip))
    with VideoReader(small) as reader:
        frames = list(reader)
        assert [track.codec for track in reader.info.sound] == ["aac"]
    assert [index_of(frame.image) for frame in frames] == list(range(8))
    assert [frame.time for frame in frames] == uneven(8)


def test_many_channels_become_two(tmp_path):
    around = tmp_path / "a.mka"
    with av.open(str(around), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="5.1")
        wave = np.random.default_rng(0).normal(0, 0.1, (6, 1024)).astype(np.float32)
        for index in range(20):
            block = av.AudioFrame.from_ndarray(wave, format="fltp", layout="5.1")
            block.sample_rate, block.pts = 48_000, 1024 * index
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    film = SmallFilm(VideoInfo(64, 48, rate=Fraction(12), time_base=Fraction(1, 12)))
    film.add(Frame(torch.zeros(3, 48, 64), Fraction(0)))
    with av.open(io.BytesIO(film.finish(around))) as container:
        assert container.streams.audio[0].codec_context.layout.name == "stereo"


def test_noise_takes_no_more_than_it_may():
    seconds, rate = 4, 12
    film = SmallFilm(VideoInfo(160, 96, rate=Fraction(rate), time_base=Fraction(1, rate)))
    generator = torch.Generator().manual_seed(0)
    for index, time in enumerate(steady(seconds * rate, rate)):
        film.add(Frame(torch.rand(3, 96, 160, generator=generator), time))
        assert index < seconds * rate
    data = film.finish()
    assert 0.3 < len(data) / (KILOBITS * 1000 / 8 * seconds) < 1.3
    with av.open(io.BytesIO(data)) as container:
        assert not container.streams.audio
