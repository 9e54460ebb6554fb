"""Gradient descent on one image, represented by any canvas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from torch import Generator, Tensor
from torch.optim import Adam

from dreamvid.config import DreamConfig
from dreamvid.dream.canvas import AnyLayer, Canvas, Layer, Task, constrain
from dreamvid.dream.canvases import canvas_of
from dreamvid.dream.cutouts import Cutouts, draw_cutouts, seen_size
from dreamvid.dream.norms import rms
from dreamvid.dream.objective import Objective, guide_gradient
from dreamvid.dream.octaves import enlarge
from dreamvid.dream.optimizer import create_optimizer, rate, restore, step_down
from dreamvid.dream.places import Placed, Sight
from dreamvid.dream.region import Box, support
from dreamvid.dream.step_graph import CapturedStep, StepGraphs
from dreamvid.dream.symmetry import Symmetry, folded
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
OnSketch = Callable[[Tensor], None]
"""(the image (3, h, w) at the size at which it was dreamed)."""


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
    graphs: StepGraphs | None = None,
    region: Tensor | None = None,
    symmetry: Symmetry | None = None,
    sketch: Tensor | None = None,
    on_sketch: OnSketch | None = None,
    places: Sequence[Placed] = (),
) -> Tensor:
    """Change `source` to match the objectives.

    Images are (3, H, W) in [0, 1] on one device. `start` is the warm start W (default: the
    source), and `trust` (1, H, W) in [0, 1] is its reliability. `mean_colour` (3,) is the mean of
    `I − source` that `config.colour_drift` keeps. `steps` overrides `config.steps`, `terms` and
    `canvas`, which selects the parameters to optimise, those of the config, and `generator` the
    generator of frame 0; the cutouts' noise is that of the config's seed. `graphs` holds the
    captured steps of earlier frames, to be replayed; with `terms` of one's own, nothing is
    captured. Without steps the result is W itself; otherwise its RMS distance from the source is
    at most `config.strength`.

    `region` (1, H, W) in [0, 1] is a mask of what is shown: the source stays where it is black,
    cutouts are drawn around the rest, and the RMS distance is measured there.

    `symmetry` is that of the image, after every step too; None for the one that the config names.
    The source is made symmetric first.

    With `places` (at least one), their objectives count instead, each in its part of the picture.

    An image larger than the guides can see (`seen_size`) is dreamed at the smaller size, and what
    was dreamed is enlarged and added to the warm start, so that the source keeps its detail.
    `on_sketch` is called with the image at the size at which it was dreamed. With that as `sketch`,
    and all else the same, the result is made again without a step, to the same bits; one of another
    size is ignored.

    Raises GradientError where a guide's gradient is not finite, or is zero at every step although
    the loss could still fall.
    """
    generator = frame_generator(config.seed, 0) if generator is None else generator
    start = source if start is None else start
    steps = config.steps if steps is None else steps
    canvas = canvas_of(config) if canvas is None else canvas
    symmetry = symmetry or Symmetry.of(config.symmetry)
    task = Task(source, start, steps, config, trust, mean_colour, region)
    if symmetry is not None:
        task = replace(task.mapped(symmetry.fold), tiles=symmetry.tiles)
        canvas = folded(canvas, symmetry)
        places = [place.mapped(symmetry.fold) for place in places]
    if places and all(place.is_black for place in places):
        return task.start
    parts = objectives, generator, canvas, terms, graphs, symmetry, sketch, on_sketch
    if task.region is None:
        return _descend(task, *parts, on_step, places)
    box = Box.around(task.region) if symmetry is None else Box.of(task.region)
    if box is None:
        return source
    told = on_step and partial(_tell, on_step, box, task.source)
    places = [place.mapped(box.cut) for place in places]
    return box.put(_descend(_within(task, task.region, box), *parts, told, places), task.source)


def _within(task: Task, region: Tensor, box: Box) -> Task:
    """The part of a task in the `box` around its region; outside of this the warm start is left."""
    source, mean_colour = box.cut(task.source), task.mean_colour
    start, within = source, box.cut(region)
    if task.start is not task.source:
        start = source + support(within) * (box.cut(task.start) - source)
    if mean_colour is not None:
        mean_colour = mean_colour * (region.numel() / within.numel())
    trust = None if task.trust is None else box.cut(task.trust)
    return Task(source, start, task.steps, task.config, trust, mean_colour, within)


def _tell(on_step: OnStep, box: Box, source: Tensor, step: Step) -> None:
    """Report a step in a part of the `source`, (3, H, W)."""
    on_step(replace(step, look=lambda: box.put(step.image, source)))


def _descend(
    whole: Task,
    objectives: Sequence[Objective],
    generator: Generator,
    canvas: Canvas,
    terms: Sequence[Term] | None,
    graphs: StepGraphs | None,
    symmetry: Symmetry | None,
    sketch: Tensor | None,
    on_sketch: OnSketch | None,
    on_step: OnStep | None,
    places: Sequence[Placed],
) -> Tensor:
    """The dream of a task; `descend` says what the arguments are."""
    config, own_terms = whole.config, terms_of(whole.config)
    begun = graphs if terms is None else None
    terms = own_terms if terms is None else terms
    if places:
        guides = _guides_in_places(whole, places, generator)
    else:
        guides = _guides(whole, objectives, generator, begun)
    task = whole.resized(guides.seen)
    if symmetry is not None and task.source is not whole.source:
        task = task.mapped(symmetry.fold)
    if sketch is not None and _fits(sketch, task.source):
        return _delivered(sketch, task, whole, symmetry)
    check = GradientCheck(guides.compares)
    layer: Layer | None = None
    taken = optimize(canvas(task), guides.guidance, terms, config, check, capture=guides.capture)
    for index, (layer, losses, _) in enumerate(taken):
        if on_step is not None:
            look = partial(_look, layer, layer.parameters.clone(), task, whole, symmetry)
            on_step(Step(index, whole.steps, layer.level, layer.levels, losses.sum(), look))
    if layer is None:
        return whole.start
    dreamed = layer.result(layer.parameters)
    if on_sketch is not None:
        on_sketch(dreamed)
    return _delivered(dreamed, task, whole, symmetry)


def _fits(sketch: Tensor, source: Tensor) -> bool:
    return sketch.shape == source.shape and sketch.dtype == source.dtype


def _look(
    layer: Layer, parameters: Tensor, task: Task, whole: Task, symmetry: Symmetry | None
) -> Tensor:
    """The image (3, H, W) of the `whole` task that a layer's parameters stand for."""
    return _delivered(layer.result(parameters), task, whole, symmetry)


