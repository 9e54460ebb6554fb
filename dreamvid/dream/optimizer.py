"""The optimizer of a layer's parameters, and its rate from step to step."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dreamvid.config import DreamConfig

DAMPING = 1.0
"""Gradient, over the RMS of the whole, at which Adam moves a value half as far as the largest."""


def create_optimizer(parameters: Tensor, config: DreamConfig) -> torch.optim.Optimizer:
    """The optimizer of contiguous `parameters`; see `step_down`.

    Adam moves every pixel by the same amount, however small its gradient: what the guide does not
    care about gets as much grain as what it does. So its ε, which in Kingma and Ba (2015) only
    keeps from dividing by zero, is a share of the whole gradient's RMS here.
    """
    if config.optimizer == "adam":
        epsilon = DAMPING if config.normalize_gradient else 1e-8
        return torch.optim.Adam([parameters], betas=(0.9, 0.99), eps=epsilon, fused=True)
    return torch.optim.SGD([parameters], momentum=0.9, dampening=0.9)


def step_down(optimizer: torch.optim.Optimizer, gradient: Tensor, rate: float) -> None:
    """Move the optimizer's parameters in place by one step at this rate.

    The gradient is made contiguous: fused kernels do not check that it lies like the parameters.
    """
    (group,) = optimizer.param_groups
    (parameters,) = group["params"]
    parameters.grad, group["lr"] = gradient.contiguous(), rate
    optimizer.step()


def rate(config: DreamConfig, step: int, steps: int) -> float:
    """The optimizer's rate at `step` of `steps` of a layer: along a cosine towards 0.

    In the first step a value with a gradient of the RMS moves by `config.lr`.
    """
    is_damped = config.optimizer == "adam" and config.normalize_gradient
    return config.lr * cosine(step, steps) * (1 + DAMPING if is_damped else 1)


def cosine(step: int, steps: int) -> float:
    """Share of the full rate at `step`: from 1 down towards 0 after `steps`."""
    return 0.5 * (1 + math.cos(math.pi * step / steps))
