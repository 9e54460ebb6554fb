"""Objectives: losses of an image's meaning, computed from its cutouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.cutouts import Cutouts, crop
from dreamvid.dream.norms import unit_rms


class Objective(Protocol):
    """A scalar loss of an image's cutouts; lower is better.

    The loss is a mean over the cutouts. If the objective does not compare, 0 is the lowest loss.
    """

    size: int
    """Side of the square cutouts, in pixels."""
    compares: bool
    """Whether the loss needs the source's cutouts too."""

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        """The loss, a scalar, differentiable in `cutouts`.

        Both arguments are (N, 3, size, size), in about [0, 1].
        """


def guide_gradient(
    image: Tensor,
    source: Tensor,
    objectives: Sequence[Objective],
    config: DreamConfig,
    cutouts: Cutouts,
    step: int,
) -> tuple[Tensor, Tensor]:
    """The gradient (3, H, W) of the objectives in `image`, and the loss of each (G,).

    Each gradient is scaled to unit RMS, so that no guide of an ensemble dominates the others. Their
    sum is scaled too, so that the weights of the terms mean the same for every guide and size.
    """
    gradients, losses = [], []
    for objective in objectives:
        leaf = image.detach().requires_grad_()
        with torch.enable_grad():
            loss = objective(*_show(leaf, source, objective, cutouts, step))
        (gradient,) = torch.autograd.grad(loss, leaf)
        gradient = unit_rms(gradient) if config.normalize_gradient else gradient * image.numel()
        gradients.append(gradient)
        losses.append(loss.detach())
    if len(gradients) == 1:
        return gradients[0], losses[0][None]
    total = torch.stack(gradients).sum(0)
    return unit_rms(total) if config.normalize_gradient else total, torch.stack(losses)


def _show(
    image: Tensor, source: Tensor, objective: Objective, cutouts: Cutouts, step: int
) -> tuple[Tensor, Tensor | None]:
    """The image's cutouts of this step and, where the objective compares, the source's."""
    windows, size = cutouts.windows[step], objective.size
    noise = cutouts.noise[size][cutouts.order[step]]
    of_source = crop(source, windows, size) + noise if objective.compares else None
    return crop(image, windows, size) + noise, of_source
