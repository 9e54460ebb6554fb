"""The schedule of a film, and the sound that it follows."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dreamvid.config import ScheduledConfig, VideoConfig
from dreamvid.control.analysis import RATE, Sound, analyse
from dreamvid.control.clock import Clock, even_beats
from dreamvid.control.schedule import FEATURE_NAMES, Schedule, Scheduled, asked_for
from dreamvid.errors import ConfigError
from dreamvid.events import Listener, Message, Warned
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
    """The sound that `config` follows, or that of `source` where it follows none.

    Analysed only where an option uses it; with `always_listen`, wherever there is sound. Raises
    ConfigError, MediaError.
    """
    if config.music is not None:
        return hear_music(config, listener, always_listen=always_listen)
    if follows_sound(config) or (always_listen and reader.info.sound and source.is_stored):
        return _hear_own(config, source, reader, listener)
    return None


def follows_sound(config: ScheduledConfig) -> bool:
    """Whether an option asks for a feature of the sound."""
    return bool(asked_for(config) & {*FEATURE_NAMES, "bpm", "beat", "bar"})


def hear_music(
    config: ScheduledConfig, listener: Listener, *, always_listen: bool = False
) -> Sound | None:
    """The sound of --music; None without it, or where neither an option nor the caller needs it."""
    if config.music is None or not (always_listen or follows_sound(config)):
        return None
    blocks = read_samples(Path(config.music), RATE)
    return _hear(blocks, config, config.music_start, listener)


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
) -> Sound:
    """The features of the whole piece: its scale and tempo do not depend on the part dreamed."""
    sound = analyse(
        blocks,
        attack=float(config.attack),
        release=float(config.release),
        bpm=config.bpm,
    ).beginning_at(float(start))
    tempo = "no beat" if sound.bpm is None else f"{sound.bpm:.1f} beats a minute"
    listener(Message(f"heard {tempo} in {sound.duration:.1f} s of sound"))
    if not any(series.any() for series in sound.features.values()):
        listener(Warned("the sound is silent: rms, bass, onset and their like are 0"))
    return sound
