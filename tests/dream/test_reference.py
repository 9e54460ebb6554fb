"""The fast step against the plain one: the same pixels, after several frames."""

from __future__ import annotations

from copy import deepcopy
from fractions import Fraction
from unittest.mock import patch

import pytest
import reference
import torch
from torch import Tensor

from dreamvid.config import PromptConfig, SequenceConfig
from dreamvid.dream.descent import frame_generator
from dreamvid.dream.objective import Objective
from dreamvid.film.sequence import constant_settings, dream_frames
from dreamvid.guide.objective import ClipObjective, Targets, create_objective
from dreamvid.types import Frame
from tests.fakes import KnownFlow, TowardsColour

HEIGHT, WIDTH = 54, 96


def film(dtype: torch.dtype) -> list[Frame]:
    """Four frames of a texture that moves by two pixels; corners tell `KnownFlow` the order."""
    coarse = torch.rand(1, 3, 9, 16, generator=frame_generator(0, 0), dtype=dtype)
    wide = torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH + 8), mode="bilinear")[0]
    images = [wide[:, :, 2 * index : 2 * index + WIDTH].clone() for index in range(4)]
    for index, image in enumerate(images):
        image[:, 0, 0] = index / 10
    return [Frame(image, Fraction(index, 25)) for index, image in enumerate(images)]


def dreamed(objective: Objective, dtype: torch.dtype) -> Tensor:
    """The film (4, 3, H, W), dreamed with all terms at work."""
    config = SequenceConfig.model_validate(
        {"steps": 3, "first_steps": 4, "octaves": 2, "cutouts": 6, "cuts": False}
        | {"steady": 2, "tv": 8, "colour_drift": 30, "hold": 0.5, "canvas": "octaves"}
    )
    results = dream_frames(
        film(dtype),
        constant_settings([objective], config),
        flow=KnownFlow(2),
        is_cut=lambda current, previous: False,
    )
    return torch.stack([result.frame.image for result in results])


def both_ways(objective: Objective, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    fast = dreamed(objective, dtype)
    with patch("dreamvid.film.sequence.descend", reference.descend):
        plain = dreamed(objective, dtype)
    sources = torch.stack([frame.image for frame in film(dtype)])
    assert (fast - sources).square().mean((1, 2, 3)).sqrt().min() > 0.01  # they were dreamed
    return fast, plain


def test_four_frames_are_those_of_the_plain_version():
    fast, plain = both_ways(TowardsColour((1.0, 0.0, 0.0)))
    torch.testing.assert_close(fast, plain, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "prompts",
    [
        {"prompt": ["a coral reef"], "negative": ["text"]},
        {"from": ["a photo"], "to": ["a coral reef"]},
    ],
)
def test_so_they_are_with_a_guide_of_many_corners(mini, prompts):
    """In double precision: its ReLUs turn a rounding error into another gradient."""
    objective = create_objective(mini, PromptConfig.model_validate(prompts))
    targets = {name: value.double() for name, value in vars(objective.targets).items()}
    exact = ClipObjective(deepcopy(objective.tower).double(), Targets(**targets))
    fast, plain = both_ways(exact, torch.float64)
    torch.testing.assert_close(fast, plain, atol=1e-8, rtol=0)
