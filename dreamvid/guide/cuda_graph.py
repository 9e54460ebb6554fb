"""A guide's forward and backward pass on a CUDA device, each captured once as a CUDA graph.

Replaying a graph takes one launch. Without it, the host launches the hundreds of kernels of a
small tower one by one, which takes longer than the device needs to run them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]

PATIENCE = 3
"""Calls with the same shape before the passes are captured."""
SHAPES = 2
"""Most shapes that are remembered."""


class GraphedFunction:
    """`function`, differentiable in its one tensor, replayed once its input's shape repeats.

    Two captures are kept, for microbatches whose sizes differ by one; each holds the memory of a
    whole pass. Where capturing fails, `function` itself is called: slower, with the same result.
    Each replay overwrites the result of the last one, so differentiate that first. Without
    gradients nothing is captured.
    """

    def __init__(self, function: Function, capture: Callable[[Function, Tensor], Function]) -> None:
        """`capture` takes `function` and a sample input, and returns its replayable form."""
        self._function = function
        self._capture = capture
        self._calls: dict[torch.Size, int] = {}
        self._captured: dict[torch.Size, Function | None] = {}

    def __call__(self, images: Tensor) -> Tensor:
        if not (images.requires_grad and torch.is_grad_enabled()):
            return self._function(images)
        shape = images.shape
        self._calls[shape] = self._calls.pop(shape, 0) + 1  # the latest shape is the last
        if len(self._calls) > SHAPES:
            oldest = next(iter(self._calls))
            del self._calls[oldest]
            self._captured.pop(oldest, None)
        if self._calls[shape] == PATIENCE + 1:
            self._captured[shape] = self._try_to_capture(images)
        return (self._captured.get(shape) or self._function)(images)

    def _try_to_capture(self, images: Tensor) -> Function | None:
        try:
            return self._capture(self._function, images)
        except RuntimeError:  # among others torch.OutOfMemoryError
            return None


class CapturedPasses:
    """Two CUDA graphs, forward and backward pass, for tensors shaped like `sample`."""

    def __init__(self, function: Function, sample: Tensor) -> None:
        self.images = sample.detach().clone().requires_grad_()
        self.forward_graph, self.backward_graph = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.device(sample.device):
            self._capture(function, torch.cuda.Stream())  # type: ignore[no-untyped-call]

    def _capture(self, function: Function, stream: torch.cuda.Stream) -> None:
        before = torch.cuda.current_stream()
        try:
            self._record(function, stream)
        finally:
            torch.cuda.set_stream(before)  # a capture that fails leaves its own stream behind

    def _record(self, function: Function, stream: torch.cuda.Stream) -> None:
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # lazy initialisation must not be captured
            result = function(self.images)
            torch.autograd.grad(result, self.images, torch.ones_like(result))
        torch.cuda.current_stream().wait_stream(stream)
        # Other threads may decode or estimate flow on the same device meanwhile.
        options: Any = {"stream": stream, "capture_error_mode": "thread_local"}
        with torch.cuda.graph(self.forward_graph, **options):
            self.result = function(self.images)
        self.grad_output = torch.empty_like(self.result)
        with torch.cuda.graph(self.backward_graph, pool=self.forward_graph.pool(), **options):
            (self.gradient,) = torch.autograd.grad(self.result, self.images, self.grad_output)

    def __call__(self, images: Tensor) -> Tensor:
        result: Tensor = _Replay.apply(images, self)
        return result


class _Replay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, captured: CapturedPasses) -> Tensor:
        ctx.captured = captured
        captured.images.detach().copy_(images)
        captured.forward_graph.replay()
        return captured.result.detach()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        captured = ctx.captured
        captured.grad_output.copy_(grad_outputs[0])
        captured.backward_graph.replay()
        return captured.gradient.detach(), None
