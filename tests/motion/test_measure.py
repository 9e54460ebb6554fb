"""Zoom, rotation and join are told from frames alone."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from dreamvid.motion import create_flow
from dreamvid.motion.camera import Camera, Similarity, resample
from dreamvid.motion.measure import fit_similarity, measure_loop
from dreamvid.types import Frame
from tests.motion.scenes import texture


def filmed(camera: Camera, frames: int, rate: int) -> list[Frame]:
    """A texture under a camera, each frame resampled from the first."""
    still = texture(144, 176)
    times = [Fraction(index, rate) for index in range(frames)]
    return [
        Frame(resample(still, camera.back(time, Fraction(0), 144, 176), 144, 176), time)
        for time in times
    ]


def test_a_similarity_is_found_in_its_flow():
    truth = Similarity(0.9 + 0.1j, 3 - 2j)
    found = fit_similarity(truth.flow(40, 60))
    assert found.factor == pytest.approx(truth.factor, abs=1e-5)
    assert found.shift == pytest.approx(truth.shift, abs=1e-3)


def test_what_moves_by_itself_has_no_say():
    truth = Similarity(0.98, 1)
    flow = truth.flow(60, 60)
    flow[:, 10:45, 10:35] += torch.tensor([4.0, -3.0]).view(2, 1, 1)
    found = fit_similarity(flow)
    assert found.factor == pytest.approx(truth.factor, abs=1e-3)
    assert found.shift == pytest.approx(truth.shift, abs=0.05)


@pytest.mark.parametrize(("zoom", "rotate"), [(1.2, 0.0), (0.85, 20.0)])
def test_zoom_and_rotation_a_second_are_measured(zoom, rotate):
    film = filmed(Camera(zoom=zoom, rotate=rotate), 6, 12)
    measure = measure_loop(film, create_flow("dis", "cpu").backward)
    assert (measure.frames, measure.seconds) == (6, 0.5)
    assert measure.zoom == pytest.approx(zoom, rel=0.01)
    assert measure.rotate == pytest.approx(rotate, abs=0.5)


def still(*values: float) -> list[Frame]:
    return [
        Frame(torch.full((3, 16, 16), value), Fraction(index, 10))
        for index, value in enumerate(values)
    ]


def no_flow(current: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
    return torch.zeros(2, 16, 16)


def test_the_join_is_the_last_step_over_the_usual_one():
    there_and_back = measure_loop(still(0.1, 0.2, 0.3, 0.4, 0.3, 0.2), no_flow)
    assert there_and_back.join == pytest.approx(1)
    assert measure_loop(still(0.1, 0.2, 0.3, 0.4), no_flow).join == pytest.approx(3)
    assert (there_and_back.zoom, there_and_back.rotate) == (1, 0)


def test_one_frame_is_no_loop():
    with pytest.raises(ValueError, match="two frames"):
        measure_loop(still(0.5), no_flow)
