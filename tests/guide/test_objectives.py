"""One contract for every objective: CLIP's, a stranger's, and both in microbatches."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from dreamvid.config import DreamConfig, PromptConfig
from dreamvid.dream.descent import descend
from dreamvid.dream.objective import Objective
from dreamvid.guide.microbatch import Microbatches, MicrobatchSize
from dreamvid.guide.objective import FilmObjective, create_objective
from dreamvid.types import PromptWeights
from tests.motion.scenes import texture


class Redder(FilmObjective):
    """A judge that is no CLIP and has no prompts: red minus blue, against the source's."""

    size = 24
    compares = True

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        assert source_cutouts is not None
        return (self._red(source_cutouts) - self._red(cutouts)).mean()

    def similarities(self, images: Sequence[Tensor]) -> Tensor:
        return torch.stack([self._red(image[None])[0] for image in images])

    @staticmethod
    def _red(images: Tensor) -> Tensor:
        return (images[:, 0] - images[:, 2]).mean((1, 2))


@pytest.fixture(params=["clip", "clip that compares", "stranger"])
def whole(request: pytest.FixtureRequest) -> FilmObjective:
    """An objective that can guide a film."""
    if request.param == "stranger":
        return Redder()
    given = {"prompt": ["fire"]}
    if request.param == "clip that compares":
        given |= {"from_": ["snow"], "to": ["lava"]}
    return create_objective(request.getfixturevalue("mini"), PromptConfig.model_validate(given))


@pytest.fixture(params=["whole", "microbatches"])
def objective(request: pytest.FixtureRequest, whole: FilmObjective) -> Objective:
    """The same, or its form in microbatches of two cutouts."""
    if request.param == "whole":
        return whole
    size = MicrobatchSize()
    size.limit = 2
    return Microbatches(whole, size)


def cutouts(objective: Objective, count: int, seed: int) -> Tensor:
    return torch.stack([texture(objective.size, objective.size, seed + i) for i in range(count)])


def evaluated(objective: Objective, shown: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    leaf = shown.clone().requires_grad_()
    loss = objective(leaf, source if objective.compares else None)
    (gradient,) = torch.autograd.grad(loss, leaf)
    return loss.detach(), gradient


def test_a_loss_is_a_scalar_with_a_gradient_in_every_cutout(objective):
    shown, source = cutouts(objective, 3, 0), cutouts(objective, 3, 9)
    loss, gradient = evaluated(objective, shown, source)
    assert loss.shape == ()
    assert loss.isfinite()
    assert gradient.shape == shown.shape
    assert gradient.isfinite().all()
    assert (gradient.abs().amax((1, 2, 3)) > 0).all()


def test_a_loss_is_the_mean_over_cutouts(objective):
    shown, source = cutouts(objective, 3, 0), cutouts(objective, 3, 9)
    each = [evaluated(objective, shown[i : i + 1], source[i : i + 1])[0] for i in range(len(shown))]
    loss, _ = evaluated(objective, shown, source)
    torch.testing.assert_close(loss, torch.stack(each).mean(), atol=1e-6, rtol=1e-5)


def test_the_inputs_are_left_as_they_are(objective):
    shown, source = cutouts(objective, 3, 0), cutouts(objective, 3, 9)
    before = shown.clone(), source.clone()
    evaluated(objective, shown, source)
    assert torch.equal(shown, before[0])
    assert torch.equal(source, before[1])


def test_microbatches_have_the_size_the_loss_and_the_gradient_of_the_whole(objective, whole):
    assert (objective.size, objective.compares) == (whole.size, whole.compares)
    shown, source = cutouts(objective, 5, 0), cutouts(objective, 5, 9)
    for found, expected in zip(
        evaluated(objective, shown, source), evaluated(whole, shown, source), strict=True
    ):
        torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-4)


def test_descent_lowers_the_loss_and_raises_the_similarity(objective, whole):
    source = texture(40, 48)
    config = DreamConfig(steps=6, octaves=1, cutouts=4)
    before, after = whole.similarities([source, descend(source, [objective], config)])
    assert after > before


def test_similarities_are_one_number_for_each_image_of_any_size(whole):
    images = [texture(40, 48), texture(30, 20, 5)]
    found = whole.similarities(images)
    assert found.shape == (2,)
    assert not found.requires_grad
    alone = torch.cat([whole.similarities([image]) for image in images])
    torch.testing.assert_close(found, alone)


def test_at_a_moment_an_objective_is_one_of_the_same_kind(whole):
    then = whole.at(PromptWeights(prompt=(1.0,), to=(1.0,) * whole.compares))
    assert (then.size, then.compares) == (whole.size, whole.compares)
    shown, source = cutouts(then, 2, 0), cutouts(then, 2, 9)
    for found, expected in zip(
        evaluated(then, shown, source), evaluated(whole, shown, source), strict=True
    ):
        torch.testing.assert_close(found, expected)
    assert torch.equal(then.similarities([source[0]]), whole.similarities([source[0]]))


def test_a_judge_without_prompts_is_the_same_at_all_times():
    judge = Redder()
    assert judge.at(PromptWeights()) is judge
