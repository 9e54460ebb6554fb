"""Symmetric pictures: exactly so after every step, at every size, on every canvas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.canvas import Task
from dreamvid.dream.canvases import SpectrumLayer
from dreamvid.dream.descent import Step, descend
from dreamvid.dream.norms import rms
from dreamvid.dream.step_graph import StepGraphs
from dreamvid.dream.symmetry import Symmetry
from tests.dream.test_step_graph import COLOURS, Recorded, noise
from tests.fakes import TowardsColour

NAMES = ("mirror", "quad", "tile", "kaleidoscope:6", "kaleidoscope:5", "kaleidoscope:12")
RED = TowardsColour((1.0, 0.0, 0.0))


def departure(image: Tensor, name: str) -> float:
    """The largest difference of pixels that should be equal, found without a fold."""
    height, width = image.shape[1:]
    down, right = -(-height // 2), -(-width // 2)
    equals = {
        "mirror": [image.flip(2) - image],
        "quad": [image.flip(2) - image, image.flip(1) - image],
        "tile": [
            image[:, down:] - image[:, : height - down],
            image[..., right:] - image[..., : width - right],
        ],
        "kaleidoscope:6": [image.flip(2) - image, image.flip(1) - image],
        "kaleidoscope:5": [image.flip(1) - image],  # about the longer axis
        "kaleidoscope:12": [image.flip(2) - image, image.flip(1) - image],
    }[name]
    return max(float(each.abs().max()) for each in equals)


def options(**changes: object) -> DreamConfig:
    plain = {"steps": 4, "octaves": 2, "octave_scale": 1.5, "cutouts": 4, "strength": 0.2}
    return DreamConfig.model_validate(plain | changes)


@pytest.mark.parametrize("size", [(40, 64), (41, 57), (64, 40)])
@pytest.mark.parametrize("name", NAMES)
def test_folding_twice_is_folding_once(name, size):
    symmetry, image = Symmetry(name), noise(0, 3, *size)
    folded = symmetry.fold(image)
    assert torch.equal(symmetry.fold(folded), folded)
    if name != "kaleidoscope:5" or size[0] < size[1]:
        assert departure(folded, name) <= 1e-6
    assert torch.equal(symmetry.fold(symmetry.arrange(image)), symmetry.arrange(image))


def test_a_kaleidoscope_turns_a_smooth_picture_into_itself():
    """A picture that has the symmetry already is what folding gives, but for the resampling."""
    y, x = torch.meshgrid(torch.arange(90.0) - 44.5, torch.arange(160.0) - 79.5, indexing="ij")
    radius = torch.hypot(x, y).clamp(max=60)
    image = (0.5 + 0.4 * torch.cos(6 * torch.atan2(y, x)) * torch.sin(radius / 12)).expand(
        3, -1, -1
    )
    inside = (torch.hypot(x, y) > 15) & (torch.hypot(x, y) < 70)
    apart = (Symmetry("kaleidoscope:6").fold(image) - image)[:, inside]
    assert float(apart.abs().max()) < 0.03


def test_the_mean_over_equal_pixels_is_symmetric_and_keeps_sums():
    pixels = noise(1, 3, 40, 64)
    for name in NAMES:
        fold = Symmetry(name).at(pixels)
        mean = fold.mean(pixels)
        if fold.weight is None:  # else resampled once more
            torch.testing.assert_close(fold.mean(mean), mean)
        assert departure(mean, name) <= 1e-6
    torch.testing.assert_close(Symmetry("mirror").at(pixels).mean(pixels).sum(), pixels.sum())
    leaf = pixels.clone().requires_grad_()
    fold = Symmetry("kaleidoscope:6").at(leaf)
    (gradient,) = torch.autograd.grad((fold(leaf) * pixels).sum(), leaf)
    used = gradient != 0
    torch.testing.assert_close(gradient.sum(), pixels.sum())
    assert used.float().mean() < 0.2


@pytest.mark.parametrize("canvas", ["octaves", "pyramid", "spectrum"])
@pytest.mark.parametrize("name", NAMES)
def test_the_picture_is_symmetric_after_every_step(name, canvas):
    source, told = noise(0, 3, 40, 64), list[Step]()
    start = (source + 0.05 * noise(1, 3, 40, 64)).clamp(0, 1)
    given = {"start": start, "trust": noise(2, 1, 40, 64), "on_step": told.append}
    config = options(canvas=canvas, symmetry=name, hold=0.5)
    dream = descend(source, [RED], config, **given)  # type: ignore[arg-type]
    folded = Symmetry(name).fold(source)
    for image in (*(step.image for step in told), dream):
        assert departure(image, name) <= 1e-6
        torch.testing.assert_close(Symmetry(name).fold(image), image, rtol=0, atol=1e-6)
    assert 0.02 < float(rms(dream - folded)) <= 0.2 + 1e-6


def test_a_large_picture_is_symmetric_although_it_is_dreamed_small():
    source = noise(0, 3, 260, 400)
    config = options(symmetry="kaleidoscope:6", steps=2, cutouts=2)
    dream = descend(source, [RED], config)
    assert departure(dream, "kaleidoscope:6") <= 1e-6


def test_under_a_region_too():
    region = torch.zeros(1, 90, 160)
    region[:, 20:70, 10:60] = 1
    source = noise(0, 3, 90, 160)
    dream = descend(source, [RED], options(symmetry="mirror"), region=region)
    assert departure(dream, "mirror") <= 1e-6
    assert torch.equal(dream[:, :15], Symmetry("mirror").fold(source)[:, :15])
    assert (dream - Symmetry("mirror").fold(source))[:, 20:70, 100:150].abs().mean() > 0.05


@pytest.mark.parametrize("canvas", ["octaves", "spectrum"])
def test_symmetric_steps_are_replayed_as_graphs(canvas):
    def film(graphs: StepGraphs | None) -> list[Tensor]:
        return [
            descend(
                noise(frame, 3, 40, 64),
                [COLOURS[frame % 2]],
                options(canvas=canvas, symmetry=("kaleidoscope:6", "none")[frame == 2]),
                graphs=graphs,
            )
            for frame in range(4)
        ]

    before = Recorded.captures
    for one, other in zip(film(StepGraphs(Recorded)), film(None), strict=True):
        assert torch.equal(one, other)
    assert Recorded.captures > before


def test_a_frame_within_a_larger_picture_has_its_own_symmetry():
    """As under a camera that brings new parts into view."""
    for name in NAMES:
        larger = noise(0, 3, 52, 76)
        around = Symmetry(name).within((40, 64), (52, 76)).fold(larger)
        frame = around[:, 6:-6, 6:-6]
        assert torch.allclose(Symmetry(name).fold(frame), frame, atol=1e-6)
        assert departure(frame, name) <= 1e-6
        assert math.isfinite(float(around.sum()))


@pytest.mark.parametrize("size", [(32, 48), (33, 47)])
def test_waves_of_a_tile_fit_together_at_its_borders(size):
    source = torch.full((3, *size), 0.5, dtype=torch.float64)
    layer = SpectrumLayer(Task(source, source, 1, options(), tiles=2))
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(layer.parameters.numel() - 1, generator=generator, dtype=torch.float64)
    picture = layer.picture(values)
    assert torch.equal(picture, Symmetry("tile").fold(picture))
    rows, columns = (-(-side // 2) for side in size)
    for dim, seam in ((1, rows), (2, columns)):
        steps = picture.diff(dim=dim).abs().movedim(dim, 0).mean((1, 2))
        assert steps[seam - 1] < 1.5 * steps.mean()
    if size == (32, 48):  # otherwise the tiles are cut off unequally
        pixels = Symmetry("tile").fold(noise(1, 3, *size).double())
        expected = (picture * pixels).sum() / 4
        torch.testing.assert_close((values * layer.adjoint(pixels)).sum(), expected)


def test_an_enlarged_tile_fits_together_too():
    grey, half = torch.full((3, 400, 400), 0.5), torch.linspace(0, 1, 16)

    class TowardsRamp(TowardsColour):
        """Brighter to the right, which no tile can be all along."""

        def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
            return (cutouts - half).square().mean()

    dream = descend(grey, [TowardsRamp((1.0, 1.0, 1.0))], options(symmetry="tile", steps=6))
    steps = dream.diff(dim=2).abs().mean((0, 1))
    # The ramp wants its one fall there: 48 times the mean, if the tile were not one wave's period.
    assert 0 < steps[199] < 12 * steps.mean()
