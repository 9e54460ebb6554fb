"""Options that follow time and sound, on the command line."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.audio.stream import AudioStream

from dreamvid.media import probe, write_image
from dreamvid.media.info import packet_time
from tests.control.pieces import Samples, beat_times, clicks
from tests.media.clips import Clip, make, steady

QUICK = ["--steps", "1", "--first-steps", "1", "--cutouts", "2", "--octaves", "1", "-q"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames of 64×48 at 24 a second, with sound."""
    return make(tmp_path_factory.mktemp("in") / "in.mp4", Clip(times=steady(6), sound="aac"))


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small picture file."""
    path = tmp_path_factory.mktemp("in") / "picture.png"
    write_image(path, torch.rand(3, 36, 48, generator=torch.Generator().manual_seed(0)))
    return path


def write_sound(path: Path, samples: Samples, codec: str = "flac", rate: int = 22_050) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, AudioStream)
        whole = (np.asarray(samples) * 32767).astype(np.int16)[None]
        for begin in range(0, whole.shape[1], 4096):
            part = np.ascontiguousarray(whole[:, begin : begin + 4096])
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clicks at 120 beats a minute for eight seconds, the first at 0.25 s."""
    path = tmp_path_factory.mktemp("music") / "clicks.flac"
    return write_sound(path, clicks(beat_times(120, 8, 0.25), 8))


def test_music_becomes_the_sound_of_the_result_and_ends_with_it(dreamvid, clip, music, tmp_path):
    out = tmp_path / "out.mkv"
    typed = ["-p", "ice", "--music", music, "--set", "strength=0.05+0.2*pulse(beat)"]
    told = dreamvid("video", clip, out, *typed, *QUICK, "--json").json()
    assert (told["frames"], told["warnings"]) == (6, [])
    (track,) = probe(out).sound
    assert track.codec == "flac"
    with av.open(str(out)) as container:
        begins = [packet_time(packet) for packet in container.demux(audio=0) if packet.size]
    assert begins[-1] < Fraction(6, 24)
    options = json.loads(probe(out).metadata["dreamvid"])["options"]
    assert options["set"] == ["strength=0.05+0.2*pulse(beat)"]
    assert options["music"] == str(music)


def test_music_may_begin_later_and_be_followed_in_silence(dreamvid, clip, music, tmp_path):
    out = tmp_path / "out.mp4"
    typed = ["-p", "ice", "--music", music, "--music-start", "2.5", "--no-sound"]
    told = dreamvid("video", clip, out, *typed, "--set", "steps=1+onset", *QUICK, "--json").json()
    assert told["warnings"] == []
    assert probe(out).sound == ()


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["--set", "strength=0.1+0.3*bas"], "--set strength: unknown name 'bas'; allowed: "),
        (
            ["--set", "strength=1+bass"],
            "--strength: '2.0' is not allowed; allowed: a number from 0 to 1 (frame 0, ",
        ),
        (["--set", "speed=1"], "--set speed: this does not vary; allowed: "),
        (["--at", "0", "ice::t.x"], "--at 0 ice::t.x: a dot behind a name is not allowed"),
        (["--music", "none.wav"], "'none.wav' does not exist"),
        (["--music-start", "3"], "--music-start 3 is given without --music"),
        (["--transition", "soon"], "--transition: 'soon' is not allowed"),
    ],
)
def test_a_mistake_is_found_before_a_frame_is_dreamed(dreamvid, clip, tmp_path, typed, message):
    out = tmp_path / "out.mp4"
    told = dreamvid("video", clip, out, "-p", "ice", *typed)
    assert told.status in (1, 2)
    lines = [line for line in told.err.splitlines() if not line.startswith("dreamvid: heard")]
    assert lines[0].startswith(f"dreamvid: {message}")
    assert len(lines) in (1, 3)
    assert not out.exists()


def test_the_place_of_a_mistake_is_shown(dreamvid, clip, tmp_path):
    told = dreamvid("video", clip, tmp_path / "o.mp4", "-p", "ice", "--set", "tv=0:(1), 9:(x)")
    assert told.err.splitlines()[1:] == ["    0:(1), 9:(x)", " " * 14 + "^"]


def test_a_clip_without_sound_says_so_and_a_beat_of_none_is_refused(dreamvid, tmp_path):
    silent = make(tmp_path / "in.mp4", Clip(times=steady(4)))
    out = tmp_path / "out.mp4"
    typed = ["video", silent, out, "-p", "ice", *QUICK]
    told = dreamvid(*typed, "--set", "strength=0.1+0.3*bass", "--json").json()
    assert told["warnings"] == [f"'{silent}' has no sound: rms, bass, onset and their like are 0"]
    refused = dreamvid(*typed, "--set", "strength=0.1*pulse(beat)", "--overwrite")
    assert refused.status == 2
    assert "--set strength: no tempo is known" in refused.err
    again = dreamvid(*typed, "--set", "strength=0.1*pulse(beat)", "--bpm", "120", "--overwrite")
    assert again.status == 0


def test_silence_says_so(dreamvid, clip, tmp_path):
    music = write_sound(tmp_path / "silence.wav", np.zeros(22_050 * 8), "pcm_s16le")
    typed = ["-p", "ice", "--music", music, "--set", "strength=0.1+0.3*bass", *QUICK, "--json"]
    told = dreamvid("video", clip, tmp_path / "out.mkv", *typed).json()
    assert told["warnings"] == ["the sound is silent: rms, bass, onset and their like are 0"]


def test_music_is_not_overwritten(dreamvid, clip, tmp_path):
    out = make(tmp_path / "in.mp4", Clip(times=steady(4), sound="aac"))
    before = out.read_bytes()
    told = dreamvid("video", clip, out, "-p", "ice", "--music", out, "--overwrite")
    assert (told.status, out.read_bytes()) == (1, before)
    assert "is also --music" in told.err


def test_music_without_sound_is_refused(dreamvid, clip, picture, tmp_path):
    silent = make(tmp_path / "in.mp4", Clip(times=steady(4)))
    for wrong in (silent, picture):
        told = dreamvid("video", clip, tmp_path / "out.mp4", "-p", "ice", "--music", wrong)
        assert told.status == 1
        assert "holds no sound; allowed: a file with a sound track" in told.err
