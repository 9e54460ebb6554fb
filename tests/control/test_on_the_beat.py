"""With strength on the beat, frames change when the beat falls."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from dreamvid.cli.preset_files import BUILT_IN
from dreamvid.config import VideoConfig, build_config
from dreamvid.control.clock import Clock
from dreamvid.control.schedule import Schedule
from dreamvid.sequence import Moment, dream_frames, warm_start
from dreamvid.types import Frame
from tests.fakes import KnownFlow, TowardsColour
from tests.test_sequence import RED, never, picture, rms

QUICK = {"prompt": ["ice"], "cutouts": 2, "octaves": 2}


@pytest.mark.parametrize("carry", ["delta", "frame"])
def test_each_frame_changes_against_its_warm_start_as_the_curve_says(carry):
    preset = BUILT_IN / "pulse.toml"
    config = build_config(VideoConfig, preset=preset, given={**QUICK, "carry": carry})
    schedule = Schedule(config, Clock(Fraction(24), 48, 120, (0.0, 0.5)))
    frames = [Frame(picture(index), Fraction(index, 24)) for index in range(28)]

    def plan(frame: Frame, index: int) -> Moment:
        return Moment(schedule(frame.time, index).config, [TowardsColour(RED)])

    flow, last = KnownFlow(2), None
    changes, strengths = [], []
    for dreamed in dream_frames(frames, plan, flow=flow, is_cut=never):
        now = dreamed.moment.config
        if last is not None:
            start, _ = warm_start(dreamed.source, last, flow, now)
            changes.append(rms(dreamed.frame.image - start))
            strengths.append(now.strength)
        last = dreamed.carry
        assert rms(dreamed.frame.image - dreamed.source) <= now.strength * (1 + 1e-4)
    assert np.corrcoef(changes, strengths)[0, 1] > 0.8
