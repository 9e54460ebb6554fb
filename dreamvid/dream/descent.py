"""Gradient descent on the pixels of one frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.cutouts import Cutouts, crop, draw_cutouts
from dreamvid.dream.octaves import octave_sizes, resize, split_steps
from dreamvid.dream.terms import (
    add_drift_gradient,
    add_steady_gradient,
    add_variation_gradient,
    detail_mask,
)
from dreamvid.errors import GradientError


class Objective(Protocol):
    """What an image shall mean: a scalar loss of its cutouts, lower is better.

    A mean over the cutouts. Where it does not compare, a loss of 0 leaves nothing to gain.
    """

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
    look: Callable[[], Tensor]

    @cached_property
    def image(self) -> Tensor:
        """The frame so far, at full size: (3, H, W) in [0, 1]. Made when first asked for."""
        return self.look()


OnStep = Callable[[Step], None]


def frame_generator(seed: int, index: int) -> Generator:
    """The generator of frame `index`: independent of what ran before it and of the device."""
    state = np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)[0]
    return Generator("cpu").manual_seed(int(state) >> 1)


def descend(
    source: Tensor,
    objectives: Sequence[Objective],
    config: DreamConfig,
    *,
    generator: Generator | None = None,
    start: Tensor | None = None,
    trust: Tensor | None = None,
    mean_colour: Tensor | None = None,
    steps: int | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Change `source` until it means what the objectives ask: `I = W + Σ_k up(Δ_k)`.

    Images are (3, H, W) in [0, 1] on one device. `start` is the warm start W (the source where
    absent), `trust` (1, H, W) says where it can be believed, and `mean_colour` (3,) is that of
    `I − source`, which `config.colour_drift` keeps; `steps` overrides `config.steps`, and
    `generator` the one of frame 0. With no steps the result is W itself; otherwise its RMS
    distance from the source is at most `config.strength`.

    Raises GradientError where a guide's gradient is not finite, or zero at every step though there
    is something to gain.
    """
    generator = frame_generator(config.seed, 0) if generator is None else generator
    start = source if start is None else start
    steps = config.steps if steps is None else steps
    sizes = octave_sizes(source.shape[1], source.shape[2], config.octaves, config.octave_scale)
    cutouts = draw_cutouts(
        config, steps, sizes[-1], {objective.size for objective in objectives}, generator
    ).to(source.device)
    image, done, pulse = start, 0, _Pulse(objectives)
    for octave, count in enumerate(split_steps(steps, len(sizes))):
        if count == 0:
            continue
        scene = _Scene.at(sizes[octave], source, start, image, trust, mean_colour, config.hold)
        small = scene.base.clone(memory_format=torch.contiguous_format)
        turns = range(done, done + count)
        for loss in _descend(small, scene, objectives, config, cutouts, turns, pulse):
            if on_step is not None:
                look = partial(_add, image, small - scene.base, source, config)
                on_step(Step(done, steps, octave, len(sizes), loss, look))
            done += 1
        image = _add(image, small - scene.base, source, config)
    pulse.check()
    return image


class _Pulse:
    """Whether gradients lead anywhere: noted at each step, looked at once a frame.

    Noted on the device, because a look waits for it. No gradient is no failure where there is
    nothing to gain: a negative repels only until it is unrelated.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self._compares = any(objective.compares for objective in objectives)
        self._peaks: list[Tensor] = []
        self._losses: list[Tensor] = []

    def note(self, gradient: Tensor, losses: Tensor) -> None:
        """The gradient (3, h, w) and each guide's loss (G,) of one step."""
        self._peaks += gradient.aminmax()
        self._losses.append(losses)

    def check(self) -> None:
        """Raise GradientError where they do not."""
        if not self._peaks:
            return
        peak, loss = torch.stack(self._peaks).abs().amax(), torch.cat(self._losses).amax()
        facts = torch.stack([peak.isfinite(), peak > 0, loss > 0])
        is_finite, is_alive, may_gain = facts.tolist()
        if not is_finite:
            raise GradientError("a guide's gradient is not finite; a smaller --lr may help")
        if not is_alive and (may_gain or self._compares):
            raise GradientError(
                "the guides' gradient is zero at every step; another prompt or guide may help"
            )


def _add(image: Tensor, delta: Tensor, source: Tensor, config: DreamConfig) -> Tensor:
    return constrain(image + resize(delta, image.shape[1:]), source, config.strength)


def constrain(image: Tensor, source: Tensor, strength: float, out: Tensor | None = None) -> Tensor:
    """Clamp to [0, 1], then draw back to within an RMS distance of `strength` from `source`.

    `out` takes the result, where given; it may be `image`.
    """
    difference = image.clamp(0, 1).sub_(source)
    share = (strength / rms(difference).clamp(min=1e-12)).clamp(max=1)
    return torch.addcmul(source, difference, share, out=out)


