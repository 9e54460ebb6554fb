"""The loop over time: warm start, dream, hand on. Knows the seams, no library behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from dreamvid.config import SequenceConfig
from dreamvid.dream.optimise import Objective, OnStep, constrain, dream_image, frame_generator
from dreamvid.motion.warp import trust as trust_in
from dreamvid.motion.warp import warp
from dreamvid.types import CutDetector, FlowEstimator, Frame


@dataclass(frozen=True, eq=False)
class Carry:
    """All that the loop remembers from one frame to the next."""

    index: int
    """Of the last finished frame, from 0."""
    source: Tensor
    """Its source, (3, H, W)."""
    dream: Tensor
    """What was made of it, (3, H, W)."""


@dataclass(frozen=True, eq=False)
class Moment:
    """What holds for one frame."""

    config: SequenceConfig
    objectives: Sequence[Objective]


Plan = Callable[[Frame, int], Moment]
"""(source frame, its index from 0) → what holds for it, whatever was asked before."""


def constant_plan(objectives: Sequence[Objective], config: SequenceConfig) -> Plan:
    """The same for every frame."""
    moment = Moment(config, objectives)
    return lambda frame, index: moment


@dataclass(frozen=True, eq=False)
class DreamedFrame:
    """One result of the loop."""

    frame: Frame
    source: Tensor
    """(3, H, W), on the grid of `frame.image`."""
    begins_shot: bool
    carry: Carry
    """Handed to `dream_frames`, goes on after this frame as if it had never stopped."""
    moment: Moment
    """What held for it."""


def dream_frames(
    frames: Iterable[Frame],
    plan: Plan,
    *,
    flow: FlowEstimator,
    is_cut: CutDetector,
    carry: Carry | None = None,
    on_step: OnStep | None = None,
) -> Iterator[DreamedFrame]:
    """Dream `frames` one after the other, each warm-started from the one before.

    `plan` says what holds for each; `constant_plan` is the simplest. Remembers one frame, however
    many there are. `carry` resumes after an earlier frame.
    """
    for frame in frames:
        index = 0 if carry is None else carry.index + 1
        moment = plan(frame, index)
        config = moment.config
        begins_shot = carry is None or (config.cuts and is_cut(frame.image, carry.source))
        start, trust = frame.image, None
        if carry is not None and not begins_shot:
            start, trust = warm_start(frame.image, carry, flow, config)
        dream = dream_image(
            frame.image,
            moment.objectives,
            config,
            generator=frame_generator(config.seed, index),
            start=start,
            trust=trust,
            steps=config.first_steps if begins_shot else config.steps,
            on_step=on_step,
        )
        carry = Carry(index, frame.image, dream)
        yield DreamedFrame(frame.with_image(dream), frame.image, begins_shot, carry, moment)


def warm_start(
    source: Tensor, carry: Carry, flow: FlowEstimator, config: SequenceConfig
) -> tuple[Tensor, Tensor | None]:
    """Where the dream of `source` (3, H, W) starts, and how far that is to be trusted (1, H, W).

    With the backward flow and its trust C, `frame` carries the dreamed picture,
    `W = C·warp(dream) + (1−C)·S`; `delta` carries what the dream added,
    `W = S + decay·C·warp(dream − its source)`, which keeps the source's own detail crisp under
    any number of warps; `none` starts at the source. W obeys `config.strength`.
    """
    if config.carry == "none":
        return source, None
    backward = flow(source, carry.source)
    trust = trust_in(backward, flow(carry.source, source))
    if config.carry == "frame":
        start = source + trust * (warp(carry.dream, backward) - source)
    else:
        start = source + config.decay * trust * warp(carry.dream - carry.source, backward)
    return constrain(start, source, config.strength), trust
