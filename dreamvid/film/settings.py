"""What holds for each frame: the numbers of a schedule, and its prompts as the guides see them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from dreamvid.config import VideoConfig
from dreamvid.control.schedule import Schedule
from dreamvid.film.sequence import FrameSettings, SettingsAt
from dreamvid.guide.microbatch import Microbatches, MicrobatchSize
from dreamvid.guide.objective import ClipObjective
from dreamvid.types import Frame


def scheduled_settings(
    schedule: Schedule[VideoConfig], objectives: Sequence[ClipObjective]
) -> SettingsAt:
    """The plan for `dream_frames` that follows `schedule`, by each frame's own time."""

    def moment(frame: Frame, index: int) -> FrameSettings:
        setting = schedule(frame.time, index, frame.duration)
        return FrameSettings(setting.config, [each.at(setting.prompts) for each in objectives])

    return moment


def with_microbatches(plan: SettingsAt, on_halved: Callable[[int], None]) -> SettingsAt:
    """The same plan, its cutouts shown to each guide in as many parts as memory asks for."""
    portions: defaultdict[int, MicrobatchSize] = defaultdict(lambda: MicrobatchSize(on_halved))

    def moment(frame: Frame, index: int) -> FrameSettings:
        planned = plan(frame, index)
        parts = [
            Microbatches(each, portions[place]) for place, each in enumerate(planned.objectives)
        ]
        return replace(planned, objectives=parts)

    return moment
