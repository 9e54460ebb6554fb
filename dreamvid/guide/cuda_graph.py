"""A guide's passes on a CUDA device: recorded once as graphs, then replayed as two launches.

A step of a small tower takes the device less time than the host needs to launch its hundreds of
kernels one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]

PATIENCE = 3
"""Calls in a row with one shape after which it is worth recording."""


class GraphedFunction:
    """`function`, differentiable in its one tensor, replayed where the same shape keeps coming.

    One recording is held at a time, as it holds the memory of a whole pass. Where recording fails
    the function is called as ever: it is slower and nothing else. What a replay gives is
    overwritten by the next, so differentiate it before; without gradients nothing is replayed.
    """

    def __init__(self, function: Function, record: Callable[[Function, Tensor], Function]) -> None:
        self._function = function
        self._record = record
        self._shape: torch.Size | None = None
        self._calls = 0
        self._recorded: Function | None = None

    def __call__(self, images: Tensor) -> Tensor:
        if not (images.requires_grad and torch.is_grad_enabled()):
            return self._function(images)
        if images.shape != self._shape:
            self._shape, self._calls, self._recorded = images.shape, 0, None
        self._calls += 1
        if self._calls == PATIENCE + 1:
            self._recorded = self._try_to_record(images)
        return (self._recorded or self._function)(images)

    def _try_to_record(self, images: Tensor) -> Function | None:
        try:
            return self._record(self._function, images)
        except RuntimeError:  # out of memory among them
            return None


class RecordedPasses:
    """Two CUDA graphs: `function` forwards and backwards, for tensors like `sample`."""

    def __init__(self, function: Function, sample: Tensor) -> None:
        self.images = sample.detach().clone().requires_grad_()
        self.forwards, self.backwards = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.device(sample.device):
            self._record(function, torch.cuda.Stream())  # type: ignore[no-untyped-call]

    def _record(self, function: Function, stream: torch.cuda.Stream) -> None:
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # lazy set-up is not to be recorded
            warm = function(self.images)
            torch.autograd.grad(warm, self.images, torch.ones_like(warm))
        torch.cuda.current_stream().wait_stream(stream)
        # Other threads may be decoding or finding flow on the same device.
        recording: Any = {"stream": stream, "capture_error_mode": "thread_local"}
        with torch.cuda.graph(self.forwards, **recording):
            self.result = function(self.images)
        self.pull = torch.empty_like(self.result)
        with torch.cuda.graph(self.backwards, pool=self.forwards.pool(), **recording):
            (self.gradient,) = torch.autograd.grad(self.result, self.images, self.pull)

    def __call__(self, images: Tensor) -> Tensor:
        result: Tensor = _Replay.apply(images, self)
        return result


class _Replay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, recording: RecordedPasses) -> Tensor:
        ctx.recording = recording
        recording.images.detach().copy_(images)
        recording.forwards.replay()
        return recording.result.detach()

    @staticmethod
    def backward(ctx: Any, *pulls: Tensor) -> tuple[Tensor, None]:
        recording = ctx.recording
        recording.pull.copy_(pulls[0])
        recording.backwards.replay()
        return recording.gradient.detach(), None
