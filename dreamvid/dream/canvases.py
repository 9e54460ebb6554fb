"""Canvases by name, and those that dream a picture at all its scales at once.

Octaves follow one another, so that fine texture has the last word. A pyramid and a spectrum have
one layer, `I = clamp(B + M · C · A z)`: A makes a picture of the parameters z, coarse shapes among
them, C mixes its colours, M is the share of a step that a pixel takes, and B is the warm start.
The same gradients then move shapes that can be seen, which matters most where a guide's gradient
is fine texture (Olah et al., *Feature Visualization*, 2017; Fort & Whitaker, *Direct Ascent
Synthesis*, 2025).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.canvas import Canvas, Layer, Task, constrain, octaves
from dreamvid.dream.norms import rms
from dreamvid.dream.octaves import octave_sizes, resize
from dreamvid.dream.region import support
from dreamvid.dream.terms import Scene, detail_mask

COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.0, -0.05), (0.27, -0.09, 0.03))
"""Square root of the covariance of red, green and blue in photographs (Lucid, 2018)."""
SHRINKS = 4
"""Times that a difference is scaled towards the strength; more change it by less than 1e-3."""
CELLS = 12
"""Cells along the shorter side over which trust is averaged."""
ROOM = 1.25
"""Side of a spectrum's grid over that of the image: waves are periodic, opposite borders are not
neighbours."""


def canvas_of(config: DreamConfig) -> Canvas:
    """The canvas that `config` names."""
    return CANVASES[config.canvas]


class WholeLayer(Layer):
    """A picture at all scales at once, added to the warm start.

    The parameters are one vector: z, and last the share of the warm start's own difference that
    is kept. That share is no matter of descent; the strength scales it together with z.
    """

    level, levels = 0, 1

    def __init__(self, task: Task, count: int) -> None:
        """`count` values of z, at first all 0."""
        source, trust, hold = task.source, task.trust, task.config.hold
        self.steps = task.steps
        self.parameters = source.new_zeros(count + 1)
        self.parameters[-1] = 1
        self._task = task
        correlation = task.config.colour_correlation
        self._colours = colour_mix(correlation).to(source) if correlation else None
        self._step_mask = None if trust is None or not hold else step_mask(trust, hold).to(source)
        if task.region is not None:
            dreamed = support(task.region)
            self._step_mask = dreamed if self._step_mask is None else self._step_mask * dreamed
        self._scene = Scene(
            image=task.start,
            source=source,
            start=task.start,
            mask=detail_mask(source),
            trust=None if trust is None else trust.to(source),
            mean_colour=task.mean_colour,
            region=task.region,
        )

    def picture(self, values: Tensor) -> Tensor:
        """A z: the picture (3, H, W) of z (count,); linear."""
        raise NotImplementedError

    def adjoint(self, pixels: Tensor) -> Tensor:
        """Aᵀ · `pixels`: (3, H, W) → (count,)."""
        leaf = self.parameters[:-1].detach().requires_grad_()
        with torch.enable_grad():
            picture = self.picture(leaf)
        (values,) = torch.autograd.grad(picture, leaf, pixels)
        return values

    def work_key(self) -> Hashable:
        config, scene = self._task.config, self._scene
        scales = config.octaves, config.octave_scale, config.spectrum_decay
        parts = (
            *(self._step_mask is not None, scene.trust is None, scene.mean_colour is None),
            scene.region is None,
        )
        return type(self), config.strength, config.colour_correlation, scales, parts

    def buffers(self) -> Sequence[Tensor]:
        held = [] if self._step_mask is None else [self._step_mask]
        return [self.parameters, *held, *self._scene.buffers()]

    def on(self, buffers: Sequence[Tensor]) -> Self:
        twin, rest = copy(self), list(buffers)
        twin.parameters = rest.pop(0)
        if self._step_mask is not None:
            twin._step_mask = rest.pop(0)
        twin._scene = self._scene.on(rest)
        twin._task = replace(self._task, source=twin._scene.source, start=twin._scene.start)
        return twin

    def image(self, parameters: Tensor) -> Tensor:
        return self._unclamped(parameters).clamp(0, 1)

    def scene(self, image: Tensor) -> Scene:
        return self._scene.showing(image)

    def gradient(self, pixels: Tensor) -> Tensor:
        """The gradient in the parameters, as if nothing were clamped or held.

        So a pixel at its limit can come back, and a step is as large as without a mask, which then
        takes a share of it: through the mask, all of a step would gather in the few pixels that
        are not trusted, a strip of new ground at the border, and saturate them.
        """
        if self._scene.region is not None:
            pixels = pixels * support(self._scene.region)
        if self._colours is not None:
            pixels = torch.einsum("oc,ohw->chw", self._colours, pixels)
        return F.pad(self.adjoint(pixels), (0, 1))  # the share of the warm start has none

    def settle(self) -> None:
        source, strength = self._task.source, self._task.config.strength
        difference = self._unclamped(self.parameters) - source
        share = torch.ones_like(difference[0, 0, 0])
        for _ in range(SHRINKS):  # what is cut off at black and white does not shrink
            seen = (source + share * difference).clamp_(0, 1).sub_(source)
            distance = rms(seen, self._scene.region)
            share = share * (strength / distance.clamp(min=1e-12)).clamp(max=1)
        self.parameters *= share

    def result(self, parameters: Tensor) -> Tensor:
        image, task = self._unclamped(parameters), self._task
        return constrain(image, task.source, task.config.strength, None, task.region)

    def _unclamped(self, parameters: Tensor) -> Tensor:
        """The image before it is clamped to [0, 1]; a new tensor."""
        base = torch.lerp(self._task.source, self._task.start, parameters[-1].detach())
        return base + self._added(parameters[:-1])

    def _added(self, values: Tensor) -> Tensor:
        """M · C · A z: what is dreamed, (3, H, W), of z (count,)."""
        added = self.picture(values)
        if self._colours is not None:
            added = torch.einsum("oc,chw->ohw", self._colours, added)
        return added if self._step_mask is None else self._step_mask * added


class PyramidLayer(WholeLayer):
    """Differences of all octaves' sizes at once, `A z = Σ_k up(z_k)`."""

    def __init__(self, task: Task) -> None:
        config, (_, height, width) = task.config, task.source.shape
        self._size = height, width
        self._sizes = octave_sizes(height, width, config.octaves, config.octave_scale)
        self._counts = [3 * rows * columns for rows, columns in self._sizes]
        super().__init__(task, sum(self._counts))

    def picture(self, values: Tensor) -> Tensor:
        levels = zip(torch.split(values, self._counts), self._sizes, strict=True)
        enlarged = [resize(level.view(3, *size), self._size) for level, size in levels]
        return torch.stack(enlarged).sum(0)


