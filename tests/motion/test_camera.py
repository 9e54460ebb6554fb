"""The camera is exact: where it says a pixel was, there it was."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import pairwise

import pytest
import torch

from dreamvid.motion import create_flow, warp
from dreamvid.motion.camera import (
    CHECKPOINT_STEPS,
    Camera,
    Course,
    Ease,
    Plane,
    Similarity,
    expose,
    resample,
    sample,
    seen_in,
    view_frame,
)
from dreamvid.motion.measure import fit_similarity
from dreamvid.types import Frame
from tests.motion.scenes import texture
from tests.threads import ask_from_two_threads

NOW, BEFORE = Fraction(1), Fraction(0)


def test_similarities_are_applied_one_after_the_other_and_undone():
    turn, shift = Similarity(2j, 1), Similarity(1, 3 - 1j)
    both = turn.after(shift)
    assert both(1 + 1j) == turn(shift(1 + 1j)) == 2j * 4 + 1
    assert both.inverse()(both(5 - 2j)) == pytest.approx(5 - 2j)


def test_zooming_in_a_point_was_nearer_to_the_centre():
    back = Camera(zoom=2.0).back(NOW, BEFORE, 5, 9)  # the centre is pixel (4, 2)
    assert back(8 + 2j) == pytest.approx(6 + 2j)
    assert back(4 + 2j) == pytest.approx(4 + 2j)
    flow = Camera(zoom=2.0).flow(NOW, BEFORE, 5, 9)
    assert flow[:, 2, 8].tolist() == pytest.approx([-2, 0])
    assert flow[:, 0, 4].tolist() == pytest.approx([0, 1])


def test_turning_clockwise_what_is_below_the_centre_was_right_of_it():
    back = Camera(rotate=90.0).back(NOW, BEFORE, 5, 5)
    assert back(2 + 4j) == pytest.approx(4 + 2j)


def test_the_view_moves_right_and_down_what_is_seen_left_and_up():
    back = Camera(pan=(0.5, 0.25)).back(NOW, BEFORE, 8, 10)
    assert back(0) == pytest.approx(5 + 2j)


def test_the_centre_stays_where_it_is():
    back = Camera(zoom=1.7, rotate=33, centre=(0.25, 1.0)).back(NOW, BEFORE, 40, 20)
    centre = complex(0.25 * 20 - 0.5, 40 - 0.5)
    assert back(centre) == pytest.approx(centre)


CAMERAS = [
    Camera(zoom=1.5, rotate=20, pan=(0.1, -0.2), centre=(0.3, 0.6), seconds=Fraction(3)),
    Camera(zoom=0.7, ease="in-out", seconds=Fraction(3)),
    Camera(pan=(0.1, 0.1), ease="in", seconds=Fraction(3)),
]


@pytest.mark.parametrize("camera", CAMERAS)
def test_two_moves_are_one(camera):
    first = camera.back(Fraction(1, 2), Fraction(0), 40, 60)
    second = camera.back(Fraction(2), Fraction(1, 2), 40, 60)
    once = camera.back(Fraction(2), Fraction(0), 40, 60)
    for point in (0j, 59 + 0j, 13 + 31j):
        assert first.after(second)(point) == pytest.approx(once(point))


def test_a_pan_with_hardly_any_zoom_is_a_pan():
    pans = [Camera(zoom=zoom, pan=(0.3, 0)).back(NOW, BEFORE, 40, 60)(7j) for zoom in (1, 1 + 1e-7)]
    assert pans[0] == pytest.approx(pans[1], abs=1e-4)


@pytest.mark.parametrize(
    ("ease", "middle"), [("linear", 2.0), ("in", 1.0), ("out", 3.0), ("in-out", 2.0)]
)
def test_an_ease_spreads_the_motion_and_keeps_its_length(ease, middle):
    camera = Camera(zoom=2.0, ease=ease, seconds=Fraction(4))
    done = [camera.travelled(Fraction(time)) for time in (0, 2, 4, 6, 8)]
    assert done == pytest.approx([0, middle, 4, 4 + middle, 8])


def test_eased_speed_is_none_where_it_begins_or_ends_slowly():
    def speed(ease: Ease, time: Fraction) -> float:
        camera = Camera(ease=ease, seconds=Fraction(4))
        return camera.travelled(time + Fraction(1, 1000)) * 1000 - camera.travelled(time) * 1000

    near_end = Fraction(3999, 1000)
    assert [round(speed(ease, Fraction(0)), 2) for ease in ("in", "out", "in-out")] == [0, 2, 0]
    assert [round(speed(ease, near_end), 2) for ease in ("in", "out", "in-out")] == [2, 0, 0]


def test_what_leaves_the_frame_is_not_trusted():
    trust = seen_in(Camera(pan=(0.5, 0)).flow(NOW, BEFORE, 4, 8), 4, 8)
    assert trust.shape == (1, 4, 8)
    assert trust[0, 0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert seen_in(Camera(zoom=1.1).flow(NOW, BEFORE, 4, 8), 4, 8).all()
    assert not seen_in(Camera(zoom=0.5).flow(NOW, BEFORE, 8, 8), 8, 8)[0, 0].any()


@pytest.mark.parametrize(
    "camera",
    [
        Camera(zoom=1.03),
        Camera(zoom=0.97),
        Camera(rotate=2.5),
        Camera(zoom=1.02, rotate=-1.5, pan=(0.01, -0.005), centre=(0.4, 0.6)),
    ],
)
def test_the_known_flow_agrees_with_the_estimated_one(camera):
    before = texture(160, 200)
    back = camera.back(NOW, BEFORE, 160, 200)
    estimated = create_flow("dis", "cpu").backward(resample(before, back, 160, 200), before)
    known = camera.flow(NOW, BEFORE, 160, 200)
    inside = seen_in(known, 160, 200)[0].bool()
    error = (estimated - known).norm(dim=0)[inside]
    assert known.norm(dim=0)[inside].mean() > 1
    assert error.mean() < 0.1
    fitted = fit_similarity(estimated)
    assert abs(fitted.factor - back.factor) < 0.02 * abs(back.factor - 1)


def test_resampling_looks_where_the_flow_leads():
    image = texture(40, 60)
    back = Camera(zoom=1.1, rotate=5).back(NOW, BEFORE, 40, 60)
    by_warp = warp(image, back.flow(40, 60))
    assert (resample(image, back, 40, 60) - by_warp).abs()[:, 4:-4, 4:-4].mean() < 0.01
    assert torch.equal(resample(image, Similarity(), 40, 60), image) or torch.allclose(
        resample(image, Similarity(), 40, 60), image, atol=1e-5
    )


def test_a_quarter_turn_is_exact_and_four_are_none():
    image = texture(24, 24)
    quarter = Camera(rotate=90).back(NOW, BEFORE, 24, 24)
    turned = resample(image, quarter, 24, 24)
    assert torch.allclose(turned, image.rot90(-1, (1, 2)), atol=1e-4)


def test_shrinking_averages_and_stays_in_place():
    stripes = torch.zeros(3, 64, 64)
    stripes[..., ::2] = 1
    small = resample(stripes, Similarity(4, 1.5 + 1.5j), 16, 16)
    assert small.std() < 0.05
    assert small.mean() == pytest.approx(0.5, abs=0.01)
    ramp = (torch.arange(64) / 64).expand(3, 64, 64)
    for factor in (2.0, 2.7, 3.3):  # sizes that cannot be divided move nothing
        seen = resample(ramp, Similarity(factor, 2), 4, 12)
        expected = (2 + factor * torch.arange(12)) / 64
        assert (seen[0, 1, 1:] - expected[1:]).abs().max() < 2e-3


def test_beyond_the_border_is_the_reflection():
    image = texture(16, 16)
    shifted = resample(image, Similarity(1, -4), 16, 16)
    assert torch.allclose(shifted[..., :4], image[..., :4].flip(2), atol=1e-5)
    assert sample(image, torch.tensor([[0.5 / 16]]), torch.tensor([[0.5 / 16]]))[
        :, 0, 0
    ].tolist() == pytest.approx(image[:, 0, 0].tolist(), abs=1e-5)


def test_a_shutter_sees_moments_spread_about_its_own():
    camera = Camera(zoom=2.0)
    assert camera.exposures(NOW, Fraction(0), 100, 100) == [NOW]
    assert Camera().exposures(NOW, Fraction(1, 24), 100, 100) == [NOW]
    moments = camera.exposures(NOW, Fraction(1, 24), 100, 100)
    gaps = {later - earlier for earlier, later in pairwise(moments)}
    assert len(gaps) == 1
    assert sum(moments) / len(moments) == NOW
    assert moments[-1] - moments[0] + gaps.pop() == Fraction(1, 24)
    corner = math.hypot(50, 50) * (math.sqrt(2) ** (1 / 12) - 1)
    assert len(moments) >= corner
    assert len(camera.exposures(NOW, Fraction(1), 4000, 4000)) == 32


def test_a_shutter_blurs_a_frame_along_its_motion():
    """Open while the view moves by 8 pixels, over stripes of a period of 8."""
    camera = Camera(pan=(1.0, 0))
    wave = 0.5 + 0.5 * torch.sin(torch.arange(80) * 2 * torch.pi / 8)
    upright = Frame(wave.expand(3, 64, 80), Fraction(1))
    lying = Frame(wave[:64, None].expand(3, 64, 80), Fraction(1))
    assert expose(upright, camera, Fraction(0)) is upright
    blurred, kept = (expose(frame, camera, Fraction(1, 10)).image for frame in (upright, lying))
    assert blurred[..., 8:-8].std() < 0.03
    assert torch.allclose(kept, lying.image, atol=1e-3)


def test_a_clip_is_seen_through_the_camera_on_top_of_its_own_motion():
    still = texture(48, 64)
    clip = [Frame(still.roll(index, 2), Fraction(index, 8), alpha=still[:1]) for index in range(3)]
    camera = Camera(zoom=4.0, centre=(0.25, 0.5))
    seen = [view_frame(frame, camera) for frame in clip]
    assert [frame.time for frame in seen] == [frame.time for frame in clip]
    assert torch.allclose(seen[0].image, clip[0].image, atol=1e-5)
    back = camera.back(Fraction(1, 4), Fraction(0), 48, 64)
    assert torch.allclose(seen[2].image, resample(clip[2].image, back, 48, 64).clamp(0, 1))
    assert seen[2].alpha is not None
    assert torch.allclose(seen[2].alpha, resample(still[:1], back, 48, 64).clamp(0, 1))


def test_even_rates_step_by_step_are_the_closed_form():
    """Over steps and parts of steps, to and fro, with pan and ease."""
    even = Camera(zoom=1.5, rotate=20, pan=(0.1, -0.2), ease="in-out", seconds=Fraction(3))
    stepped = replace(even, course=Course(lambda step: (1.5, 20.0), Fraction(24)))
    for now, before in [("2", "0"), ("2", "1/7"), ("5/48", "1/12"), ("1/3", "2"), ("-1/48", "1")]:
        moved, expected = (
            camera.back(Fraction(now), Fraction(before), 40, 60) for camera in (stepped, even)
        )
        for point in (0j, 59 + 0j, 13 + 31j):
            assert moved(point) == pytest.approx(expected(point), rel=1e-9)


def test_rates_that_change_add_up_and_lead_to_their_frame():
    """Doubled on the way to the first step, turned by a quarter on the way to the second."""
    rates = [(9.0, 9.0), (16.0, 0.0), (1.0, 360.0)]
    camera = Camera(course=Course(lambda step: rates[step], Fraction(4)))
    first, second = (Fraction(step, 4) for step in (1, 2))
    assert camera.back(first, Fraction(0), 5, 9)(8 + 2j) == pytest.approx(6 + 2j)
    assert camera.back(second, first, 5, 9)(4 + 4j) == pytest.approx(6 + 2j)
    assert camera.back(second, Fraction(0), 5, 9)(4 + 4j) == pytest.approx(5 + 2j)


def test_a_pan_that_stays_the_same_step_by_step_is_the_closed_form():
    even = Camera(zoom=1.5, rotate=20, pan=(0.1, -0.2), ease="in-out", seconds=Fraction(3))
    course = Course(lambda step: (1.5, 20.0), Fraction(24), lambda step: (0.1, -0.2))
    stepped = replace(even, pan=(9.0, 9.0), course=course)
    for now, before in [("2", "0"), ("2", "1/7"), ("5/48", "1/12"), ("1/3", "2"), ("-1/48", "1")]:
        for size in [(40, 60), (80, 20)]:
            moved, expected = (
                camera.back(Fraction(now), Fraction(before), *size) for camera in (stepped, even)
            )
            assert moved(13 + 31j) == pytest.approx(expected(13 + 31j), rel=1e-9)


def test_pans_that_change_add_up():
    """A quarter of the width to the right, then half of the height up, then nothing."""
    pans = [(9.0, 9.0), (1.0, 0.0), (0.0, -2.0), (0.0, 0.0)]
    course = Course(lambda step: (1.0, 0.0), Fraction(4), lambda step: pans[step])
    camera = Camera(course=course)
    steps = [camera.back(Fraction(step, 4), Fraction(0), 20, 40)(5 + 12j) for step in range(4)]
    assert steps == pytest.approx([5 + 12j, 15 + 12j, 15 + 2j, 15 + 2j])
    assert camera.back(Fraction(1, 2), Fraction(1, 4), 20, 40)(0j) == pytest.approx(-10j)
    assert camera.moves


RATE = Fraction(24)


def swinging(step: int) -> tuple[float, float]:
    return 1.1 + 0.1 * (step % 3), 7.0 * step


def follow(camera: Camera, step: int) -> Plane:
    """The similarity from the end of a step, or from between two, back to 0."""
    return camera.back((step + Fraction(step % 2, 2)) / RATE, Fraction(0), 40, 60)


@pytest.mark.parametrize("pan_at", [None, swinging])
def test_a_course_is_the_same_in_whatever_order_it_is_asked_for(pan_at):
    def camera() -> Camera:
        return Camera(pan=(0.1, 0.2), ease="in-out", course=Course(swinging, RATE, pan_at))

    serial = {step: follow(onwards, step) for onwards in [camera()] for step in range(100)}
    late = camera()
    assert [follow(late, step) for step in (99, 20, 0, 50)] == [serial[k] for k in (99, 20, 0, 50)]
    for _ in range(3):
        for found in ask_from_two_threads(partial(follow, camera()), range(100), rounds=1):
            assert found == serial


def test_a_course_costs_the_same_in_any_order():
    """Rates are asked for a bounded number of times a step, which following from 0 would exceed."""
    asked: list[int] = []

    def rates_at(step: int) -> tuple[float, float]:
        asked.append(step)
        return swinging(step)

    camera, steps = Camera(course=Course(rates_at, RATE)), 1000
    for step in random.Random(0).sample(range(steps), steps):
        follow(camera, step)
    assert len(asked) <= CHECKPOINT_STEPS * steps
