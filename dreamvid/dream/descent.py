"""Gradient descent on one image, represented by any canvas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import Generator, Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.canvas import AnyLayer, Canvas, Layer, Task
from dreamvid.dream.canvases import canvas_of
from dreamvid.dream.cutouts import draw_cutouts
from dreamvid.dream.norms import rms
from dreamvid.dream.objective import Objective, guide_gradient
from dreamvid.dream.optimizer import create_optimizer, rate, step_down
from dreamvid.dream.terms import Term, add_gradients, terms_of
from dreamvid.errors import GradientError


@dataclass(frozen=True)
class Step:
    """One finished gradient step, the argument of `on_step`."""

    index: int
    """Index of the step, from 0, over all levels of the frame."""
    count: int
    level: int
    """Index of the canvas's layer, from 0, coarse to fine."""
    levels: int
    loss: Tensor
    """The guides' loss before the step; a scalar on the device."""
    look: Callable[[], Tensor]

    @cached_property
    def image(self) -> Tensor:
        """The frame so far, at full size: (3, H, W) in [0, 1]. Computed at the first access."""
        return self.look()


OnStep = Callable[[Step], None]


def frame_generator(seed: int, index: int) -> Generator:
    """The generator of frame `index`; independent of earlier frames and of the device."""
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
    canvas: Canvas | None = None,
    terms: Sequence[Term] | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Change `source` to match the objectives.

    Images are (3, H, W) in [0, 1] on one device. `start` is the warm start W (default: the
    source), and `trust` (1, H, W) in [0, 1] is its reliability. `mean_colour` (3,) is the mean of
    `I − source` that `config.colour_drift` keeps. `steps` overrides `config.steps`, `terms` and
    `canvas`, which selects the parameters to optimise, those of the config, and `generator` the
    generator of frame 0. Without steps the result is W itself; otherwise its RMS distance from
    the source is at most `config.strength`.

    Raises GradientError where a guide's gradient is not finite, or is zero at every step although
    the loss could still fall.
    """
    generator = frame_generator(config.seed, 0) if generator is None else generator
    start = source if start is None else start
    steps = config.steps if steps is None else steps
    size, guide_sizes = (source.shape[1], source.shape[2]), {each.size for each in objectives}
    cutouts = draw_cutouts(config, steps, size, guide_sizes, generator).to(source.device)

    def guidance(layer: Layer, first: int) -> Guidance:
        def look(image: Tensor, source: Tensor, step: int) -> tuple[Tensor, Tensor]:
            return guide_gradient(image, source, objectives, config, cutouts, first + step)

        return look

    canvas = canvas_of(config) if canvas is None else canvas
    layers = canvas(Task(source, start, steps, config, trust, mean_colour))
    terms = terms_of(config) if terms is None else terms
    check = GradientCheck(any(objective.compares for objective in objectives))
    layer: Layer | None = None
    for index, (layer, losses) in enumerate(optimize(layers, guidance, terms, config, check)):
        if on_step is not None:
            look = partial(layer.result, layer.parameters.clone())
            on_step(Step(index, steps, layer.level, layer.levels, losses.sum(), look))
    return start if layer is None else layer.result(layer.parameters)


Guidance = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]
"""(image (3, h, w) of a layer, its source, index of the step in the layer) → the gradient of the
guides' losses in the image, of unit RMS where gradients are normalised, and the losses (G,)."""


def optimize(
    layers: Iterable[AnyLayer],
    guidance: Callable[[AnyLayer, int], Guidance],
    terms: Sequence[Term],
    config: DreamConfig,
    check: GradientCheck,
) -> Iterator[tuple[AnyLayer, Tensor]]:
    """Optimise the parameters of one layer after the other, in place.

    After each step, yields the layer and the guides' losses (G,) before the step.
    `guidance(layer, count)` gives the guidance of a layer that has `count` steps before it. Raises
    GradientError as `check` does.
    """
    done = 0
    for layer in layers:
        for losses in _optimize_layer(layer, guidance(layer, done), terms, config, check):
            yield layer, losses
        done += layer.steps
    check.finish()


def _optimize_layer(
    layer: Layer,
    guidance: Guidance,
    terms: Sequence[Term],
    config: DreamConfig,
    check: GradientCheck,
) -> Iterator[Tensor]:
    optimizer = create_optimizer(layer.parameters, config)
    for step in range(layer.steps):
        yield take_step(layer, guidance, terms, config, check, optimizer, step)


def take_step(
    layer: Layer,
    guidance: Guidance,
    terms: Sequence[Term],
    config: DreamConfig,
    check: GradientCheck,
    optimizer: torch.optim.Optimizer,
    step: int,
) -> Tensor:
    """Move the layer's parameters by one step, in place; the guides' losses (G,) before it.

    Nothing here waits for the device, and nothing is moved to it or from it.
    """
    pixels, losses = _pixel_gradient(layer, guidance, terms, check, step)
    gradient = _to_parameters(pixels, layer, config)
    step_down(optimizer, gradient, rate(config, step, layer.steps))
    layer.settle()
    return losses


def _pixel_gradient(
    layer: Layer, guidance: Guidance, terms: Sequence[Term], check: GradientCheck, step: int
) -> tuple[Tensor, Tensor]:
    """The gradient of guides and terms in the layer's image, and the guides' losses (G,)."""
    image = layer.image(layer.parameters)
    scene = layer.scene(image)
    gradient, losses = guidance(image, scene.source, step)
    check.note(gradient, losses)
    add_gradients(terms, gradient, image, scene)
    return gradient, losses


def _to_parameters(pixels: Tensor, layer: Layer, config: DreamConfig) -> Tensor:
    """The gradient in the layer's parameters, scaled to the RMS of the gradient in its pixels.

    A canvas may change the gradient's scale, but the rate and Adam's ε are relative to it.
    """
    gradient = layer.gradient(pixels)
    if gradient is pixels or not config.normalize_gradient:
        return gradient
    return gradient * (rms(pixels) / rms(gradient).clamp(min=1e-20))


class GradientCheck:
    """Check that gradients are finite and not all zero: noted at each step, read once an image.

    Notes stay on the device, because reading a value waits for it. A zero gradient is allowed
    where the loss is 0: a negative repels only until the image is unrelated to it.
    """

    def __init__(self, compares: bool) -> None:
        """Set whether an objective `compares`: its loss can fall further from any value."""
        self._compares = compares
        self._peaks: list[Tensor] = []
        self._losses: list[Tensor] = []

    def note(self, gradient: Tensor, losses: Tensor) -> None:
        """Note the gradient (3, h, w) and each guide's loss (G,) of one step."""
        self._peaks += gradient.aminmax()
        self._losses.append(losses)

    def finish(self) -> None:
        """Raise GradientError where a gradient was not finite, or all were zero."""
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
