"""Pictures with depth seen from elsewhere: parallax, what hides what, and what was hidden."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dreamvid.motion.depth import Parallax, distances, parallax, with_edges
from dreamvid.motion.space import Move, Pose, lens_of
from tests.motion.scenes import texture

HEIGHT, WIDTH = 80, 120
LENS = lens_of(90.0, complex(59.5, 39.5), HEIGHT)  # 40 pixels: a step of 5 is a pixel at depth 1
FAR = 4.0
Y, X = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")


def seen_after(
    nearness: Tensor,
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0),
    rotation: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Parallax:
    return parallax(nearness, FAR, Move(translation, rotation).pose, LENS, LENS)


def card() -> tuple[Tensor, Tensor]:
    """A picture whose middle is near, and how near everything is: 1, or 0 around it."""
    near = ((X >= 40) & (X < 80) & (Y >= 20) & (Y < 60)).float()[None]
    return texture(HEIGHT, WIDTH, seed=0), near


def test_depth_is_linear_in_its_inverse():
    depth = distances(torch.tensor([1.0, 0.0, 0.5]), FAR)
    assert depth.tolist() == pytest.approx([1, 4, 1 / (0.5 + 0.125)])


def test_what_is_near_moves_further_than_what_is_far():
    """A step of 40 moves the card by 8 pixels to the left, and what is behind it by 2."""
    image, near = card()
    view = seen_after(near, (40.0, 0.0, 0.0))
    shown = view(image)
    card_now = slice(33, 71)  # 40 to 79, moved; the rims mix
    torch.testing.assert_close(shown[:, 22:58, card_now], image[:, 22:58, 41:79], atol=1e-3, rtol=0)
    torch.testing.assert_close(shown[:, 5:15, 4:100], image[:, 5:15, 6:102], atol=1e-3, rtol=0)


def test_what_the_card_hid_is_not_seen_and_filled_from_behind():
    image, near = card()
    image = torch.where(near > 0, torch.tensor([1.0, 0, 0]).view(3, 1, 1), 0.2 * image)
    view = seen_after(near, (40.0, 0.0, 0.0))
    hidden = view.seen[0, 25:55] == 0
    columns = hidden.all(0).nonzero().flatten().tolist()
    assert 4 <= len(columns) <= 7  # 8 pixels less 2
    assert min(columns) >= 71
    assert max(columns) <= 79
    filled = view(image)[:, 25:55, columns]
    assert filled.isfinite().all()
    assert filled[0].max() < 0.5  # of what is behind, and not of the red card
    assert view.seen[:, 2:15, 4:110].all()


def test_a_card_that_comes_nearer_has_no_cracks():
    image, near = card()
    view = seen_after(near, (0.0, 0.0, 120.0))  # 0.6 of the way: 2.5 times as large
    inside = view.seen[:, 2:78, 20:100]
    assert inside.all()
    shown = view(image)
    middle = image[:, 38:42, 58:62].mean((1, 2))
    torch.testing.assert_close(shown[:, 35:45, 55:65].mean((1, 2)), middle, atol=0.02, rtol=0)


def test_even_nearness_is_a_flat_scene_and_nothing_is_lost_at_the_border():
    image = texture(HEIGHT, WIDTH, seed=1)
    view = seen_after(torch.ones(1, HEIGHT, WIDTH), (0.0, 20.0, 0.0), (0.0, 2.0, 0.0))
    assert view.seen.all()
    back = Move((0.0, 20.0, 0.0), (0.0, 2.0, 0.0)).pose.of_plane(LENS).inverse()
    flow = back.flow(HEIGHT, WIDTH)
    torch.testing.assert_close(view.across * WIDTH - 0.5, X + flow[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(view.down * HEIGHT - 0.5, Y + flow[1], atol=1e-3, rtol=0)
    assert view(image).isfinite().all()


def test_a_turn_shows_no_parallax():
    _, near = card()
    view = seen_after(near, rotation=(0.0, 3.0, 0.0))
    flat = Move(rotation=(0.0, 3.0, 0.0)).pose.of_plane(LENS).inverse().flow(HEIGHT, WIDTH)
    torch.testing.assert_close(view.across * WIDTH - 0.5, X + flat[0], atol=1e-3, rtol=0)
    assert view.seen.all()


def test_home_is_the_picture_itself():
    image, near = card()
    home = parallax(near, FAR, Pose.home(), LENS, LENS)
    torch.testing.assert_close(home(image), image, atol=1e-4, rtol=0)


def test_a_soft_edge_of_the_depth_becomes_a_step_and_a_slope_stays():
    blurred = torch.nn.functional.avg_pool2d(card()[1], 3, 1, 1)
    edges = with_edges(blurred)
    assert ((edges == 0) | (edges > 0.9)).float().mean() > 0.99
    slope = (X / WIDTH).float()[None]
    torch.testing.assert_close(with_edges(slope), slope)
