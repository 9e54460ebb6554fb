"""When the device's memory is short of what all cutouts together need."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.descent import descend
from dreamvid.dream.objective import Objective
from dreamvid.guide.microbatch import Microbatches, MicrobatchSize, bounds
from tests.fakes import AwayFromSource, TowardsColour

RED = (1.0, 0.0, 0.0)


class Cramped:
    """An objective on a device whose memory takes so many cutouts."""

    def __init__(self, room: int, inner: Objective) -> None:
        self.room, self.inner = room, inner
        self.size, self.compares = inner.size, inner.compares
        self.shown: list[int] = []

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        if len(cutouts) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.shown.append(len(cutouts))
        return self.inner(cutouts, source_cutouts)


def evaluated(objective: Objective, cutouts: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, and twice its gradient: as a graph around it asks for it."""
    leaf = cutouts.clone().requires_grad_()
    loss = objective(leaf, before)
    (gradient,) = torch.autograd.grad(2 * loss, leaf)
    return loss.detach(), gradient


@pytest.mark.parametrize("inner", [TowardsColour(RED), AwayFromSource()])
@pytest.mark.parametrize("room", [11, 5, 2, 1])
def test_in_microbatches_the_gradient_is_the_same(inner, room):
    torch.manual_seed(0)
    cutouts, before = torch.rand(11, 3, 16, 16), torch.rand(11, 3, 16, 16)
    told: list[int] = []
    loss, gradient = evaluated(
        Microbatches(Cramped(room, inner), MicrobatchSize(told.append)), cutouts, before
    )
    expected_loss, expected = evaluated(inner, cutouts, before)
    torch.testing.assert_close(gradient, expected, atol=1e-9, rtol=1e-5)
    torch.testing.assert_close(loss, expected_loss)
    assert told == {11: [], 5: [5], 2: [5, 2], 1: [5, 2, 1]}[room]


def test_what_memory_takes_is_remembered_from_frame_to_frame():
    cramped = Cramped(3, TowardsColour(RED))
    microbatches = Microbatches(cramped, MicrobatchSize())
    config = DreamConfig(steps=4, octaves=2, cutouts=8)
    source = torch.rand(3, 40, 48)
    first = descend(source, [microbatches], config)
    assert microbatches.microbatch_size.limit == 2
    cramped.shown.clear()
    again = descend(source, [microbatches], config)
    assert set(cramped.shown) == {2}
    assert torch.equal(first, again)
    whole = descend(source, [TowardsColour(RED)], config)
    torch.testing.assert_close(again, whole, atol=1e-4, rtol=0)


def test_while_memory_suffices_nothing_changes():
    source, config = torch.rand(3, 40, 48), DreamConfig(steps=4, octaves=2, cutouts=8)
    for objective in (TowardsColour(RED), AwayFromSource()):
        whole = descend(source, [objective], config)
        assert torch.equal(
            descend(source, [Microbatches(objective, MicrobatchSize())], config), whole
        )


def test_where_one_cutout_is_too_much_that_is_told():
    with pytest.raises(torch.OutOfMemoryError):
        descend(
            torch.rand(3, 40, 48),
            [Microbatches(Cramped(0, TowardsColour(RED)), MicrobatchSize())],
            DreamConfig(),
        )


class Budget:
    """A device that has so many bytes, of which a pass takes 100 and 40 more for each cutout."""

    def __init__(self, free: int, shown: list[int]) -> None:
        self._free, self._shown = free, shown

    def free(self) -> int:
        return self._free

    def peak(self, work: Callable[[], object]) -> int:
        work()
        return 100 + 40 * self._shown[-1]


@pytest.mark.parametrize(("free", "most"), [(10_000, None), (620, 11), (489, 8), (270, 3), (50, 1)])
def test_what_fits_is_chosen_from_the_free_memory_before_all_are_shown(free, most):
    torch.manual_seed(0)
    cutouts = torch.rand(11, 3, 16, 16)
    told: list[int] = []
    inner = Cramped(11, TowardsColour(RED))
    microbatch_size = MicrobatchSize(told.append)
    microbatches = Microbatches(inner, microbatch_size, Budget(free, inner.shown))
    loss, gradient = evaluated(microbatches, cutouts, cutouts)
    assert inner.shown[:2] == [1, 2]
    largest = math.ceil(11 / math.ceil(11 / (most or 11)))  # of about equal size
    assert max(inner.shown[2:]) == largest
    assert told == ([most] if most and most < 11 else [])
    expected_loss, expected = evaluated(TowardsColour(RED), cutouts, cutouts)
    torch.testing.assert_close(gradient, expected, atol=1e-9, rtol=1e-5)
    torch.testing.assert_close(loss, expected_loss)
    inner.shown.clear()
    evaluated(Microbatches(inner, microbatch_size, Budget(0, inner.shown)), cutouts, cutouts)
    assert max(inner.shown) == largest  # remembered: not looked at anew


def test_an_estimate_that_is_too_large_is_halved():
    cutouts, inner = torch.rand(12, 3, 16, 16), Cramped(3, TowardsColour(RED))
    microbatch_size = MicrobatchSize()
    evaluated(Microbatches(inner, microbatch_size, Budget(550, inner.shown)), cutouts, cutouts)
    assert microbatch_size.limit == 2  # of 9 estimated, 4 and 2


@pytest.mark.parametrize(
    ("count", "limit", "expected"),
    [
        (16, None, [0, 16]),
        (16, 16, [0, 16]),
        (16, 5, [0, 4, 8, 12, 16]),  # not 5, 5, 5 and 1
        (17, 5, [0, 4, 8, 12, 17]),
        (7, 1, [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_microbatches_are_of_equal_size_or_differ_by_one(
    count: int, limit: int | None, expected: list[int]
) -> None:
    assert bounds(count, limit) == expected
