"""Several files of music: sounds with names, and notes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import dreamvid as library
from dreamvid.media import VideoReader, probe, read_image, write_image
from tests.cli.conftest import Command, refused
from tests.cli.test_over_time import QUICK, write_sound
from tests.control.midi import write_midi
from tests.control.pieces import beat_times, clicks
from tests.control.test_analysis import tone
from tests.fakes import TowardsColour
from tests.media.clips import Clip, make, steady
from tests.motion.scenes import texture

KICKS = {0.5: 127, 1: 90, 2: 127, 2.5: 60, 3.25: 110}
"""Beat → velocity."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of two seconds, two stems and a file of notes."""
    folder = tmp_path_factory.mktemp("stems")
    make(folder / "in.mp4", Clip(times=steady(48), sound="aac"))
    write_image(folder / "in.png", texture(48, 64))
    write_sound(folder / "drums.flac", clicks(beat_times(120, 8, 0.25), 8))
    quiet = np.zeros(22_050, np.float32)
    write_sound(folder / "bass.wav", np.concatenate([quiet, tone(80, 7.0)]), "pcm_s16le")
    struck = [(beat, 9, 36, velocity) for beat, velocity in KICKS.items()]
    write_midi(folder / "song.mid", [*struck, *((beat, 1, 60, 64) for beat in range(4))])
    return folder


def planned(dreamvid: Command, folder: Path, *typed: object) -> dict[str, list[float]]:
    told = dreamvid("plan", folder / "in.mp4", "-p", "ice", *typed, "--no-timing", "--json")
    curves: dict[str, list[float]] = told.json()["curves"]
    return curves


def music_of(folder: Path, **files: str) -> list[object]:
    return [part for name, file in files.items() for part in ("--music", f"{name}={folder / file}")]


def test_each_stem_is_heard_by_its_name_and_the_first_without(dreamvid, folder):
    music = music_of(folder, drums="drums.flac", bass="bass.wav")
    asked = ["--set", "tv=drums_onset", "--set", "steady=bass_rms", "--set", "strength=onset"]
    curves = planned(dreamvid, folder, *music, *asked)
    assert curves["tv"] == curves["strength"]
    loud = [frame for frame, value in enumerate(curves["tv"]) if value > 0.5]
    assert {6, 18, 30, 42} <= {*loud, *(frame + 1 for frame in loud)}
    assert max(curves["steady"][:23]) < 0.05 < 0.9 < min(curves["steady"][26:])


def test_a_stem_is_heard_as_it_is_alone(dreamvid, folder):
    asked = ["--set", "strength=0.5*onset", "--set", "tv=pulse(beat)"]
    alone = planned(dreamvid, folder, "--music", folder / "drums.flac", *asked)
    music = music_of(folder, drums="drums.flac", bass="bass.wav", keys="song.mid")
    assert planned(dreamvid, folder, *music, *asked) == alone


def test_notes_are_heard_by_channel_and_number_and_keep_the_time(dreamvid, folder):
    asked = ["--set", "strength=kick", "--set", "tv=note", "--set", "steady=ch2_note60"]
    asked += ["--set", "hold=keys_velocity", "--set", "colour-drift=beat"]
    curves = planned(dreamvid, folder, *music_of(folder, keys="song.mid"), *asked)
    struck = {round(12 * beat): velocity / 127 for beat, velocity in KICKS.items()}
    assert curves["strength"] == pytest.approx(
        [struck.get(frame, 0) for frame in range(48)], abs=1e-6
    )
    assert set(curves["tv"][:45]) == {60}
    sounding = [64 / 127 * (frame % 12 < 6) for frame in range(48)]
    assert curves["steady"] == pytest.approx(sounding, abs=1e-6)
    assert max(curves["hold"]) == 1
    assert curves["colour-drift"] == pytest.approx(
        [(frame + 0.5) / 12 for frame in range(48)], abs=1e-6
    )


def test_music_start_moves_the_notes_beside_the_clips_own_sound(dreamvid, folder):
    music = ["--music", folder / "song.mid", "--music-start", "0.5", "--start", "1"]
    curves = planned(dreamvid, folder, *music, "--set", "strength=kick", "--set", "tv=1+rms")
    kicked = [frame for frame, value in enumerate(curves["strength"]) if value]
    assert kicked == [round(12 * beat) - 12 for beat in KICKS if 1 <= beat < 3]
    assert max(curves["tv"]) > 1


