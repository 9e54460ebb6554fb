"""A difference on its way: along the motion, blended, ended by cuts, and found again."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dreamvid.live.following import ANCHOR, BLEND, Follower
from dreamvid.live.remembering import MOST, Effort, Memories
from tests.fakes import KnownFlow

EFFORT = Effort(1, 6)
SIZE = (24, 64)


def scene(place: int, seed: int = 0) -> Tensor:
    """A texture that moves a pixel to the right with each frame; its corner grows brighter."""
    generator = torch.Generator().manual_seed(seed)
    texture = torch.rand(3, SIZE[0], 512, generator=generator) * 0.8
    image = texture[:, :, 200 - place : 200 - place + SIZE[1]].clone()
    image[:, 0, 0] = 0.001 * place
    return image


def is_other(current: Tensor, previous: Tensor) -> bool:
    return bool((current.mean() - previous.mean()).abs() > 0.2)


def follower() -> Follower:
    return Follower(KnownFlow(-1), is_other)


def test_a_difference_moves_with_the_picture():
    following = follower()
    assert following.advance(scene(0))
    assert following.begin() is None
    assert following.difference() is None
    added = torch.zeros(3, *SIZE)
    added[:, 5, 10] = 0.5
    for place in range(1, 4):
        assert not following.advance(scene(place))
    following.arrive(scene(0), added, EFFORT)
    for place in range(4, 4 + BLEND):
        following.advance(scene(place))
        share = (place - 3) / BLEND
        here = following.difference()
        assert here is not None
        assert float(here[0, 5, 10 + place]) == pytest.approx(0.5 * share, abs=1e-5)
        assert float(here.sum()) == pytest.approx(1.5 * share, rel=1e-4)


def test_a_new_difference_replaces_the_one_before_gradually():
    following = follower()
    following.advance(scene(0))
    shown = []
    for level in (0.2, 0.4):
        following.begin()
        following.arrive(scene(0), torch.full((3, *SIZE), level), EFFORT)
        for _ in range(BLEND):
            following.advance(scene(1))
            difference = following.difference()
            assert difference is not None
            shown.append(float(difference[0, 12, 32]))
    steps = torch.tensor(shown).diff()
    assert bool((steps > 0).all())
    assert shown[-1] == pytest.approx(0.4)
    assert float(steps.max()) < 0.06


def test_begin_tells_what_there_is_and_how_old_it_is():
    following = follower()
    following.advance(scene(0))
    following.begin()
    following.arrive(scene(0), torch.full((3, *SIZE), 0.1), EFFORT)
    for place in range(1, 4):
        following.advance(scene(place))
    begun = following.begin()
    assert begun is not None
    assert (begun.age, begun.effort) == (3, EFFORT)
    assert float(begun.added[0, 12, 32]) == pytest.approx(0.1)
    assert begun.trust.shape == (1, *SIZE)
    # What came into the picture since is not trusted.
    assert float(begun.trust[0, 12, 0]) == 0
    assert float(begun.trust[0, 12, 32]) == pytest.approx(1)


def test_a_slow_dream_stays_where_nothing_moves():
    following = Follower(KnownFlow(0), is_other)
    following.advance(scene(0))
    following.begin()
    following.arrive(scene(0), torch.full((3, *SIZE), 0.1), EFFORT)
    for _ in range(3 * ANCHOR):
        following.advance(scene(0))
        difference = following.difference()
    assert difference is not None
    assert torch.allclose(difference, torch.full((3, *SIZE), 0.1), atol=1e-5)


def test_a_cut_ends_all_of_it_and_a_dream_that_is_late_waits_for_its_picture():
    following = follower()
    other = 1 - scene(0, seed=1) * 0.2
    following.advance(scene(0))
    following.begin()
    assert following.advance(other)
    following.arrive(scene(0), torch.full((3, *SIZE), 0.3), EFFORT)
    assert following.difference() is None
    assert following.advance(scene(0))  # as in a loop, or after a flash
    difference = following.difference()
    assert difference is not None
    assert float(difference[0, 12, 32]) == pytest.approx(0.3)
    begun = following.begin()
    assert begun is not None
    assert begun.effort == EFFORT


def test_motion_that_is_lost_is_a_cut():
    class Torn:
        """Flow that contradicts itself."""

        def __call__(self, current: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
            flow = torch.zeros(2, *SIZE) + 9
            return flow, flow

    following = Follower(Torn(), lambda current, previous: False)
    following.advance(scene(0))
    assert following.advance(scene(1))


def test_memories_are_few_and_different():
    memories = Memories()
    for level in range(2 * MOST):
        image = torch.full((3, *SIZE), level / (2 * MOST) * 4 % 1)
        memories.keep(image, torch.full((3, *SIZE), float(level)), EFFORT)
    assert len(memories._kept) <= MOST
    image = torch.full((3, *SIZE), 0.5)
    memories.keep(image, torch.full((3, *SIZE), -1.0), EFFORT)
    memories.keep(image + 0.01, torch.full((3, *SIZE), -2.0), EFFORT)
    found = memories.like(image)
    assert float(found[0].added[0, 0, 0]) == -2
    assert all(float(each.added[0, 0, 0]) != -1 for each in found)
    assert memories.like(torch.full((3, *SIZE), 40.0)) == []
