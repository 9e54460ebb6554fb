"""The contract of canvases: one suite over those of the package and over a stranger's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.canvas import Canvas, Layer, Task, constrain, octaves
from dreamvid.dream.canvases import pyramid, spectrum
from dreamvid.dream.descent import Step, descend
from dreamvid.dream.terms import Scene, detail_mask
from dreamvid.motion.camera import Camera
from dreamvid.zooms.droste import Droste
from dreamvid.zooms.loop import DrosteCanvas
from tests.fakes import AwayFromSource, TowardsColour

RED = (1.0, 0.0, 0.0)
DROSTE = Droste.of(Camera(zoom=2.0, rotate=15, seconds=Fraction(2)), 40, 48)
SEAMLESS = DrosteCanvas(DROSTE, (40, 48), (40, 48))
SMALLER = DrosteCanvas(DROSTE, (40, 48), (20, 24))


class SpectrumLayer(Layer):
    """A difference from the warm start by its half spectrum, scaled by 1/f."""

    level, levels = 0, 1

    def __init__(self, task: Task) -> None:
        self.task, self.steps = task, task.steps
        self.size = height, width = task.source.shape[1], task.source.shape[2]
        down, across = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
        decay = 1 / torch.hypot(down, across).clamp(min=1 / max(height, width))
        self.decay = decay / decay.square().mean().sqrt()
        self.parameters = torch.zeros(3, *decay.shape, 2)
        self.around = Scene(task.start, task.source, task.start, detail_mask(task.source))

    def image(self, parameters: Tensor) -> Tensor:
        waves = torch.view_as_complex(parameters) * self.decay
        difference: Tensor = torch.fft.irfft2(waves, s=self.size, norm="ortho")
        return self.task.start + difference

    def scene(self, image: Tensor) -> Scene:
        return self.around.showing(image)

    def settle(self) -> None:
        difference = self.result(self.parameters) - self.task.start
        waves = torch.fft.rfft2(difference, norm="ortho") / self.decay
        self.parameters.copy_(torch.view_as_real(waves))

    def result(self, parameters: Tensor) -> Tensor:
        image = self.image(parameters)
        return constrain(image, self.task.source, self.task.config.strength)


def strangers(task: Task) -> Iterator[SpectrumLayer]:
    yield SpectrumLayer(task)


@dataclass(frozen=True)
class Case:
    """A canvas and the size of images that it takes."""

    canvas: Canvas
    size: tuple[int, int]
    name: str = "octaves"
    """The canvas's name in the options, which matters to some."""

    def picture(self, seed: int = 0) -> Tensor:
        """(3, H, W) of fine noise between 0.2 and 0.8."""
        generator = torch.Generator().manual_seed(seed)
        return 0.2 + 0.6 * torch.rand(3, *self.size, generator=generator)

    def dream(self, source: Tensor, start: Tensor | None = None, **changes: Any) -> Tensor:
        on_step = changes.pop("on_step", None)
        objectives = [changes.pop("objective", None) or TowardsColour(RED)]
        config = options(canvas=self.name, **changes)
        return descend(source, objectives, config, start=start, canvas=self.canvas, on_step=on_step)

    def layer(self) -> Layer:
        """The first layer of a dream whose warm start is not its source."""
        task = Task(self.picture(0), self.picture(1), 6, options(canvas=self.name))
        return next(iter(self.canvas(task)))


def options(**changes: Any) -> DreamConfig:
    plain = {"steps": 6, "octaves": 2, "octave_scale": 1.5, "cutouts": 4, "strength": 0.3}
    return DreamConfig.model_validate(plain | changes)


