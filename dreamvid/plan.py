"""What holds for each frame: the numbers of a schedule, and its prompts as the guides see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from dreamvid.control.schedule import Setting
from dreamvid.dream.guide import ClipObjective
from dreamvid.sequence import Moment, Plan
from dreamvid.types import Frame


def create_plan(
    schedule: Callable[[Fraction, int], Setting], objectives: Sequence[ClipObjective]
) -> Plan:
    """The plan for `dream_frames` that follows `schedule`, by each frame's own time."""

    def moment(frame: Frame, index: int) -> Moment:
        setting = schedule(frame.time, index)
        return Moment(setting.config, [each.at(setting.meaning) for each in objectives])

    return moment
