"""The loop over time: warm start, dream, carry. Uses interfaces, not their implementations."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import Literal

import torch
from torch import Tensor

from dreamvid.config import SequenceConfig
from dreamvid.dream.canvas import Canvas, constrain
from dreamvid.dream.descent import OnStep, descend, frame_generator
from dreamvid.dream.objective import Objective
from dreamvid.dream.step_graph import StepGraphs
from dreamvid.dream.terms import Term
from dreamvid.errors import GradientError
from dreamvid.film.inbetween import FlowField, FlowFields, blend, chained, direct, fill_in
from dreamvid.film.prefetch import Prefetch
from dreamvid.types import CutDetector, FlowEstimator, Frame

FLASH = 3
"""Most frames of a flash: where the earlier picture returns within so many, there is no cut."""


@dataclass(frozen=True, eq=False)
class Carry:
    """All that the loop remembers from one frame to the next.

    Holds only tensors, numbers, fractions, texts and None, so that a journal can store it.
    """

    index: int
    """Index of the last finished key frame, from 0."""
    time: Fraction
    """Presentation time of that key frame, in seconds."""
    source: Tensor
    """Source of that key frame, (3, H, W)."""
    dream: Tensor
    """Dream of that key frame, (3, H, W)."""
    mean_colour: Tensor
    """Mean over the shot's key frames so far of the mean colour of dream − source, (3,)."""
    keys: int = 1
    """Number of the shot's key frames so far."""
    given: int = 0
    """Number of frames after that key frame that have been yielded."""


Outcome = Literal["dreamed", "retried", "kept"]
"""Outcome of a frame: dreamed as configured; retried at half the step size, after a failed
gradient; or kept at its warm start, where the retry failed too."""


@dataclass(frozen=True, eq=False)
class FrameSettings:
    """Everything that decides how one frame is dreamed, beside its start."""

    config: SequenceConfig
    objectives: Sequence[Objective]
    canvas: Canvas | None = None
    """None for the one that `config` names."""
    terms: Sequence[Term] | None = None
    """Terms of the loss; None for those to which `config` gives a weight."""


SettingsAt = Callable[[Frame, int], FrameSettings]
"""(source frame, its index from 0) → its settings, independent of earlier calls."""


def constant_settings(objectives: Sequence[Objective], config: SequenceConfig) -> SettingsAt:
    """The same settings for every frame."""
    settings = FrameSettings(config, objectives)
    return lambda frame, index: settings


@dataclass(frozen=True, eq=False)
class DreamedFrame:
    """One result of the loop."""

    frame: Frame
    source: Tensor
    """Source, (3, H, W), on the grid of `frame.image`."""
    begins_shot: bool
    carry: Carry
    """Carry with which `dream_frames` resumes after this frame, as if never stopped."""
    settings: FrameSettings
    """Settings with which it was dreamed."""
    outcome: Outcome = "dreamed"


def dream_frames(
    frames: Iterable[Frame],
    settings_at: SettingsAt,
    *,
    flow: FlowEstimator,
    is_cut: CutDetector,
    carry: Carry | None = None,
    on_step: OnStep | None = None,
    ahead: int = 0,
    graphs: StepGraphs | None = None,
) -> Generator[DreamedFrame, None, None]:
    """Dream `frames` in order, each key frame warm-started from the one before.

    `settings_at` gives the settings of each frame and is called once for each, in order;
    `constant_settings` is the simplest. Every `every`-th frame of a shot is a key frame, and so is
    its last; frames between get the changes of the two keys around them (see `inbetween`).
    Remembers one key, looks ahead to the next, and FLASH frames further at a possible cut.

    With `carry` the loop resumes: `frames` must begin after frame `carry.index`, and results that
    were yielded before are not yielded again.

    With `ahead`, so many key frames, and the frames before each, are read and their motion
    estimated while one is dreamed, in another thread, which then calls `frames`, `settings_at`,
    `flow` and `is_cut`. The thread ends with this iterator; close it when leaving it early.

    With `graphs`, steps are captured there and replayed.
    """
    found = _with_flow_fields(
        _spans(_asked(frames, settings_at, carry), is_cut, carry), carry, flow
    )
    with Prefetch(found, ahead) if ahead else nullcontext(found) as spans:
        for span in spans:
            given = 0 if carry is None else carry.given
            for result in _dream_span(span, carry, on_step, graphs):
                carry = result.carry
                if given:
                    given -= 1
                else:
                    yield result


