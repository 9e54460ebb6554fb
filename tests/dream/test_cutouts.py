"""Cutouts: seeded, anti-aliased, fair to the rim, and the same by both ways of resampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dreamvid.config import DreamConfig
from dreamvid.dream.cutouts import (
    GLOBAL,
    LOCAL,
    MIDDLE,
    Cutouts,
    Kind,
    crop,
    draw_cutouts,
    draw_windows,
    resample,
    seen_size,
    share_out,
    triangle_filters,
)
from dreamvid.dream.descent import frame_generator

HEIGHT, WIDTH = 54, 96
Way = Callable[[Tensor, Tensor, int], Tensor]
WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]])


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def windows(config: DreamConfig, steps: int = 1, seed: int = 0, frame: int = 0) -> Tensor:
    return draw_windows(config, steps, (HEIGHT, WIDTH), frame_generator(seed, frame))


def only(kind: str, **options: object) -> DreamConfig:
    """Options for windows of one kind."""
    shares = {f"{name}-share": float(name == kind) for name in ("global", "middle", "local")}
    return DreamConfig.model_validate({**shares, **options})


def matrices(starts: Tensor, ends: Tensor, length: int, size: int) -> Tensor:
    """The filters of one axis as dense matrices (N, size, length)."""
    taps = 2 * math.ceil(max(1.0, GLOBAL.sides[1] * WIDTH / size)) + 1
    filters = triangle_filters(starts * length, ends * length, length, size, taps)
    return torch.zeros(len(starts), size, length).scatter_add_(2, filters.index, filters.weight)


def dense(image: Tensor, spots: Tensor, size: int) -> Tensor:
    """The cutouts as the formula reads, `Y · image · Xᵀ`."""
    left, top, right, bottom = spots.unbind(1)
    rows, columns = matrices(top, bottom, HEIGHT, size), matrices(left, right, WIDTH, size)
    return torch.einsum("nyh,chw,nxw->ncyx", rows, image, columns)


def values_and_gradient(way: Way, spots: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The cutouts of noise, and a gradient of unit RMS that is pulled back through them."""
    pull = torch.randn(len(spots), 3, size, size, generator=torch.Generator().manual_seed(1))
    image = noise(HEIGHT, WIDTH).requires_grad_()
    shown = way(image, spots, size)
    (gradient,) = torch.autograd.grad((shown * pull).mean(), image)
    return shown.detach(), gradient / gradient.square().mean().sqrt()


@pytest.mark.parametrize("size", [8, 32, 128])  # far smaller, smaller and larger than the windows
@pytest.mark.parametrize("fixed_shape", [False, True])
def test_the_bands_equal_the_dense_product_in_values_and_gradients(size, fixed_shape):
    spots = windows(DreamConfig(cutouts=12))[0]
    by_bands = values_and_gradient(partial(resample, fixed_shape=fixed_shape), spots, size)
    by_product = values_and_gradient(dense, spots, size)
    torch.testing.assert_close(by_bands, by_product, atol=1e-5, rtol=0)


def test_the_cpu_leaves_out_zeros_and_gives_the_same_bits():
    spots = windows(DreamConfig(cutouts=12))[0]
    fixed = values_and_gradient(partial(resample, fixed_shape=True), spots, 32)
    for found, expected in zip(values_and_gradient(crop, spots, 32), fixed, strict=True):
        assert torch.equal(found, expected)


