"""The shots of a film, each of which can be dreamed independently of the others."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamvid.config import VideoConfig
from dreamvid.events import Listener
from dreamvid.film.checks import config_of
from dreamvid.film.job import VideoJob
from dreamvid.film.report import Reporter
from dreamvid.notebook import usual_listener
from dreamvid.types import Shot

if TYPE_CHECKING:
    from dreamvid.film.clip import Clip

ANY_PROMPT = "a picture"
"""Stands in where none is given: a step takes as long whatever the text."""


@dataclass(frozen=True)
class FoundShots:
    """The shots of a clip, and the work that each takes."""

    source: str
    shots: tuple[Shot, ...]
    seconds_per_step: float | None = None
    """None where it was not measured."""

    def seconds(self, shot: Shot) -> float | None:
        """Seconds of gradient steps that a shot is expected to take; None where not measured."""
        return None if self.seconds_per_step is None else self.seconds_per_step * shot.steps

    def to_json(self) -> dict[str, Any]:
        """A JSON object of all shots, as `dreamvid shots --json` prints it."""
        return {
            "source": self.source,
            "frames": sum(shot.frames for shot in self.shots),
            "seconds_per_step": self.seconds_per_step and round(self.seconds_per_step, 4),
            "shots": [
                {
                    "shot": shot.number,
                    "first": shot.first,
                    "last": shot.last,
                    "begin": round(float(shot.begin), 6),
                    "end": round(float(shot.end), 6),
                    "steps": shot.steps,
                    "seconds": None if (took := self.seconds(shot)) is None else round(took, 1),
                }
                for shot in self.shots
            ],
        }


def find_shots(
    source: str | PathLike[str],
    *,
    config: VideoConfig | None = None,
    timing: bool = True,
    listener: Listener | None = None,
    **options: Any,
) -> FoundShots:
    """The shots into which `dream_video` cuts a clip with these options; dreams no frame.

    With `timing` a few steps are made on the first frame, to estimate the work of each shot. Each
    option of `dreamvid video` is a keyword, on top of `config`. Raises ConfigError, MediaError,
    GuideError, DeviceError.
    """
    reporter = Reporter(listener or usual_listener())
    config = config_of(VideoConfig, config, options)
    if not config.has_prompt:
        config = config.model_copy(update={"prompt": [ANY_PROMPT]})
    job = VideoJob.without_result(Path(source), config)
    with job.open(reporter) as clip:
        shots = tuple(clip.find_shots())
        each = _time_step(clip, reporter) if timing else None
    return FoundShots(str(source), shots, each)


def _time_step(clip: Clip, reporter: Reporter) -> float:
    """Seconds of a gradient step on the first frame."""
    from dreamvid.film.outlook import time_step

    frame = clip.first_frame()
    prompts = clip.schedule(frame.time, 0).prompts
    return time_step(clip.job.config, frame.image, prompts, reporter)