def dream_key(
    frame: Frame,
    index: int,
    settings: FrameSettings,
    carry: Carry | None = None,
    back: FlowField | None = None,
    *,
    on_step: OnStep | None = None,
    graphs: StepGraphs | None = None,
) -> DreamedFrame:
    """Dream one key frame alone, as `dream_frames` does those of a film.

    `index` chooses its random numbers. `carry` is that of the key frame before, in the same shot,
    and `back` the flow field that leads there; without `carry` the frame begins a shot.
    """
    flow_fields = None if back is None else FlowFields([back], [])
    span = _Span([_Asked(index, frame, settings)], carry is None, flow_fields=flow_fields)
    (dreamed,) = _dream_span(span, carry, on_step, graphs)
    return dreamed


@dataclass(frozen=True, eq=False)
class _Asked:
    """A frame and the settings that it is given."""

    index: int
    frame: Frame
    settings: FrameSettings

    @property
    def image(self) -> Tensor:
        return self.frame.image


def _asked(
    frames: Iterable[Frame], settings_at: SettingsAt, carry: Carry | None
) -> Iterator[_Asked]:
    first = 0 if carry is None else carry.index + 1
    for index, frame in enumerate(frames, first):
        yield _Asked(index, frame, settings_at(frame, index))


@dataclass(frozen=True, eq=False)
class _Span:
    """Neighbouring frames of one shot; the last is a key frame."""

    frames: Sequence[_Asked]
    begins_shot: bool = False
    is_flash: bool = False
    """Whether the frames before the last show no motion that flow could follow."""
    flow_fields: FlowFields | None = None
    """Flow from its frames to the keys around them; None where no dream is carried."""


def _spans(frames: Iterator[_Asked], is_cut: CutDetector, carry: Carry | None) -> Iterator[_Span]:
    """Yield the film in spans of `every` frames, shorter where a shot or the film ends."""
    last = None if carry is None else carry.source
    coming: deque[_Asked] = deque()
    waiting: list[_Asked] = []
    while coming or (coming := deque(islice(frames, 1))):
        now = coming.popleft()
        config = now.settings.config
        if last is None or (config.cuts and is_cut(now.image, last)):
            if waiting:
                yield _Span(waiting)
                waiting = []
            flash = [] if last is None else _rest_of_flash(now, coming, frames, last, is_cut)
            yield _Span([now, *flash], begins_shot=not flash, is_flash=bool(flash))
            last = flash[-1].image if flash else now.image
            continue
        last = now.image
        waiting.append(now)
        if len(waiting) >= config.every:
            yield _Span(waiting)
            waiting = []
    if waiting:
        yield _Span(waiting)


def _rest_of_flash(
    flash: _Asked,
    coming: deque[_Asked],
    frames: Iterator[_Asked],
    before: Tensor,
    is_cut: CutDetector,
) -> list[_Asked]:
    """Remove from `coming` the frames up to the first that resembles `before`; none at a cut.

    That frame must also differ from the flash: a new shot may lie near the threshold.
    """
    coming.extend(islice(frames, FLASH - len(coming)))
    for count, later in enumerate(coming, 1):
        if not is_cut(later.image, before) and is_cut(later.image, flash.image):
            return [coming.popleft() for _ in range(count)]
    return []


def _with_flow_fields(
    spans: Iterable[_Span], carry: Carry | None, flow: FlowEstimator
) -> Iterator[_Span]:
    """Yield the same spans, with the flow fields that their frames need."""
    last = None if carry is None else carry.source
    for span in spans:
        *between, key = span.frames
        is_carried = bool(between) or key.settings.config.carry != "none"
        if last is None or span.begins_shot or not is_carried:
            yield span
        else:
            find = direct if span.is_flash else chained
            images = [each.image for each in span.frames]
            yield replace(span, flow_fields=find(last, images, flow))
        last = key.image


