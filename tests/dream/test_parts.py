"""When the device's memory is short of what all cutouts together need."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.optimise import Objective, dream_image
from dreamvid.dream.parts import InParts, Portion
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


def descent(objective: Objective, cutouts: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, and twice its gradient: as a graph around it asks for it."""
    leaf = cutouts.clone().requires_grad_()
    loss = objective(leaf, before)
    (gradient,) = torch.autograd.grad(2 * loss, leaf)
    return loss.detach(), gradient


@pytest.mark.parametrize("inner", [TowardsColour(RED), AwayFromSource()])
@pytest.mark.parametrize("room", [11, 5, 2, 1])
def test_in_parts_the_gradient_is_the_same(inner, room):
    torch.manual_seed(0)
    cutouts, before = torch.rand(11, 3, 16, 16), torch.rand(11, 3, 16, 16)
    told: list[int] = []
    loss, gradient = descent(InParts(Cramped(room, inner), Portion(told.append)), cutouts, before)
    expected_loss, expected = descent(inner, cutouts, before)
    torch.testing.assert_close(gradient, expected, atol=1e-9, rtol=1e-5)
    torch.testing.assert_close(loss, expected_loss)
    assert told == {11: [], 5: [5], 2: [5, 2], 1: [5, 2, 1]}[room]


def test_what_memory_takes_is_remembered_from_frame_to_frame():
    cramped = Cramped(3, TowardsColour(RED))
    parts = InParts(cramped, Portion())
    config = DreamConfig(steps=4, octaves=2, cutouts=8)
    source = torch.rand(3, 40, 48)
    first = dream_image(source, [parts], config)
    assert parts.portion.most == 2
    cramped.shown.clear()
    again = dream_image(source, [parts], config)
    assert set(cramped.shown) == {2}
    assert torch.equal(first, again)
    whole = dream_image(source, [TowardsColour(RED)], config)
    torch.testing.assert_close(again, whole, atol=1e-4, rtol=0)


def test_while_memory_suffices_nothing_changes():
    source, config = torch.rand(3, 40, 48), DreamConfig(steps=4, octaves=2, cutouts=8)
    for objective in (TowardsColour(RED), AwayFromSource()):
        whole = dream_image(source, [objective], config)
        assert torch.equal(dream_image(source, [InParts(objective, Portion())], config), whole)


def test_where_one_cutout_is_too_much_that_is_told():
    with pytest.raises(torch.OutOfMemoryError):
        dream_image(
            torch.rand(3, 40, 48),
            [InParts(Cramped(0, TowardsColour(RED)), Portion())],
            DreamConfig(),
        )