def _delivered(image: Tensor, task: Task, whole: Task, symmetry: Symmetry | None) -> Tensor:
    """The image (3, H, W) of the `whole` task; `image` is that of `task`, the same at its size."""
    if task.source is whole.source:
        return image
    fold = symmetry.fold if symmetry is not None else lambda image: image
    image = fold(whole.start + enlarge(image - task.start, whole.source.shape[1:]))
    return fold(constrain(image, whole.source, whole.config.strength, None, whole.region))


Guidance = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]
"""(image (3, h, w) of a layer, its source, index of the step in the layer) → the gradient of the
guides' losses in the image, of unit RMS where gradients are normalised, and the losses (G,)."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Progress within a layer that holds nothing back, from which `optimize` resumes."""

    level: int
    """The layer's index."""
    steps: int
    """Steps done, those of earlier layers included; at least one in this layer."""
    parameters: Tensor
    moments: Tensor
    """The optimizer's, by `moments_of`."""


@dataclass(frozen=True)
class _Guides:
    """What guides the descent of one image."""

    guidance: Callable[[Layer, int], Guidance]
    """As `optimize` takes it."""
    seen: tuple[int, int]
    """(height, width) beyond which no guide sees more."""
    compares: bool
    """Whether an objective needs the source too."""
    capture: Callable[[Layer], CapturedStep | None] = lambda layer: None


def _guides(
    whole: Task,
    objectives: Sequence[Objective],
    generator: Generator,
    graphs: StepGraphs | None,
) -> _Guides:
    """Objectives that act on all of an image; with `graphs`, the terms are those of the options."""
    source, config, terms = whole.source, whole.config, terms_of(whole.config)
    size, guide_sizes = (source.shape[1], source.shape[2]), {each.size for each in objectives}
    cutouts = draw_cutouts(config, whole.steps, size, guide_sizes, generator, source.device)

    def guidance(layer: Layer, first: int) -> Guidance:
        return _guidance(objectives, config, cutouts, first)

    def capture(layer: Layer) -> CapturedStep | None:
        if graphs is None:
            return None
        return graphs.begin(layer, objectives, terms, config, cutouts, work)

    def work(
        layer: Layer, objectives: Sequence[Objective], cutouts: Cutouts, optimizer: Adam
    ) -> tuple[Tensor, Tensor]:
        guidance = _guidance(objectives, config, cutouts, 0)
        return take_step(layer, guidance, terms, config, optimizer, 0)

    seen = seen_size(config, size, guide_sizes)
    return _Guides(guidance, seen, any(each.compares for each in objectives), capture)


