"""The optimizer of a layer's parameters, and its rate from step to step."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.optim import Adam

from dreamvid.config import DreamConfig

MOMENTS = ("exp_avg", "exp_avg_sq")
"""torch's names of Adam's two moments."""
DAMPING = 1.0
"""Gradient, relative to the RMS of all, at which Adam moves a value half as far as at most."""


def create_optimizer(parameters: Tensor, config: DreamConfig, rate: Tensor | None = None) -> Adam:
    """The optimizer of contiguous `parameters`; see `step_down`.

    With `rate`, a scalar that changes from step to step, Adam can be captured as a graph.

    Adam moves every pixel by the same amount, however small its gradient: areas that do not matter
    to the guide get as much grain as others. So its ε, which in Kingma and Ba (2015) only prevents
    a division by zero, is a share of the whole gradient's RMS here.
    """
    epsilon = DAMPING if config.normalize_gradient else 1e-8
    is_captured = rate is not None and rate.is_cuda
    adam = Adam([parameters], betas=(0.9, 0.99), eps=epsilon, fused=True, capturable=is_captured)
    if rate is not None:
        adam.param_groups[0]["lr"] = rate
    return adam


def step_down(optimizer: Adam, gradient: Tensor, rate: float | None = None) -> None:
    """Move the optimizer's parameters in place by one step at this rate; None for its own.

    The gradient is made contiguous: fused kernels do not check that it lies like the parameters.
    """
    (group,) = optimizer.param_groups
    (parameters,) = group["params"]
    parameters.grad = gradient.contiguous()
    if rate is not None:
        group["lr"] = rate
    optimizer.step()


def moments_of(optimizer: Adam) -> Tensor:
    """The moments that the optimizer remembers after a step, (2, ...)."""
    (state,) = optimizer.state.values()
    return torch.stack([state[name] for name in MOMENTS])


def restore(optimizer: Adam, moments: Tensor, steps: int) -> None:
    """Let a new optimizer go on as one that has made so many steps, from its `moments_of`."""
    (group,) = optimizer.param_groups
    (parameters,) = group["params"]
    state = dict(zip(MOMENTS, moments.clone(), strict=True))
    state["step"] = torch.tensor(float(steps), device=parameters.device)
    optimizer.state[parameters] |= state


def rate(config: DreamConfig, step: int, steps: int) -> float:
    """The optimizer's rate at `step` of `steps` of a layer: it falls along a cosine towards 0.

    In the first step, a value whose gradient equals the RMS moves by `config.lr`.
    """
    return config.lr * cosine(step, steps) * (1 + DAMPING if config.normalize_gradient else 1)


def cosine(step: int, steps: int) -> float:
    """Share of the full rate at `step`: it falls from 1 to 0 after `steps`."""
    return 0.5 * (1 + math.cos(math.pi * step / steps))
