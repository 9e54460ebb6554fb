"""What is delivered of a dream: all, a region, or its difference on the full-size source."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from dreamvid.film.delivery import Delivery
from dreamvid.types import Frame


def frame(value: float, index: int, size: tuple[int, int] = (4, 6)) -> Frame:
    image = torch.full((3, *size), value) + 0.01 * torch.rand(3, *size)
    return Frame(image, Fraction(index))


def test_without_size_and_mask_the_dream_itself():
    delivery = Delivery()
    (source,) = delivery.prepare([frame(0.5, 0)])
    dream = source.with_image(source.image + 0.1)
    assert delivery.finish(dream, source.image).image is dream.image


def test_outside_the_mask_the_source_exactly():
    mask = torch.zeros(1, 4, 6)
    mask[..., 3:] = 1
    mask[..., 5] = 0.25
    delivery = Delivery()
    (source,) = delivery.prepare([frame(0.3, 0)])
    dream = source.with_image(source.image + 0.4)
    image = delivery.finish(dream, source.image, mask).image
    assert torch.equal(image[..., :3], source.image[..., :3])
    assert torch.allclose(image[..., 3:5], dream.image[..., 3:5])
    assert torch.allclose(image[..., 5], source.image[..., 5] + 0.1)


def test_each_frame_has_its_own_mask():
    delivery = Delivery()
    sources = list(delivery.prepare([frame(0.2, 0), frame(0.2, 1)]))  # two inside the loop
    masks = [torch.full((1, 4, 6), float(source.time)) for source in sources]
    results = [
        delivery.finish(source.with_image(source.image + 0.5), source.image, mask)
        for source, mask in zip(sources, masks, strict=True)
    ]
    assert torch.equal(results[0].image, sources[0].image)
    assert torch.allclose(results[1].image, sources[1].image + 0.5)


def test_frames_that_give_no_result_are_passed_over():
    delivery = Delivery()
    sources = list(delivery.prepare([frame(0.1 * index, index) for index in range(4)]))
    half = torch.full((1, 4, 6), 0.5)
    for source in sources[2:]:
        result = delivery.finish(source.with_image(source.image + 0.5), source.image, half)
        assert torch.allclose(result.image, source.image + 0.25)


def test_the_source_s_own_detail_under_a_small_dream():
    full = frame(0.5, 0, (64, 96))
    delivery = Delivery(size=(16, 24))
    (small,) = delivery.prepare([full])
    assert small.image.shape == (3, 16, 24)
    unchanged = delivery.finish(small, small.image)
    assert torch.equal(unchanged.image, full.image)
    (small,) = delivery.prepare([full])
    brighter = delivery.finish(small.with_image(small.image + 0.2), small.image)
    assert brighter.image.numpy() == pytest.approx(full.image.numpy() + 0.2, abs=1e-6)
