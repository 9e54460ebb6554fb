"""Root mean squares of tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def rms(image: Tensor, weight: Tensor | None = None) -> Tensor:
    """Root mean square, a scalar; summed by rows, because one long sum loses digits at 4K.

    With `weight` (1, H, W), that of an image (C, H, W) in which pixels count so much.
    """
    if weight is not None:
        share = weight.mean(-1).mean().clamp(min=1e-12)
        return rms(image * weight.sqrt()) / share.sqrt()
    norm: Tensor = torch.linalg.vector_norm(torch.linalg.vector_norm(image, dim=-1))
    return norm / math.sqrt(image.numel())


def unit_rms(gradient: Tensor) -> Tensor:
    """The gradient scaled to a root mean square of 1; an all-zero gradient stays zero."""
    return gradient / rms(gradient).clamp(min=1e-20)
