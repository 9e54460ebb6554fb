"""What changed over the time of a finished film: its schedule, and the sound that it followed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from dreamvid.config import VideoConfig, ZoomConfig
from dreamvid.errors import DreamvidError
from dreamvid.events import ignore
from dreamvid.film.outlook import Outlook, plan
from dreamvid.film.report import Reporter


def course_of(source: str, config: VideoConfig | ZoomConfig, reporter: Reporter) -> Outlook | None:
    """The settings of each frame of a film that was made of `source` by `config`.

    None, and a warning, where they are not known any more, as without the music.
    """
    try:
        if isinstance(config, ZoomConfig):
            return _course_of_zoom(source, config)
        return plan(Path(source), config=config, timing=False, listener=ignore)
    except DreamvidError as error:
        reporter.warn(f"what changed over time is not known: {error}")
        return None


def _course_of_zoom(source: str, config: ZoomConfig) -> Outlook:
    from dreamvid.film.listening import create_schedule, hear_music

    count, period = config.frame_count, float(config.frame_count / config.fps)
    sound = hear_music(config, ignore, always_listen=True)
    schedule = create_schedule(
        config, config.fps, count, sound, period=period if config.loop else None
    )
    times = [Fraction(index) / config.fps for index in range(count)]
    settings = [schedule(time, index) for index, time in enumerate(times)]
    return Outlook(source, config, schedule, sound, [float(time) for time in times], settings)
