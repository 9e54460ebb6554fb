"""Cutouts, the parts of a frame that a guide sees: seeded windows, resampled with anti-aliasing.

A window is `(left, top, right, bottom)` in fractions of the frame's width and height, so that one
draw serves every octave and every guide of an ensemble; `left > right` mirrors it. Windows reach
past the border, where the frame is extended by reflection. If they stayed inside, the rim would
get few and noisy gradients and look burnt.

Resampling is linear and separable, `out = Y · image · Xᵀ`, with the triangle filter widened by
the shrink factor (the usual anti-aliased bilinear) and the reflection folded into the matrices.
These are sparse, and only their bands are multiplied, about a twentieth, for all windows at once.
The CPU leaves out the zeros within the bands, too. On other devices the bands keep a fixed shape,
so that nothing waits for the device and a step can be captured as a graph. The same holds for the
transpose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from dreamvid.config import DreamConfig
from dreamvid.travel import to_device

LEAST_SIDE = 128
"""Shorter side in pixels, at least, of an image that is dreamed smaller than it is."""


@dataclass(frozen=True)
class Kind:
    """Ranges from which windows of one kind are drawn."""

    whole: bool
    """Whether sides are relative to the frame's longer side; otherwise to its shorter side."""
    sides: tuple[float, float]
    """Range of a window's side, as a share of that side of the frame."""
    wander: float
    """Range of a window's centre about the frame's middle, as a share of the frame's size."""
    overhang: float
    """Share of a window's side by which its centre may pass the end of that range."""


GLOBAL = Kind(whole=True, sides=(1.0, 1.15), wander=0.1, overhang=0.0)
MIDDLE = Kind(whole=False, sides=(0.6, 1.0), wander=0.2, overhang=0.0)
LOCAL = Kind(whole=False, sides=(0.5, 1.0), wander=1.0, overhang=0.3)
"""Windows of a small part; their smallest side is `DreamConfig.local_size`."""


@dataclass(frozen=True)
class Cutouts:
    """All random choices for one frame, on the device where it is dreamed."""

    windows: Tensor
    """(steps, N, 4): left, top, right, bottom in fractions of the frame's width and height."""
    order: Tensor
    """(steps, N): index of the noise field of each cutout."""
    noise: dict[int, Tensor]
    """A guide's input size S → (N, 3, S, S)."""


def draw_cutouts(
    config: DreamConfig,
    steps: int,
    frame_size: tuple[int, int],
    guide_sizes: set[int],
    generator: Generator,
    device: torch.device,
) -> Cutouts:
    """Draw the cutouts of `steps` steps for a frame of (height, width), dreamed on `device`.

    Drawn on the CPU, so that they are the same for every device. The noise is that of
    `noise_fields`, each frame's moved round by a step of its own: drawn anew for each frame, it
    would cost the host more time than a large card needs for the steps.
    """
    windows = draw_windows(config, steps, frame_size, generator)
    order = torch.rand(steps, config.cutouts, generator=generator).argsort(1)
    spot = torch.rand(2, generator=generator)
    scale = config.cutout_noise if config.augment else 0.0
    noise = {}
    for size in sorted(guide_sizes):
        fields = noise_fields(config.seed, config.cutouts, size, device)
        moved = fields.roll((spot * size).long().tolist(), (1, 2))
        noise[size] = moved.mul_(scale).permute(0, 3, 1, 2)
    return Cutouts(to_device(windows, device), to_device(order, device), noise)


@lru_cache(maxsize=4)
def noise_fields(seed: int, count: int, size: int, device: torch.device) -> Tensor:
    """Normal noise (count, size, size, 3) on `device`; not to be changed.

    Its channels are last in memory, as those of the CPU's cutouts: adding it takes half the time.
    """
    generator = Generator("cpu").manual_seed(seed)
    return to_device(torch.randn(count, size, size, 3, generator=generator), device)


def draw_windows(
    config: DreamConfig, steps: int, frame_size: tuple[int, int], generator: Generator
) -> Tensor:
    """Windows (steps, N, 4), in the configured shares of global, middle and local ones."""
    height, width = frame_size
    extent = torch.tensor([width, height], dtype=torch.float32)
    kinds = [kind for kind, count in share_out(config) for _ in range(count)]
    low, high, wander, overhang = _per_window(kinds, frame_size)
    jitter = torch.ones_like(wander) if config.augment else (overhang > 0).float()
    spot = _spread(steps, len(kinds), generator)  # (steps, N, 3): x, y, side
    flip = torch.rand(steps, len(kinds), 1, generator=generator) < 0.5
    size_spot = spot[..., 2:] if config.augment else torch.full_like(spot[..., 2:], 0.5)
    side = low + (high - low) * size_spot  # (steps, N, 1)
    reach = wander * extent + 2 * overhang * side  # (steps, N, 2)
    centre = extent / 2 + (spot[..., :2] - 0.5) * reach * jitter
    half = side.expand(-1, -1, 2) / 2
    if config.augment:
        half = half * torch.cat([1 - 2 * flip.float(), torch.ones_like(side)], 2)
    return torch.cat([(centre - half) / extent, (centre + half) / extent], 2)


