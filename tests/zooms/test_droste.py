"""A canvas that contains itself, and frames of it."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from dreamvid.motion.camera import Camera, resample
from dreamvid.zooms.droste import Droste, DrosteView, halved, resized, wrap
from tests.motion.scenes import texture

FALL = Camera(zoom=2.0, seconds=Fraction(2))
SPIRAL = Camera(zoom=2.0, rotate=40, seconds=Fraction(2))
CAMERAS = {
    "in": FALL,
    "out": Camera(zoom=0.5, seconds=Fraction(2)),
    "spiral": SPIRAL,
    "whole turn": Camera(zoom=2.0, rotate=170, seconds=Fraction(2)),
    "aside": Camera(zoom=1.5, rotate=-40, centre=(0.2, 0.7), seconds=Fraction(3)),
}


def smooth_canvas(shape: Droste) -> torch.Tensor:
    """Periodic, with detail of a few texels."""
    u = torch.arange(shape.rows)[:, None] / shape.rows
    v = torch.arange(shape.columns) / shape.columns
    waves = [(1, 3), (2, -5), (0, 8)]
    return torch.stack([0.5 + 0.4 * torch.sin(2 * math.pi * (a * u + b * v)) for a, b in waves])


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
def test_the_end_of_a_round_is_its_beginning(camera):
    shape = Droste.of(camera, 64, 80)
    levels = halved(smooth_canvas(shape))
    view = DrosteView.of(shape, 64, 80)
    assert torch.allclose(view.at(levels, 1.0), view.at(levels, 0.0), atol=1e-3)
    assert (view.at(levels, 0.5) - view.at(levels, 0.0)).abs().mean() > 0.01


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
def test_frames_move_as_the_camera_says(camera):
    shape = Droste.of(camera, 96, 96)
    levels = halved(smooth_canvas(shape))
    view = DrosteView.of(shape, 96, 96)
    past = camera.seconds / 20
    first, later = view.at(levels, 0.3), view.at(levels, 0.35)
    back = camera.back(past, Fraction(0), 96, 96)
    moved = resample(first, back, 96, 96)
    x = torch.arange(96) - camera.centre[0] * 96
    y = torch.arange(96)[:, None] - camera.centre[1] * 96
    seen = (torch.hypot(x, y) > 12) & (torch.hypot(x, y) < 45)
    seen[:8], seen[-8:], seen[:, :8], seen[:, -8:] = False, False, False, False
    assert (moved - later).abs()[:, seen].mean() < 0.02
    assert (first - later).abs()[:, seen].mean() > 0.03


def test_a_planted_picture_is_seen_whole_and_again_within_itself():
    picture = texture(128, 128)
    camera = Camera(zoom=4.0, seconds=Fraction(1))
    shape = Droste.of(camera, 128, 128)
    frame = DrosteView.of(shape, 128, 128).at(halved(shape.plant(picture, 128, 128)), 0.0)
    ring = torch.zeros(128, 128, dtype=torch.bool)
    ring[30:98, 30:98] = True
    ring[44:84, 44:84] = False
    assert (frame - picture).abs()[:, ring].mean() < 0.02
    small = torch.nn.functional.interpolate(
        picture[None], scale_factor=0.25, antialias=True, mode="bicubic"
    )[0]
    inner = (frame[:, 48:80, 48:80] - small).abs()[:, 8:24, 8:24]
    outer = inner[:, 5:11, 5:11]  # the next copy hides it
    assert (inner.sum() - outer.sum()) / (inner.numel() - outer.numel()) < 0.05


def test_a_finer_picture_gives_finer_detail():
    camera = Camera(zoom=4.0, seconds=Fraction(1))
    shape = Droste.of(camera, 64, 64)
    fine = texture(256, 256)
    coarse = torch.nn.functional.interpolate(
        fine[None], size=(64, 64), mode="bicubic", antialias=True
    )[0]
    detail = [
        (planted[:, :, 1:] - planted[:, :, :-1]).abs().mean()
        for planted in (shape.plant(fine, 64, 64), shape.plant(coarse, 64, 64))
    ]
    assert detail[0] > 1.1 * detail[1]


def test_a_canvas_has_a_texel_for_each_pixel_of_the_farthest_circle():
    shape = Droste.of(FALL, 60, 80)
    assert shape.columns >= 2 * math.pi * 50
    assert shape.columns < 1.3 * 2 * math.pi * 50
    assert shape.rows >= shape.columns * math.log(4) / (2 * math.pi) - 1
    aside = Droste.of(Camera(zoom=2.0, centre=(0, 0), seconds=Fraction(2)), 60, 80)
    assert aside.columns >= 2 * math.pi * 100


def test_levels_are_halves_of_one_mean():
    shape = Droste.of(SPIRAL, 64, 64)
    canvas = torch.rand(3, shape.rows, shape.columns, generator=torch.Generator().manual_seed(0))
    levels = halved(canvas)
    assert [level.shape[2] for level in levels] == [
        shape.columns // 2**step for step in range(len(levels))
    ]
    assert levels[-1].shape[2] < 8
    mean = float(canvas.mean())
    assert all(float(level.mean()) == pytest.approx(mean, abs=1e-5) for level in levels)


def test_wrapping_continues_on_the_other_side():
    canvas = torch.arange(12.0).view(1, 3, 4)
    around = wrap(canvas, 1)[0]
    assert around.shape == (5, 6)
    assert around[0].tolist() == [11, 8, 9, 10, 11, 8]
    assert torch.equal(around[1:-1, 1:-1], canvas[0])


def test_resizing_keeps_the_picture_and_its_seam():
    shape = Droste.of(SPIRAL, 96, 96)
    canvas = smooth_canvas(shape)
    half = shape.resized(0.5)
    there_and_back = resized(resized(canvas, half), shape)
    assert resized(canvas, half).shape[1:] == (half.rows, half.columns)
    assert (there_and_back - canvas).abs().max() < 0.05


def test_gradients_reach_the_canvas_from_everywhere_in_a_frame():
    shape = Droste.of(FALL, 48, 48)
    canvas = smooth_canvas(shape).requires_grad_()
    total = DrosteView.of(shape, 48, 48).at(halved(canvas), 0.2).sum()
    (gradient,) = torch.autograd.grad(total, canvas)
    assert float(gradient.sum()) == pytest.approx(3 * 48 * 48, rel=1e-3)
    assert (gradient > 0).float().mean() > 0.95


def test_a_long_round_holds_several_copies():
    picture = texture(96, 96)
    camera = Camera(zoom=2.0, rotate=30, seconds=Fraction(6))  # 64 = 4 × 4 × 4
    shape = Droste.of(camera, 96, 96)
    levels = halved(shape.plant(picture, 96, 96))
    view = DrosteView.of(shape, 96, 96)
    first, third = view.at(levels, 0.0), view.at(levels, 1 / 3)
    assert (first - third).abs().mean() < 0.01
    assert (first - view.at(levels, 1 / 6)).abs().mean() > 0.05
