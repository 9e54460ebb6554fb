"""Measures of a loop, from its frames alone: zoom, rotation, and the join of end and beginning."""

from __future__ import annotations

import cmath
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from statistics import median

import torch
from torch import Tensor

from dreamvid.motion.camera import Similarity
from dreamvid.types import Frame

BackwardFlow = Callable[[Tensor, Tensor], Tensor]
"""(current, previous), both (3, H, W) → backward flow (2, H, W) in pixels."""

RIM = 0.1
"""Share of each side that is left out: new parts of the scene enter there and have no flow."""
ROUNDS = 20
"""Number of reweighting rounds."""
BASELINE_S = Fraction(1, 10)
"""Seconds between the frames of a fit: long enough for the motion to exceed the flow's errors."""


@dataclass(frozen=True)
class LoopMeasure:
    """Measures of a film as a loop."""

    frames: int
    seconds: float
    """Length of the film; the last frame is assumed to last as long as the average frame."""
    join: float
    """Mean absolute difference of last and first frame, over the median of neighbouring frames."""
    zoom: float
    """Zoom factor a second, on average."""
    rotate: float
    """Rotation in degrees a second, clockwise, on average."""


def measure_loop(frames: Iterable[Frame], backward: BackwardFlow) -> LoopMeasure:
    """Measure a film of constant frame rate; only a few of its frames are in memory at a time.

    Raises ValueError for fewer than two frames.
    """
    steps: list[float] = []
    moves: list[complex] = []
    first: Frame | None = None
    waiting: deque[Frame] = deque()
    last: Frame | None = None
    count = 0
    for frame in frames:
        if last is None:
            first = frame
        else:
            steps.append(_difference(frame.image, last.image))
        waiting.append(frame)
        if frame.time - waiting[0].time >= BASELINE_S:
            moves.append(_move(frame, waiting[0], backward))
            waiting.popleft()
        last, count = frame, count + 1
    if first is None or last is None or count < 2:
        raise ValueError("a loop has two frames or more")
    if not moves:
        moves.append(_move(last, first, backward))
    step = median(steps)
    rate = sum(moves) / len(moves)
    return LoopMeasure(
        frames=count,
        seconds=float((last.time - first.time) * Fraction(count, count - 1)),
        join=_difference(first.image, last.image) / step if step else math.inf,
        zoom=math.exp(rate.real),
        rotate=math.degrees(rate.imag),
    )


def _move(now: Frame, before: Frame, backward: BackwardFlow) -> complex:
    """Rate of the motion between two frames: ln(zoom) + i·rotation, in 1/s and radians a second."""
    back = fit_similarity(backward(now.image, before.image))
    return -cmath.log(back.factor) / float(now.time - before.time)


def _difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().mean())


def fit_similarity(flow: Tensor) -> Similarity:
    """The similarity that fits most of a `flow` (2, H, W) in pixels, without its rim.

    Least squares, reweighted by Geman and McClure's function (1987) at the scale of the median
    residual, so that parts with another motion lose their weight.
    """
    height, width = flow.shape[1:]
    top, left = round(RIM * height), round(RIM * width)
    y, x = torch.meshgrid(
        torch.arange(top, height - top, dtype=torch.float64),
        torch.arange(left, width - left, dtype=torch.float64),
        indexing="ij",
    )
    here = torch.complex(x, y).flatten()
    seen = flow[:, top : height - top, left : width - left].cpu().double()
    there = here + torch.complex(seen[0], seen[1]).flatten()
    weight = torch.ones_like(here.real)
    for _ in range(ROUNDS):
        weight = weight / weight.sum()
        middle, middle_there = (weight * here).sum(), (weight * there).sum()
        spread = here - middle
        factor = (weight * spread.conj() * (there - middle_there)).sum()
        factor = factor / (weight * spread.abs().square()).sum()
        residual = (there - middle_there - factor * spread).abs()
        scale = residual.median().clamp(min=1e-6)
        weight = 1 / (1 + (residual / scale).square()).square()
    return Similarity(complex(factor), complex(middle_there - factor * middle))
