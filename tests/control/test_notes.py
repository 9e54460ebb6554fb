"""Features of notes: when they are heard, and what they are called."""

from __future__ import annotations

import numpy as np
import pytest

from dreamvid.config import MusicFile
from dreamvid.control.names import HeardNames, channel_and_note, prefixes_of
from dreamvid.control.notes import hear_notes
from dreamvid.types import Note, Score

SCORE = Score(
    (
        Note(0.0, 0.5, 10, 36, 1.0),
        Note(0.5, 1.5, 2, 60, 0.5),
        Note(1.0, 1.25, 1, 64, 0.25),
        Note(1.0, 1.1, 10, 38, 0.75),
    ),
    (0.0, 0.5, 1.0, 1.5),
    1.5,
)
NAMES = ("note", "velocity", "kick", "kick_smooth", "snare", "ch1", "ch2_note60", "note64", "ch10")


def test_each_note_is_heard_in_the_frame_that_shows_it():
    sound = hear_notes(SCORE, NAMES)
    frames = [sound(frame / 10, 0.1) for frame in range(16)]
    assert [frame["kick"] for frame in frames] == [1] + [0] * 15
    assert [frame["snare"] for frame in frames] == [0] * 10 + [0.75] + [0] * 5
    assert [frame["note"] for frame in frames] == [0] * 5 + [60] * 5 + [64] * 6
    assert [frame["ch1"] for frame in frames] == [0] * 10 + [0.25] * 3 + [0] * 3
    assert [frame["ch2_note60"] for frame in frames] == [0] * 5 + [0.5] * 10 + [0]
    assert [frame["note64"] for frame in frames] == [frame["ch1"] for frame in frames]
    assert [frame["ch10"] for frame in frames] == [1] * 5 + [0] * 5 + [0.75] + [0] * 5
    assert frames[12]["velocity"] == 0.5
    assert sound.bpm == pytest.approx(120)


def test_a_stroke_dies_away_within_the_release():
    sound = hear_notes(SCORE, NAMES, release=0.3)
    assert sound(0)["kick_smooth"] == 1
    assert sound(0.3)["kick_smooth"] == pytest.approx(np.exp(-1), abs=0.02)


def test_a_later_beginning_moves_notes_and_beats():
    sound = hear_notes(SCORE, NAMES).beginning_at(0.5)
    assert [sound(time, 0.1)["snare"] for time in (0.4, 0.5)] == [0, 0.75]
    assert sound.beats == pytest.approx([0, 0.5, 1])


def test_without_channel_10_all_notes_may_be_drums():
    notes = tuple(Note(note.begin, note.end, 1, note.number, 1.0) for note in SCORE.notes)
    sound = hear_notes(Score(notes, SCORE.beats, 1.5), NAMES)
    assert (sound(0)["kick"], sound(0)["note"]) == (1, 36)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ch1", (1, None)),
        ("ch16_note127", (16, 127)),
        ("note0_smooth", (None, 0)),
        ("ch0", None),
        ("ch17", None),
        ("note128", None),
        ("ch1note3", None),
        ("note", None),
        ("ch", None),
    ],
)
def test_the_name_of_a_channel_and_a_note(name, meant):
    assert channel_and_note(name) == meant


def test_the_first_of_each_kind_gives_its_names_as_they_are():
    files = [MusicFile("a.wav", "drums"), MusicFile("b.wav", "bass"), MusicFile("c.mid", "keys")]
    assert [prefixes_of(file, files) for file in files] == [
        ["", "drums_"],
        ["bass_"],
        ["", "keys_"],
    ]
    names = HeardNames(files)
    assert {"onset", "drums_onset", "bass_rms_smooth", "kick", "keys_kick"} <= names.fixed
    assert "bass_kick" not in names.fixed
    assert names.numbered("ch1 + keys_note60*bass_ch2 + notes") == {"ch1", "keys_note60"}
    assert HeardNames(files[:2]).numbered("ch1") == set()
