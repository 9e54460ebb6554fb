"""Every figure by hand, and each bad result losing where it must."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dreamvid.evaluation.accumulator import Evaluation
from dreamvid.evaluation.figures import FIGURES
from dreamvid.evaluation.pairs import match_frames
from dreamvid.evaluation.ssim import structural_similarity
from dreamvid.motion import create_cut_detector
from dreamvid.types import Frame
from tests.motion.scenes import texture

HEIGHT, WIDTH = 48, 80
PAN = 2  # pixels a frame
LENGTH = 30


class KnownMotion:
    """The flow between frames of a steady pan, told by which frames they are."""

    def __init__(self, frames: Sequence[Tensor], dx: float, dy: float = 0) -> None:
        self.order = {frame.data_ptr(): k for k, frame in enumerate(frames)}
        self.step = torch.tensor([dx, dy]).view(2, 1, 1)

    def __call__(self, current: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        back = self.order[current.data_ptr()] - self.order[previous.data_ptr()]
        backward = (back * self.step).expand(2, *current.shape[1:])
        return backward, -backward


class ColourJudge:
    """Features are the mean colour's direction; red is what is wanted."""

    def embed(self, images: Sequence[Tensor]) -> Tensor:
        return F.normalize(torch.stack([image.mean((1, 2)) for image in images]), dim=1)

    def agreement(self, features: Tensor) -> Tensor:
        return features[:, 0]


def never(current: Tensor, previous: Tensor) -> bool:
    return False


def evaluated(
    sources: Sequence[Tensor],
    results: Sequence[Tensor],
    dx: float = 0,
    is_cut: Callable[[Tensor, Tensor], bool] = never,
    rate: int = 25,
) -> Evaluation:
    evaluation = Evaluation(KnownMotion(sources, dx), is_cut, ColourJudge())
    for k, (source, result) in enumerate(zip(sources, results, strict=True)):
        time = Fraction(k, rate)
        evaluation.add(Frame(source, time), Frame(result, time))
    return evaluation


def measured(*arguments: Any, **options: Any) -> dict[str, Any]:
    """The figures of `evaluated`."""
    return evaluated(*arguments, **options).figures


def flat(*levels: float, side: int = 16) -> list[Tensor]:
    return [torch.full((3, side, side), level) for level in levels]


