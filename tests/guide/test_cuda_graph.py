"""What is recorded, when, and what happens where that fails; the graphs themselves need a GPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dreamvid.guide.cuda_graph import PATIENCE, CapturedPasses, Function, GraphedFunction


class Tape:
    """A recorder that notes what it was asked for, and how often its recordings were played."""

    def __init__(self, error: RuntimeError | None = None) -> None:
        self.error = error
        self.shapes: list[tuple[int, ...]] = []
        self.played = 0

    def __call__(self, function: Function, sample: Tensor) -> Function:
        self.shapes.append(tuple(sample.shape))
        if self.error is not None:
            raise self.error

        def play(images: Tensor) -> Tensor:
            self.played += 1
            return function(images)

        return play


def shown(count: int, grad: bool = True) -> Tensor:
    return torch.full((count, 3, 2, 2), 2.0, requires_grad=grad)


def test_a_shape_that_keeps_coming_is_recorded_once_and_replayed():
    tape = Tape()
    square = GraphedFunction(torch.square, tape)
    for call in range(PATIENCE + 4):
        images = shown(5)
        (gradient,) = torch.autograd.grad(square(images).sum(), images)
        assert (gradient == 4).all()
        assert tape.played == max(0, call + 1 - PATIENCE)
    assert tape.shapes == [(5, 3, 2, 2)]


def test_another_shape_takes_its_place():
    tape = Tape()
    square = GraphedFunction(torch.square, tape)
    for count in [5] * (PATIENCE + 1) + [2] * (PATIENCE + 2) + [5]:
        assert square(shown(count)).shape == (count, 3, 2, 2)
    assert tape.shapes == [(5, 3, 2, 2), (2, 3, 2, 2)]
    assert tape.played == 1 + 2


def test_without_gradients_nothing_is_recorded():
    tape = Tape()
    square = GraphedFunction(torch.square, tape)
    for _ in range(3 * PATIENCE):
        square(shown(5, grad=False))
        with torch.no_grad():
            square(shown(5))
    assert tape.shapes == []


@pytest.mark.parametrize("error", [RuntimeError("capture"), torch.OutOfMemoryError("no room")])
def test_where_recording_fails_the_function_is_called_as_ever(error):
    tape = Tape(error)
    square = GraphedFunction(torch.square, tape)
    for _ in range(3 * PATIENCE):
        assert (square(shown(5)) == 4).all()
    assert len(tape.shapes) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_graphs_give_what_the_function_gives():
    weight = torch.randn(12, 7, device="cuda")
    images = torch.randn(5, 12, device="cuda", requires_grad=True)
    captured = CapturedPasses(lambda each: (each @ weight).relu().square(), images)
    for _ in range(3):
        images = torch.randn(5, 12, device="cuda", requires_grad=True)
        expected = (images @ weight).relu().square()
        found = captured(images)
        grad_output = torch.randn_like(found)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(
            torch.autograd.grad(found, images, grad_output),
            torch.autograd.grad(expected, images, grad_output),
        )
