"""How well a dream holds still, keeps its source and means its prompt: figures over frame pairs.

I is a frame of the source, O that of the result, `D = O − I` what the dream added; all in [0, 1].
Flow and trust C are the source's, on the current frame's grid, so that no dream can hide its
flicker by misleading the flow; figures made with different flow estimators are not comparable.

Every figure is a ratio of two sums over all frames, never a mean of ratios: a frame that can
hardly be judged counts for as little as can be seen of it. Errors are squared, the mean over the
three channels. A warp is bilinear and so blurs a little: a dream perfectly fixed to the world
keeps a small error wherever it moves by fractions of a pixel. Pairs across a cut of the source
are left out.

The warp error is that of Lai et al., "Learning blind video temporal consistency" (2018), with
soft trust for their mask.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from dreamvid.dream.terms import masked_total_variation
from dreamvid.motion.flow import tof_flow
from dreamvid.motion.warp import chain, trust, warp
from dreamvid.types import CutDetector, FlowEstimator, Frame

DISTANCES = (1, 8, 24)
"""Frames back, along chained flow, to which warp errors are taken."""
UNTOUCHED = 2 / 255
"""A pixel whose channels all differ from the source's by less was not dreamed on."""
DRIFT_SPAN = Fraction(1)
"""Seconds at either end of a shot between which colours may have drifted."""

_LUMA = (0.299, 0.587, 0.114)
_WINDOW_RADIUS = 5  # pixels, for SSIM
_WINDOW_SIGMA = 1.5
_STABILISERS = (0.01**2, 0.03**2)  # C₁ and C₂ of SSIM for a range of 1

FIGURES = {
    "frames": "pairs of a source's and a result's frame",
    "cuts": "of the source; no pair reaches across one",
    "strength": "RMS of the dream D = result − source",
    "dream_warp_error": "ΣC(D − warp(D before))² / ΣC: 0 where the dream moves with the world",
    "dream_warp_error_8": "the same to 8 frames back",
    "dream_warp_error_24": "the same to 24 frames back",
    "relative_dream_warp_error": "over mean D², so that a weak dream does not win by being weak",
    "relative_dream_warp_error_8": "8 frames back",
    "relative_dream_warp_error_24": "24 frames back",
    "result_warp_error": "the warp error of the result's own pixels",
    "result_warp_error_8": "8 frames back",
    "result_warp_error_24": "24 frames back",
    "source_warp_error": "that of the source's: what the flow alone gets wrong",
    "source_warp_error_8": "8 frames back",
    "source_warp_error_24": "24 frames back",
    "excess_warp_error": "result less source",
    "excess_warp_error_8": "8 frames back",
    "excess_warp_error_24": "24 frames back",
    "trust": "share of the picture that the warp errors see, mean C",
    "trust_8": "8 frames back",
    "trust_24": "24 frames back",
    "fdb": "mean (D − D before)², without flow: 0 where the dream stands on the screen",
    "relative_fdb": "over mean D²",
    "tof": "distance of the result's motion from the source's, in pixels (tOF)",
    "judge_before": "the judge's similarity of the source to the prompts",
    "judge_after": "that of the result",
    "judge_gain": "their difference",
    "judge_consistency": "cosine of the judge's features of a result's frame and the one before",
    "judge_consistency_source": "that of the source",
    "colour_drift": "change of mean D over the longest shot, first second to last, worst channel",
    "ssim": "structural similarity of the result's luma to the source's",
    "sharpness": "gradient energy of the result over the source's",
    "sharpness_untouched": "the same where no channel differs by 2/255 or more",
    "untouched": "share of the picture where that is so",
}
"""The names of all figures, in order, and what each means."""


class Judge(Protocol):
    """A model with prompts that says how well a picture agrees with them."""

    def embed(self, images: Sequence[Tensor]) -> Tensor:
        """K images (3, H, W) in [0, 1] → their features (K, D), of unit length."""

    def agreement(self, features: Tensor) -> Tensor:
        """The similarity to the prompts of pictures with these features (K, D): (K,)."""


@dataclass(frozen=True, eq=False)
class _Moment:
    """What is remembered of a frame."""

    source: Tensor
    result: Tensor
    features: Tensor | None
    """The judge's, of source and result: (2, D)."""


@dataclass(frozen=True, eq=False)
class _Step:
    """From a frame to the one before it."""

    flow: Tensor
    trust: Tensor
    before: _Moment


