"""Gradient descent on the pixels of one frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.cutouts import Cutouts, cut, draw_cutouts
from dreamvid.dream.losses import detail_mask, masked_total_variation, steadiness
from dreamvid.dream.octaves import octave_sizes, resize, split_steps


class Objective(Protocol):
    """What an image shall mean: a scalar loss of its cutouts, lower is better."""

    size: int
    """Side of the square cutouts, in pixels."""
    compares: bool
    """Whether the loss needs the source's cutouts too."""

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        """(N, 3, size, size) in about [0, 1], twice → scalar, differentiable in the first."""


@dataclass(frozen=True)
class Step:
    """One finished gradient step, as `on_step` is told of it."""

    index: int
    """From 0, over all octaves of the frame."""
    count: int
    octave: int
    octaves: int
    loss: Tensor
    """The guides' loss before the step; a scalar on the device."""
    image: Tensor
    """The frame so far, at full size: (3, H, W) in [0, 1]."""


OnStep = Callable[[Step], None]


def frame_generator(seed: int, index: int) -> Generator:
    """The generator of frame `index`: independent of what ran before it and of the device."""
    state = np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)[0]
    return Generator("cpu").manual_seed(int(state) >> 1)


def dream_image(
    source: Tensor,
    objectives: Sequence[Objective],
    config: DreamConfig,
    *,
    generator: Generator | None = None,
    start: Tensor | None = None,
    trust: Tensor | None = None,
    steps: int | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Change `source` until it means what the objectives ask: `I = W + Σ_k up(Δ_k)`.

    Images are (3, H, W) in [0, 1] on one device. `start` is the warm start W (the source where
    absent) and `trust` (1, H, W) says where it can be believed; `steps` overrides `config.steps`,
    and `generator` the one of frame 0. With no steps the result is W itself; otherwise its RMS
    distance from the source is at most `config.strength`.
    """
    generator = frame_generator(config.seed, 0) if generator is None else generator
    start = source if start is None else start
    steps = config.steps if steps is None else steps
    sizes = octave_sizes(source.shape[1], source.shape[2], config.octaves, config.octave_scale)
    cutouts = draw_cutouts(
        config, steps, sizes[-1], {objective.size for objective in objectives}, generator
    ).to(source.device)
    image, done = start, 0
    for octave, count in enumerate(split_steps(steps, len(sizes))):
        if count == 0:
            continue
        scene = _Scene.at(sizes[octave], source, start, image, trust)
        delta = torch.zeros_like(scene.base)
        for loss in _descend(delta, scene, objectives, config, cutouts, range(done, done + count)):
            if on_step is not None:
                dreamed = _add(image, delta, source, config)
                on_step(Step(done, steps, octave, len(sizes), loss, dreamed))
            done += 1
        image = _add(image, delta, source, config)
    return image


def _add(image: Tensor, delta: Tensor, source: Tensor, config: DreamConfig) -> Tensor:
    return constrain(image + resize(delta, image.shape[1:]), source, config.strength)


def constrain(image: Tensor, source: Tensor, strength: float) -> Tensor:
    """Clamp to [0, 1], then draw back to within an RMS distance of `strength` from `source`."""
    difference = image.clamp(0, 1) - source
    distance = difference.square().mean().sqrt()
    return source + difference * (strength / distance.clamp(min=1e-12)).clamp(max=1)


@dataclass(frozen=True)
class _Scene:
    """All that one octave looks at, at its own size."""

    source: Tensor
    start: Tensor
    base: Tensor
    """Start and coarser deltas: what this octave's delta is added to."""
    mask: Tensor
    trust: Tensor | None

    @classmethod
    def at(
        cls,
        size: tuple[int, int],
        source: Tensor,
        start: Tensor,
        base: Tensor,
        trust: Tensor | None,
    ) -> _Scene:
        small = resize(source, size)
        return cls(
            source=small,
            start=resize(start, size),
            base=resize(base, size),
            mask=detail_mask(small),
            trust=None if trust is None else resize(trust, size),
        )


def _descend(
    delta: Tensor,
    scene: _Scene,
    objectives: Sequence[Objective],
    config: DreamConfig,
    cutouts: Cutouts,
    steps: range,
) -> Iterator[Tensor]:
    """Optimise one octave's `delta` in place; yields the guides' loss after each of `steps`."""
    optimizer = create_optimizer(delta, config)
    for step in steps:
        image = scene.base + delta
        gradient, loss = guide_gradient(image, scene.source, objectives, config, cutouts, step)
        delta.grad = gradient + _look_gradient(image, scene, config)
        optimizer.param_groups[0]["lr"] = config.lr * cosine(step - steps.start, len(steps))
        optimizer.step()
        delta.copy_(constrain(scene.base + delta, scene.source, config.strength) - scene.base)
        yield loss


def create_optimizer(delta: Tensor, config: DreamConfig) -> torch.optim.Optimizer:
    if config.optimizer == "adam":
        return torch.optim.Adam([delta], lr=config.lr, betas=(0.9, 0.99))
    return torch.optim.SGD([delta], lr=config.lr, momentum=0.9, dampening=0.9)


def cosine(step: int, steps: int) -> float:
    """Share of the full rate at `step`: from 1 down towards 0 after `steps`."""
    return 0.5 * (1 + math.cos(math.pi * step / steps))


def guide_gradient(
    image: Tensor,
    source: Tensor,
    objectives: Sequence[Objective],
    config: DreamConfig,
    cutouts: Cutouts,
    step: int,
) -> tuple[Tensor, Tensor]:
    """The gradient of what the image shall mean, and the summed loss.

    Each guide's is brought to unit RMS, so that none of an ensemble drowns the others, and so is
    their sum, so that the weights of the other terms mean the same for every guide and size.
    """
    total, losses = torch.zeros_like(image), []
    for objective in objectives:
        leaf = image.detach().requires_grad_()
        with torch.enable_grad():
            loss = objective(*_show(leaf, source, objective, cutouts, step))
        (gradient,) = torch.autograd.grad(loss, leaf)
        total += unit_rms(gradient) if config.normalize_gradient else gradient * gradient.numel()
        losses.append(loss.detach())
    return unit_rms(total) if config.normalize_gradient else total, torch.stack(losses).sum()


def _show(
    image: Tensor, source: Tensor, objective: Objective, cutouts: Cutouts, step: int
) -> tuple[Tensor, Tensor | None]:
    """The image's cutouts of this step and, where the objective compares, the source's."""
    windows, size = cutouts.windows[step], objective.size
    noise = cutouts.noise[size][cutouts.order[step]]
    of_source = cut(source, windows, size) + noise if objective.compares else None
    return cut(image, windows, size) + noise, of_source


def _look_gradient(image: Tensor, scene: _Scene, config: DreamConfig) -> Tensor | float:
    """The gradient of how the image may look and move, times its number of values.

    The guide's gradient has unit RMS at any size, while that of a mean shrinks with the number of
    values; times that number, the weights survive a change of size.
    """
    leaf = image.detach().requires_grad_()
    with torch.enable_grad():
        loss = torch.zeros((), device=image.device)
        if config.tv:
            smoothed = leaf if config.tv_of == "image" else leaf - scene.source
            loss = loss + config.tv * masked_total_variation(smoothed, scene.mask)
        if config.steady and scene.trust is not None:
            loss = loss + config.steady * steadiness(leaf, scene.start, scene.trust)
        if not loss.requires_grad:
            return 0.0
    return torch.autograd.grad(loss, leaf)[0] * image.numel()


def unit_rms(gradient: Tensor) -> Tensor:
    """Scaled to a root mean square of 1; an all-zero gradient stays zero."""
    return gradient / gradient.square().mean().sqrt().clamp(min=1e-20)
