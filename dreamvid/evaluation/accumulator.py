"""Figures over pairs of frames: a dream's temporal coherence, content and gain.

I is a frame of the source, O that of the result, `D = O − I` what the dream added; I and O are in
[0, 1]. Flow and trust C are the source's, on the current frame's grid, so that no dream can hide
its flicker by misleading the flow. Figures of different flow estimators are not comparable.

Every figure is a ratio of two sums over all frames, never a mean of ratios: a frame with
little trust counts little. Errors are squared, the mean over the three channels. A
warp is bilinear and so blurs a little: a dream perfectly fixed to the world keeps a small error
wherever it moves by fractions of a pixel. Pairs across a cut of the source are left out.

The warp error is that of Lai et al., "Learning blind video temporal consistency" (2018), with
soft trust for their mask.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from dreamvid.dream.terms import masked_total_variation
from dreamvid.evaluation.figures import FIGURES
from dreamvid.evaluation.ssim import structural_similarity
from dreamvid.motion.flow import tof_flow
from dreamvid.motion.warp import chain, trust, warp
from dreamvid.types import CutDetector, FlowEstimator, Frame

DISTANCES = (1, 8, 24)
"""Numbers of frames, back along chained flow, over which warp errors are measured."""
UNTOUCHED = 2 / 255
"""Pixels whose every channel differs less than this from the source's count as untouched."""
DRIFT_SPAN = Fraction(1)
"""Seconds at either end of a shot between which the drift of colours is measured."""


class Judge(Protocol):
    """A model that measures how well pictures agree with its prompts."""

    def embed(self, images: Sequence[Tensor]) -> Tensor:
        """Features of K images (3, H, W) in [0, 1]: (K, D), of unit length."""

    def agreement(self, features: Tensor) -> Tensor:
        """Similarities to the prompts of pictures with these features (K, D): (K,)."""


@dataclass(frozen=True, eq=False)
class _Moment:
    """A pair of frames kept for later pairs."""

    source: Tensor
    result: Tensor
    features: Tensor | None
    """Features of source and result by the judge: (2, D)."""


@dataclass(frozen=True, eq=False)
class _Step:
    """Motion from a frame back to the one before it."""

    flow: Tensor
    trust: Tensor
    before: _Moment


class Evaluation:
    """Figures of a result against its source, pair by pair.

    Keeps the last 24 pairs with their flow, 864 bytes per pixel, and in `series` a dozen numbers
    per frame.
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
        self._shots: list[int] = []  # indices of the frames with which shots begin
        self.series: defaultdict[str, list[float | None]] = defaultdict(list)
        """Values by name, one per frame; None where a frame has none, as the first of a shot."""

    @torch.no_grad()
    def add(self, source: Frame, result: Frame) -> None:
        """Add the next pair, in order of time, all on one device.

        Raises ValueError where the two, or the frames before them, differ in size.
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
        """Values of all `FIGURES`; None where one is not available, as a gain without a judge."""
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

    # Figures of a single pair.

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

    # Figures of a pair and those before it.

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
        """Add the figures that need no flow by the estimator."""
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
        """Add to both sums of a figure, and return the ratio of these two summands alone."""
        self._above[name] += above
        self._below[name] += below
        return _divide(above, below)

    def _ratio(self, name: str) -> float | None:
        return _divide(self._above[name], self._below[name])

    def _colour_drift(self) -> float | None:
        """Drift `max_c |mean D_c over the last second − mean D_c over the first|`; c a channel.

        It is measured over the longest shot, since each shot's dream has colours of its own;
        between its halves where that is shorter than two seconds.
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


def _with_neighbours(mask: Tensor) -> Tensor:
    """`mask` (1, H, W), but 0 where it is 0 at a pixel that the forward differences reach."""
    padded = F.pad(mask, (0, 1, 0, 1), mode="replicate")  # (1, H + 1, W + 1)
    return mask * padded[:, :-1, 1:] * padded[:, 1:, :-1]


def _suffix(distance: int) -> str:
    return "" if distance == 1 else f"_{distance}"


def _divide(above: float | None, below: float) -> float | None:
    return None if above is None or not below else above / below


def _subtract(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other