@dataclass(frozen=True)
class _Scene:
    """All that one octave looks at, at its own size."""

    source: Tensor
    start: Tensor
    base: Tensor
    """Start and coarser deltas: where this octave begins."""
    mask: Tensor
    trust: Tensor | None
    pace: Tensor | None
    """(1, h, w): the share of a step that each pixel takes; None where all take it whole."""
    mean_colour: Tensor | None

    @classmethod
    def at(
        cls,
        size: tuple[int, int],
        source: Tensor,
        start: Tensor,
        base: Tensor,
        trust: Tensor | None,
        mean_colour: Tensor | None,
        hold: float,
    ) -> _Scene:
        small = resize(source, size)
        trust = None if trust is None else resize(trust, size).to(small.dtype)
        return cls(
            source=small,
            start=resize(start, size),
            base=resize(base, size),
            mask=detail_mask(small),
            trust=trust,
            pace=None if trust is None or not hold else 1 - hold * trust,
            mean_colour=mean_colour,
        )


def _descend(
    image: Tensor,
    scene: _Scene,
    objectives: Sequence[Objective],
    config: DreamConfig,
    cutouts: Cutouts,
    steps: range,
    pulse: _Pulse,
) -> Iterator[Tensor]:
    """Optimise one octave's `image` in place; yields the guides' loss after each of `steps`."""
    optimizer = create_optimizer(image, config)
    for step in steps:
        gradient, losses = guide_gradient(image, scene.source, objectives, config, cutouts, step)
        pulse.note(gradient, losses)
        _add_look_pull(gradient, image, scene, config)
        before = image if scene.pace is None else image.clone()
        step_down(optimizer, gradient, rate(config, step - steps.start, len(steps)))
        if scene.pace is not None:
            torch.lerp(before, image, scene.pace, out=image)
        constrain(image, scene.source, config.strength, out=image)
        yield losses.sum()


FAINT = 1.0
"""Gradient, over its RMS in the frame, of which a pixel takes half of what the strongest take."""


def create_optimizer(pixels: Tensor, config: DreamConfig) -> torch.optim.Optimizer:
    """The rule of descent for contiguous `pixels`; see `step_down`.

    Adam moves every pixel by the same amount, however faint its gradient: what the guide does not
    care about gets as much grain as what it does. So its ε, which in Kingma and Ba (2015) only
    keeps from dividing by zero, is a share of the whole gradient's RMS here.
    """
    if config.optimizer == "adam":
        epsilon = FAINT if config.normalize_gradient else 1e-8
        return torch.optim.Adam([pixels], betas=(0.9, 0.99), eps=epsilon, fused=True)
    return torch.optim.SGD([pixels], momentum=0.9, dampening=0.9)


def step_down(optimizer: torch.optim.Optimizer, gradient: Tensor, rate: float) -> None:
    """One step of the optimizer's pixels at this rate, in place.

    Fused kernels take pixels and gradient to lie alike in memory, unasked.
    """
    (group,) = optimizer.param_groups
    (pixels,) = group["params"]
    pixels.grad, group["lr"] = gradient.contiguous(), rate
    optimizer.step()


def rate(config: DreamConfig, step: int, steps: int) -> float:
    """The optimizer's rate at `step` of `steps` of an octave: along a cosine towards 0.

    In the first step a pixel with a gradient of the RMS moves by `config.lr`.
    """
    is_damped = config.optimizer == "adam" and config.normalize_gradient
    return config.lr * cosine(step, steps) * (1 + FAINT if is_damped else 1)


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
    """The gradient of what the image shall mean, and each guide's loss (G,).

    Each guide's is brought to unit RMS, so that none of an ensemble drowns the others, and so is
    their sum, so that the weights of the other terms mean the same for every guide and size.
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


def _add_look_pull(pull: Tensor, image: Tensor, scene: _Scene, config: DreamConfig) -> None:
    """Add to `pull` in place how the image may look and move."""
    dreamed = image - scene.source
    if config.tv:
        smoothed = image if config.tv_of == "image" else dreamed
        add_variation_gradient(pull, smoothed, scene.mask, config.tv)
    if config.steady and scene.trust is not None:
        add_steady_gradient(pull, image - scene.start, scene.trust, config.steady)
    if config.colour_drift and scene.mean_colour is not None:
        add_drift_gradient(pull, dreamed, scene.mean_colour, config.colour_drift)


def unit_rms(gradient: Tensor) -> Tensor:
    """Scaled to a root mean square of 1; an all-zero gradient stays zero."""
    return gradient / rms(gradient).clamp(min=1e-20)


def rms(image: Tensor) -> Tensor:
    """Root mean square, a scalar; row by row, since torch's one long sum loses digits at 4K."""
    norm: Tensor = torch.linalg.vector_norm(torch.linalg.vector_norm(image, dim=-1))
    return norm / math.sqrt(image.numel())
