"""A plain dream of a frame: autograd through everything, one cutout at a time.

`dreamvid.dream.descent.descend` is measured against it, in time by `scripts/bench.py` and in
pixels by a test: the same windows, noise, losses and steps, written as the formulas read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.canvas import Canvas
from dreamvid.dream.cutouts import Cutouts, draw_cutouts
from dreamvid.dream.descent import OnSketch, OnStep
from dreamvid.dream.objective import Objective
from dreamvid.dream.octaves import octave_sizes, resize, split_steps
from dreamvid.dream.places import Placed
from dreamvid.dream.step_graph import StepGraphs
from dreamvid.dream.terms import Term, detail_mask, masked_total_variation


def descend(
    source: Tensor,
    objectives: Sequence[Objective],
    config: DreamConfig,
    *,
    generator: Generator,
    start: Tensor | None = None,
    trust: Tensor | None = None,
    mean_colour: Tensor | None = None,
    steps: int | None = None,
    canvas: Canvas | None = None,
    terms: Sequence[Term] | None = None,
    on_step: OnStep | None = None,
    graphs: StepGraphs | None = None,
    region: Tensor | None = None,
    places: Sequence[Placed] = (),
    sketch: Tensor | None = None,
    on_sketch: OnSketch | None = None,
) -> Tensor:
    """Descend like the fast version; `on_step` is never called, and no gradient is checked.

    Nor is anything captured in `graphs`, made of a `sketch` or given to `on_sketch`.

    Raises ValueError for another canvas than octaves, terms of one's own, a region or places.
    """
    is_plain = canvas is None and config.canvas == "octaves" and terms is None and region is None
    if not is_plain or places:
        raise ValueError("the plain version has octaves and the terms of the options alone")
    start = source if start is None else start
    steps = config.steps if steps is None else steps
    sizes = octave_sizes(source.shape[1], source.shape[2], config.octaves, config.octave_scale)
    guide_sizes = {objective.size for objective in objectives}
    cutouts = draw_cutouts(config, steps, sizes[-1], guide_sizes, generator, source.device)
    image, done = start, 0
    for size, count in zip(sizes, split_steps(steps, len(sizes)), strict=True):
        if not count:
            continue
        small_source, small_start, base = (resize(each, size) for each in (source, start, image))
        small_trust = None if trust is None else resize(trust, size)
        mask = detail_mask(small_source)
        delta = torch.zeros_like(base)
        rule = torch.optim.Adam([delta], betas=(0.9, 0.99), eps=1.0, foreach=False)
        for turn in range(count):
            now = base + delta
            leaf = now.clone().requires_grad_()
            total = torch.zeros_like(leaf)
            for objective in objectives:
                loss = meaning_loss(leaf, small_source, objective, cutouts, done)
                total += unit_rms(torch.autograd.grad(loss, leaf)[0])
            loss = look_loss(
                leaf, small_source, small_start, mask, small_trust, mean_colour, config
            )
            delta.grad = unit_rms(total) + torch.autograd.grad(loss, leaf)[0] * leaf.numel()
            full = 2 * config.lr  # as Adam's ε is 1
            rule.param_groups[0]["lr"] = full * 0.5 * (1 + math.cos(math.pi * turn / count))
            rule.step()
            moved = base + delta
            if small_trust is not None:
                moved = now + (1 - config.hold * small_trust) * (moved - now)
            delta.copy_(within(moved, small_source, config.strength) - base)
            done += 1
        image = within(image + resize(delta, image.shape[1:]), source, config.strength)
    return image


def meaning_loss(
    image: Tensor, source: Tensor, objective: Objective, cutouts: Cutouts, step: int
) -> Tensor:
    """The objective's loss of `image`."""
    windows, size = cutouts.windows[step], objective.size
    noise = cutouts.noise[size][cutouts.order[step]]
    shown = torch.stack([crop(image, window.tolist(), size) for window in windows]) + noise
    before = None
    if objective.compares:
        before = torch.stack([crop(source, window.tolist(), size) for window in windows]) + noise
    return objective(shown, before)


def crop(image: Tensor, window: Sequence[float], size: int) -> Tensor:
    """One cutout (3, size, size): what the window covers, cropped and resized."""
    _, height, width = image.shape
    left, top, right, bottom = window
    rows, y = triangle(top * height, bottom * height, height, size)
    columns, x = triangle(left * width, right * width, width, size)
    return y.to(image) @ image[:, rows, columns] @ x.T.to(image)


def triangle(start: float, end: float, length: int, size: int) -> tuple[slice, Tensor]:
    """The pixels that a window covers on one axis, and their weights in each of `size` samples."""
    scale = (end - start) / size
    support = max(1.0, abs(scale))
    centres = start + (torch.arange(size, dtype=torch.float64) + 0.5) * scale - 0.5
    first, last = math.floor(min(start, end) - support), math.ceil(max(start, end) + support)
    pixels = torch.arange(first, last + 1)
    weights = (1 - (pixels - centres[:, None]).abs() / support).clamp(min=0)
    weights = weights / weights.sum(1, keepdim=True)
    mirrored = pixels % (2 * length)
    mirrored = torch.minimum(mirrored, 2 * length - 1 - mirrored)
    matrix = torch.zeros(size, length, dtype=weights.dtype).index_add_(1, mirrored, weights)
    covered = slice(int(mirrored.min()), int(mirrored.max()) + 1)
    return covered, matrix[:, covered]


def look_loss(
    image: Tensor,
    source: Tensor,
    start: Tensor,
    mask: Tensor,
    trust: Tensor | None,
    mean_colour: Tensor | None,
    config: DreamConfig,
) -> Tensor:
    """The loss of all terms."""
    smoothed = image if config.tv_of == "image" else image - source
    loss = config.tv * masked_total_variation(smoothed, mask)
    if trust is not None:
        loss = loss + config.steady * (trust * (image - start).square()).mean()
    if mean_colour is not None:
        change = (image - source).mean((1, 2)) - mean_colour
        loss = loss + config.colour_drift * change.square().mean()
    return loss


def within(image: Tensor, source: Tensor, strength: float) -> Tensor:
    """Clamped, and drawn back to an RMS distance of `strength` from `source`."""
    difference = image.clamp(0, 1) - source
    distance = difference.square().mean().sqrt()
    return source + difference * (strength / distance.clamp(min=1e-12)).clamp(max=1)


def unit_rms(gradient: Tensor) -> Tensor:
    """Scaled to a root mean square of 1."""
    return gradient / gradient.square().mean().sqrt().clamp(min=1e-20)
