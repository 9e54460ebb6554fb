"""Frames between two keys, by hand: motion of whole pixels, deltas of one colour."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dreamvid.film.inbetween import FlowField, blend, chained, direct
from dreamvid.motion.warp import fill_in

HEIGHT, WIDTH = 6, 12


class Pan:
    """Flow of a scene that moves `speed` pixels right a frame; a picture's level is its number."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.asked: list[tuple[int, int]] = []

    def __call__(self, current: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        now, then = (round(float(image[0, 0, 0]) * 100) for image in (current, previous))
        self.asked.append((now, then))
        backward = torch.zeros(2, HEIGHT, WIDTH)
        backward[0] = -self.speed * (now - then)
        return backward, -backward


def picture(number: int) -> Tensor:
    return torch.full((3, HEIGHT, WIDTH), number / 100)


@pytest.mark.parametrize("find", [chained, direct])
def test_flow_fields_lead_back_to_the_key_before_and_ahead_to_the_key_after(find):
    fields = find(picture(0), [picture(1), picture(2), picture(3)], Pan(1))
    assert len(fields.back) == 3
    assert len(fields.ahead) == 2
    for number, field in enumerate(fields.back, 1):
        assert (field.flow[0] == -number).all()
        assert (field.flow[1] == 0).all()
        assert (field.trust[:, :, number + 3 :] == 1).all()
        assert (field.trust[:, :, :number] == 0).all()  # came from outside
    for number, field in enumerate(fields.ahead, 1):
        assert (field.flow[0] == 3 - number).all()
        assert (field.trust[:, :, WIDTH - (3 - number) :] == 0).all()  # will have left


def test_chained_asks_once_for_neighbours_alone_and_direct_for_keys_alone():
    neighbours, keys = Pan(1), Pan(1)
    chained(picture(0), [picture(1), picture(2), picture(3)], neighbours)
    assert sorted(neighbours.asked) == [(1, 0), (2, 1), (3, 2)]
    direct(picture(0), [picture(1), picture(2), picture(3)], keys)
    assert sorted(keys.asked) == [(1, 0), (1, 3), (2, 0), (2, 3), (3, 0)]


def still(trust: float) -> FlowField:
    return FlowField(torch.zeros(2, HEIGHT, WIDTH), torch.full((1, HEIGHT, WIDTH), trust))


def level(value: float) -> Tensor:
    return torch.full((3, HEIGHT, WIDTH), value)


@pytest.mark.parametrize(
    ("back", "ahead", "share", "expected"),
    [
        (1, 1, 0.25, 0.75 * 0.2 + 0.25 * 0.4),  # by distance
        (1, 1, 0.5, 0.3),
        (0, 0, 0.5, 0.0),  # nobody knows: nothing is added
        (1, 0, 0.5, 0.2),  # the one key alone
        (0, 1, 0.25, 0.4),
        (0.5, 1, 0.5, (0.25 * 0.2 + 0.5 * 0.4) / 0.75),  # by trust
    ],
)
def test_deltas_are_mixed_by_trust_and_distance(back, ahead, share, expected):
    mixed = blend(still(back), still(ahead), level(0.2), level(0.4), share)
    torch.testing.assert_close(mixed, level(expected), atol=1e-6, rtol=0)


def test_what_neither_key_knows_is_filled_in_from_around_it():
    field = still(1)
    field.trust[:, 2:4, 5:8] = 0
    delta = level(0.2)
    delta[:, 2:4, 5:8] = 9  # whatever lies there is not believed
    mixed = blend(field, field, delta, delta, 0.5)
    torch.testing.assert_close(mixed, level(0.2), atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 7), (16, 16), (135, 320)])
def test_filling_in_keeps_what_is_known_and_its_range(size):
    image = torch.rand(3, *size)
    weight = (torch.rand(1, *size) > 0.6).float()
    filled = fill_in(image, weight)
    assert torch.equal(filled * weight, image * weight)
    if weight.any():
        known = image[weight.expand_as(image) > 0]
        assert filled.min() >= known.min() - 1e-5
        assert filled.max() <= known.max() + 1e-5
    assert torch.equal(fill_in(image, torch.ones_like(weight)), image)
    assert (fill_in(image, torch.zeros_like(weight)) == 0).all()


def test_a_delta_moves_with_the_scene():
    fields = chained(picture(0), [picture(1), picture(2)], Pan(2))
    before, after = torch.zeros(3, HEIGHT, WIDTH), torch.zeros(3, HEIGHT, WIDTH)
    before[:, :, 4], after[:, :, 8] = 1, 1
    between = blend(fields.back[0], fields.ahead[0], before, after, 0.5)
    expected = torch.zeros(3, HEIGHT, WIDTH)
    expected[:, :, 6] = 1
    torch.testing.assert_close(between[:, :, 5:8], expected[:, :, 5:8], atol=1e-6, rtol=0)
