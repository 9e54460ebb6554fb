"""Loops: one picture that contains itself is dreamed, and every frame is rendered from it.

Dreaming takes the same time for a second and for a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice

import torch
from torch import Generator, Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.cutouts import Cutouts, draw_cutouts
from dreamvid.dream.descent import (
    constrain,
    create_optimizer,
    frame_generator,
    guide_gradient,
    rate,
    step_down,
    unit_rms,
)
from dreamvid.dream.octaves import octave_sizes, split_steps
from dreamvid.dream.terms import add_variation_gradient, detail_mask
from dreamvid.motion.camera import Camera
from dreamvid.zooms.droste import Droste, DrosteView, halved, resized, wrap
from dreamvid.zooms.endless import ObjectivesAt

PHASES = 2
"""Moments of the round at which a step looks, the cutouts being shared out among them."""
GOLDEN = (5**0.5 - 1) / 2
"""Moments this far apart are spread evenly, however many there are."""
MOST_STARTS = 96

OnLoopStep = Callable[[int, Tensor], None]
"""(index of the step, the guides' loss before it)."""


@dataclass(frozen=True, eq=False)
class Loop:
    """A film that joins its own beginning."""

    camera: Camera
    """Its `seconds` are those of a round."""
    shape: Droste
    size: tuple[int, int]
    """(height, width) of a frame."""
    canvas: Tensor
    """(3, shape.rows, shape.columns) in [0, 1]."""

    @classmethod
    def plant(cls, picture: Tensor, camera: Camera, height: int, width: int) -> Loop:
        """`picture` (3, H, W), of any size, falling into itself."""
        shape = Droste.of(camera, height, width)
        return cls(camera, shape, (height, width), shape.plant(picture, height, width))

    def frames(self, times: Sequence[Fraction]) -> Iterator[Tensor]:
        """The frames (3, H, W) in [0, 1] at `times`, in seconds from the beginning of a round."""
        view = DrosteView.of(self.shape, *self.size, self.canvas.device)
        levels = halved(self.canvas)
        for time in times:
            yield view.at(levels, self.phase(time)).clamp(0, 1)

    def phase(self, time: Fraction) -> float:
        """Share of the round that has passed at `time`."""
        return self.camera.travelled(time) / float(self.camera.seconds)


def dream_loop(
    loop: Loop,
    objectives_at: ObjectivesAt,
    config: DreamConfig,
    *,
    steps: int,
    on_step: OnLoopStep | None = None,
) -> Loop:
    """Change the canvas of `loop` until its frames at all times mean what they shall.

    As for one image, `I = S + Σ_k up(Δ_k)`, coarse octaves first; but each Δ_k is a difference of
    canvases, and a step looks at frames rendered from it at moments spread over the round. The
    canvas stays within an RMS distance of `config.strength` from where it began.
    """
    generator = frame_generator(config.seed, 0)
    sizes = octave_sizes(*loop.size, config.octaves, config.octave_scale)
    dream, done = loop, 0
    for size, count in zip(sizes, split_steps(steps, len(sizes)), strict=True):
        if not count:
            continue
        octave = _Octave.at(size, loop, dream)
        delta = torch.zeros_like(octave.base)
        for loss in _descend(delta, octave, objectives_at, config, count, generator):
            if on_step is not None:
                on_step(done, loss)
            done += 1
        added = dream.canvas + resized(delta, loop.shape)
        dream = replace(dream, canvas=constrain(added, loop.canvas, config.strength))
    return dream


@dataclass(frozen=True, eq=False)
class _Octave:
    """All that one octave looks at, at its own size."""

    source: Tensor
    base: Tensor
    """Source and coarser deltas."""
    mask: Tensor
    """Of the source continued by one texel around."""
    view: DrosteView
    phase: Callable[[Fraction], float]
    """Share of the round that has passed at a time."""
    seconds: Fraction
    """Of the round."""

    @classmethod
    def at(cls, size: tuple[int, int], source: Loop, dream: Loop) -> _Octave:
        shape = source.shape.resized(size[0] / source.size[0])
        small = resized(source.canvas, shape)
        return cls(
            source=small,
            base=resized(dream.canvas, shape),
            mask=detail_mask(wrap(small, 1)),
            view=DrosteView.of(shape, *size, small.device),
            phase=source.phase,
            seconds=source.camera.seconds,
        )


def _descend(
    delta: Tensor,
    octave: _Octave,
    objectives_at: ObjectivesAt,
    config: DreamConfig,
    steps: int,
    generator: Generator,
) -> Iterator[Tensor]:
    """Optimise one octave's `delta` in place; yields the guides' loss after each step."""
    guide_sizes = {objective.size for objective in objectives_at(Fraction(0))}
    cutouts = draw_cutouts(config, steps, octave.view.size, guide_sizes, generator)
    cutouts = cutouts.to(delta.device)
    begin = float(torch.rand((), generator=generator))
    optimizer = create_optimizer(delta, config)
    for step in range(steps):
        shares = [(begin + (step + part / PHASES) * GOLDEN) % 1 for part in range(PHASES)]
        times = [Fraction(share) * octave.seconds for share in shares]
        gradient, loss = _guide_gradient(delta, octave, times, objectives_at, config, cutouts, step)
        if config.normalize_gradient:
            gradient = unit_rms(gradient)
        if config.tv:
            gradient += _variation_pull(delta, octave, config)
        step_down(optimizer, gradient, rate(config, step, steps))
        delta.copy_(constrain(octave.base + delta, octave.source, config.strength) - octave.base)
        yield loss


def _guide_gradient(
    delta: Tensor,
    octave: _Octave,
    times: Sequence[Fraction],
    objectives_at: ObjectivesAt,
    config: DreamConfig,
    cutouts: Cutouts,
    step: int,
) -> tuple[Tensor, Tensor]:
    """The gradient of the frames at `times` with respect to the canvas, and their mean loss."""
    leaf = (octave.base + delta).requires_grad_()
    with torch.enable_grad():
        levels = halved(leaf)
        frames = [octave.view.at(levels, octave.phase(time)) for time in times]
    gradients, losses = [], []
    for part, (time, frame) in enumerate(zip(times, frames, strict=True)):
        mine = slice(part, None, len(times))
        shown = replace(cutouts, windows=cutouts.windows[:, mine], order=cutouts.order[:, mine])
        if not shown.windows.shape[1]:
            continue
        objectives = objectives_at(time)
        source = frame
        if any(objective.compares for objective in objectives):
            source = octave.view.at(halved(octave.source), octave.phase(time))
        gradient, loss = guide_gradient(
            frame.detach(), source.detach(), objectives, config, shown, step
        )
        gradients.append(gradient)
        losses.append(loss.sum())
    (gradient,) = torch.autograd.grad(frames[: len(gradients)], leaf, gradients)
    return gradient, torch.stack(losses).mean()


def _variation_pull(delta: Tensor, octave: _Octave, config: DreamConfig) -> Tensor:
    """That of the masked total variation, seamless; see `dreamvid.dream.terms`."""
    seen = wrap(delta if config.tv_of == "difference" else octave.base + delta, 1)
    pull = torch.zeros_like(seen)
    # The mean is the wrapped canvas's, rim and all.
    add_variation_gradient(pull, seen, octave.mask, config.tv * delta.numel() / seen.numel())
    return pull[:, 1:-1, 1:-1]


def find_start(loop: Loop, times: Sequence[Fraction], candidates: int | None = None) -> int:
    """Which of the first `candidates` of a round's `times` a film had best begin with.

    Steps from frame to frame are alike, not equal: they grow with the contrast of what passes the
    border. The film begins after the smallest, because encoders join neighbours more smoothly
    than the end and the beginning. Of very many frames, every few are looked at.
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
