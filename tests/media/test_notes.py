"""MIDI files: what is read of them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamvid.errors import MediaError
from dreamvid.media.notes import read_notes
from tests.control.midi import write_midi


def test_notes_have_their_times_under_a_tempo_that_changes(tmp_path):
    struck = [(0, 9, 36, 127), (1, 9, 38, 64), (2, 0, 60, 100)]
    score = read_notes(write_midi(tmp_path / "a.mid", struck, tempos=[(0, 120), (1, 60)]))
    told = [(note.begin, note.channel, note.number) for note in score.notes]
    assert told == [(0, 10, 36), (0.5, 10, 38), (1.5, 1, 60)]
    assert [note.velocity for note in score.notes] == pytest.approx([1, 64 / 127, 100 / 127])
    assert score.notes[2].end == pytest.approx(2.0)  # half a beat of a second
    assert score.beats == pytest.approx([0, 0.5, 1.5, 2.5])
    assert score.duration == pytest.approx(2.0)


def test_a_note_without_end_lasts_to_that_of_the_piece(tmp_path):
    struck = [(0, 0, 60, 100), (3, 0, 62, 100)]
    path = write_midi(tmp_path / "a.mid", struck, ends=False)
    assert [note.end for note in read_notes(path).notes] == [1.5, 1.5]


@pytest.mark.parametrize("content", [b"RIFF", b"MThd\0\0\0\x06\0\1\0\1\0\0", b"\0" * 99])
def test_what_is_no_midi_is_told_in_a_line(tmp_path, content):
    path = tmp_path / "a.mid"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"a\.mid' (cannot be read as MIDI|has no common beat)"):
        read_notes(path)


def test_a_piece_without_a_note_or_too_long_is_refused(tmp_path):
    with pytest.raises(MediaError, match="holds no note"):
        read_notes(write_midi(tmp_path / "a.mid", []))
    with pytest.raises(MediaError, match="lasts more than 24 hours"):
        read_notes(write_midi(tmp_path / "b.mid", [(200_000, 0, 60, 1)]))
    with pytest.raises(MediaError, match="has more than 500000 beats"):
        read_notes(write_midi(tmp_path / "c.mid", [(600_000, 0, 60, 1)], tempos=[(0, 600)]))
    with pytest.raises(MediaError, match="does not exist"):
        read_notes(Path("none.mid"))


def test_a_damaged_file_never_ends_in_another_error(tmp_path):
    whole = write_midi(tmp_path / "a.mid", [(0, 9, 36, 127), (1, 0, 60, 64)]).read_bytes()
    path = tmp_path / "b.mid"
    outcomes = set()
    for place in range(len(whole)):
        for value in (0, 0x7F, 0xFF):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                outcomes.add(bool(read_notes(path).notes))
            except MediaError:
                outcomes.add(False)
    assert outcomes == {True, False}
