"""Whether sound and picture stay together over an hour.

python scripts/drift.py [--minutes 60]

Makes films of a picture every ten seconds, on the clock of 23.976 frames a second, with a click at
each, passes them through reader and writer, and tells how far the clicks are from their pictures.
Exit status 1 where that is more than one frame.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from av.audio.stream import AudioStream

from dreamvid.config import WriteConfig
from dreamvid.media.probing import VideoInfo
from dreamvid.media.reader import VideoReader
from dreamvid.media.tracks import SoundSource
from dreamvid.media.writer import VideoWriter
from dreamvid.types import Frame

RATE = Fraction(24_000, 1001)
EVERY = 240
"""Frames from one that there is to the next: ten seconds."""
CLICK_S = 0.004
BLOCK_S = 60


def main() -> None:
    """Make, copy, listen and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    minutes = parser.parse_args().minutes
    worst = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for samples in (44_100, 48_000):
            source = make(folder, samples, minutes)
            for suffix, how in (("mp4", "copied"), ("mkv", "copied"), ("webm", "encoded anew")):
                offsets = measure(copy(source, folder / f"out.{suffix}"))
                print(
                    f"{samples} Hz {how} into {suffix:4}: {len(offsets)} clicks, from "
                    f"{min(offsets) * 1000:+.1f} to {max(offsets) * 1000:+.1f} ms, "
                    f"the last {offsets[-1] * 1000:+.1f} ms"
                )
                worst = max(worst, *map(abs, offsets))
    print(f"at most {worst * float(RATE):.2f} frames apart")
    sys.exit(worst > 1 / RATE)


def make(folder: Path, samples: int, minutes: int) -> Path:
    """A film with AAC of so many samples a second."""
    sound = folder / "sound.m4a"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=samples, layout="mono")
        assert isinstance(stream, AudioStream)
        for begin, wave in clicking(samples, minutes):
            frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = samples, begin, Fraction(1, samples)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    source = folder / f"{samples}.mp4"
    info = VideoInfo(64, 64, rate=RATE, time_base=1 / RATE)
    with (
        SoundSource(sound) as track,
        VideoWriter(source, info, WriteConfig(crf=40), sound=track) as writer,
    ):
        for time in times(minutes):
            writer.write(Frame(torch.full((3, 64, 64), 0.5), time, EVERY / RATE))
    return source


def times(minutes: int) -> list[Fraction]:
    """When the pictures are shown."""
    return [k * EVERY / RATE for k in range(int(minutes * 60 * RATE / EVERY))]


def clicking(samples: int, minutes: int) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of sound and where they begin, with a click around each picture's time."""
    moments = [float(time) for time in times(minutes)]
    for block in range(minutes * 60 // BLOCK_S):
        at = np.arange(block * BLOCK_S * samples, (block + 1) * BLOCK_S * samples)
        wave = np.zeros(len(at), np.float32)
        for moment in moments:
            if not -1 < moment - block * BLOCK_S < BLOCK_S + 1:
                continue
            near = np.abs(at / samples - moment) < CLICK_S
            wave[near] = 0.8 * np.cos(2 * np.pi * 2000 * (at[near] / samples - moment))
        for begin in range(0, len(at), 1024):
            yield int(at[0]) + begin, wave[begin : begin + 1024]


def copy(source: Path, out: Path) -> Path:
    """Through reader and writer, as `dreamvid video` does."""
    with (
        VideoReader(source) as reader,
        SoundSource(source, origin=reader.origin, on_warning=lambda message: None) as sound,
        VideoWriter(out, reader.info, WriteConfig(crf=40), overwrite=True, sound=sound) as writer,
    ):
        for frame in reader:
            writer.write(frame)
    return out


def measure(path: Path) -> list[float]:
    """By how many seconds each click comes after its picture; the first is but half a click."""
    with VideoReader(path) as reader:
        moments = [float(frame.time) for frame in reader][1:]
    return [click - moment for click, moment in zip(heard(path, moments), moments, strict=True)]


def heard(path: Path, moments: list[float]) -> Iterator[float]:
    """When the click around each moment sounds: the middle of what is loud within 0.2 s of it."""
    loud = {moment: np.zeros(2) for moment in moments}
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            begin = float((frame.pts or 0) * (frame.time_base or Fraction(0)))
            at = begin + np.arange(frame.samples) / frame.sample_rate
            energy = frame.to_ndarray()[0].astype(float) ** 2
            moment = moments[int(np.argmin(np.abs(np.array(moments) - begin)))]
            near = np.abs(at - moment) < 0.2
            loud[moment] += energy[near].sum(), (energy * at)[near].sum()
    yield from (weighted / total for total, weighted in loud.values())


if __name__ == "__main__":
    main()