def share_out(config: DreamConfig) -> list[tuple[Kind, int]]:
    """Distribute `config.cutouts` over the kinds by largest remainders; the sum is exact."""
    shares = [config.global_share, config.middle_share, config.local_share]
    exact = [config.cutouts * share / sum(shares) for share in shares]
    counts = [math.floor(count) for count in exact]
    by_remainder = sorted(range(3), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: config.cutouts - sum(counts)]:
        counts[i] += 1
    local = replace(LOCAL, sides=(config.local_size, 1.0))
    return list(zip((GLOBAL, MIDDLE, local), counts, strict=True))


def seen_size(
    config: DreamConfig, frame_size: tuple[int, int], guide_sizes: set[int]
) -> tuple[int, int]:
    """The size (height, width), at most that of the frame, beyond which no guide sees more.

    At this size the smallest window has as many pixels along a side as the largest guide's input.
    The gradient of a larger image has no finer detail: it comes through the same anti-aliasing.
    """
    smallest = min(
        kind.sides[0] * (max(frame_size) if kind.whole else min(frame_size))
        for kind, count in share_out(config)
        if count
    )
    needed = max(guide_sizes, default=max(frame_size)) / smallest
    scale = max(needed, LEAST_SIDE / min(frame_size))
    if scale >= 1:
        return frame_size
    height, width = (max(1, round(scale * side)) for side in frame_size)
    return height, width


