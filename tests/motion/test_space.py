"""A camera in three dimensions: signs, units, and what its moves add up to."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from dreamvid.motion.camera import CHECKPOINT_STEPS, Camera, Similarity, resample, view
from dreamvid.motion.space import Homography, Move, Pose, Space, as_homography
from tests.motion.scenes import texture

RATE = Fraction(25)
FRAME, START = 1 / RATE, Fraction(0)
SIZE = 101, 101  # at 90°, the scene is 50.5 pixels away, and pixel (50, 50) is straight ahead


def steady(**move: object) -> Camera:
    """A camera that makes the same move in each frame, at 90 degrees from top to bottom."""
    step = Move(fov=90.0, **move)  # type: ignore[arg-type]
    return Camera(space=Space(lambda number: step, RATE))


def moved(camera: Camera, point: complex, time: Fraction = FRAME) -> complex:
    """Where what was seen at a point at time 0 is seen at another time."""
    return as_homography(camera.back(time, START, *SIZE)).inverse()(point)


@pytest.mark.parametrize(
    ("move", "middle", "right"),
    [
        # The view moves right: the picture moves left, by 10/200 of 50.5 pixels.
        ({"translation": (10.0, 0.0, 0.0)}, 47.475 + 50j, 97.475 + 50j),
        # The view moves up: the picture moves down.
        ({"translation": (0.0, 10.0, 0.0)}, 50 + 52.525j, 100 + 52.525j),
        # A tenth of the way ahead: all is 1/0.9 as large.
        ({"translation": (0.0, 0.0, 20.0)}, 50 + 50j, 50 + 50 / 0.9 + 50j),
        # The camera looks up by 3 degrees: the picture moves down.
        (
            {"rotation": (3.0, 0.0, 0.0)},
            50 + (50 + 50.5 * math.tan(math.radians(3))) * 1j,
            50 + 50 / math.cos(math.radians(3)) + (50 + 50.5 * math.tan(math.radians(3))) * 1j,
        ),
        # The camera looks right: the picture moves left.
        (
            {"rotation": (0.0, 3.0, 0.0)},
            50 - 50.5 * math.tan(math.radians(3)) + 50j,
            50 + 50.5 * math.tan(math.atan(50 / 50.5) - math.radians(3)) + 50j,
        ),
        # The camera rolls clockwise: the picture turns anticlockwise, its right side goes up.
        (
            {"rotation": (0.0, 0.0, 3.0)},
            50 + 50j,
            50 + 50 * math.cos(math.radians(3)) + (50 - 50 * math.sin(math.radians(3))) * 1j,
        ),
    ],
)
def test_each_move_has_deforums_sign_and_unit(move, middle, right):
    camera = steady(**move)
    assert moved(camera, 50 + 50j) == pytest.approx(middle)
    assert moved(camera, 100 + 50j) == pytest.approx(right)


def test_a_narrow_lens_sees_more_of_a_step_aside():
    step = Move(translation=(10.0, 0.0, 0.0), fov=40.0)
    camera = Camera(space=Space(lambda number: step, RATE))
    shift = 0.05 * 50.5 / math.tan(math.radians(20))
    assert moved(camera, 50 + 50j) == pytest.approx(50 - shift + 50j)


def test_steps_ahead_never_arrive_and_turns_add_up():
    """Before each step the scene is as far away as at the start."""
    ahead = steady(translation=(0.0, 0.0, 20.0))
    assert moved(ahead, 51 + 50j, 30 * FRAME) == pytest.approx(50 + 0.9**-30 + 50j)
    turning = steady(rotation=(0.0, 3.0, 0.0))
    angle = math.radians(3 * 5)
    assert moved(turning, 50 + 50j, 5 * FRAME) == pytest.approx(50 - 50.5 * math.tan(angle) + 50j)


def test_moves_lead_to_the_frame_that_has_them_and_half_a_frame_is_half_of_them():
    moves = [Move(fov=90.0), Move((20.0, 0.0, 0.0), fov=90.0), Move((0.0, 20.0, 0.0), fov=90.0)]
    camera = Camera(space=Space(lambda step: moves[min(step, 2)], RATE))
    assert moved(camera, 50 + 50j, FRAME) == pytest.approx(44.95 + 50j)
    assert moved(camera, 50 + 50j, 2 * FRAME) == pytest.approx(44.95 + 55.05j)
    assert moved(camera, 50 + 50j, FRAME / 2) == pytest.approx(47.475 + 50j)
    between = camera.back(2 * FRAME, FRAME, *SIZE)
    assert between(50 + 50j) == pytest.approx(50 + 44.95j)
    there_and_back = camera.back(FRAME, 2 * FRAME, *SIZE).after(between)
    assert there_and_back(30 + 80j) == pytest.approx(30 + 80j)


def test_it_goes_together_with_zoom_and_ease():
    step = Move(translation=(10.0, 0.0, 0.0), fov=90.0)
    space = Space(lambda number: step, Fraction(1))
    camera = Camera(zoom=2.0, space=space)
    point = as_homography(camera.back(Fraction(1), START, *SIZE)).inverse()(50 + 50j)
    assert point == pytest.approx(50 - 2 * 2.525 + 50j)
    slow = Camera(ease="in", seconds=Fraction(2), space=space)
    halves = [as_homography(slow.back(Fraction(k), START, *SIZE)).inverse() for k in (1, 2)]
    assert [half(50 + 50j).real for half in halves] == pytest.approx([50 - 1.2625, 50 - 5.05])


def test_a_path_is_the_same_in_whatever_order_it_is_asked_for():
    def swaying(step: int) -> Move:
        return Move((step % 3, 1.0, 2.0), (0.1 * step % 2, 0.2, -0.3))

    def matrices(order: list[int]) -> dict[int, list[float]]:
        camera = Camera(zoom=1.1, space=Space(swaying, RATE))
        return {
            step: as_homography(camera.back(step * FRAME, START, 40, 60)).matrix.ravel().tolist()
            for step in order
        }

    count = 3 * CHECKPOINT_STEPS
    assert matrices(list(range(count))) == matrices(list(reversed(range(count))))


def test_poses_add_up_where_the_scene_stays():
    camera = steady(translation=(0.0, 0.0, 20.0))
    assert camera.pose(START).is_home
    assert camera.pose(5 * FRAME).translation.tolist() == pytest.approx([0, 0, -0.5])
    assert not camera.pose(5 * FRAME).is_home
    half = camera.pose(FRAME / 2)
    assert half.translation.tolist() == pytest.approx([0, 0, -0.05])
    turned = Move(rotation=(10.0, 20.0, 30.0), translation=(1.0, 2.0, 3.0)).pose
    both = turned.inverse().after(turned)
    assert both.rotation.ravel().tolist() == pytest.approx([1, 0, 0, 0, 1, 0, 0, 0, 1])
    assert both.translation.tolist() == pytest.approx([0, 0, 0])
    assert Pose.home().is_home


def test_a_homography_is_a_similarity_where_it_should_be():
    similar = Similarity(2j, 3 - 1j)
    same = Homography.of_similarity(2j, 3 - 1j)
    assert same(4 + 5j) == similar(4 + 5j)
    torch.testing.assert_close(same.flow(6, 8), similar.flow(6, 8))
    assert same.scales(6, 8) == pytest.approx([2] * 5)
    both = similar.after(same)
    assert isinstance(both, Homography)
    assert both(1j) == pytest.approx(similar(similar(1j)))
    image = texture(40, 60, seed=0)
    torch.testing.assert_close(
        resample(image, Homography.of_similarity(0.5, 3 + 2j), 40, 60),
        resample(image, Similarity(0.5, 3 + 2j), 40, 60),
    )


def test_what_is_behind_the_camera_is_far_out_and_no_nan():
    image = texture(40, 60, seed=0)
    turned = view(image, steady(rotation=(0.0, 60.0, 0.0)), 2 * FRAME)
    assert turned.isfinite().all()
    assert (turned >= 0).all()
    assert (turned <= 1).all()