def _dream_span(
    span: _Span, last: Carry | None, on_step: OnStep | None, graphs: StepGraphs | None
) -> Iterator[DreamedFrame]:
    """Yield the results of a span, in order; its key frame, the last, is dreamed first."""
    *between, key = span.frames
    carry, flow_fields = None if span.begins_shot else last, span.flow_fields
    dream, outcome = _dream_or_keep(key, _begin(key, carry, flow_fields), on_step, graphs)
    if carry is not None and flow_fields is not None:
        before, after = carry.dream - carry.source, dream - key.image
        for number, each in enumerate(between, 1):
            share = number / len(span.frames)
            delta = blend(
                flow_fields.back[number - 1], flow_fields.ahead[number - 1], before, after, share
            )
            image = constrain(each.image + delta, each.image, each.settings.config.strength)
            yield _result(each, image, replace(carry, given=number))
    yield _result(key, dream, _remember(key, dream, carry), span.begins_shot, outcome)


@dataclass(frozen=True, eq=False)
class _Start:
    """The start of a key frame's dream, and its number of steps."""

    image: Tensor
    trust: Tensor | None
    mean_colour: Tensor | None
    steps: int


def _begin(key: _Asked, carry: Carry | None, flow_fields: FlowFields | None) -> _Start:
    config = key.settings.config
    if carry is None:
        return _Start(key.image, None, None, config.first_steps)
    if flow_fields is None:
        return _Start(key.image, None, carry.mean_colour, config.steps)
    image, trust = warm_start(key.image, carry, flow_fields.back[-1], config)
    return _Start(image, trust, carry.mean_colour, _step_budget(config, trust))


def _step_budget(config: SequenceConfig, trust: Tensor | None) -> int:
    """Steps of a key frame that follows another: more where less of it is trusted."""
    if trust is None or not config.steps:
        return config.steps
    return config.steps + round(config.catch_up * config.first_steps * float(1 - trust.mean()))


def _remember(key: _Asked, dream: Tensor, carry: Carry | None) -> Carry:
    """The carry for the next key frame; `carry` is that of the key frame before, in this shot."""
    keys = 1 if carry is None else carry.keys + 1
    mean_colour = (dream - key.image).mean((1, 2))
    if carry is not None:
        mean_colour = torch.lerp(carry.mean_colour, mean_colour, 1 / keys)
    return Carry(key.index, key.frame.time, key.image, dream, mean_colour, keys)


def _result(
    asked: _Asked,
    dream: Tensor,
    carry: Carry,
    begins_shot: bool = False,
    outcome: Outcome = "dreamed",
) -> DreamedFrame:
    frame = asked.frame.with_image(dream)
    return DreamedFrame(frame, asked.image, begins_shot, carry, asked.settings, outcome)


def _dream_or_keep(
    asked: _Asked, start: _Start, on_step: OnStep | None, graphs: StepGraphs | None
) -> tuple[Tensor, Outcome]:
    """The dream of a frame and its outcome; its warm start, where the gradient fails twice."""
    settings, config = asked.settings, asked.settings.config
    gentle = config.model_copy(update={"lr": config.lr / 2})
    attempts: list[tuple[Outcome, SequenceConfig]] = [("dreamed", config), ("retried", gentle)]
    for outcome, attempt in attempts:
        try:
            dream = descend(
                asked.image,
                settings.objectives,
                attempt,
                generator=frame_generator(config.seed, asked.index),
                start=start.image,
                trust=start.trust,
                mean_colour=start.mean_colour,
                steps=start.steps,
                canvas=settings.canvas,
                terms=settings.terms,
                on_step=on_step,
                graphs=graphs,
            )
        except GradientError:
            continue
        return dream, outcome
    return start.image, "kept"


def warm_start(
    source: Tensor, carry: Carry, back: FlowField, config: SequenceConfig
) -> tuple[Tensor, Tensor | None]:
    """The start of the dream of `source`, (3, H, W), and its trust, (1, H, W) or None.

    `back` is the flow field to the last key frame, of trust C; S is `source`, W the start. By
    `config.carry`:

    - `frame` carries the dreamed picture: `W = C·warp(dream) + (1−C)·S`;
    - `delta` carries the change that the dream made: `W = S + decay·fill(C, warp(dream − its
      source))`. The source's own detail stays crisp under any number of warps, and newly visible
      areas continue the change around them;
    - `none` starts at the source, without trust.

    W obeys `config.strength`.
    """
    if config.carry == "none":
        return source, None
    if config.carry == "frame":
        start = source + back.trust * (back.warp(carry.dream) - source)
    else:
        added = fill_in(back.warp(carry.dream - carry.source), back.trust)
        start = source + config.decay * added
    return constrain(start, source, config.strength), back.trust
