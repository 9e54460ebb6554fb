"""Cutouts shown to a guide in parts, where the device's memory is too small for all at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from dreamvid.dream.objective import Objective

SAFE = 0.9
"""Share of the free memory that is counted on: others use the device too."""


class Memory(Protocol):
    """That of a device."""

    def free(self) -> int:
        """Bytes that can still be had."""

    def peak(self, work: Callable[[], object]) -> int:
        """Bytes that `work` takes at its height."""


class CudaMemory:
    """That of a CUDA device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def free(self) -> int:
        free, _ = torch.cuda.mem_get_info(self._device)
        unused = torch.cuda.memory_reserved(self._device)
        return free + unused - torch.cuda.memory_allocated(self._device)

    def peak(self, work: Callable[[], object]) -> int:
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        work()
        return torch.cuda.max_memory_allocated(self._device) - before


class MicrobatchSize:
    """How many cutouts a guide's memory holds at once; `on_halved` is told each new number."""

    def __init__(self, on_halved: Callable[[int], None] = lambda count: None) -> None:
        self.most: int | None = None
        """None while all fit."""
        self.is_foreseen = False
        self._on_halved = on_halved

    def foresee(self, count: int, peak_of: Callable[[int], int], free: int) -> None:
        """Choose for `count` cutouts, from the bytes that some of them take and those there are."""
        self.is_foreseen = True
        if count < 3:
            return
        one, two = peak_of(1), peak_of(2)
        each = max(two - one, 1)
        fitting = int((SAFE * free - max(one - each, 0)) // each)
        if fitting < count:
            self.most = max(fitting, 1)
            self._on_halved(self.most)

    def halve(self, count: int) -> None:
        """`count` did not fit."""
        self.most = count // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._on_halved(self.most)


class Microbatches:
    """An objective that shows another one no more cutouts at once than memory holds.

    Losses are means over cutouts, so that the gradients of parts, weighted by their sizes, add up
    to that of the whole. What fits is reckoned from the free memory at the first sight, halved
    where that was too much, and remembered in `portion`. Raises torch.OutOfMemoryError
    where even one cutout is too much.
    """

    def __init__(
        self, whole: Objective, portion: MicrobatchSize, memory: Memory | None = None
    ) -> None:
        """`memory` is the device's own where there is none; only a CUDA device's is known."""
        self.size, self.compares = whole.size, whole.compares
        self.whole, self.portion, self._memory = whole, portion, memory

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        loss: Tensor = _Loss.apply(cutouts, source_cutouts, self)
        return loss

    def descent(self, cutouts: Tensor, source_cutouts: Tensor | None) -> tuple[Tensor, Tensor]:
        """The loss and its gradient by the cutouts (N, 3, size, size)."""
        while True:
            try:
                self._foresee(cutouts, source_cutouts)
                return self._accumulate(cutouts, source_cutouts)
            except torch.OutOfMemoryError:
                count = min(self.portion.most or len(cutouts), len(cutouts))
                if count == 1:
                    raise
            # Not above: the exception's traceback holds what is to be freed.
            self.portion.halve(count)

    def _foresee(self, cutouts: Tensor, source_cutouts: Tensor | None) -> None:
        memory = self._memory or (CudaMemory(cutouts.device) if cutouts.is_cuda else None)
        if self.portion.is_foreseen or memory is None:
            return

        def peak_of(count: int) -> int:
            before = None if source_cutouts is None else source_cutouts[:count]
            return memory.peak(lambda: self._accumulate(cutouts[:count], before))

        self.portion.foresee(len(cutouts), peak_of, memory.free())

    def _accumulate(self, cutouts: Tensor, source_cutouts: Tensor | None) -> tuple[Tensor, Tensor]:
        count = self.portion.most or len(cutouts)
        gradients: list[Tensor] = []
        total = torch.zeros((), device=cutouts.device)
        for begin in range(0, len(cutouts), count):
            part = cutouts[begin : begin + count].detach().requires_grad_()
            before = None if source_cutouts is None else source_cutouts[begin : begin + count]
            with torch.enable_grad():
                loss = self.whole(part, before) * (len(part) / len(cutouts))
            gradients += torch.autograd.grad(loss, part)
            total = total + loss.detach()
        return total, torch.cat(gradients) if len(gradients) > 1 else gradients[0]


class _Loss(torch.autograd.Function):
    """A loss whose gradient is made along with it, because that, too, may exceed the memory."""

    @staticmethod
    def forward(
        ctx: Any, cutouts: Tensor, source_cutouts: Tensor | None, parts: Microbatches
    ) -> Tensor:
        loss, gradient = parts.descent(cutouts, source_cutouts)
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    def backward(ctx: Any, *by_loss: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * by_loss[0], None, None
