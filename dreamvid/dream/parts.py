"""Cutouts shown to a guide in parts, where the device's memory is too small for all at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dreamvid.dream.optimise import Objective


class Portion:
    """How many cutouts a guide's memory holds at once; `on_halved` is told each new number."""

    def __init__(self, on_halved: Callable[[int], None] = lambda count: None) -> None:
        self.most: int | None = None
        """None while all fit."""
        self._on_halved = on_halved

    def halve(self, count: int) -> None:
        """`count` did not fit."""
        self.most = count // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._on_halved(self.most)


class InParts:
    """An objective that shows another one half as many cutouts at once when memory runs out.

    Losses are means over cutouts, so that the gradients of parts, weighted by their sizes, add up
    to that of the whole. What fits is remembered in `portion`. Raises torch.OutOfMemoryError
    where even one cutout is too much.
    """

    def __init__(self, whole: Objective, portion: Portion) -> None:
        self.size, self.compares = whole.size, whole.compares
        self.whole, self.portion = whole, portion

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        loss: Tensor = _Loss.apply(cutouts, source_cutouts, self)
        return loss

    def descent(self, cutouts: Tensor, source_cutouts: Tensor | None) -> tuple[Tensor, Tensor]:
        """The loss and its gradient by the cutouts (N, 3, size, size)."""
        while True:
            try:
                return self._accumulate(cutouts, source_cutouts)
            except torch.OutOfMemoryError:
                count = min(self.portion.most or len(cutouts), len(cutouts))
                if count == 1:
                    raise
            # Not above: the exception's traceback holds what is to be freed.
            self.portion.halve(count)

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
    def forward(ctx: Any, cutouts: Tensor, source_cutouts: Tensor | None, parts: InParts) -> Tensor:
        loss, gradient = parts.descent(cutouts, source_cutouts)
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    def backward(ctx: Any, *by_loss: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * by_loss[0], None, None