CASES = {
    "octaves": Case(octaves, (40, 48)),
    "pyramid": Case(pyramid, (64, 57), "pyramid"),
    "spectrum": Case(spectrum, (41, 48), "spectrum"),
    "droste octaves": Case(SEAMLESS, (DROSTE.rows, DROSTE.columns)),
    "droste spectrum": Case(SEAMLESS, (DROSTE.rows, DROSTE.columns), "spectrum"),
    "small droste spectrum": Case(SMALLER, (DROSTE.rows, DROSTE.columns), "spectrum"),
    "stranger": Case(strangers, (40, 48)),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def rms(difference: Tensor) -> float:
    return difference.square().mean().sqrt().item()


def test_without_steps_the_result_is_the_warm_start_bit_for_bit(case):
    source, start = case.picture(0), case.picture(1)
    assert torch.equal(case.dream(source, start, steps=0, strength=0.01), start)


@pytest.mark.parametrize("strength", [0.003, 0.05, 0.3])
def test_the_strength_is_never_exceeded_and_pixels_stay_in_range(case, strength):
    source, seen = case.picture(0), []
    result = case.dream(
        source,
        case.picture(1),
        strength=strength,
        lr=0.3,
        on_step=lambda step: seen.append(step.image),
    )
    assert len(seen) == 6
    for image in (*seen, result):
        assert rms(image - source) <= strength * (1 + 1e-5)
        assert image.min() >= 0
        assert image.max() <= 1


def test_the_strength_is_reached(case):
    source = case.picture()
    result = case.dream(source, strength=0.05, lr=0.2, tv=0)
    assert rms(result - source) == pytest.approx(0.05, rel=0.05)


def test_the_loss_falls(case):
    losses: list[float] = []
    case.dream(
        case.picture(), steps=16, lr=0.05, on_step=lambda step: losses.append(step.loss.item())
    )
    assert losses[-1] < 0.9 * losses[0]


def test_the_gradient_is_that_of_autograd_through_the_image(case):
    layer = case.layer()
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randn(layer.image(layer.parameters).shape, generator=generator)
    leaf = layer.parameters.clone().requires_grad_()
    (expected,) = torch.autograd.grad(layer.image(leaf), leaf, pixels)
    torch.testing.assert_close(layer.gradient(pixels), expected)
    assert expected.abs().max() > 0


def test_parameters_are_real_contiguous_and_begin_at_the_warm_start(case):
    layer = case.layer()
    assert layer.parameters.is_contiguous()
    assert layer.parameters.is_floating_point()
    image = layer.image(layer.parameters)
    torch.testing.assert_close(image, layer.scene(image).start, atol=1e-6, rtol=0)


def test_scenes_have_the_size_of_the_image(case):
    layer = case.layer()
    image = layer.image(layer.parameters)
    scene = layer.scene(image)
    assert scene.source.shape == scene.start.shape == scene.dreamed.shape == image.shape
    assert scene.mask.shape == (1, *image.shape[1:])


def test_settling_twice_is_settling_once(case):
    layer = case.layer()
    layer.parameters += 0.1
    layer.settle()
    once = layer.parameters.clone()
    layer.settle()
    torch.testing.assert_close(layer.parameters, once, atol=1e-5, rtol=0)


def test_the_same_seed_gives_the_same_pixels_and_another_does_not(case):
    source = case.picture()
    first = case.dream(source, seed=3)
    assert torch.equal(first, case.dream(source, seed=3))
    assert not torch.equal(first, case.dream(source, seed=4))


def test_arguments_are_left_as_they_were(case):
    source, start = case.picture(0), case.picture(1)
    case.dream(source, start)
    assert torch.equal(source, case.picture(0))
    assert torch.equal(start, case.picture(1))


def test_every_step_is_told_and_the_last_is_the_result(case):
    steps: list[Step] = []
    result = case.dream(case.picture(), on_step=steps.append)
    assert [step.index for step in steps] == list(range(6))
    assert [step.level for step in steps] == sorted(step.level for step in steps)
    assert all(0 <= step.level < step.levels for step in steps)
    assert torch.equal(steps[-1].image, result)


def test_a_step_shows_its_own_image_even_when_asked_later(case):
    at_once: list[Tensor] = []
    steps: list[Step] = []

    def on_step(step: Step) -> None:
        steps.append(step)
        at_once.append(step.look())

    case.dream(case.picture(), on_step=on_step)
    for step, image in zip(steps, at_once, strict=True):
        assert torch.equal(step.image, image)
    assert not torch.equal(at_once[0], at_once[-1])


def test_a_guides_scale_means_nothing_once_normalised(case):
    one, other = (
        case.dream(case.picture(), objective=TowardsColour(RED, scale)) for scale in (1, 1024)
    )
    assert torch.equal(one, other)


def test_an_objective_that_compares_is_shown_the_source(case):
    objective = AwayFromSource()
    case.dream(case.picture(), objective=objective, tv=0)
    assert objective.differences[0].abs().max() < 1e-5
    assert objective.differences[-1].mean() > 0.01


@pytest.mark.parametrize("name", sorted(CASES.keys() - {"stranger"}))
@pytest.mark.parametrize("hold", [0.5, 1.0])
def test_trusted_pixels_take_a_share_of_a_step(name, hold):
    case, source = CASES[name], CASES[name].picture()
    # A small step: no pixel reaches black or white.
    config = options(canvas=case.name, octaves=1, steps=1, lr=0.02, tv=0, strength=1)
    trust = torch.ones(1, *case.size)
    held, free = (
        descend(
            source,
            [TowardsColour(RED)],
            config.model_copy(update={"hold": share}),
            trust=trust,
            canvas=case.canvas,
        )
        - source
        for share in (hold, 0)
    )
    torch.testing.assert_close(held, (1 - hold) * free, atol=1e-6, rtol=0)
    assert free.abs().max() > 0.01


@pytest.mark.parametrize("name", ["octaves", "pyramid", "spectrum"])
def test_new_ground_at_the_border_takes_no_more_of_a_step_than_without_trust(name):
    case, source = CASES[name], CASES[name].picture()
    trust = torch.ones(1, *case.size)
    trust[..., :4] = 0
    config = options(canvas=case.name, steps=6, hold=0.9, tv=0, steady=0, strength=1)
    known, new = (
        (descend(source, [TowardsColour(RED)], config, trust=each, canvas=case.canvas) - source)
        for each in (None, trust)
    )
    assert new[..., :4].norm() < 1.3 * known[..., :4].norm()


class Brighter:
    """A stranger's objective."""

    size, compares = 12, False

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        return 1 - cutouts.mean()


def test_a_strangers_objective_guides_every_canvas(case):
    source = case.picture()
    result = case.dream(source, objective=Brighter(), tv=0)
    assert (result - source).mean() > 0.03
