"""Calm flow: even light, texture, and flow that is continued where nothing shows motion."""

import pytest
import torch
from torch import Tensor

from dreamvid.motion.calm import (
    blurred,
    calmed,
    evenly_lit,
    texture,
)
from dreamvid.motion.flow import create_flow
from dreamvid.motion.warp import trust
from dreamvid.types import FlowEstimator
from tests.motion import scenes
from tests.motion.scenes import EASY, MEDIUM, RAFT_SMALL, frames_of, need, translated, true_flow

# Light


def grey(values: list[float]) -> Tensor:
    """An image of one row, (3, 1, W)."""
    return torch.tensor(values).expand(3, 1, -1).clone()


def test_the_darker_frame_gets_the_light_of_the_brighter_one() -> None:
    current, previous = evenly_lit(grey([0.1, 0.2]), grey([0.2, 0.4]))
    torch.testing.assert_close(current, grey([0.5, 1.0]))
    torch.testing.assert_close(previous, grey([0.5, 1.0]))


def test_frames_of_one_light_that_use_all_of_it_stay() -> None:
    bright, same = grey([0.0, 0.5, 1.0]), grey([1.0, 0.5, 0.0])
    for frame, expected in zip(evenly_lit(bright, same), (bright, same), strict=True):
        torch.testing.assert_close(frame, expected, atol=1e-6, rtol=0)


def test_black_frames_stay_black() -> None:
    black = torch.zeros(3, 4, 4)
    for frame in evenly_lit(black, black):
        assert torch.equal(frame, black)


# Texture