class SpectrumLayer(WholeLayer):
    """Waves whose amplitude falls with their frequency, `A z = F⁻¹(z / f^decay)`.

    z are real and imaginary parts of a half spectrum.
    """

    def __init__(self, task: Task, grid: tuple[int, int] | None = None) -> None:
        """`grid` is (rows, columns) of the waves' period; without it, it leaves ROOM.

        Where the picture is of tiles, a tile is the period: its opposite borders fit together.
        """
        _, self._height, self._width = task.source.shape
        self._tiles = 1 if grid else task.tiles
        if self._tiles > 1:
            grid = -(-self._height // self._tiles), -(-self._width // self._tiles)
        self._grid = grid or (roomy(self._height), roomy(self._width))
        self._scale = wave_scale(self._grid, task.config.spectrum_decay).to(task.source)
        super().__init__(task, 6 * self._scale.numel())

    def picture(self, values: Tensor) -> Tensor:
        waves = torch.view_as_complex(values.view(3, *self._scale.shape, 2)) * self._scale
        tile: Tensor = torch.fft.irfft2(waves, s=self._grid, norm="ortho")
        if self._tiles > 1:
            tile = tile.repeat(1, self._tiles, self._tiles)
        return tile[:, : self._height, : self._width]

    def adjoint(self, pixels: Tensor) -> Tensor:
        """Aᵀ · `pixels`, by one FFT; differentiating the inverse one takes three times as long.

        Of equal tiles the first one counts, as the mean of all.
        """
        rows, columns = self._grid
        pixels = pixels[:, :rows, :columns]
        height, width = pixels.shape[1:]
        tile = F.pad(pixels, (0, columns - width, 0, rows - height))
        waves = torch.fft.rfft2(tile, norm="ortho") * self._scale
        waves[..., 1 : (columns + 1) // 2] *= 2  # each stands for its conjugate too
        return torch.view_as_real(waves).flatten()


def wave_scale(size: tuple[int, int], decay: float) -> Tensor:
    """The amplitude 1/f^decay of each wave of a half spectrum (height, width // 2 + 1).

    `size` is (height, width) of the picture, f in cycles a pixel; the mean colour counts as the
    longest wave. Values z of RMS 1 make a picture of RMS 1, on average.
    """
    height, width = size
    down = torch.fft.fftfreq(height, dtype=torch.float64)[:, None]
    across = torch.fft.rfftfreq(width, dtype=torch.float64)
    scale = torch.hypot(down, across).clamp(min=1 / max(size)) ** -decay
    return scale / (2 * scale.square().mean()).sqrt()


def step_mask(trust: Tensor, hold: float) -> Tensor:
    """The share of a step that pixels take, (1, H, W), from their `trust`, alike.

    `1 − hold` where all is trusted, 1 where nothing is, smooth between. Trust is averaged over
    CELLS of the shorter side: small islands without trust and strips of new ground would be seen
    by their rims if they took far more of a wave than the pixels around them. The share without
    trust is squared, so that what is trusted beside them moves little.
    """
    size = trust.shape[1:]
    cells = [max(1, round(CELLS * side / min(size))) for side in size]
    unknown = resize(resize(1 - trust, cells), size)
    return 1 - hold + hold * unknown.square()


def roomy(side: int) -> int:
    """The smallest product of 2, 3 and 5, at which the FFT is fast, that leaves ROOM beside."""
    length = math.ceil(ROOM * side)
    while 30 ** length.bit_length() % length:  # a prime factor above 5
        length += 1
    return length


def colour_mix(correlation: float) -> Tensor:
    """The matrix (3, 3) that mixes red, green and blue; one of no correlation changes nothing.

    At 1, the channels of noise are correlated as in photographs, of the same RMS. The root is
    the symmetric one, so that no channel becomes another.
    """
    root = torch.tensor(COLOURS, dtype=torch.float64)
    variances, axes = torch.linalg.eigh(root @ root.T)
    deviations = (variances * 3 / variances.sum()).sqrt()
    return torch.lerp(torch.eye(3, dtype=torch.float64), axes * deviations @ axes.T, correlation)


def pyramid(task: Task) -> Iterator[PyramidLayer]:
    """Differences of all octaves' sizes at once; one layer with all steps."""
    if task.steps:
        yield PyramidLayer(task)


def spectrum(task: Task) -> Iterator[SpectrumLayer]:
    """Waves whose amplitude falls with their frequency; one layer with all steps."""
    if task.steps:
        yield SpectrumLayer(task)


CANVASES: dict[str, Canvas] = {"octaves": octaves, "pyramid": pyramid, "spectrum": spectrum}
"""The canvases that an option names."""
