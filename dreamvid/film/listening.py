"""The schedule of a film, and the sound that it follows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dreamvid.config import MusicFile, ScheduledConfig, VideoConfig
from dreamvid.control.analysis import RATE, SILENT, Sound, analyse
from dreamvid.control.clock import Clock, even_beats
from dreamvid.control.names import (
    FEATURE_NAMES,
    NOTE_NAMES,
    TEMPO_NAMES,
    channel_and_note,
    prefixes_of,
)
from dreamvid.control.notes import hear_notes
from dreamvid.control.schedule import Schedule, Scheduled, asked_for
from dreamvid.errors import ConfigError
from dreamvid.events import Listener, Message, Warned
from dreamvid.media.notes import read_notes
from dreamvid.media.tracks import read_samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dreamvid.media.probing import VideoInfo
    from dreamvid.media.reader import FrameReader
    from dreamvid.media.source import Source


class Heard(Protocol):
    """An open source: its header, and its time 0 on its own clock."""

    info: VideoInfo
    origin: Fraction


def create_schedule(
    config: Scheduled,
    rate: Fraction | None,
    frames: int | None,
    sound: Sound | None,
    *,
    period: float | None = None,
) -> Schedule[Scheduled]:
    """The values of `config` at each of `frames`, checked for all of them.

    With a `period`, in seconds, prompts repeat cyclically. Raises ConfigError.
    """
    bpm, beats = (sound.bpm, sound.beats) if sound else (None, ())
    if bpm is None and config.bpm is not None:
        bpm, beats = config.bpm, even_beats(config.bpm)
    schedule = Schedule(config, Clock(rate, frames, bpm, beats), features=sound, period=period)
    schedule.check()
    return schedule


def schedule_of(
    config: VideoConfig,
    source: Source,
    reader: FrameReader,
    listener: Listener,
    *,
    always_listen: bool = False,
) -> tuple[Schedule[VideoConfig], Sound | None]:
    """The values of `config` at each frame of `reader`, and the sound that they follow.

    Sound is analysed only where an option uses it; with `always_listen`, wherever there is sound.
    Raises ConfigError, MediaError.
    """
    info = reader.info
    sound = sound_of(config, source, reader, listener, always_listen=always_listen)
    return create_schedule(config, info.rate, info.frame_count, sound), sound


def sound_of(
    config: VideoConfig,
    source: Source,
    reader: Heard,
    listener: Listener,
    *,
    always_listen: bool = False,
) -> Sound | None:
    """The sound that `config` follows, or that of `source` where --music names none.

    Analysed only where an option uses it; with `always_listen`, wherever there is sound. Raises
    ConfigError, MediaError.
    """
    own = None
    if config.sound_file is None and (
        _follows_own(config) or (always_listen and reader.info.sound and source.is_stored)
    ):
        own = _hear_own(config, source, reader, listener)
    return hear_music(config, listener, own, always_listen=always_listen)


def _follows_own(config: ScheduledConfig) -> bool:
    """Whether an option asks for a feature of the clip's own sound; notes give their own beats."""
    names = FEATURE_NAMES if config.music else (*FEATURE_NAMES, *TEMPO_NAMES)
    return not asked_for(config).isdisjoint(names)


def hear_music(
    config: ScheduledConfig,
    listener: Listener,
    own: Sound | None = None,
    *,
    always_listen: bool = False,
) -> Sound | None:
    """The sounds and notes of --music as one, beside the clip's `own` sound.

    A file is read only where an option or the caller needs it. The tempo is that of the first
    sound; without one, that of the first notes. None where nothing is heard. Raises MediaError.
    """
    heard, asked = own, asked_for(config)
    for file in sorted(config.music_files, key=lambda file: file.is_midi):
        prefixes = prefixes_of(file, config.music_files)
        names = _asked_of(file, prefixes, asked)
        keeps_time = "" in prefixes and (heard is None or heard is own)
        if not (always_listen or names or (keeps_time and asked & {*TEMPO_NAMES})):
            continue
        one = _hear_file(file, names, config, listener)
        for prefix in prefixes:
            heard = one if heard is None and not prefix else (heard or SILENT).beside(prefix, one)
        if keeps_time and heard is not None:
            heard = replace(heard, bpm=one.bpm, beats=one.beats)
    return heard


def _asked_of(file: MusicFile, prefixes: Sequence[str], asked: Collection[str]) -> set[str]:
    """The features of `file`, without their prefix, that are among the names `asked` for."""
    plain = {
        name.removeprefix(prefix)
        for prefix in prefixes
        for name in asked
        if name.startswith(prefix)
    }
    if file.is_midi:
        return {name for name in plain if name in NOTE_NAMES or channel_and_note(name)}
    return plain & {*FEATURE_NAMES}


def _hear_file(
    file: MusicFile, names: Collection[str], config: ScheduledConfig, listener: Listener
) -> Sound:
    """The sound in `file`; of notes, those of the features `names` that not every file has."""
    path, start = Path(file.path), config.music_start
    if not file.is_midi:
        return _hear(read_samples(path, RATE), config, start, listener, file.name)
    score = read_notes(path)
    sound = hear_notes(score, {*NOTE_NAMES, *names}, release=float(config.release))
    listener(Message(f"read {len(score.notes)} notes at {sound.bpm:.1f} beats a minute"))
    return sound.beginning_at(float(start))


def _hear_own(
    config: VideoConfig, source: Source, reader: Heard, listener: Listener
) -> Sound | None:
    """The sound of the source itself; None, with a warning, where it has none."""
    if source.kind == "pipe":
        raise ConfigError(
            "the sound of a pipe is not available before its pictures; allowed: --music FILE"
        )
    if not reader.info.sound:
        listener(Warned(f"'{source.path}' has no sound: rms, bass, onset and their like are 0"))
        return None
    start = config.start or Fraction(0)
    blocks = read_samples(source.path, RATE, origin=reader.origin - start)
    return _hear(blocks, config, start, listener)


def _hear(
    blocks: Iterator[NDArray[np.float32]],
    config: ScheduledConfig,
    start: Fraction,
    listener: Listener,
    name: str = "",
) -> Sound:
    """The features of the whole piece: its scale and tempo do not depend on the part dreamed.

    `name` is what messages call it, where there are several.
    """
    sound = analyse(
        blocks,
        attack=float(config.attack),
        release=float(config.release),
        bpm=config.bpm,
    ).beginning_at(float(start))
    tempo = "no beat" if sound.bpm is None else f"{sound.bpm:.1f} beats a minute"
    listener(Message(f"heard {tempo} in {sound.duration:.1f} s of {name or 'sound'}"))
    if not any(series.any() for series in sound.features.values()):
        what = f"the sound of {name}" if name else "the sound"
        listener(Warned(f"{what} is silent: rms, bass, onset and their like are 0"))
    return sound