def test_the_gradient_is_the_true_one():
    image = noise(9, 12).double().requires_grad_()
    spots = torch.tensor([[-0.2, 0.1, 0.7, 0.9], [1.1, -0.3, 0.2, 0.6]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda pixels: crop(pixels, spots, 5), [image])


@pytest.mark.parametrize("size", [7, 32, 200])
def test_a_constant_image_gives_constant_cutouts(size):
    image = torch.tensor([0.2, 0.5, 0.9]).view(3, 1, 1).expand(3, HEIGHT, WIDTH)
    shown = crop(image, windows(DreamConfig(cutouts=16))[0], size)
    torch.testing.assert_close(shown, image[None, :, :1, :1].expand_as(shown), atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [8, 16, 24, 40, 64])
def test_the_whole_image_is_resampled_like_the_usual_antialiased_bilinear(size):
    image = noise(48, 48)
    usual = F.interpolate(image[None], (size, size), mode="bilinear", antialias=True)
    # At its border the usual one leaves out what is beyond, where ours reflects.
    rim = math.ceil(size / 48) + 1
    inner = (slice(None), slice(None), slice(rim, -rim), slice(rim, -rim))
    torch.testing.assert_close(crop(image, WHOLE, size)[inner], usual[inner], atol=1e-5, rtol=0)


def test_a_fine_checkerboard_shrinks_to_grey():
    board = (torch.arange(64)[:, None] + torch.arange(64)) % 2
    shown = crop(board.float().expand(3, 64, 64), WHOLE, 16)[:, :, 1:-1, 1:-1]  # the rim reflects
    torch.testing.assert_close(shown, torch.full_like(shown, 0.5), atol=1e-6, rtol=0)


def test_a_window_of_the_same_size_is_exact():
    image = noise(32, 32)
    assert torch.equal(crop(image, WHOLE, 32)[0], image)
    part = torch.tensor([[0.25, 0.5, 0.75, 1.0]])
    assert torch.equal(crop(image, part, 16)[0], image[:, 16:32, 8:24])


def test_a_mirrored_window_flips():
    image = noise(32, 32)
    mirrored = torch.tensor([[1.0, 0.0, 0.0, 1.0]])
    assert torch.equal(crop(image, mirrored, 32)[0], image.flip(2))
    spot = torch.tensor([[0.1, -0.2, 0.8, 0.5], [0.8, -0.2, 0.1, 0.5]])
    there, back = crop(image, spot, 20)
    torch.testing.assert_close(there, back.flip(2), atol=1e-5, rtol=0)


def test_beyond_the_border_the_frame_is_reflected():
    image = noise(16, 16)
    shown = crop(image, torch.tensor([[-0.5, 0.0, 0.5, 1.0]]), 16)[0]
    assert torch.equal(shown, torch.cat([image[:, :, :8].flip(2), image[:, :, :8]], 2))
    shown = crop(image, torch.tensor([[0.0, 0.5, 1.0, 1.5]]), 16)[0]
    assert torch.equal(shown, torch.cat([image[:, 8:], image[:, 8:].flip(1)], 1))


def drawn(seed: int, frame: int, **options: object) -> Cutouts:
    config = DreamConfig.model_validate({"cutouts": 6, **options})
    config = config.model_copy(update={"seed": seed})
    generator = frame_generator(seed, frame)
    return draw_cutouts(config, 3, (HEIGHT, WIDTH), {16, 8}, generator, torch.device("cpu"))


def test_the_same_seed_and_frame_give_the_same_cutouts():
    one, two = drawn(5, 7), drawn(5, 7)
    assert torch.equal(one.windows, two.windows)
    assert torch.equal(one.order, two.order)
    assert all(torch.equal(one.noise[size], two.noise[size]) for size in (8, 16))


@pytest.mark.parametrize(("seed", "frame"), [(5, 8), (6, 7), (7, 5)])
def test_another_seed_or_frame_gives_others(seed, frame):
    one, two = drawn(5, 7), drawn(seed, frame)
    assert not torch.equal(one.windows, two.windows)
    assert not torch.equal(one.noise[16], two.noise[16])


def test_the_noise_of_all_frames_is_the_same_moved_round():
    one, other = (drawn(5, frame, cutout_noise=1.0).noise[16] for frame in (7, 8))
    moves = [(dy, dx) for dy in range(16) for dx in range(16)]
    assert any(torch.equal(one.roll(move, (2, 3)), other) for move in moves)
    assert other.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(one, drawn(5, 7, cutout_noise=1.0).noise[16])


def test_each_step_is_drawn_anew_and_shuffles_all_noise_fields():
    cutouts = drawn(0, 0)
    assert cutouts.windows.shape == (3, 6, 4)
    assert not torch.equal(cutouts.windows[0], cutouts.windows[1])
    assert cutouts.order.sort(1).values.tolist() == [list(range(6))] * 3
    assert {size: field.shape for size, field in cutouts.noise.items()} == {
        8: (6, 3, 8, 8),
        16: (6, 3, 16, 16),
    }


def test_the_global_generator_is_not_used():
    before = torch.get_rng_state()
    drawn(0, 0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("cutouts", "shares", "expected"),
    [
        (16, (0.25, 0.25, 0.5), [4, 4, 8]),
        (8, (1, 0, 0), [8, 0, 0]),
        (7, (0, 0, 0.3), [0, 0, 7]),
        (10, (0.5, 0.5, 0), [5, 5, 0]),
        (9, (1, 1, 1), [3, 3, 3]),
        (10, (0.1, 0.3, 0.6), [1, 3, 6]),
        (1, (0.25, 0.25, 0.5), [0, 0, 1]),
        (5, (0.25, 0.25, 0.5), [1, 1, 3]),
    ],
)
def test_shares_are_honoured(cutouts, shares, expected):
    names = ("global-share", "middle-share", "local-share")
    config = DreamConfig.model_validate(
        {"cutouts": cutouts, **dict(zip(names, shares, strict=True))}
    )
    assert share_out(config) == list(zip((GLOBAL, MIDDLE, LOCAL), expected, strict=True))


def pixels(spots: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Widths (negative where mirrored), heights and centres of windows, in pixels."""
    extent = torch.tensor([WIDTH, HEIGHT])
    sides = (spots[..., 2:] - spots[..., :2]) * extent
    return sides[..., 0], sides[..., 1], (spots[..., 2:] + spots[..., :2]) / 2 * extent


@pytest.mark.parametrize(
    ("name", "kind", "base"),
    [("global", GLOBAL, WIDTH), ("middle", MIDDLE, HEIGHT), ("local", LOCAL, HEIGHT)],
)
def test_windows_are_square_and_use_the_whole_range_of_their_kind(
    name: str, kind: Kind, base: int
) -> None:
    widths, heights, centres = pixels(windows(only(name, cutouts=64), steps=50))
    torch.testing.assert_close(widths.abs(), heights, atol=1e-3, rtol=0)
    low, high = (base * side for side in kind.sides)
    assert heights.min() >= low - 1e-3
    assert heights.max() <= high + 1e-3
    assert heights.max() - heights.min() > 0.95 * (high - low)
    away = (centres - torch.tensor([WIDTH, HEIGHT]) / 2).abs()
    reach = kind.wander * torch.tensor([WIDTH, HEIGHT]) / 2 + kind.overhang * heights[..., None]
    assert (away <= reach + 1e-3).all()
    assert 0.4 < (widths < 0).float().mean() < 0.6


def coverage(config: DreamConfig) -> Tensor:
    """(H, W): how often each pixel is seen through windows, each of total weight 1."""
    spots = windows(config, steps=200).flatten(0, 1)
    seen = torch.zeros(3, HEIGHT, WIDTH, requires_grad=True)
    (total,) = torch.autograd.grad(crop(seen, spots, 16).sum(), seen)
    return total[0] / total[0].mean()


def test_the_rim_is_seen_at_least_half_as_much_as_the_centre():
    share = coverage(only("local", cutouts=16))
    centre = share[HEIGHT // 3 : -HEIGHT // 3, WIDTH // 3 : -WIDTH // 3].mean()
    rows, columns = share.mean(1) / centre, share.mean(0) / centre
    assert min(rows[0], rows[-1], columns[0], columns[-1]) > 0.5
    corners = torch.stack([share[y, x] for y in (0, -1) for x in (0, -1)])
    assert corners.min() / centre > 0.25


def test_without_augmentation_there_is_neither_noise_nor_mirroring():
    plain = drawn(0, 0, augment=False)
    assert all((field == 0).all() for field in plain.noise.values())
    assert (plain.windows[..., 2] > plain.windows[..., 0]).all()
    noisy = drawn(0, 0, cutout_noise=0.2)
    assert noisy.noise[16].std() == pytest.approx(0.2, rel=0.05)
    assert (noisy.windows[..., 2] < noisy.windows[..., 0]).any()


def test_without_augmentation_global_windows_are_all_the_same():
    spots = windows(only("global", cutouts=4, augment=False), steps=3)
    torch.testing.assert_close(spots, spots[:1, :1].expand_as(spots), atol=0, rtol=0)
    _, heights, centres = pixels(spots)
    assert heights[0, 0] == pytest.approx(WIDTH * sum(GLOBAL.sides) / 2)
    assert centres[0, 0].tolist() == pytest.approx([WIDTH / 2, HEIGHT / 2])


def test_off_the_cpu_no_value_is_ever_asked_for():
    image = torch.empty(3, 20, 30, device="meta", requires_grad=True)
    shown = crop(image, torch.empty(4, 4, device="meta"), 8)  # a meta tensor has no values to give
    assert shown.shape == (4, 3, 8, 8)
    (gradient,) = torch.autograd.grad(shown.sum(), image)
    assert gradient.shape == image.shape


@pytest.mark.parametrize(
    ("options", "frame", "guides", "expected"),
    [
        # The smallest local window has half of the shorter side: 180 pixels for 64 of the guide.
        ({}, (360, 640), {64}, (128, 228)),
        ({}, (1080, 1920), {64}, (128, 228)),
        ({}, (1080, 1920), {64, 224}, (448, 796)),
        ({"local_size": 0.25}, (1080, 1920), {224}, (896, 1593)),
        ({}, (360, 640), {224}, (360, 640)),  # a guide that sees all of it
        ({}, (96, 128), {16}, (96, 128)),  # never below 128 pixels, nor above the frame
        ({"local_share": 0, "middle_share": 0}, (360, 640), {224}, (128, 228)),
        ({}, (360, 640), set(), (360, 640)),
    ],
)
def test_a_frame_is_dreamed_at_the_size_that_its_guides_see(options, frame, guides, expected):
    assert seen_size(DreamConfig.model_validate(options), frame, guides) == expected