class Evaluation:
    """Figures of a result against its source, pair by pair.

    Remembers the last 24 pairs with their flow, 864 bytes a pixel, and of every frame a dozen
    numbers, in `series`.
    """

    def __init__(
        self, flow: FlowEstimator, is_cut: CutDetector, judge: Judge | None = None
    ) -> None:
        self._flow, self._is_cut, self._judge = flow, is_cut, judge
        self._last: _Moment | None = None
        self._steps: deque[_Step] = deque(maxlen=max(DISTANCES))  # newest first
        self._above: defaultdict[str, float] = defaultdict(float)
        self._below: defaultdict[str, float] = defaultdict(float)
        self._times: list[Fraction] = []
        self._shots: list[int] = []  # the frames with which shots begin
        self.series: defaultdict[str, list[float | None]] = defaultdict(list)
        """A value a frame by name; None where a frame has none, as the first of a shot."""

    @torch.no_grad()
    def add(self, source: Frame, result: Frame) -> None:
        """The next pair, in order of time, on one device.

        Raises ValueError where the two, or the frames before them, are not of one size.
        """
        if source.image.shape != result.image.shape:
            raise ValueError(
                "source and result are compared at one size, "
                f"not {tuple(source.image.shape)} and {tuple(result.image.shape)}"
            )
        self._times.append(source.time)
        self.series["time"].append(float(source.time))
        now = self._seen(source.image, result.image)
        self._add_content(now)
        self._add_judgement(now)
        self._add_motion(now)
        self._last = now

    @property
    def figures(self) -> dict[str, float | None]:
        """All of `FIGURES`; None for what cannot be told, as a gain without a judge."""
        ratios = {name: self._ratio(name) for name in self._above}
        power = ratios.get("strength") or 0.0
        derived: dict[str, float | None] = {
            "frames": len(self._times),
            "cuts": max(0, len(self._shots) - 1),
            "strength": math.sqrt(power),
            "relative_fdb": _divide(ratios.get("fdb"), power),
            "judge_gain": _subtract(ratios.get("judge_after"), ratios.get("judge_before")),
            "colour_drift": self._colour_drift(),
        }
        for end in map(_suffix, DISTANCES):
            error = ratios.get(f"dream_warp_error{end}")
            derived[f"relative_dream_warp_error{end}"] = _divide(error, power)
            derived[f"excess_warp_error{end}"] = _subtract(
                ratios.get(f"result_warp_error{end}"), ratios.get(f"source_warp_error{end}")
            )
        return {name: (ratios | derived).get(name) for name in FIGURES}

    def _seen(self, source: Tensor, result: Tensor) -> _Moment:
        judge = self._judge
        features = None if judge is None else judge.embed([source, result])
        return _Moment(source, result, features)

    # What one pair of frames says by itself.

    def _add_content(self, now: _Moment) -> None:
        dream = now.result - now.source
        power = self._count("strength", float(dream.square().mean()))
        self.series["strength"].append(None if power is None else math.sqrt(power))
        for name, image in (("source", now.source), ("result", now.result)):
            for channel, level in zip(("red", "green", "blue"), image.mean((1, 2)), strict=True):
                self.series[f"{name}_{channel}"].append(float(level))
        similarity = float(structural_similarity(now.result, now.source))
        self.series["ssim"].append(self._count("ssim", similarity))
        everywhere = torch.ones_like(dream[:1])
        self.series["sharpness"].append(self._add_sharpness("sharpness", now, everywhere))
        untouched = (dream.abs() < UNTOUCHED).all(0, keepdim=True).to(dream)
        self._count("untouched", float(untouched.mean()))
        self._add_sharpness("sharpness_untouched", now, _with_neighbours(untouched))

    def _add_sharpness(self, name: str, now: _Moment, mask: Tensor) -> float | None:
        energy = [float(masked_total_variation(image, mask)) for image in (now.result, now.source)]
        return self._count(name, *energy)

    def _add_judgement(self, now: _Moment) -> None:
        if self._judge is None or now.features is None:
            return
        similarities = self._judge.agreement(now.features).tolist()
        for name, similarity in zip(("judge_before", "judge_after"), similarities, strict=True):
            self.series[name].append(self._count(name, similarity))

    # What it says beside those before it.

    def _add_motion(self, now: _Moment) -> None:
        before = self._last
        begins_shot = before is None or self._is_cut(now.source, before.source)
        if before is None or begins_shot:
            self._shots.append(len(self._times) - 1)
            self._steps.clear()
            for name in ("dream_warp_error", "fdb", "tof"):
                self.series[name].append(None)
            return
        backward, forward = self._flow(now.source, before.source)
        self._steps.appendleft(_Step(backward, trust(backward, forward), before))
        self._add_warp_errors(now)
        self._add_neighbours(now, before)

    def _add_warp_errors(self, now: _Moment) -> None:
        ways = chain((step.flow, step.trust) for step in self._steps)
        for distance, (way, believed) in enumerate(ways, 1):
            if distance not in DISTANCES:
                continue
            past = self._steps[distance - 1].before
            before = warp(torch.cat([past.source, past.result]), way)  # (6, H, W)
            source, result = now.source - before[:3], now.result - before[3:]
            end, seen = _suffix(distance), float(believed.sum())
            self._count(f"trust{end}", seen, believed.numel())
            for name, error in (("dream", result - source), ("result", result), ("source", source)):
                total = float((believed * error.square().mean(0)).sum())
                ratio = self._count(f"{name}_warp_error{end}", total, seen)
                if name == "dream" and distance == 1:
                    self.series["dream_warp_error"].append(ratio)

    def _add_neighbours(self, now: _Moment, before: _Moment) -> None:
        """Figures that need no flow of the estimator's."""
        change = (now.result - now.source) - (before.result - before.source)
        self.series["fdb"].append(self._count("fdb", float(change.square().mean())))
        motion = tof_flow(now.result, before.result) - tof_flow(now.source, before.source)
        self.series["tof"].append(self._count("tof", float(motion.norm(dim=0).mean())))
        if now.features is not None and before.features is not None:
            for name, new, old in zip(
                ("judge_consistency_source", "judge_consistency"),
                now.features,
                before.features,
                strict=True,
            ):
                self._count(name, float(new @ old))

    # Sums and their ratios.

    def _count(self, name: str, above: float, below: float = 1) -> float | None:
        """Add to both sums of a figure; the ratio of these two parts alone."""
        self._above[name] += above
        self._below[name] += below
        return _divide(above, below)

    def _ratio(self, name: str) -> float | None:
        return _divide(self._above[name], self._below[name])

    def _colour_drift(self) -> float | None:
        """`max_c |mean D_c over the last second − mean D_c over the first|`; c a channel.

        Of the longest shot, since another shot's dream has colours of its own; where that is
        shorter than two seconds, between its halves.
        """
        bounds = [*self._shots, len(self._times)]
        shot = max(map(range, bounds, bounds[1:]), key=len, default=range(0))
        if len(shot) < 2:
            return None
        first, last = self._times[shot[0]], self._times[shot[-1]]
        span = min(DRIFT_SPAN, (last - first) / 2)
        head = [k for k in shot if self._times[k] < first + span]
        tail = [k for k in shot if self._times[k] > last - span]
        return max(
            abs(self._mean_dream(channel, tail) - self._mean_dream(channel, head))
            for channel in ("red", "green", "blue")
        )

    def _mean_dream(self, channel: str, frames: list[int]) -> float:
        result, source = self.series[f"result_{channel}"], self.series[f"source_{channel}"]
        return sum((result[k] or 0.0) - (source[k] or 0.0) for k in frames) / len(frames)