def _guides_in_places(whole: Task, places: Sequence[Placed], generator: Generator) -> _Guides:
    """Objectives that act in their places; their steps are not captured."""
    sight = Sight.draw(places, whole.config, whole.steps, whole.source, generator)

    def guidance(layer: Layer, first: int) -> Guidance:
        def look(image: Tensor, source: Tensor, step: int) -> tuple[Tensor, Tensor]:
            return sight.gradient(image, source, whole.config, first + step)

        return look

    compares = any(each.compares for place in places for each in place.objectives)
    return _Guides(guidance, sight.size, compares)


def _guidance(
    objectives: Sequence[Objective], config: DreamConfig, cutouts: Cutouts, first: int
) -> Guidance:
    """The guidance by objectives of a layer that has `first` steps before it."""

    def look(image: Tensor, source: Tensor, step: int) -> tuple[Tensor, Tensor]:
        return guide_gradient(image, source, objectives, config, cutouts, first + step)

    return look


def optimize(
    layers: Iterable[AnyLayer],
    guidance: Callable[[AnyLayer, int], Guidance],
    terms: Sequence[Term],
    config: DreamConfig,
    check: GradientCheck,
    *,
    checkpoint: Checkpoint | None = None,
    capture: Callable[[AnyLayer], CapturedStep | None] = lambda layer: None,
) -> Iterator[tuple[AnyLayer, Tensor, Adam]]:
    """Optimise the parameters of one layer after the other, in place.

    After each step, yields the layer, the guides' losses (G,) before the step, and the optimizer.
    `guidance(layer, count)` gives the guidance of a layer that has `count` steps before it. With
    `checkpoint`, earlier layers stay as they are, and its own goes on. `capture` gives the step of
    a layer as a graph, where it has one. Raises GradientError as
    `check` does.
    """
    done = 0
    for layer in layers:
        guide, captured = guidance(layer, done), capture(layer)
        optimizer = create_optimizer(layer.parameters, config)
        for step in range(_steps_done(layer, optimizer, checkpoint, done), layer.steps):
            if captured is not None:
                losses, peaks = captured(step, done)
            else:
                now = rate(config, step, layer.steps)
                losses, peaks = take_step(layer, guide, terms, config, optimizer, step, now)
            check.note(peaks, losses)
            yield layer, losses, optimizer
        done += layer.steps
    check.finish()


def _steps_done(layer: Layer, optimizer: Adam, checkpoint: Checkpoint | None, before: int) -> int:
    """The layer's steps that are done at `checkpoint`, which it restores in its own layer.

    The layers before have `before` steps.
    """
    if checkpoint is None or layer.level > checkpoint.level:
        return 0
    done = min(checkpoint.steps - before, layer.steps)
    if layer.level == checkpoint.level:
        layer.parameters.copy_(checkpoint.parameters)
        restore(optimizer, checkpoint.moments, done)
    return done


def take_step(
    layer: Layer,
    guidance: Guidance,
    terms: Sequence[Term],
    config: DreamConfig,
    optimizer: Adam,
    step: int,
    rate: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Move the layer's parameters by one step at this rate, in place; None for the optimizer's own.

    The result is the guides' losses (G,) before the step, and the least and the greatest value of
    their gradient, (2,). Nothing here waits for the device or is moved to it, so that a step can
    be captured as a graph.
    """
    image = layer.image(layer.parameters)
    scene = layer.scene(image)
    pixels, losses = guidance(image, scene.source, step)
    peaks = torch.stack(pixels.aminmax())
    add_gradients(terms, pixels, image, scene)
    step_down(optimizer, _to_parameters(pixels, layer, config), rate)
    layer.settle()
    return losses, peaks


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

    def note(self, peaks: Tensor, losses: Tensor) -> None:
        """Note the extreme values (2,) of the gradient and each guide's loss (G,) of one step."""
        self._peaks.append(peaks)
        self._losses.append(losses)

    def peaks(self) -> tuple[Tensor, Tensor]:
        """The largest absolute gradient and loss so far, (1,) each; noted, they stand for all."""
        peak, loss = torch.cat(self._peaks).abs().amax(), torch.cat(self._losses).amax()
        return peak[None], loss[None]

    def finish(self) -> None:
        """Raise GradientError where a gradient was not finite, or all were zero."""
        if not self._peaks:
            return
        peak, loss = (each[0] for each in self.peaks())
        facts = torch.stack([peak.isfinite(), peak > 0, loss > 0])
        is_finite, is_alive, may_gain = facts.tolist()
        if not is_finite:
            raise GradientError("a guide's gradient is not finite; a smaller --lr may help")
        if not is_alive and (may_gain or self._compares):
            raise GradientError(
                "the guides' gradient is zero at every step; another prompt or guide may help"
            )