def panned(world: Tensor) -> list[Tensor]:
    """What a camera sees that moves right over `world`."""
    return [
        world[:, :, k * PAN : k * PAN + WIDTH].contiguous()
        for k in range((world.shape[2] - WIDTH) // PAN + 1)
    ]


@pytest.fixture(scope="module")
def pan() -> list[Tensor]:
    return panned(0.2 + 0.6 * texture(HEIGHT, WIDTH + PAN * (LENGTH - 1)))


# By hand


def test_the_dreams_errors_are_those_of_what_it_added():
    figures = measured(flat(0.5, 0.6, 0.7), flat(0.6, 0.9, 0.9))  # D = .1, .3, .2
    assert list(figures) == list(FIGURES)
    assert (figures["frames"], figures["cuts"]) == (3, 0)
    power = (0.01 + 0.09 + 0.04) / 3
    assert figures["strength"] == pytest.approx(math.sqrt(power))
    assert figures["dream_warp_error"] == pytest.approx((0.04 + 0.01) / 2)
    assert figures["relative_dream_warp_error"] == pytest.approx(0.025 / power)
    assert figures["result_warp_error"] == pytest.approx((0.09 + 0.0) / 2)
    assert figures["source_warp_error"] == pytest.approx(0.01)
    assert figures["excess_warp_error"] == pytest.approx(0.045 - 0.01)
    assert figures["fdb"] == pytest.approx(0.025)
    assert figures["relative_fdb"] == pytest.approx(0.025 / power)
    assert figures["trust"] == 1
    assert figures["tof"] == 0
    assert figures["dream_warp_error_8"] is None  # there are no frames so far back


def test_errors_are_weighed_by_trust_over_all_frames_not_frame_by_frame():
    # The second step leaves the frame on half of its width, and so counts half as much.
    sources, results = flat(0.5, 0.5, 0.5), flat(0.5, 0.6, 0.8)
    steps = iter([0.0, 8.0])

    def flow(current: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        backward = torch.tensor([next(steps), 0.0]).view(2, 1, 1).expand(2, 16, 16)
        return backward, -backward

    evaluation = Evaluation(flow, never)
    for k, (source, result) in enumerate(zip(sources, results, strict=True)):
        evaluation.add(Frame(source, Fraction(k)), Frame(result, Fraction(k)))
    trusted = (evaluation.figures["trust"] or 0) * 2 - 1
    assert 0.4 < trusted <= 0.5
    expected = (1 * 0.01 + trusted * 0.04) / (1 + trusted)
    assert evaluation.figures["dream_warp_error"] == pytest.approx(expected, rel=1e-5)
    assert evaluation.series["dream_warp_error"] == [
        None,
        pytest.approx(0.01),
        pytest.approx(0.04),
    ]


def test_errors_are_means_over_the_channels():
    sources, results = flat(0.5, 0.5), flat(0.5, 0.5)
    results[1][0] = 0.8
    assert measured(sources, results)["dream_warp_error"] == pytest.approx(0.09 / 3)


def test_colour_drift_is_between_the_first_second_and_the_last():
    # Four frames a second; the middle does not count, nor does the source's own change.
    dream = [0.0, 0.0, 0.1, 0.1, 0.4, 0.4, 0.3, 0.3, 0.1, 0.1]
    source = [0.1 + 0.02 * k for k in range(10)]
    results = flat(*(a + b for a, b in zip(source, dream, strict=True)))
    drift = measured(flat(*source), results, rate=4)["colour_drift"]
    assert drift == pytest.approx((0.3 + 0.3 + 0.1 + 0.1) / 4 - 0.05)


def test_colour_drift_is_that_of_the_worst_channel():
    results = flat(0.5, 0.5)
    results[1][2] = 0.3
    assert measured(flat(0.5, 0.5), results)["colour_drift"] == pytest.approx(0.2)


def test_colour_drift_is_that_of_the_longest_shot():
    sources = flat(*[0.1] * 3, *[0.9] * 6, *[0.2] * 2)
    dream = [0.0, 0.1, 0.4, *[-0.3] * 3, *[-0.32] * 3, 0.0, 0.5]
    results = [source + added for source, added in zip(sources, dream, strict=True)]
    figures = measured(sources, results, is_cut=create_cut_detector(27))
    assert figures["cuts"] == 2
    assert figures["colour_drift"] == pytest.approx(0.02, abs=1e-5)


def test_the_judges_gain_and_consistency():
    sources, results = flat(0.5, 0.5), flat(0.5, 0.0)
    results[1][0] = 0.5
    figures = measured(sources, results)
    grey = 1 / math.sqrt(3)
    assert figures["judge_before"] == pytest.approx(grey)
    assert figures["judge_after"] == pytest.approx((grey + 1) / 2)
    assert figures["judge_gain"] == pytest.approx((1 - grey) / 2)
    assert figures["judge_consistency"] == pytest.approx(grey)
    assert figures["judge_consistency_source"] == pytest.approx(1)


def test_without_a_judge_there_is_no_gain():
    evaluation = Evaluation(KnownMotion([], 0), never)
    (image,) = flat(0.5)
    evaluation.add(Frame(image, Fraction(0)), Frame(image, Fraction(0)))
    figures = evaluation.figures
    assert figures["judge_gain"] is None
    assert figures["judge_consistency"] is None
    assert figures["ssim"] == pytest.approx(1)


def test_sharpness_is_gradient_energy_over_the_sources():
    (source,) = flat(0.5)
    source[:, :, 8:] = 0.6  # one step of 0.1
    result = source.clone()
    result[:, :8] += 0.2 * (source[:, :8] - 0.5)  # of 0.12 in the upper half
    figures = measured([source], [result])
    edge = 0.02**2 * 8  # between the halves, where only the right side was changed
    assert figures["sharpness"] == pytest.approx((0.12**2 * 8 + 0.1**2 * 8 + edge) / (0.1**2 * 16))
    assert figures["untouched"] == pytest.approx(0.75)
    assert figures["sharpness_untouched"] == pytest.approx(1)


def test_structural_similarity_of_flat_pictures_is_that_of_their_means():
    bright, dark = flat(0.6, 0.2)
    expected = (2 * 0.6 * 0.2 + 1e-4) / (0.36 + 0.04 + 1e-4)
    # In single precision the variances cancel to some 1e-8, beside a C₂ of 9e-4.
    assert float(structural_similarity(bright, dark)) == pytest.approx(expected, abs=5e-5)


def test_structural_similarity_sees_structure():
    image = texture(40, 40)
    inverted = 2 * image.mean() - image
    assert float(structural_similarity(image, image)) == pytest.approx(1)
    assert float(structural_similarity(inverted, image)) < 0


def test_no_pair_reaches_across_a_cut():
    sources = [*flat(0.2, 0.2, 0.2), *flat(0.8, 0.8)]
    results = [*flat(0.2, 0.2, 0.2), *flat(0.3, 0.3)]
    evaluation = evaluated(sources, results, is_cut=create_cut_detector(27))
    assert evaluation.figures["cuts"] == 1
    assert evaluation.figures["dream_warp_error"] == 0
    assert evaluation.figures["fdb"] == 0
    assert [value is None for value in evaluation.series["fdb"]] == [
        True,
        False,
        False,
        True,
        False,
    ]


def test_all_series_have_a_value_a_frame():
    evaluation = evaluated(flat(0.2, 0.2, 0.8, 0.8), flat(0.3, 0.4, 0.8, 0.8))
    assert {len(series) for series in evaluation.series.values()} == {4}


def test_pictures_of_two_sizes_are_refused():
    evaluation = Evaluation(KnownMotion([], 0), never)
    (source,), (result,) = flat(0.5), flat(0.5, side=32)
    with pytest.raises(ValueError, match="one size"):
        evaluation.add(Frame(source, Fraction(0)), Frame(result, Fraction(0)))


# Which frames are compared


def matched(sources: Sequence[float], results: Sequence[float]) -> tuple[list[Any], Counter[str]]:
    alone: Counter[str] = Counter()
    (image,) = flat(0.5)
    theirs, ours = (
        [Frame(image, Fraction(str(time))) for time in times] for times in (sources, results)
    )
    pairs = match_frames(theirs, ours, Fraction(1, 100), alone)
    return [(float(source.time), float(result.time)) for source, result in pairs], +alone


@pytest.mark.parametrize(
    ("sources", "results", "pairs", "alone"),
    [
        ([0, 0.1, 0.2], [0, 0.1, 0.2], [(0, 0), (0.1, 0.1), (0.2, 0.2)], {}),
        ([0, 0.1, 0.2], [0.01, 0.09], [(0, 0.01), (0.1, 0.09)], {"rest": 1}),
        ([0, 0.1, 0.2], [0, 0.2], [(0, 0), (0.2, 0.2)], {"source": 1}),
        ([0, 0.2], [0, 0.1, 0.2], [(0, 0), (0.2, 0.2)], {"result": 1}),
        ([0, 0.1, 0.2, 0.3, 0.4], [0, 0.1], [(0, 0), (0.1, 0.1)], {"rest": 1}),
        ([0, 0.1], [0, 0.1, 0.2, 0.3], [(0, 0), (0.1, 0.1)], {"result": 2}),
        ([0, 0.1], [0.05, 0.15], [], {"source": 2, "result": 2}),
        ([], [0, 0.1], [], {"result": 2}),
    ],
)
def test_frames_are_matched_by_time(sources, results, pairs, alone):
    assert matched(sources, results) == (pairs, Counter(alone))


# What each kind of result wins and loses


def test_identity_adds_nothing_and_gains_nothing(pan):
    figures = measured(pan, [image.clone() for image in pan], PAN)
    for name in ("strength", "dream_warp_error", "dream_warp_error_24", "fdb", "tof"):
        assert figures[name] == 0
    for name in ("excess_warp_error", "excess_warp_error_24", "judge_gain", "colour_drift"):
        assert figures[name] == 0
    for name in ("ssim", "sharpness", "sharpness_untouched", "untouched"):
        assert figures[name] == pytest.approx(1)
    assert figures["relative_dream_warp_error"] is None  # of no dream


def test_a_dream_on_the_world_holds_and_one_on_the_screen_does_not(pan):
    paint = 0.2 * (texture(HEIGHT, WIDTH + PAN * (LENGTH - 1), seed=1) - 0.5)
    world = [image + delta for image, delta in zip(pan, panned(paint), strict=True)]
    screen = [image + paint[:, :, :WIDTH] for image in pan]
    held, stuck = measured(pan, world, PAN), measured(pan, screen, PAN)
    for end in ("", "_8", "_24"):
        assert held[f"relative_dream_warp_error{end}"] == pytest.approx(0, abs=1e-6)
        assert held[f"excess_warp_error{end}"] == pytest.approx(0, abs=1e-6)
    assert stuck["relative_dream_warp_error"] > 0.1
    assert stuck["relative_dream_warp_error_24"] > 1
    assert stuck["fdb"] == pytest.approx(0, abs=1e-9)  # which asks for the screen, not the world


def test_the_trust_of_a_chain_is_what_stayed_in_the_frame(pan):
    figures = measured(pan, pan, PAN)
    for end, distance in (("", 1), ("_8", 8), ("_24", 24)):
        lost = distance * PAN + 1  # and the softened rim, a pixel or two
        assert figures[f"trust{end}"] == pytest.approx(1 - lost / WIDTH, abs=2 / WIDTH)


def test_blur_loses_sharpness_and_content_not_stillness(pan):
    blurred = [F.avg_pool2d(image[None], 5, 1, 2, count_include_pad=False)[0] for image in pan]
    figures = measured(pan, blurred, PAN)
    assert figures["sharpness"] < 0.6
    assert figures["ssim"] < 0.95
    assert figures["relative_dream_warp_error"] < 0.05
    assert figures["tof"] < 0.2


def test_a_frozen_frame_loses_motion_and_the_long_range(pan):
    figures = measured(pan, [pan[0]] * len(pan), PAN)
    assert figures["tof"] == pytest.approx(PAN, rel=0.25)
    assert figures["relative_dream_warp_error"] > 0.05
    assert figures["relative_dream_warp_error_24"] > 10 * figures["relative_dream_warp_error"]
    assert figures["sharpness"] == pytest.approx(1, abs=0.1)
    assert figures["judge_consistency"] == pytest.approx(1)


def test_independent_frames_lose_stillness_at_every_distance(pan):
    generator = torch.Generator().manual_seed(0)
    noisy = [image + 0.05 * torch.randn(image.shape, generator=generator) for image in pan]
    figures = measured(pan, noisy, PAN)
    assert figures["strength"] == pytest.approx(0.05, rel=0.01)
    for name in ("dream_warp_error", "dream_warp_error_8", "dream_warp_error_24", "fdb"):
        assert figures[f"relative_{name}"] == pytest.approx(2, rel=0.03)  # twice the variance
    assert figures["tof"] < 0.5 * PAN
    assert figures["colour_drift"] < 0.005
