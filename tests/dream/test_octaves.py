"""Octaves: sizes, steps and resizing."""

from __future__ import annotations

import pytest
import torch

from dreamvid.dream.octaves import SMALLEST_SIDE, octave_sizes, resize, split_steps


def test_sizes_go_from_coarse_to_the_full_one():
    sizes = octave_sizes(360, 640, 4, 1.6)
    assert sizes == [(88, 156), (141, 250), (225, 400), (360, 640)]


def test_one_octave_is_the_frame_itself():
    assert octave_sizes(47, 63, 1, 1.6) == [(47, 63)]


def test_octaves_too_small_to_show_anything_are_left_out():
    assert octave_sizes(80, 200, 4, 2.0) == [(40, 100), (80, 200)]
    assert octave_sizes(64, 64, 3, 2.0) == [(SMALLEST_SIDE, SMALLEST_SIDE), (64, 64)]
    assert octave_sizes(63, 64, 3, 2.0) == [(32, 32), (63, 64)]
    assert octave_sizes(61, 64, 3, 2.0) == [(61, 64)]


def test_a_frame_smaller_than_every_octave_keeps_its_own():
    assert octave_sizes(16, 20, 4, 1.6) == [(16, 20)]


@pytest.mark.parametrize("octaves", [1, 2, 3, 4, 7, 12])
def test_steps_are_split_evenly_and_what_is_left_over_goes_to_the_fine_ones(octaves):
    for steps in range(50):
        split = split_steps(steps, octaves)
        assert len(split) == octaves
        assert sum(split) == steps
        assert split == sorted(split)
        assert split[-1] - split[0] <= 1


def test_steps_by_hand():
    assert split_steps(10, 4) == [2, 2, 3, 3]
    assert split_steps(1, 4) == [0, 0, 0, 1]


def test_resizing_to_the_same_size_returns_the_same():
    image = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
    assert resize(image, (5, 7)) is image


def test_growing_is_bilinear_between_pixel_centres():
    row = torch.tensor([[[0.0, 1.0]]])
    assert resize(row, (1, 4)).flatten().tolist() == [0.0, 0.25, 0.75, 1.0]


def test_shrinking_is_antialiased():
    board = ((torch.arange(32)[:, None] + torch.arange(32)) % 2).float().expand(3, 32, 32)
    small = resize(board, (8, 8))[:, 1:-1, 1:-1]
    torch.testing.assert_close(small, torch.full_like(small, 0.5), atol=1e-6, rtol=0)