def _per_window(
    kinds: list[Kind], frame_size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Lowest side and highest side in pixels, wander and overhang of each window, (N, 1) each."""
    rows = [
        (base * kind.sides[0], base * kind.sides[1], kind.wander, kind.overhang)
        for kind in kinds
        for base in [max(frame_size) if kind.whole else min(frame_size)]
    ]
    low, high, wander, overhang = torch.tensor(rows, dtype=torch.float32).unbind(1)
    return low[:, None], high[:, None], wander[:, None], overhang[:, None]


def _spread(steps: int, count: int, generator: Generator) -> Tensor:
    """Points (steps, N, 3) in [0, 1); the N points of a step are evenly spread.

    This is Roberts' R3 sequence with a random shift for each step (Cranley & Patterson, 1976). It
    gives less noise in the gradient than independent points, at no cost.
    """
    root = 1.2207440846057596  # of x⁴ = x + 1
    alpha = torch.tensor([root**-1, root**-2, root**-3])
    shift = torch.rand(steps, 1, 3, generator=generator)
    return (shift + torch.arange(count)[:, None] * alpha) % 1.0


def crop(image: Tensor, windows: Tensor, size: int) -> Tensor:
    """Cut `windows` (N, 4; same device) out of `image` (3, H, W), as (N, 3, size, size).

    The result is differentiable in `image`. On a device other than the CPU there is no host
    synchronisation, and all shapes follow from the shapes of the arguments. Windows may be at
    most as wide as `GLOBAL` ones.
    """
    return resample(image, windows, size, fixed_shape=image.device.type != "cpu")


def resample(image: Tensor, windows: Tensor, size: int, *, fixed_shape: bool) -> Tensor:
    """`crop` on any device; without `fixed_shape`, only nonzero weights are multiplied."""
    height, width = image.shape[1:]
    left, top, right, bottom = windows.to(image.dtype).unbind(1)
    taps = 2 * math.ceil(max(1.0, GLOBAL.sides[1] * max(height, width) / size)) + 1
    rows = triangle_filters(top * height, bottom * height, height, size, taps)
    columns = triangle_filters(left * width, right * width, width, size, taps)
    cutouts: Tensor = Banded.apply(image, rows, columns, fixed_shape)
    return cutouts


def whole_window(image: Tensor) -> Tensor:
    """The window (1, 4) that shows all of `image`; the shorter side is padded by reflection."""
    height, width = image.shape[1:]
    half = max(height, width) / 2
    half_window = torch.tensor([half / width, half / height], device=image.device)
    return torch.cat([0.5 - half_window, 0.5 + half_window])[None]


@dataclass(frozen=True)
class Filters:
    """One axis of N windows: output sample s of window n is Σ_t weight·pixel[index]."""

    index: Tensor
    """(N, S, taps), pixels within the frame."""
    weight: Tensor
    """(N, S, taps), summing to 1 over the taps."""

    def sums(self, lines: Tensor, fixed_shape: bool) -> Sums:
        """The filters as sums over lines; `lines` (N, S, taps) is the line of each pixel."""
        if fixed_shape:
            counts = torch.full_like(lines[..., 0], lines.shape[2]).flatten()
            return Sums(lines.flatten(), self.weight.flatten(), counts)
        used = self.weight != 0  # masked_select is five times faster than a boolean index
        line, weight = (each.masked_select(used) for each in (lines, self.weight))
        return Sums(line, weight, used.sum(2).flatten())


@dataclass(frozen=True)
class Sums:
    """J weighted sums of lines: a sparse matrix (J, L), stored by its E entries."""

    line: Tensor
    """(E,): the line of each entry; all entries of the first sum, then of the second, …"""
    weight: Tensor
    """(E,): the weight of each entry."""
    counts: Tensor
    """(J,): number of entries of each sum."""

    def of(self, lines: Tensor) -> Tensor:
        """The sums (J, C) of `lines` (L, C)."""
        starts = self.counts.cumsum(0) - self.counts
        return F.embedding_bag(self.line, lines, starts, mode="sum", per_sample_weights=self.weight)

    def transposed(self, count: int) -> Sums:
        """The transposed matrix (L, J), for L = `count` lines."""
        line, order = self.line.sort(stable=True)
        source = torch.repeat_interleave(self.counts, output_size=len(line))
        ends = torch.searchsorted(line, torch.arange(count + 1, device=line.device))
        return Sums(source[order], self.weight[order], ends.diff())


def triangle_filters(starts: Tensor, ends: Tensor, length: int, size: int, taps: int) -> Filters:
    """Filters that resample `[start, end)` (N each, in pixels) to `size` samples.

    Anti-aliased bilinear, with `taps` weights for each sample.
    """
    scale = (ends - starts)[:, None] / size
    samples = torch.arange(size, device=starts.device)
    centre = starts[:, None] + (samples + 0.5) * scale - 0.5  # (N, S)
    support = scale.abs().clamp(min=1.0)
    offsets = torch.arange(taps, device=starts.device)
    index = (centre - support).ceil()[..., None] + offsets  # (N, S, taps)
    weight = (1 - (index - centre[..., None]).abs() / support[..., None]).clamp(min=0)
    return Filters(_reflect(index.long(), length), weight / weight.sum(-1, keepdim=True))


def _reflect(index: Tensor, length: int) -> Tensor:
    """Pixel indices beyond `[0, length)` mirrored back into it, at any distance."""
    index = index % (2 * length)
    return torch.minimum(index, 2 * length - 1 - index)


class Banded(torch.autograd.Function):
    """Resampling by sums of lines: first over columns of the frame, then over rows of the result.

    A line holds all values with the same weight, so that each sum runs along contiguous memory:
    first a column of all channels (W lines of 3·H), then a row of one window (N·H lines of S·3).
    The tensor transposed between them has three axes, because torch transposes matrices up to
    three times slower.
    """

    @staticmethod
    def forward(
        ctx: Any, image: Tensor, rows: Filters, columns: Filters, fixed_shape: bool
    ) -> Tensor:
        (count, size, _), (_, height, width) = rows.index.shape, image.shape
        first_rows = height * torch.arange(count, device=image.device)
        across = columns.sums(columns.index, fixed_shape)
        down = rows.sums(rows.index + first_rows[:, None, None], fixed_shape)
        ctx.across, ctx.down, ctx.shape = across, down, image.shape
        turned = image.new_empty(width, 3, height)
        _copy(turned.permute(1, 2, 0), image, dim=1)
        narrow = across.of(turned.view(width, 3 * height))  # (N·S, 3·H)
        lines = narrow.view(count, size * 3, height).mT.reshape(count * height, size * 3)
        return down.of(lines).view(count, size, size, 3).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (count, _, size, _), (_, height, width) = grads[0].shape, ctx.shape
        grad = grads[0].permute(0, 2, 3, 1).reshape(count * size, size * 3)
        lines = ctx.down.transposed(count * height).of(grad)  # (N·H, S·3)
        narrow = lines.view(count, height, size * 3).mT.reshape(count * size, 3 * height)
        turned = ctx.across.transposed(width).of(narrow).view(width, 3, height)
        gradient = turned.new_empty(3, height, width)
        _copy(gradient, turned.permute(1, 2, 0), dim=2)
        return gradient, None, None, None


def _copy(target: Tensor, source: Tensor, dim: int) -> None:
    """Copy into a tensor of another layout; on the CPU in strips that fit its cache."""
    length = source.shape[dim]
    step = 256 if source.device.type == "cpu" else length
    for begin in range(0, length, step):
        strip = dim, begin, min(step, length - begin)
        target.narrow(*strip).copy_(source.narrow(*strip))
