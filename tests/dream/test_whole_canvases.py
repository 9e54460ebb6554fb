"""The pyramid and the spectrum against values computed by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from dreamvid.config import DreamConfig, SequenceConfig, VideoConfig, ZoomConfig
from dreamvid.dream.canvas import Task, octaves
from dreamvid.dream.canvases import (
    CANVASES,
    PyramidLayer,
    SpectrumLayer,
    WholeLayer,
    canvas_of,
    colour_mix,
    pyramid,
    roomy,
    spectrum,
    step_mask,
    wave_scale,
)
from dreamvid.dream.descent import descend
from dreamvid.film.sequence import constant_settings, dream_frames
from dreamvid.motion.camera import Camera
from dreamvid.types import Frame
from dreamvid.zooms.endless import dream_zoom
from tests.fakes import KnownFlow, TowardsColour

RED = (1.0, 0.0, 0.0)
WHOLE: dict[str, Callable[[Task], WholeLayer]] = {
    "pyramid": PyramidLayer,
    "spectrum": SpectrumLayer,
}


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def layer_of(
    name: str, size: tuple[int, int], trust: torch.Tensor | None = None, **options: Any
) -> WholeLayer:
    """A layer on grey."""
    grey = torch.full((3, *size), 0.5)
    config = DreamConfig(canvas=name, **options)
    return WHOLE[name](Task(grey, grey, 4, config, trust))


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("size", [(64, 80), (65, 47), (64, 33)])
def test_the_gradient_is_the_adjoint_of_the_picture_whatever_is_trusted(name, size):
    trust = torch.rand(1, *size, generator=torch.Generator().manual_seed(5))
    correlation = 0.5
    layer = layer_of(name, size, trust, hold=0.7, colour_correlation=correlation)
    z, pixels = noise(layer.parameters.numel() - 1, seed=1), noise(3, *size, seed=2)
    mixed = torch.einsum("oc,chw->ohw", colour_mix(correlation).float(), layer.picture(z))
    forth = (mixed * pixels).double().sum()
    back = (layer.gradient(pixels)[:-1] * z).double().sum()
    torch.testing.assert_close(forth, back, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("name", WHOLE)
def test_the_share_of_the_warm_start_is_no_matter_of_descent(name):
    source, start = torch.full((3, 40, 48), 0.4), torch.full((3, 40, 48), 0.6)
    layer = WHOLE[name](Task(source, start, 4, DreamConfig(canvas=name)))
    assert layer.parameters[-1] == 1
    assert layer.gradient(noise(3, 40, 48))[-1] == 0


@pytest.mark.parametrize("name", WHOLE)
def test_nothing_dreamed_is_the_warm_start_bit_for_bit(name):
    source = torch.rand(3, 40, 48, generator=torch.Generator().manual_seed(1))
    start = torch.rand(3, 40, 48, generator=torch.Generator().manual_seed(2))
    layer = WHOLE[name](Task(source, start, 4, DreamConfig(canvas=name)))
    assert torch.equal(layer.image(layer.parameters), start)


@pytest.mark.parametrize("name", WHOLE)
def test_the_strength_scales_warm_start_and_dream_together(name):
    source, start = torch.full((3, 40, 48), 0.4), torch.full((3, 40, 48), 0.6)
    layer = WHOLE[name](Task(source, start, 4, DreamConfig(canvas=name, strength=0.05)))
    layer.settle()
    assert layer.parameters[-1].item() == pytest.approx(0.25)
    torch.testing.assert_close(layer.image(layer.parameters), torch.full_like(source, 0.45))


@pytest.mark.parametrize("name", WHOLE)
def test_a_pixel_at_its_limit_can_come_back(name):
    white = torch.ones(3, 40, 48)
    layer = WHOLE[name](Task(white, white, 4, DreamConfig(canvas=name)))
    layer.parameters[:-1] += 0.1 * noise(layer.parameters.numel() - 1)
    image = layer.image(layer.parameters)
    assert (image == 1).any()
    darker = torch.where(image == 1, 1.0, 0.0)
    assert layer.gradient(darker).abs().max() > 0


def test_a_pyramid_of_one_octave_is_one_octave():
    source = 0.3 + 0.4 * torch.rand(3, 40, 48, generator=torch.Generator().manual_seed(1))
    config = DreamConfig(octaves=1, steps=5, cutouts=4, strength=1)
    ours, expected = (
        descend(source, [TowardsColour(RED)], config, canvas=each) for each in (pyramid, octaves)
    )
    torch.testing.assert_close(ours, expected, atol=2e-5, rtol=0)
    assert (ours - source).abs().max() > 0.01


def test_a_pyramid_adds_up_its_levels():
    layer = layer_of("pyramid", (64, 96), octaves=2, octave_scale=2)
    coarse, fine = torch.full((3 * 32 * 48,), 0.25), torch.full((3 * 64 * 96,), 0.5)
    added = layer.picture(torch.cat([coarse, fine]))
    torch.testing.assert_close(added, torch.full((3, 64, 96), 0.75))


def test_the_waves_of_a_small_grid_have_the_amplitudes_of_their_frequencies():
    scale = wave_scale((4, 4), 1.0)
    half, diagonal = math.hypot(0.5, 0.25), math.hypot(0.25, 0.25)
    expected = torch.tensor(
        [
            [1 / 0.25, 1 / 0.25, 1 / 0.5],
            [1 / 0.25, 1 / diagonal, 1 / half],
            [1 / 0.5, 1 / half, 1 / math.hypot(0.5, 0.5)],
            [1 / 0.25, 1 / diagonal, 1 / half],
        ],
        dtype=torch.float64,
    )
    torch.testing.assert_close(scale / scale[0, 0], expected / expected[0, 0])


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_waves_of_unit_size_make_a_picture_of_unit_size(decay):
    layer = layer_of("spectrum", (96, 120), spectrum_decay=decay)
    draws = [layer.picture(noise(layer.parameters.numel() - 1, seed=seed)) for seed in range(12)]
    assert torch.stack(draws).square().mean().sqrt().item() == pytest.approx(1, abs=0.15)


def test_a_higher_decay_is_smoother():
    def roughness(decay: float) -> float:
        layer = layer_of("spectrum", (48, 48), spectrum_decay=decay)
        picture = layer.picture(noise(layer.parameters.numel() - 1))
        return float(picture.diff(dim=2).square().mean() / picture.square().mean())

    assert roughness(0.0) > 2 * roughness(1.0) > 4 * roughness(1.5)


def test_opposite_borders_are_no_neighbours():
    layer = layer_of("spectrum", (40, 48), tv=0)
    touched = torch.zeros(3, 40, 48)
    touched[:, :, 0] = 1
    response = layer.picture(layer.gradient(touched)[:-1])[0].mean(0)
    assert response[-1] < 0.5 * response[1]


@pytest.mark.parametrize(("side", "grid"), [(40, 50), (41, 54), (48, 60), (7, 9), (640, 800)])
def test_a_grid_has_room_and_small_factors(side, grid):
    assert roomy(side) == grid


def test_colours_that_are_not_correlated_are_left_alone():
    assert torch.equal(colour_mix(0), torch.eye(3, dtype=torch.float64))


def test_colours_are_correlated_as_in_photographs():
    mix = colour_mix(1)
    covariance = mix @ mix.T
    assert covariance.trace().item() == pytest.approx(3)
    red, red_green = 0.26**2 + 0.09**2 + 0.02**2, 0.26 * 0.27 - 0.02 * 0.05  # of Lucid's rows
    assert (covariance[0, 1] / covariance[0, 0]).item() == pytest.approx(red_green / red)
    torch.testing.assert_close(mix, mix.T)


def test_a_step_is_shared_out_by_trust_without_rims():
    trust = torch.ones(1, 120, 240)
    torch.testing.assert_close(step_mask(trust, 0.9), torch.full_like(trust, 0.1))
    torch.testing.assert_close(step_mask(torch.zeros_like(trust), 0.9), torch.ones_like(trust))
    trust[..., :120] = 0  # half of the frame is new
    trust[..., 60:62, 200:202] = 0  # an island
    share = step_mask(trust, 0.9)
    torch.testing.assert_close(share[..., :100], torch.ones(1, 120, 100))
    assert share[..., 140:].max() < 0.11
    # Over a cell of 10 pixels; the square is steepest where the share is 1.
    assert share.diff(dim=2).abs().max() < 0.9 * (1 - 0.9**2)


def test_the_options_name_a_canvas():
    assert canvas_of(DreamConfig()) is spectrum
    assert canvas_of(DreamConfig(canvas="pyramid")) is pyramid
    assert set(CANVASES) == {"octaves", "pyramid", "spectrum"}


def test_descend_takes_the_canvas_of_the_options():
    source = torch.full((3, 40, 48), 0.5)
    config = DreamConfig(steps=3, cutouts=2, canvas="spectrum")
    named = descend(source, [TowardsColour(RED)], config)
    given = descend(source, [TowardsColour(RED)], config, canvas=CANVASES["spectrum"])
    assert torch.equal(named, given)
    assert not torch.equal(named, descend(source, [TowardsColour(RED)], config, canvas=octaves))


def filmed(canvas: str) -> list[torch.Tensor]:
    """A film of three frames that stand, its steps all held by half after the first."""
    source = torch.full((3, 40, 56), 0.5)
    frames = [Frame(source, Fraction(index, 24)) for index in range(3)]
    config = SequenceConfig(canvas=canvas, first_steps=4, steps=2, cutouts=2, hold=0.5, lr=0.02)
    settings = constant_settings([TowardsColour(RED)], config)
    flow, uncut = KnownFlow(0), lambda current, previous: False
    return [one.frame.image for one in dream_frames(frames, settings, flow=flow, is_cut=uncut)]


def zoomed(canvas: str) -> list[torch.Tensor]:
    """Three frames of an endless zoom."""
    source, times = torch.full((3, 40, 56), 0.5), [Fraction(index, 24) for index in range(3)]
    config = DreamConfig(canvas=canvas, steps=2, cutouts=2, lr=0.02)
    found = dream_zoom(
        source,
        times,
        Camera(zoom=1.5),
        lambda time: [TowardsColour(RED)],
        lambda time: config,
        first_steps=4,
    )
    return [one.frame.image for one in found]


@pytest.mark.parametrize("film", [filmed, zoomed])
def test_films_and_zooms_are_dreamed_on_the_canvas_of_the_options(film):
    by_name = {name: film(name) for name in CANVASES}
    for name, images in by_name.items():
        redness = [float((image[0] - image[1:].mean(0)).mean()) for image in images]
        assert 0.003 < redness[0] < redness[1] < redness[2], name
    assert not torch.equal(by_name["spectrum"][2], by_name["octaves"][2])
    assert not torch.equal(by_name["pyramid"][2], by_name["octaves"][2])


def test_a_loop_refuses_a_pyramid_in_one_line():
    loop = {"loop": True, "zoom": 4, "seconds": Fraction(1)}
    assert ZoomConfig(canvas="pyramid").canvas == "pyramid"
    with pytest.raises(ValidationError, match=r"--canvas pyramid: .*allowed with --loop: spectrum"):
        ZoomConfig(canvas="pyramid", **loop)


def test_octaves_refuse_colours_that_they_do_not_have():
    assert VideoConfig(canvas="pyramid", colour_correlation=0.5).colour_correlation == 0.5
    with pytest.raises(ValidationError, match=r"--colour-correlation 0.5 .*allowed with --canvas"):
        VideoConfig(canvas="octaves", colour_correlation=0.5)
