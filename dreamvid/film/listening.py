"""Schedules from options and from the sound that they follow."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from dreamvid.config import ScheduledConfig, VideoConfig
from dreamvid.errors import ConfigError
from dreamvid.events import Listener, Message, Warned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dreamvid.control.schedule import Schedule, Scheduled
    from dreamvid.control.sound import Sound
    from dreamvid.media.reader import FrameReader
    from dreamvid.media.source import Source


def create_schedule(
    config: Scheduled,
    rate: Fraction | None,
    frames: int | None,
    sound: Sound | None,
    *,
    period: float | None = None,
) -> Schedule[Scheduled]:
    """The values of `config` at each of `frames`, checked for all of them.

    Prompts go in a circle of `period` seconds, where it is given. Raises ConfigError.
    """
    from dreamvid.control.clock import Clock, even_beats
    from dreamvid.control.schedule import Schedule

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
    curious: bool = False,
) -> tuple[Schedule[VideoConfig], Sound | None]:
    """The values of `config` at each frame of `reader`, and the sound that they follow.

    Sound is analysed only where an option asks for it, or wherever there is any if `curious`.
    """
    info = reader.info
    sound = None
    if config.music is not None:
        sound = hear_music(config, listener, curious=curious)
    elif follows_sound(config) or (curious and info.sound and source.kind != "pipe"):
        sound = _hear_own(config, source, reader, listener)
    return create_schedule(config, info.rate, info.frame_count, sound), sound


def follows_sound(config: ScheduledConfig) -> bool:
    """Whether any option asks for a feature of the sound."""
    from dreamvid.control.schedule import FEATURE_NAMES, asked_for

    return bool(asked_for(config) & {*FEATURE_NAMES, "bpm", "beat", "bar"})


def hear_music(
    config: ScheduledConfig, listener: Listener, *, curious: bool = False
) -> Sound | None:
    """The sound of --music, where it is given and an option follows it, or `curious`."""
    from dreamvid.control.sound import RATE
    from dreamvid.media.sound import read_samples

    if config.music is None or not (curious or follows_sound(config)):
        return None
    blocks = read_samples(Path(config.music), RATE)
    return _hear(blocks, config, config.music_start, listener)


def _hear_own(
    config: VideoConfig, source: Source, reader: FrameReader, listener: Listener
) -> Sound | None:
    from dreamvid.control.sound import RATE
    from dreamvid.media.sound import read_samples

    if source.kind == "pipe":
        raise ConfigError(
            "the sound of standard input cannot be heard ahead of its pictures; "
            "allowed: --music FILE"
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
    """Analyse all of it, so that scale and tempo do not depend on the part that is dreamed."""
    from dreamvid.control.sound import analyse

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