def test_motion_shows_at_corners_not_on_flat_ground_nor_along_an_edge() -> None:
    board = (torch.arange(64)[:, None] // 4 + torch.arange(64) // 4) % 2
    stripes = (torch.arange(64) // 4 % 2).expand(64, 64)
    flat = torch.full((64, 64), 0.5)
    shown = [texture(each.float()[None])[0, 32, 32].item() for each in (board, stripes, flat)]
    assert shown[0] > 0.9
    assert shown[1:] == pytest.approx([0, 0], abs=1e-3)


def test_a_blur_keeps_what_is_even() -> None:
    torch.testing.assert_close(blurred(torch.full((2, 5, 7), 0.3), 3.0), torch.full((2, 5, 7), 0.3))


# Flow


def half_flat(dx: int) -> tuple[Tensor, Tensor]:
    """(current, previous): texture that moves by `dx` on the left, flat grey on the right."""
    frames = translated(120, 240, dx, 0)
    for frame in frames:
        frame[:, :, 120:] = 0.5
    return frames


def noisy(dx: float, seed: int) -> Tensor:
    """A flow by `dx` with noise of 2 pixels in the right half, (2, 120, 240)."""
    flow = torch.zeros(2, 120, 240)
    flow[0] = dx
    noise = torch.randn(2, 120, 120, generator=torch.Generator().manual_seed(seed))
    flow[:, :, 120:] += 2 * noise
    return flow


def test_where_nothing_shows_motion_it_is_that_of_around() -> None:
    current, previous = half_flat(3)
    backward, forward = noisy(3, 0), noisy(-3, 1)
    assert trust(backward, forward)[..., 130:].mean() < 0.2
    results = calmed(current, previous, backward, forward)
    for flow, given, dx in zip(results, (backward, forward), (3.0, -3.0), strict=True):
        right = flow[:, 8:-8, 130:-8]
        torch.testing.assert_close(right.mean((1, 2)), torch.tensor([dx, 0.0]), atol=0.3, rtol=0)
        assert right.std((1, 2)).max() < 0.4
        torch.testing.assert_close(flow[:, :, 8:100], given[:, :, 8:100], atol=0.15, rtol=0)
    assert trust(*results)[..., 8:-8, 130:-8].mean() > 0.95


def test_flow_that_explains_the_frame_stays_where_its_surroundings_would_not() -> None:
    """A dark disc moves over a flat ground: its flow is not that of the still texture around."""
    current, previous = translated(120, 240, 0, 0)
    rows, columns = torch.arange(120)[:, None] - 60, torch.arange(240) - 120
    for frame, shift in ((current, 6), (previous, 0)):
        frame[:, (rows**2 + (columns + shift) ** 2) < 30**2] = 0.0
    moving = ((rows**2 + (columns + 6) ** 2) < 30**2).float()
    backward = torch.stack([6 * moving, torch.zeros(120, 240)])
    forward = torch.stack([-6 * (rows**2 + columns**2 < 30**2).float(), torch.zeros(120, 240)])
    result, _ = calmed(current, previous, backward, forward)
    rim = moving.bool() & ~((rows**2 + (columns - 6 + 6) ** 2) < 30**2)  # dark here, not there
    assert rim.any()
    torch.testing.assert_close(result[0][rim], backward[0][rim], atol=0.5, rtol=0)


def test_still_ground_stays_still_beside_what_moves() -> None:
    frames = torch.full((3, 120, 240), 0.5), torch.full((3, 120, 240), 0.5)
    thing, flows = scenes.texture(40, 40), [torch.zeros(2, 120, 240) for _ in range(2)]
    for frame, flow, left, dx in zip(frames, flows, (100, 104), (4, -4), strict=True):
        frame[:, 40:80, left : left + 40] = thing
        flow[0, 40:80, left : left + 40] = dx
    for flow in calmed(*frames, flows[0], flows[1]):
        assert flow[0, 44:76, 112:132].abs().mean() > 3.5
        for beside in (flow[:, :24], flow[:, 96:], flow[..., :80], flow[..., 164:]):
            assert beside.abs().mean() < 0.2


def test_a_fade_of_a_sky_can_be_trusted() -> None:
    sky = torch.linspace(0.3, 0.6, 160).expand(3, 96, 160).clone()
    sky[:, 64:] = scenes.texture(32, 160)
    generator = torch.Generator().manual_seed(0)

    def lit(light: float) -> Tensor:
        noise = 0.004 * torch.randn(3, 96, 160, generator=generator)
        return (light * sky + noise).clamp(0, 1)

    current, previous = lit(0.5), lit(0.4)
    plain = trust(*create_flow("dis", "cpu")(current, previous)).mean()
    calm = trust(*create_flow("dis", "cpu", calm=True)(current, previous)).mean()
    assert plain < 0.4
    assert calm > 0.7


@pytest.mark.parametrize(("name", "is_calm"), [("dis", True), ("raft-small", False)])
def test_opencvs_estimators_are_calmed(name: str, is_calm: bool) -> None:
    weights = need(RAFT_SMALL) if name == "raft-small" else None
    assert create_flow(name, "cpu", weights, calm=True).is_calm == is_calm
    assert not create_flow(name, "cpu", weights).is_calm


# True flow


def error_of(estimate: FlowEstimator, scene: str, *lights: float) -> tuple[Tensor, Tensor]:
    """End-point error (H, W) in pixels, and trust, of a scene under two lights, in 8 bits."""
    dimmed = [
        (frame * light * 255).round() / 255
        for frame, light in zip(frames_of(scene), lights, strict=True)
    ]
    backward, forward = estimate(*dimmed)
    error = (backward - true_flow(scene)).square().sum(0).sqrt()
    return error, trust(backward, forward)[0]


@pytest.mark.parametrize(
    ("scene", "lights", "most"),
    [
        (EASY, (1, 1), 1.1),
        (EASY, (1, 0.8), 0.75),
        (EASY, (0.1, 0.08), 0.6),
        (MEDIUM, (1, 1), 1.0),
        (MEDIUM, (1, 0.8), 0.95),
        (MEDIUM, (0.1, 0.08), 0.75),
    ],
)
def test_the_error_over_that_of_dis_alone(
    scene: str, lights: tuple[float, float], most: float
) -> None:
    alone, _ = error_of(create_flow("dis", "cpu"), scene, *lights)
    calm, _ = error_of(create_flow("dis", "cpu", calm=True), scene, *lights)
    assert calm.mean() < most * alone.mean()
