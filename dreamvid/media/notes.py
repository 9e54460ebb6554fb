"""Notes of MIDI files, with their times in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dreamvid.errors import MediaError
from dreamvid.media.files import check_input
from dreamvid.types import Note, Score

LARGEST_FILE = 2**24
"""Largest number of bytes of a MIDI file."""
LONGEST_S = 24 * 3600
"""Longest piece, in seconds."""
MOST_BEATS = 500_000
USUAL_TEMPO = 500_000
"""Microseconds a beat where a file states none: 120 beats a minute."""


def read_notes(path: Path) -> Score:
    """The notes and beats of a MIDI file; its changes of tempo are followed.

    Raises MediaError where it cannot be read or holds no note.
    """
    check_input(path)
    if path.stat().st_size > LARGEST_FILE:
        raise MediaError(f"'{path}' has more than {LARGEST_FILE} bytes; allowed: up to so many")
    ticks_a_beat, messages = _read(path)
    notes, beats, now = _timed(path, ticks_a_beat, messages)
    if not notes:
        raise MediaError(f"'{path}' holds no note; allowed: a MIDI file with some")
    return Score(tuple(sorted(notes, key=lambda note: note.begin)), tuple(beats), now)


def _read(path: Path) -> tuple[int, list[Any]]:
    """Ticks a beat, and the messages of all tracks in the order of time."""
    import mido

    try:
        file = mido.MidiFile(str(path), clip=True)
        ticks_a_beat, messages = file.ticks_per_beat, list(mido.merge_tracks(file.tracks))
    except Exception as error:  # mido lets any error of its parser through
        raise MediaError(f"'{path}' cannot be read as MIDI; allowed: a .mid file") from error
    if file.type == 2 or ticks_a_beat <= 0:
        raise MediaError(
            f"'{path}' has no common beat; allowed: a MIDI file of type 0 or 1 with ticks a beat"
        )
    return ticks_a_beat, messages


def _timed(
    path: Path, ticks_a_beat: int, messages: list[Any]
) -> tuple[list[Note], list[float], float]:
    """The notes, the times of the beats up to the one after the end, and the end in seconds."""
    notes: list[Note] = []
    begun: dict[tuple[int, int], tuple[float, float]] = {}
    beats: list[float] = []
    tick, now, tempo = 0, 0.0, USUAL_TEMPO

    def add_beats(until: int) -> Iterator[float]:
        """The beats from the last one on to that tick, at the tempo of now."""
        for beat in range(len(beats), until // ticks_a_beat + 1):
            yield now + (beat * ticks_a_beat - tick) * tempo / ticks_a_beat / 1e6

    for message in messages:
        later = tick + message.time
        if later // ticks_a_beat > MOST_BEATS:
            raise MediaError(f"'{path}' has more than {MOST_BEATS} beats; allowed: up to so many")
        beats += list(add_beats(later))
        now += message.time * tempo / ticks_a_beat / 1e6
        tick = later
        if now > LONGEST_S:
            raise MediaError(f"'{path}' lasts more than 24 hours; allowed: up to so many")
        if message.type == "set_tempo":
            tempo = max(message.tempo, 1)
        elif message.type in ("note_on", "note_off"):
            key = message.channel + 1, message.note
            if key in begun:  # struck again, or at its end
                notes.append(_note(key, *begun.pop(key), now))
            if message.type == "note_on" and message.velocity:
                begun[key] = now, message.velocity / 127
    notes += [_note(key, *held, now) for key, held in begun.items()]
    beats += list(add_beats((len(beats) + 1) * ticks_a_beat))[: max(1, 2 - len(beats))]
    return notes, beats, now


def _note(key: tuple[int, int], begin: float, velocity: float, end: float) -> Note:
    return Note(begin, end, *key, velocity)
