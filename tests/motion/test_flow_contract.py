"""One contract for every flow estimator: the package's own, and one that it has never seen."""

from __future__ import annotations

from fractions import Fraction

import cv2
import pytest
import torch
from torch import Tensor

from dreamvid.config import SequenceConfig
from dreamvid.film.sequence import constant_settings, dream_frames
from dreamvid.motion import create_flow
from dreamvid.motion.flow import tof_flow
from dreamvid.types import FlowEstimator, Frame
from tests.fakes import TowardsColour
from tests.motion.scenes import RAFT_SMALL, need, texture, translated

REACH = range(-4, 5)
SHIFTS = [(dx, dy) for dx in REACH for dy in REACH]


def best_shift(current: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
    """A stranger's flow: of all shifts by whole pixels, the one whose difference is smallest."""

    def difference(shift: tuple[int, int]) -> float:
        dx, dy = shift
        return float((current.detach() - previous.roll((-dy, -dx), (1, 2))).abs().mean())

    dx, dy = min(SHIFTS, key=difference)
    backward = torch.tensor([float(dx), float(dy)]).view(2, 1, 1).repeat(1, *current.shape[1:])
    return backward, -backward


def tof_both_ways(current: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
    return tof_flow(current, previous), tof_flow(previous, current)


@pytest.fixture(
    scope="module", params=["dis", "farneback", "raft-small", "calm", "tof", "stranger"]
)
def estimate(request: pytest.FixtureRequest) -> FlowEstimator:
    calm = create_flow("dis", "cpu", calm=True)
    others: dict[str, FlowEstimator] = {"tof": tof_both_ways, "stranger": best_shift, "calm": calm}
    if request.param in others:
        return others[request.param]
    weights = need(RAFT_SMALL) if request.param == "raft-small" else None
    return create_flow(request.param, "cpu", weights)


@pytest.mark.parametrize("size", [(136, 200), (129, 173), (40, 56), (31, 97)])
def test_sign_and_scale_of_both_directions(estimate: FlowEstimator, size: tuple[int, int]) -> None:
    flows = estimate(*translated(*size, dx=3, dy=-2))
    for flow, shift in zip(flows, ([3.0, -2.0], [-3.0, 2.0]), strict=True):
        assert flow.shape == (2, *size)
        assert flow.dtype == torch.float32
        assert flow.device.type == "cpu"
        median = flow[:, 8:-8, 8:-8].flatten(1).median(1).values
        torch.testing.assert_close(median, torch.tensor(shift), atol=0.3, rtol=0)


@pytest.mark.parametrize("size", [(136, 200), (31, 97)])
def test_frames_exchanged_are_flows_exchanged(
    estimate: FlowEstimator, size: tuple[int, int]
) -> None:
    current, previous = translated(*size, dx=3, dy=-2)
    backward, forward = estimate(current, previous)
    other_forward, other_backward = estimate(previous, current)
    torch.testing.assert_close(backward, other_backward, atol=1e-4, rtol=0)
    torch.testing.assert_close(forward, other_forward, atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(8, 8), (9, 15), (16, 90)])
def test_tiny_pictures(estimate: FlowEstimator, size: tuple[int, int]) -> None:
    for flow in estimate(texture(*size, seed=1), texture(*size, seed=1)):
        assert flow.shape == (2, *size)
        assert flow.abs().median() < 0.3


def test_the_same_frames_give_the_same_flow(estimate: FlowEstimator) -> None:
    threads = cv2.getNumThreads()
    current, previous = translated(136, 200, dx=1, dy=1)
    kept = current.clone()
    first = estimate(current, previous)
    estimate(texture(130, 140, seed=2), texture(130, 140, seed=3))  # leaves nothing behind
    for flow, expected in zip(estimate(current, previous), first, strict=True):
        assert torch.equal(flow, expected)
    assert torch.equal(current, kept)
    assert cv2.getNumThreads() == threads


def test_it_keeps_no_gradient(estimate: FlowEstimator) -> None:
    current, previous = translated(128, 128, dx=1, dy=1)
    assert not any(flow.requires_grad for flow in estimate(current.requires_grad_(), previous))


def known_shift(current: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
    """The exact flow of the film below."""
    backward = torch.tensor([2.0, 0.0]).view(2, 1, 1).repeat(1, *current.shape[1:])
    return backward, -backward


def test_a_film_is_dreamed_along_a_strangers_flow() -> None:
    still = texture(40, 64)
    frames = [Frame(still.roll(-2 * index, 2), Fraction(index, 25)) for index in range(4)]
    config = SequenceConfig(steps=1, first_steps=2, octaves=1, cutouts=2, every=2)

    def dream(flow: FlowEstimator) -> Tensor:
        plan = constant_settings([TowardsColour((1, 0, 0))], config)
        results = dream_frames(frames, plan, flow=flow, is_cut=lambda current, previous: False)
        return torch.stack([result.frame.image for result in results])

    assert torch.equal(dream(best_shift), dream(known_shift))
