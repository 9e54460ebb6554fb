"""Loops: one picture that contains itself is dreamed, and every frame is rendered from it.

The dreaming time does not depend on the length of the film.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import islice

import torch
from torch import Tensor
from torch.optim import Adam

from dreamvid.config import DreamConfig
from dreamvid.dream.canvas import Layer, Octave, PixelLayer, Task, by_octaves, constrain
from dreamvid.dream.canvases import SpectrumLayer
from dreamvid.dream.cutouts import Cutouts, draw_cutouts, seen_size
from dreamvid.dream.descent import (
    Checkpoint,
    GradientCheck,
    Guidance,
    frame_generator,
    optimize,
)
from dreamvid.dream.norms import unit_rms
from dreamvid.dream.objective import guide_gradient
from dreamvid.dream.optimizer import moments_of
from dreamvid.dream.symmetry import Symmetry
from dreamvid.dream.terms import Scene, Term, detail_mask, terms_of
from dreamvid.motion.camera import Camera
from dreamvid.zooms.droste import Droste, DrosteView, halved, resized, wrap
from dreamvid.zooms.endless import ObjectivesAt

PHASES = 2
"""Number of moments of the round that a step renders; they share the cutouts."""
GOLDEN = (5**0.5 - 1) / 2
"""Golden ratio: any number of moments this far apart is spread evenly over the round."""
MOST_STARTS = 96

OnLoopStep = Callable[[int, Tensor], None]
"""(index of the step, the guides' loss before it)."""


@dataclass(frozen=True, eq=False)
class Loop:
    """A film whose end leads into its beginning."""

    camera: Camera
    """The camera; its `seconds` are the length of a round."""
    shape: Droste
    size: tuple[int, int]
    """(height, width) of a frame."""
    canvas: Tensor
    """(3, shape.rows, shape.columns) in [0, 1]."""
    symmetry: Symmetry | None = None
    """The symmetry of each frame."""

    @classmethod
    def plant(
        cls,
        picture: Tensor,
        camera: Camera,
        height: int,
        width: int,
        symmetry: Symmetry | None = None,
    ) -> Loop:
        """The loop of a `picture` (3, H, W), of any size, that contains itself."""
        shape = Droste.of(camera, height, width)
        canvas = shape.plant(picture, height, width)
        return cls(camera, shape, (height, width), canvas, symmetry)

    def frames(self, times: Sequence[Fraction]) -> Iterator[Tensor]:
        """The frames (3, H, W) in [0, 1] at `times`, in seconds from the beginning of a round."""
        view = DrosteView.of(self.shape, *self.size, self.canvas.device)
        levels = halved(self.canvas)
        for time in times:
            yield self.seen(view, levels, time).clamp(0, 1)

    def seen(self, view: DrosteView, levels: Sequence[Tensor], time: Fraction) -> Tensor:
        """The frame (3, H, W) at `time`, not clamped; differentiable in `levels`."""
        frame = view.at(levels, self.phase(time))
        return frame if self.symmetry is None else self.symmetry.fold(frame)

    def phase(self, time: Fraction) -> float:
        """Share of the round that is done at `time`, in seconds."""
        return self.camera.travelled(time) / float(self.camera.seconds)


@dataclass(frozen=True, eq=False)
class LoopCheckpoint:
    """A loop's dream so far, from which `dream_loop` resumes as if never stopped.

    Holds only tensors and numbers, so that a journal can store it.
    """

    steps: int
    """Steps done, over all layers."""
    canvas: Tensor
    """(3, rows, columns): the texture as the layer found it; the result, where all are done."""
    level: int
    """Index of the layer."""
    parameters: Tensor
    """Parameters of the layer."""
    moments: Tensor
    """Moments of the optimizer."""
    peak: Tensor
    """Largest absolute gradient so far, (1,)."""
    loss: Tensor
    """Largest loss so far, (1,)."""

    @classmethod
    def of(
        cls, layer: DrosteLayer, steps: int, optimizer: Adam, check: GradientCheck
    ) -> LoopCheckpoint:
        """The checkpoint after so many `steps` over all layers, the last of them in `layer`."""
        moments = moments_of(optimizer)
        return cls(steps, layer.begun, layer.level, layer.parameters, moments, *check.peaks())

    @classmethod
    def whole(cls, canvas: Tensor, steps: int) -> LoopCheckpoint:
        """The checkpoint after all `steps`, which gave the `canvas` (3, rows, columns)."""
        nothing = torch.empty(0)
        return cls(steps, canvas, 0, nothing, nothing, nothing, nothing)


OnCheckpoint = Callable[[Callable[[], LoopCheckpoint]], None]
"""(function that makes the checkpoint after the step that is done)."""


def dream_loop(
    loop: Loop,
    objectives_at: ObjectivesAt,
    config: DreamConfig,
    *,
    steps: int,
    terms: Sequence[Term] | None = None,
    checkpoint: LoopCheckpoint | None = None,
    on_step: OnLoopStep | None = None,
    on_checkpoint: OnCheckpoint | None = None,
) -> Loop:
    """Change the canvas of `loop` so that its frames at all times match the objectives.

    The texture is dreamed on a `DrosteCanvas`. Each step uses frames rendered from it at moments
    spread over the round. The texture stays within an RMS distance of `config.strength` from its
    start. After each step but the last, `on_checkpoint` gets a function that makes a checkpoint;
    with `checkpoint` the dream resumes there. Raises GradientError as
    `dreamvid.dream.descent.descend` does.
    """
    if checkpoint is not None and checkpoint.steps == steps:
        return replace(loop, canvas=checkpoint.canvas)
    generator = frame_generator(config.seed, 0)
    objectives = objectives_at(Fraction(0))
    guide_sizes = {objective.size for objective in objectives}
    seen = seen_size(config, loop.size, guide_sizes)
    canvas = DrosteCanvas(loop.shape, loop.size, seen, checkpoint)
    layers = canvas(Task(loop.canvas, loop.canvas, steps, config))
    terms = terms_of(config) if terms is None else terms
    check = GradientCheck(any(objective.compares for objective in objectives))
    done, within = 0, None
    if checkpoint is not None:
        done, at = checkpoint.steps, checkpoint
        within = Checkpoint(at.level, at.steps, at.parameters, at.moments)
        check.note(at.peak, at.loss)

    def guidance(layer: DrosteLayer, first: int) -> Guidance:
        device, size = loop.canvas.device, layer.view.size
        cutouts = draw_cutouts(config, layer.steps, size, guide_sizes, generator, device)
        begin = float(torch.rand((), generator=generator))
        return _Moments(loop, layer.view, objectives_at, config, cutouts, begin)

    last: DrosteLayer | None = None
    optimized = optimize(layers, guidance, terms, config, check, checkpoint=within)
    for index, (layer, losses, optimizer) in enumerate(optimized, done):
        last = layer
        if on_checkpoint is not None and index + 1 < steps:
            on_checkpoint(partial(LoopCheckpoint.of, layer, index + 1, optimizer, check))
        if on_step is not None:
            on_step(index, losses.mean())
    return loop if last is None else replace(loop, canvas=last.result(last.parameters))


@dataclass(frozen=True, eq=False)
class DrosteCanvas:
    """Seamless textures, periodic in both axes: by octaves, or as a spectrum."""

    shape: Droste
    """Shape of the texture at full size."""
    size: tuple[int, int]
    """(height, width) of the rendered frames."""
    seen: tuple[int, int]
    """(height, width) of the largest frames that are rendered for the guides."""
    checkpoint: LoopCheckpoint | None = None
    """The layer that goes on, and the texture that it began from."""

    def __call__(self, task: Task) -> Iterator[DrosteLayer]:
        if task.config.canvas == "octaves":
            yield from by_octaves(task, self.seen, self._octave)
        elif task.steps:
            yield DrosteSpectrum(self, task)

    def _octave(self, octave: Octave, task: Task, begun: Tensor) -> DrosteOctave:
        at = self.checkpoint
        if at is not None and at.level == octave.level:
            begun = at.canvas
        return DrosteOctave(self, octave, task, begun)

    def shape_at(self, size: tuple[int, int]) -> Droste:
        """The shape of the texture for frames of `size` (height, width)."""
        return self.shape.resized(size[0] / self.size[0])


class DrosteLayer(Layer):
    """A layer of a texture, and the view of it through a frame."""

    begun: Tensor
    """(3, rows, columns): the texture, at full size, from which the layer began."""
    view: DrosteView


class DrosteSpectrum(SpectrumLayer, DrosteLayer):
    """A texture as waves; its opposite borders are neighbours, as those of waves are."""

    def __init__(self, canvas: DrosteCanvas, task: Task) -> None:
        shape = canvas.shape_at(canvas.seen)
        source, trust = resized(task.source, shape), task.trust
        small = replace(
            task,
            source=source,
            start=source if task.start is task.source else resized(task.start, shape),
            trust=None if trust is None else resized(trust, shape).clamp(0, 1),
        )
        super().__init__(small, grid=(shape.rows, shape.columns))
        around = detail_mask(wrap(source, 1))
        self._scene = replace(self._scene, mask=around[:, 1:-1, 1:-1], mask_around=around)
        self._canvas, self._whole = canvas, task
        self.begun = task.start
        self.view = DrosteView.of(shape, *canvas.seen, source.device)

    def result(self, parameters: Tensor) -> Tensor:
        image, whole = super().result(parameters), self._whole
        added = resized(image - self._task.start, self._canvas.shape)
        return constrain(whole.start + added, whole.source, whole.config.strength)


class DrosteOctave(PixelLayer, DrosteLayer):
    """One octave of a texture, `I = W + Σ_k up(Δ_k)`; its parameters are the difference Δ."""

    def __init__(self, canvas: DrosteCanvas, octave: Octave, task: Task, begun: Tensor) -> None:
        """Start from the texture `begun`, (3, rows, columns)."""
        shape = canvas.shape_at(octave.size)
        self._canvas, self._task, self.begun = canvas, task, begun
        self._base = resized(begun, shape)
        source = resized(task.source, shape)
        mask = detail_mask(wrap(source, 1))
        trust = None if task.trust is None else resized(task.trust, shape).clamp(0, 1)
        self._scene = Scene(
            image=self._base,
            source=source,
            start=source if task.start is task.source else resized(task.start, shape),
            mask=mask[:, 1:-1, 1:-1],
            trust=trust,
            mean_colour=task.mean_colour,
            mask_around=mask,
            origin=self._base,
        )
        super().__init__(octave, torch.zeros_like(self._base), trust, task.config.hold)
        self.view = DrosteView.of(shape, *octave.size, source.device)

    def image(self, parameters: Tensor) -> Tensor:
        return self._base + parameters

    def scene(self, image: Tensor) -> Scene:
        return self._scene.showing(image, self.parameters)

    def result(self, parameters: Tensor) -> Tensor:
        added = self.begun + resized(parameters, self._canvas.shape)
        return constrain(added, self._task.source, self._task.config.strength)

    def _constrain(self) -> None:
        image, source = self.image(self.parameters), self._scene.source
        self.parameters.copy_(constrain(image, source, self._task.config.strength) - self._base)


@dataclass(frozen=True, eq=False)
class _Moments:
    """Guidance of one layer of a loop: in each step the guides see several moments of the round.

    The moments of a step share its cutouts.
    """

    loop: Loop
    view: DrosteView
    objectives_at: ObjectivesAt
    config: DreamConfig
    cutouts: Cutouts
    begin: float
    """Phase of the first moment of the first step, as a share of the round."""

    def __call__(self, texture: Tensor, source: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """The gradient in `texture` (3, rows, columns), and the loss of each moment."""
        times, leaf = self._times(step), texture.detach().requires_grad_()
        with torch.enable_grad():
            levels = halved(leaf)
            frames = [self._frame(levels, time) for time in times]
        found = [
            self._frame_gradient(frame.detach(), source, time, part, step)
            for part, (frame, time) in enumerate(zip(frames, times, strict=True))
        ]
        gradients, losses = zip(*found, strict=True)
        (gradient,) = torch.autograd.grad(frames, leaf, gradients)
        if self.config.normalize_gradient:
            gradient = unit_rms(gradient)
        return gradient, torch.stack(losses)

    def _times(self, step: int) -> list[Fraction]:
        """The moments of `step` in seconds; at most as many as there are cutouts."""
        count = min(PHASES, self.config.cutouts)
        shares = [(self.begin + (step + part / PHASES) * GOLDEN) % 1 for part in range(count)]
        return [Fraction(share) * self.loop.camera.seconds for share in shares]

    def _frame(self, levels: Sequence[Tensor], time: Fraction) -> Tensor:
        return self.loop.seen(self.view, levels, time)

    def _frame_gradient(
        self, frame: Tensor, source: Tensor, time: Fraction, part: int, step: int
    ) -> tuple[Tensor, Tensor]:
        """The gradient in a `frame` (3, H, W), seen through its share of cutouts, and the loss."""
        mine = slice(part, None, PHASES)
        windows, order = self.cutouts.windows[:, mine], self.cutouts.order[:, mine]
        objectives, before = self.objectives_at(time), frame
        if any(objective.compares for objective in objectives):
            before = self._frame(halved(source), time)
        shown = replace(self.cutouts, windows=windows, order=order)
        gradient, losses = guide_gradient(frame, before, objectives, self.config, shown, step)
        return gradient, losses.sum()


def find_start(loop: Loop, times: Sequence[Fraction], candidates: int | None = None) -> int:
    """Index of the best first frame among the first `candidates` of a round's `times`.

    Differences between neighbouring frames are similar, not equal: they grow with the contrast of
    the parts that pass the border. The film begins after the smallest difference, because encoders
    smooth the differences of neighbours, but not the one between end and beginning. At most
    `MOST_STARTS` candidates, evenly spaced, are compared.
    """
    stride = -(-len(times) // MOST_STARTS)
    chosen = range(0, len(times), stride)[: -(-(candidates or len(times)) // stride)]
    frames = loop.frames([time for at in chosen for time in (times[at - 1], times[at])])
    steps = [float((a - b).abs().mean()) for a, b in zip(frames, frames, strict=True)]
    return chosen[steps.index(min(steps))]


def film_loop(
    loop: Loop, times: Sequence[Fraction], shutter: Fraction = Fraction(0)
) -> Iterator[Tensor]:
    """The frames (3, H, W) of `loop` at `times`, each exposed for `shutter` seconds."""
    moments = [loop.camera.exposures(time, shutter, *loop.size) for time in times]
    frames = loop.frames([moment for several in moments for moment in several])
    for several in moments:
        yield torch.stack(list(islice(frames, len(several)))).mean(0)