def test_the_plot_shows_each_of_them(dreamvid, folder, tmp_path):
    heights = []
    files = {"drums": "drums.flac", "bass": "bass.wav", "keys": "song.mid"}
    for count in range(1, 4):
        path = tmp_path / f"{count}.png"
        music = music_of(folder, **dict(list(files.items())[:count]))
        typed = ["plan", folder / "in.mp4", "-p", "ice", *music, "--no-timing", "--plot", path]
        assert dreamvid(*typed).status == 0
        heights.append(read_image(path).shape[1])
    assert heights[0] < heights[1] < heights[2]


def test_the_first_sound_is_that_of_the_result_and_each_file_is_in_its_metadata(
    dreamvid, folder, tmp_path
):
    music = music_of(folder, keys="song.mid", bass="bass.wav", drums="drums.flac")
    out, typed = tmp_path / "out.mkv", ["-p", "ice", *music, "--set", "strength=0.1*drums_onset"]
    told = dreamvid("video", folder / "in.mp4", out, *typed, "--end", "0.2", *QUICK, "--json")
    assert told.json()["warnings"] == []
    assert [track.codec for track in probe(out).sound] == ["pcm_s16le"]
    options = json.loads(probe(out).metadata["dreamvid"])["options"]
    assert options["music"] == music[1::2]


def test_with_notes_alone_the_clip_keeps_its_sound(dreamvid, folder, tmp_path):
    out, music = tmp_path / "out.mkv", ["--music", folder / "song.mid"]
    typed = ["-p", "ice", *music, "--set", "strength=0.1*kick", "--end", "0.2", *QUICK]
    assert dreamvid("video", folder / "in.mp4", out, *typed).status == 0
    assert [track.codec for track in probe(out).sound] == ["aac"]


def test_the_picture_changes_with_the_notes(folder, tmp_path):
    out = tmp_path / "out.mkv"
    library.dream_video(
        folder / "in.png",
        out,
        objectives=[TowardsColour((1.0, 0.0, 0.0))],
        prompt="red",
        music=str(folder / "song.mid"),
        set_=["strength=0.02+0.25*kick"],
        seconds=2,
        rate=24,
        first_steps=4,
        steps=3,
        codec="ffv1",
    )
    with VideoReader(out) as reader:
        images = torch.stack([frame.image for frame in reader])
    source = read_image(folder / "in.png")
    change = (images - source).square().mean((1, 2, 3)).sqrt()
    struck = np.zeros(48)
    for beat, velocity in KICKS.items():
        struck[round(12 * beat)] = velocity
    assert np.corrcoef(change.numpy(), struck)[0, 1] >= 0.8


@pytest.mark.parametrize(
    ("typed", "status", "message"),
    [
        (
            ["--music", "a.wav", "--music", "b.wav"],
            2,
            "--music 'b.wav' is not the first and has no name; allowed: NAME=FILE, as drums=FILE",
        ),
        (
            ["--music", "a=a.wav", "--music", "a=b.wav"],
            2,
            "--music a=…: two have this name; allowed: one each",
        ),
        (["--music", "drums="], 2, "--music: 'drums=' is not allowed; allowed: FILE or NAME=FILE"),
        (["--music", "drums=none.wav"], 1, "'none.wav' does not exist"),
        (["--music", "none.mid"], 1, "'none.mid' does not exist"),
    ],
)
def test_a_mistake_is_told_in_a_line(dreamvid, folder, tmp_path, typed, status, message):
    told = dreamvid("video", folder / "in.mp4", tmp_path / "o.mp4", "-p", "ice", *typed)
    refused(told, status, message)


def test_a_name_that_no_file_gives_is_refused_with_those_that_are(dreamvid, folder, tmp_path):
    typed = ["-p", "ice", "--music", f"drums={folder / 'drums.flac'}", "--set", "tv=bass_onset"]
    told = dreamvid("video", folder / "in.mp4", tmp_path / "o.mp4", *typed)
    assert told.status == 2
    assert "unknown name 'bass_onset'; allowed: " in told.err
    assert "drums_onset" in told.err
    kick = dreamvid("video", folder / "in.mp4", tmp_path / "o.mp4", "-p", "i", "--set", "tv=kick")
    assert "unknown name 'kick'" in kick.err


def test_no_file_of_music_is_overwritten(dreamvid, folder, tmp_path):
    out = tmp_path / "drums.wav"
    out.write_bytes((folder / "bass.wav").read_bytes())
    music = [*music_of(folder, bass="bass.wav"), "--music", f"drums={out}"]
    told = dreamvid("video", folder / "in.mp4", out, "-p", "ice", *music, "--overwrite")
    assert told.status == 1
    assert out.read_bytes() == (folder / "bass.wav").read_bytes()
