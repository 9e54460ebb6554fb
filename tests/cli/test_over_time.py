"""Options that follow time and sound, on the command line."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.audio.stream import AudioStream

from dreamvid.media import VideoReader, probe, write_image
from dreamvid.media.probing import packet_time
from dreamvid.motion.camera import Camera, view
from tests.cli.conftest import refused
from tests.control.pieces import Samples, beat_times, clicks
from tests.media.clips import Clip, make, steady
from tests.motion.scenes import texture

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
    assert options["music"] == [str(music)]


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
            "--set strength: '2.0' is not allowed; allowed: a number from 0 to 1 (frame 0, ",
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


# A camera that changes


ZOOM = ["--steps", "1", "--first-steps", "1", "--cutouts", "2", "--octaves", "1", "-q", "--json"]


def test_a_zoom_has_music_for_its_sound_and_follows_it(dreamvid, picture, music, tmp_path):
    out = tmp_path / "out.mkv"
    typed = ["-p", "ice", "--seconds", "1", "--fps", "8", "--music", music]
    vary = {"zoom": "1.1+3*pulse(beat)", "rotate": "90*onset", "strength": "0.05+0.2*bass"}
    asked = [part for name, text in vary.items() for part in ("--set", f"{name}={text}")]
    told = dreamvid("zoom", picture, out, *typed, *asked, *ZOOM).json()
    assert (told["frames"], told["warnings"]) == (8, [])
    (track,) = probe(out).sound
    assert track.codec == "flac"
    with av.open(str(out)) as container:
        ends = [
            packet_time(packet) + (packet.duration or 0) * packet.time_base
            for packet in container.demux(audio=0)
            if packet.size
        ]
    assert abs(ends[-1] - 1) < Fraction(1, 8)
    options = json.loads(probe(out).metadata["dreamvid"])["options"]
    assert options["set"] == [f"{name}={text}" for name, text in vary.items()]


def test_a_preset_and_beats_hold_in_a_zoom_and_weights_in_a_loop(dreamvid, picture, tmp_path):
    typed = ["zoom", picture, tmp_path / "out.mp4", "--seconds", "0.5", "--fps", "8", *ZOOM]
    typed += ["--overwrite", "--bpm", "240", "--at", "0", "fire", "--at", "1b", "ice"]
    assert dreamvid(*typed, "--preset", "pulse").status == 0
    loop = ["--loop", "--zoom", "9", "--loop-steps", "2", "-p", "a rose", "--set", "prompt1=beat"]
    assert dreamvid(*typed, *loop).status == 0


def test_a_clip_is_seen_under_a_pan_that_changes(dreamvid, tmp_path):
    """Nothing moves but on the way to the third frame, by half of the width."""
    image, out = texture(48, 64), tmp_path / "out.mkv"
    write_image(tmp_path / "in.png", image)
    typed = ["-p", "ice", "--seconds", "0.2", "--rate", "20", "--strength", "0", *QUICK]
    asked = ["--set", "pan-x=10*(frame == 2)", "--codec", "ffv1", "--pix-fmt", "bgr0"]
    assert dreamvid("video", tmp_path / "in.png", out, *typed, *asked).status == 0
    with VideoReader(out) as reader:
        first, second, third, last = (frame.image for frame in reader)
    assert (second - first).abs().max() < 0.01
    assert (third - last).abs().max() < 0.01
    assert (third[..., :32] - first[..., 32:]).abs().max() < 0.02


def test_what_varies_in_a_zoom_is_what_was_asked(dreamvid, picture, tmp_path):
    """No strength until the third frame, in which the view turns by a quarter."""
    out = tmp_path / "out.mkv"
    typed = ["-p", "ice", "--seconds", "0.5", "--fps", "8", "--zoom", "1", "--codec", "ffv1"]
    asked = ["--set", "strength=0.3*(frame == 2)", "--set", "rotate=720*(frame == 2)"]
    square = tmp_path / "square.png"
    write_image(square, texture(48, 48))
    assert dreamvid("zoom", square, out, *typed, *asked, *ZOOM, "--lr", "0.3").status == 0
    with VideoReader(out) as reader:
        first, second, third, _ = (frame.image for frame in reader)
    assert (second - first).abs().mean() < 0.03
    turned = first.rot90(-1, (1, 2))
    assert 0.03 < (third - turned).abs().mean() < 0.5 * (third - first).abs().mean() + 0.1


@pytest.mark.parametrize("name", ["zoom", "rotate", "strength"])
def test_a_loop_is_under_an_even_camera(dreamvid, picture, tmp_path, name):
    told = dreamvid(
        "zoom", picture, tmp_path / "x.mp4", "-p", "ice", "--loop", "--set", f"{name}=1"
    )
    message = "a loop is one picture under an even camera; allowed with --loop: weights, as prompt1"
    refused(told, 2, f"--set {name}: {message}")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            ["--set", "zoom=frame"],
            "--set zoom: '0.0' is not allowed; allowed: a number above 0",
        ),
        (["--set", "decay=1"], "--set decay: this does not vary; allowed: "),
        (["--set", "zoom=beat"], "--set zoom: no tempo is known; allowed: "),
        (["--music", "none.wav"], "'none.wav' does not exist"),
    ],
)
def test_a_mistake_in_a_zoom_is_found_before_a_frame_is_dreamed(
    dreamvid, picture, tmp_path, asked, message
):
    told = dreamvid("zoom", picture, tmp_path / "out.mp4", "-p", "ice", *asked)
    assert told.status in (1, 2)
    assert told.err.startswith(f"dreamvid: {message}")
    assert list(tmp_path.iterdir()) == []


def test_a_clip_is_seen_through_a_camera_that_changes(dreamvid, clip, tmp_path):
    """It stands, and jumps by a factor of two on the way to the fourth frame."""
    still = ["-p", "ice", *QUICK, "--strength", "0", "--codec", "ffv1", "--pix-fmt", "yuv444p"]
    films = []
    for name, asked in {"plain": [], "seen": ["--set", "zoom=1+47*(frame == 3)"]}.items():
        out = tmp_path / f"{name}.mkv"
        assert dreamvid("video", clip, out, *still, *asked).status == 0
        with VideoReader(out) as reader:
            films.append([frame.image for frame in reader])
    jump = Camera(zoom=48 ** (1 / 24))
    for index, (plain, seen) in enumerate(zip(*films, strict=True)):
        wanted = plain if index < 3 else view(plain, jump, Fraction(1))
        assert (seen - wanted).abs().mean() < 0.01


def test_music_without_sound_is_refused(dreamvid, clip, picture, tmp_path):
    silent = make(tmp_path / "in.mp4", Clip(times=steady(4)))
    for wrong in (silent, picture):
        told = dreamvid("video", clip, tmp_path / "out.mp4", "-p", "ice", "--music", wrong)
        assert told.status == 1
        assert "holds no sound; allowed: a file with a sound track" in told.err


LYRICS = """[00:00.00]a calm sea
[00:00.50]the storm:: it roars
[00:01.00]ice
"""


def shares(planned: dict[str, Any]) -> list[int]:
    """The number of the prompt that holds alone at each frame."""
    by_frame = zip(*(each["shares"] for each in planned["prompts"]), strict=True)
    return [each.index(1) for each in by_frame]


@pytest.mark.parametrize(
    ("options", "texts", "expected"),
    [
        ([], ["a calm sea", "the storm:: it roars", "ice"], [0] * 12 + [1] * 12 + [2] * 6),
        (["--start", "0.25"], ["a calm sea", "the storm:: it roars", "ice"], None),
        (["--start", "0.5"], ["the storm:: it roars", "ice"], [0] * 12 + [1] * 6),
    ],
)
def test_lyrics_change_at_their_times_to_the_frame(dreamvid, tmp_path, options, texts, expected):
    clip = make(tmp_path / "in.mp4", Clip(times=steady(30)))
    (tmp_path / "a.lrc").write_text(LYRICS, encoding="utf-8")
    planned = dreamvid(
        *("plan", clip, "--lyrics", tmp_path / "a.lrc", "--transition", "0"),
        *("--no-timing", "--json", *options),
    ).json()
    assert [each["text"] for each in planned["prompts"]] == texts
    assert shares(planned) == (expected or [0] * 6 + [1] * 12 + [2] * 6)


def test_the_times_of_lyrics_are_those_of_the_music(dreamvid, music, picture, tmp_path):
    (tmp_path / "a.lrc").write_text(LYRICS, encoding="utf-8")
    out = tmp_path / "out.mkv"
    dreamvid(
        *("zoom", picture, out, "--lyrics", tmp_path / "a.lrc", "--at", "0.1", "snow"),
        *("--music", music, "--music-start", "0.75", "--seconds", "0.2", "--json", *QUICK),
    ).json()
    made = json.loads(probe(out).metadata["dreamvid"])["options"]
    told = [["0.1", "snow"], ["0.000", "the storm:: it roars::1"], ["0.250", "ice"]]
    assert (made["at"], made["lyrics"]) == (told, None)


def test_bad_lyrics_are_one_line(dreamvid, clip, tmp_path):
    (tmp_path / "a.srt").write_text("none", encoding="utf-8")
    result = dreamvid("video", clip, tmp_path / "o.mkv", "--lyrics", tmp_path / "a.srt")
    refused(result, 1, f"'{tmp_path / 'a.srt'}' cannot be read; allowed: ")
