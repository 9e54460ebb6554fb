"""MIDI files of known notes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mido

TICKS = 480


def write_midi(
    path: Path,
    struck: Sequence[tuple[float, int, int, int]],
    *,
    tempos: Sequence[tuple[float, float]] = ((0, 120),),
    ends: bool = True,
) -> Path:
    """Notes (beat, channel from 0, number, velocity) of half a beat, and (beat, tempo) changes."""
    events = [
        (round(beat * TICKS), mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm)))
        for beat, bpm in tempos
    ]
    for beat, channel, number, velocity in struck:
        sign = {"channel": channel, "note": number}
        events.append((round(beat * TICKS), mido.Message("note_on", velocity=velocity, **sign)))
        if ends:
            events.append((round((beat + 0.5) * TICKS), mido.Message("note_off", **sign)))
    track, now = mido.MidiTrack(), 0
    for tick, message in sorted(events, key=lambda event: event[0]):
        while tick - now > 2**27:  # as far as one message can be from the last
            track.append(mido.MetaMessage("text", text="", time=2**27))
            now += 2**27
        track.append(message.copy(time=tick - now))
        now = tick
    mido.MidiFile(tracks=[track], ticks_per_beat=TICKS).save(str(path))
    return path
