"""When passes are captured, and what happens where that fails; the graphs need a GPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dreamvid.guide.cuda_graph import PATIENCE, CapturedPasses, Function, GraphedFunction


class Capture:
    """A fake capture that notes the shapes it was given, and counts replays."""

    def __init__(self, error: RuntimeError | None = None) -> None:
        self.error = error
        self.shapes: list[tuple[int, ...]] = []
        self.replayed = 0

    def __call__(self, function: Function, sample: Tensor) -> Function:
        self.shapes.append(tuple(sample.shape))
        if self.error is not None:
            raise self.error

        def replay(images: Tensor) -> Tensor:
            self.replayed += 1
            return function(images)

        return replay


def shown(count: int, grad: bool = True) -> Tensor:
    return torch.full((count, 3, 2, 2), 2.0, requires_grad=grad)


def test_a_shape_that_keeps_coming_is_captured_once_and_replayed():
    capture = Capture()
    square = GraphedFunction(torch.square, capture)
    for call in range(PATIENCE + 4):
        images = shown(5)
        (gradient,) = torch.autograd.grad(square(images).sum(), images)
        assert (gradient == 4).all()
        assert capture.replayed == max(0, call + 1 - PATIENCE)
    assert capture.shapes == [(5, 3, 2, 2)]


def test_two_shapes_that_alternate_are_both_captured():
    capture = Capture()
    square = GraphedFunction(torch.square, capture)
    for _ in range(PATIENCE + 2):
        for count in (5, 4):
            assert square(shown(count)).shape == (count, 3, 2, 2)
    assert capture.shapes == [(5, 3, 2, 2), (4, 3, 2, 2)]
    assert capture.replayed == 2 * 2


def test_a_further_shape_takes_the_place_of_the_one_used_least_recently():
    capture = Capture()
    square = GraphedFunction(torch.square, capture)
    for count in [5] * (PATIENCE + 1) + [2] * (PATIENCE + 2) + [3] * 2 + [2] * 4 + [5]:
        assert square(shown(count)).shape == (count, 3, 2, 2)
    assert capture.shapes == [(5, 3, 2, 2), (2, 3, 2, 2)]
    assert capture.replayed == 1 + 2 + 4


def test_without_gradients_nothing_is_captured():
    capture = Capture()
    square = GraphedFunction(torch.square, capture)
    for _ in range(3 * PATIENCE):
        square(shown(5, grad=False))
        with torch.no_grad():
            square(shown(5))
    assert capture.shapes == []


@pytest.mark.parametrize("error", [RuntimeError("capture"), torch.OutOfMemoryError("no room")])
def test_where_capturing_fails_the_function_itself_is_called(error):
    capture = Capture(error)
    square = GraphedFunction(torch.square, capture)
    for _ in range(3 * PATIENCE):
        assert (square(shown(5)) == 4).all()
    assert len(capture.shapes) == 1


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