def match_frames(
    sources: Iterable[Frame], results: Iterable[Frame], tolerance: Fraction, alone: Counter[str]
) -> Iterator[tuple[Frame, Frame]]:
    """Pairs of frames whose times are no more than `tolerance` seconds apart, both in order.

    Those without a partner are counted in `alone` under "source" and "result"; a source that goes
    on after the result's last frame is not read on, and counted once under "rest".
    """
    theirs, ours = iter(sources), iter(results)
    source, result = next(theirs, None), next(ours, None)
    while source is not None and result is not None:
        late = result.time - source.time
        if abs(late) <= tolerance:
            yield source, result
        alone["source"] += late > tolerance
        alone["result"] += late < -tolerance
        # Whichever is behind moves on; both where they are a pair.
        if late >= -tolerance:
            source = next(theirs, None)
        if late <= tolerance:
            result = next(ours, None)
    alone["rest"] += source is not None
    while result is not None:
        alone["result"] += 1
        result = next(ours, None)


def structural_similarity(image: Tensor, reference: Tensor) -> Tensor:
    """SSIM of the luma of two images (3, H, W) in [0, 1] at least 11 pixels a side; a scalar.

    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
    structural similarity" (2004): Gaussian windows of 11 × 11 with σ = 1.5 wherever a whole one
    fits, K₁ = 0.01, K₂ = 0.03. Luma is Rec. 601's; their later downsampling is not done.
    """
    x, y = (_luma(picture) for picture in (image, reference))
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = _windowed(
        torch.stack([x, y, x.square(), y.square(), x * y])
    )
    covariance = mean_xy - mean_x * mean_y
    variances = mean_xx - mean_x.square() + mean_yy - mean_y.square()
    c1, c2 = _STABILISERS
    luminance: Tensor = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    structure: Tensor = (2 * covariance + c2) / (variances + c2)
    return (luminance * structure).mean()


def _luma(image: Tensor) -> Tensor:
    return torch.einsum("chw,c->hw", image, image.new_tensor(_LUMA))


def _windowed(maps: Tensor) -> Tensor:
    """Gaussian means (N, H − 10, W − 10) of (N, H, W)."""
    offsets = torch.arange(-_WINDOW_RADIUS, _WINDOW_RADIUS + 1).to(maps)
    kernel = torch.exp(-0.5 * (offsets / _WINDOW_SIGMA) ** 2)
    kernel = kernel / kernel.sum()
    rows = F.conv2d(maps[:, None], kernel.view(1, 1, 1, -1))
    return F.conv2d(rows, kernel.view(1, 1, -1, 1))[:, 0]


def _with_neighbours(mask: Tensor) -> Tensor:
    """Where `mask` (1, H, W) holds at a pixel and at those that its differences reach."""
    padded = F.pad(mask, (0, 1, 0, 1), mode="replicate")  # (1, H + 1, W + 1)
    return mask * padded[:, :-1, 1:] * padded[:, 1:, :-1]


def _suffix(distance: int) -> str:
    return "" if distance == 1 else f"_{distance}"


def _divide(above: float | None, below: float) -> float | None:
    return None if above is None or not below else above / below


def _subtract(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other
