"""A picture that is dreamed in a part alone: where, how strongly, and what stays."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dreamvid.config import DreamConfig, PromptConfig
from dreamvid.dream.descent import Step, descend
from dreamvid.dream.norms import rms
from dreamvid.dream.region import Box, mean_within
from dreamvid.dream.step_graph import StepGraphs
from dreamvid.guide.loading import Clip
from dreamvid.guide.objective import create_objective
from dreamvid.media.reader import VideoReader
from tests.dream.test_step_graph import COLOURS, Recorded, noise
from tests.fakes import TowardsColour

ROOT = Path(__file__).parents[2]
SIZE = 120, 200
RED = TowardsColour((1.0, 0.0, 0.0))


def disc(x: float = 60, y: float = 50, radius: float = 25) -> Tensor:
    """A mask of a white disc with a soft rim, about 8 % of the picture."""
    down, across = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    return ((radius - torch.hypot(across - float(x), down - float(y))) / 6 + 0.5).clamp(0, 1)[None]


def options(**changes: object) -> DreamConfig:
    plain = {"steps": 8, "octaves": 2, "cutouts": 4, "strength": 0.1, "lr": 0.1}
    return DreamConfig.model_validate(plain | changes)


@pytest.mark.parametrize("canvas", ["octaves", "pyramid", "spectrum"])
def test_the_strength_is_measured_within_and_the_source_stays_without(canvas):
    source, region = noise(0, 3, *SIZE), disc()
    start = (source + 0.2 * noise(1, 3, *SIZE)).clamp(0, 1)
    dream = descend(source, [RED], options(canvas=canvas), start=start, region=region)
    assert torch.equal(dream.where(region > 0.05, source), dream)
    assert float(rms(dream - source, region)) == pytest.approx(0.1, rel=0.02)


def test_a_root_mean_square_is_weighed():
    values, weight = torch.tensor([[[3.0, 4.0]]]), torch.tensor([[[1.0, 0.5]]])
    assert float(rms(values, weight)) ** 2 == pytest.approx((9 + 16 / 2) / 1.5)
    assert float(mean_within(values, weight)) == pytest.approx((3 + 2) / 1.5)
    assert float(rms(values, 0 * weight)) == 0


def test_a_black_region_leaves_the_source_and_a_step_shows_the_whole_picture():
    source, told = noise(0, 3, *SIZE), list[Step]()
    assert descend(source, [RED], options(), region=0.04 * torch.ones(1, *SIZE)) is source
    dream = descend(source, [RED], options(), region=disc(), on_step=told.append)
    assert [step.index for step in told] == list(range(8))
    torch.testing.assert_close(told[-1].image, dream)


@pytest.mark.parametrize(
    ("region", "size"),
    [
        (disc(), (64, 64)),
        (disc(x=199, y=0, radius=8), (64, 72)),  # on the grid, but for the frame's own rim
        (torch.ones(1, *SIZE), SIZE),
        (torch.zeros(1, *SIZE).index_fill(1, torch.tensor(60), 1), (120, 200)),  # a line
        (disc(x=20) + disc(x=180), (112, 200)),
    ],
)
def test_the_box_is_around_the_region_and_not_too_narrow(region, size):
    box = Box.around(region)
    assert box is not None
    assert float(box.cut(region).sum()) == pytest.approx(float(region.sum()))
    height, width = box.size
    assert all(abs(side - wanted) <= 24 for side, wanted in zip(box.size, size, strict=True))
    assert min(height, width) >= 64


def test_what_a_guide_sees_lies_around_the_region():
    """A guide that would have all of the picture red pulls as hard where the mask is."""
    source = torch.full((3, *SIZE), 0.5)
    steered = descend(source, [RED], options(strength=1), region=disc())
    assert (steered - source)[0, 50, 60] > 0.2


@pytest.mark.parametrize("canvas", ["octaves", "spectrum"])
def test_steps_within_a_region_are_replayed_as_graphs(canvas):
    def film(graphs: StepGraphs | None) -> list[Tensor]:
        return [
            descend(
                noise(frame, 3, *SIZE),
                [COLOURS[frame % 2]],
                options(canvas=canvas),
                graphs=graphs,
                region=None if frame == 1 else disc(radius=25 - frame),
            )
            for frame in range(5)
        ]

    graphs = StepGraphs(Recorded)
    before = Recorded.captures
    for one, other in zip(film(graphs), film(None), strict=True):
        assert torch.equal(one, other)
    assert Recorded.captures > before


@pytest.mark.slow
def test_a_tenth_of_the_picture_gets_twice_of_what_a_mask_gave_that_only_hides(
    mini: Clip, judge: Clip
) -> None:
    """The gain of a judge that had no part in it, at the defaults of a film's first frame."""
    with VideoReader(ROOT / "samples" / "flight.mp4") as reader:
        source = next(iter(reader)).image
    gains = {"hides": 0.0, "steers": 0.0}
    texts = ("a strawberry", "a dog", "a coral reef", "an owl", "fire", "a flower")
    for number, text in enumerate(texts):
        top, left = ((20, 30), (90, 200), (60, 120))[number % 3]
        part = slice(top, top + 64), slice(left, left + 90)
        mask = torch.zeros(1, 180, 320)
        mask[0][part] = 1
        objective = create_objective(mini, PromptConfig(prompt=[text]))
        for name, region in {"hides": None, "steers": mask}.items():
            dream = descend(source, [objective], DreamConfig(steps=40), region=region)
            shown = [image[:, *part] for image in (source, dream)]
            before, after = judge.embed_images(shown) @ judge.embed_texts([text])[0]
            gains[name] += float(after - before)
    assert gains["steers"] >= 2 * gains["hides"] > 0
