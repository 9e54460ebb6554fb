"""Gradients accumulated over microbatches of cutouts that do not fit the memory together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch
from torch import Tensor

from dreamvid.dream.objective import Objective
from dreamvid.dream.step_graph import Capturable

if TYPE_CHECKING:
    from dreamvid.guide.objective import FilmObjective

USABLE_SHARE = 0.9
"""Share of the free memory that a microbatch may take: others use the device too."""


class Memory(Protocol):
    """The memory of one device."""

    def free(self) -> int:
        """Bytes that can still be allocated."""

    def peak(self, work: Callable[[], object]) -> int:
        """Bytes that `work` allocates at its peak."""


class CudaMemory:
    """The memory of a CUDA device, as torch's allocator sees it."""

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
    """The number of cutouts that a guide processes at once; it only ever shrinks.

    `on_limited` is called with each new number.
    """

    def __init__(self, on_limited: Callable[[int], None] = lambda count: None) -> None:
        self.limit: int | None = None
        """None while all cutouts fit."""
        self.is_estimated = False
        self._on_limited = on_limited

    def estimate(self, count: int, peak_of: Callable[[int], int], free: int) -> None:
        """Choose the limit for `count` cutouts from `free` bytes.

        `peak_of(n)` measures the bytes of a pass over n cutouts. They grow linearly with n, so two
        passes suffice.
        """
        self.is_estimated = True
        if count < 3:
            return
        one, two = peak_of(1), peak_of(2)
        each = max(two - one, 1)
        fitting = int((USABLE_SHARE * free - max(one - each, 0)) // each)
        if fitting < count:
            self.limit = max(fitting, 1)
            self._on_limited(self.limit)

    def halve(self, count: int) -> None:
        """Halve the limit, because `count` cutouts did not fit."""
        self.limit = count // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._on_limited(self.limit)


class Microbatches:
    """The objective `whole`, evaluated on microbatches of the cutouts with gradient accumulation.

    A loss is a mean over cutouts, so the gradients of microbatches, weighted by their sizes, add up
    to the gradient of all cutouts. `microbatch_size` is estimated from the free memory at the first
    call and halved where a microbatch still does not fit; it keeps the result for later calls.
    Raises torch.OutOfMemoryError where a single cutout does not fit.
    """

    def __init__(
        self, whole: Objective, microbatch_size: MicrobatchSize, memory: Memory | None = None
    ) -> None:
        """Measure `memory`, by default the cutouts' CUDA device; other devices are not measured."""
        self.size, self.compares = whole.size, whole.compares
        self.whole, self.microbatch_size, self._memory = whole, microbatch_size, memory

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        loss: Tensor = _Loss.apply(cutouts, source_cutouts, self)
        return loss

    def work_key(self) -> Hashable | None:
        """That of the whole objective, and the number of cutouts at once."""
        if not isinstance(self.whole, Capturable) or self.whole.work_key() is None:
            return None
        return Microbatches, self.whole.work_key(), self.microbatch_size.limit

    def buffers(self) -> Sequence[Tensor]:
        return self.whole.buffers() if isinstance(self.whole, Capturable) else []

    def on(self, buffers: Sequence[Tensor]) -> Microbatches:
        whole = self.whole.on(buffers) if isinstance(self.whole, Capturable) else self.whole
        return Microbatches(whole, self.microbatch_size, self._memory)

    def similarities(self, images: Sequence[Tensor]) -> Tensor:
        """The scores (K,) of K images by `whole`, where that is a `FilmObjective`."""
        return cast("FilmObjective", self.whole).similarities(images)

    def loss_and_gradient(
        self, cutouts: Tensor, source_cutouts: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The loss, a scalar, and its gradient (N, 3, size, size) with respect to the cutouts."""
        while True:
            try:
                self._estimate(cutouts, source_cutouts)
                return self._accumulate(cutouts, source_cutouts)
            except torch.OutOfMemoryError:
                if cutouts.is_cuda and torch.cuda.is_current_stream_capturing():
                    raise  # there is no second attempt within a capture
                count = min(self.microbatch_size.limit or len(cutouts), len(cutouts))
                if count == 1:
                    raise
            # Outside the handler: inside it, the exception's traceback keeps the tensors alive.
            self.microbatch_size.halve(count)

    def _estimate(self, cutouts: Tensor, source_cutouts: Tensor | None) -> None:
        memory = self._memory or (CudaMemory(cutouts.device) if cutouts.is_cuda else None)
        if self.microbatch_size.is_estimated or memory is None:
            return

        def peak_of(count: int) -> int:
            before = None if source_cutouts is None else source_cutouts[:count]
            return memory.peak(lambda: self._accumulate(cutouts[:count], before))

        self.microbatch_size.estimate(len(cutouts), peak_of, memory.free())

    def _accumulate(self, cutouts: Tensor, source_cutouts: Tensor | None) -> tuple[Tensor, Tensor]:
        gradients: list[Tensor] = []
        total = torch.zeros((), device=cutouts.device)
        for begin, end in pairwise(bounds(len(cutouts), self.microbatch_size.limit)):
            microbatch = cutouts[begin:end].detach().requires_grad_()
            before = None if source_cutouts is None else source_cutouts[begin:end]
            with torch.enable_grad():
                loss = self.whole(microbatch, before) * (len(microbatch) / len(cutouts))
            gradients += torch.autograd.grad(loss, microbatch)
            total = total + loss.detach()
        return total, torch.cat(gradients) if len(gradients) > 1 else gradients[0]


def bounds(count: int, limit: int | None) -> list[int]:
    """Where the fewest microbatches of at most `limit` of `count` cutouts begin, and the last ends.

    Their sizes differ by at most one: passes of few different shapes can be captured and kept.
    """
    batches = -(-count // (limit or count))
    return [count * batch // batches for batch in range(batches + 1)]


class _Loss(torch.autograd.Function):
    """A loss whose gradient is computed in the forward pass: one microbatch's graph at a time."""

    @staticmethod
    def forward(
        ctx: Any, cutouts: Tensor, source_cutouts: Tensor | None, microbatches: Microbatches
    ) -> Tensor:
        loss, gradient = microbatches.loss_and_gradient(cutouts, source_cutouts)
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * grad_outputs[0], None, None
