"""With strength on the beat, frames change when the beat falls."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from dreamvid.cli.preset_files import BUILT_IN
from dreamvid.config import VideoConfig, build_config
from dreamvid.control.clock import Clock
from dreamvid.control.schedule import Schedule
from dreamvid.film.inbetween import chained
from dreamvid.film.sequence import dream_frames, warm_start
from dreamvid.film.settings import scheduled_settings
from dreamvid.guide.objective import create_objective
from dreamvid.types import Frame
from tests.fakes import KnownFlow
from tests.film.test_sequence import never, picture, rms


def test_each_frame_changes_against_its_warm_start_as_the_curve_says(mini):
    given = {"prompt": ["a coral reef"], "cutouts": 2, "octaves": 2, "first_steps": 8}
    config = build_config(VideoConfig, preset=BUILT_IN / "pulse.toml", given=given)
    schedule = Schedule(config, Clock(Fraction(24), 48, 120, (0.0, 0.5)))
    plan = scheduled_settings(schedule, [create_objective(mini, config)])
    frames = [Frame(picture(index), Fraction(index, 24)) for index in range(26)]
    flow, last = KnownFlow(2), None
    changes, strengths = [], []
    for dreamed in dream_frames(frames, plan, flow=flow, is_cut=never):
        now = dreamed.settings.config
        if last is not None:
            back = chained(last.source, [dreamed.source], flow).back[0]
            start, _ = warm_start(dreamed.source, last, back, now)
            changes.append(rms(dreamed.frame.image - start))
            strengths.append(now.strength)
        last = dreamed.carry
        assert rms(dreamed.frame.image - dreamed.source) <= now.strength * (1 + 1e-4)
    assert np.corrcoef(changes, strengths)[0, 1] > 0.8
