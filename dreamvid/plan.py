"""What holds for each frame: the numbers of a schedule, and its prompts as the guides see them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from dreamvid.config import VideoConfig
from dreamvid.control.schedule import Schedule
from dreamvid.dream.guide import ClipObjective
from dreamvid.dream.parts import InParts, Portion
from dreamvid.sequence import Moment, Plan
from dreamvid.types import Frame


def create_plan(schedule: Schedule[VideoConfig], objectives: Sequence[ClipObjective]) -> Plan:
    """The plan for `dream_frames` that follows `schedule`, by each frame's own time."""

    def moment(frame: Frame, index: int) -> Moment:
        setting = schedule(frame.time, index, frame.duration)
        return Moment(setting.config, [each.at(setting.meaning) for each in objectives])

    return moment


def in_parts(plan: Plan, on_halved: Callable[[int], None]) -> Plan:
    """The same plan, its cutouts shown to each guide in as many parts as memory asks for."""
    portions: defaultdict[int, Portion] = defaultdict(lambda: Portion(on_halved))

    def moment(frame: Frame, index: int) -> Moment:
        planned = plan(frame, index)
        parts = [InParts(each, portions[place]) for place, each in enumerate(planned.objectives)]
        return replace(planned, objectives=parts)

    return moment
