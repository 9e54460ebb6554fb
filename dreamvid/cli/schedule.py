"""What changes over time, from options and sound: the same for every command that dreams films."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from dreamvid.cli.report import Report
from dreamvid.config import ScheduledConfig, VideoConfig
from dreamvid.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dreamvid.control.schedule import Schedule, Scheduled
    from dreamvid.control.sound import Sound
    from dreamvid.media.reader import FrameReader


def create_schedule(
    config: Scheduled,
    rate: Fraction | None,
    frames: int | None,
    sound: Sound | None,
    *,
    period: float | None = None,
) -> Schedule[Scheduled]:
    """What `config` comes to at each of `frames`, found to be allowed for all of them.

    With a `period`, in seconds, prompts go in a circle. Raises ConfigError.
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
    source: Path,
    reader: FrameReader,
    report: Report,
    *,
    curious: bool = False,
) -> tuple[Schedule[VideoConfig], Sound | None]:
    """What `config` comes to at each frame of `reader`, and the sound that it follows.

    That is listened to only where something asks for it, or any that there is where `curious`.
    """
    from dreamvid.media.files import STANDARD

    info = reader.info
    sound = None
    if config.music is not None:
        sound = hear_music(config, report, curious=curious)
    elif follows_sound(config) or (curious and info.sound and source != STANDARD):
        sound = _hear_own(config, source, reader, report)
    return create_schedule(config, info.rate, info.frame_count, sound), sound


def follows_sound(config: ScheduledConfig) -> bool:
    """Whether anything asks for what is to be heard."""
    from dreamvid.control.schedule import FEATURE_NAMES, asked_for

    return bool(asked_for(config) & {*FEATURE_NAMES, "bpm", "beat", "bar"})


def hear_music(config: ScheduledConfig, report: Report, *, curious: bool = False) -> Sound | None:
    """The sound of --music, where there is one and something follows it, or `curious`."""
    from dreamvid.control.sound import RATE
    from dreamvid.media.sound import read_samples

    if config.music is None or not (curious or follows_sound(config)):
        return None
    blocks = read_samples(Path(config.music), RATE)
    return _hear(blocks, config, config.music_start, report)


def _hear_own(
    config: VideoConfig, source: Path, reader: FrameReader, report: Report
) -> Sound | None:
    from dreamvid.control.sound import RATE
    from dreamvid.media.files import STANDARD
    from dreamvid.media.sound import read_samples

    if source == STANDARD:
        raise ConfigError(
            "the sound of standard input cannot be heard ahead of its pictures; "
            "allowed: --music FILE"
        )
    if not reader.info.sound:
        report.warn(f"'{source}' has no sound: rms, bass, onset and their like are 0")
        return None
    start = config.start or Fraction(0)
    blocks = read_samples(source, RATE, origin=reader.origin - start)
    return _hear(blocks, config, start, report)


def _hear(
    blocks: Iterator[NDArray[np.float32]],
    config: ScheduledConfig,
    start: Fraction,
    report: Report,
) -> Sound:
    """All of it, so that its scale and tempo do not hang on the part that is dreamed."""
    from dreamvid.control.sound import analyse

    sound = analyse(
        blocks,
        attack=float(config.attack),
        release=float(config.release),
        bpm=config.bpm,
    ).beginning_at(float(start))
    tempo = "no beat" if sound.bpm is None else f"{sound.bpm:.1f} beats a minute"
    report.say(f"heard {tempo} in {sound.duration:.1f} s of sound")
    if not any(series.any() for series in sound.features.values()):
        report.warn("the sound is silent: rms, bass, onset and their like are 0")
    return sound
