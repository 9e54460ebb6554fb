"""The loop over time: warm start, dream, carry. Uses interfaces, not their implementations."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import Literal, Protocol

import torch
from torch import Tensor

from dreamvid.config import SequenceConfig
from dreamvid.dream.canvas import Canvas, constrain
from dreamvid.dream.descent import OnStep, descend, frame_generator
from dreamvid.dream.norms import rms
from dreamvid.dream.objective import Objective
from dreamvid.dream.octaves import resize
from dreamvid.dream.places import Placed
from dreamvid.dream.region import mean_within
from dreamvid.dream.step_graph import StepGraphs
from dreamvid.dream.terms import Term
from dreamvid.errors import GradientError
from dreamvid.film.areas import Layout, Part
from dreamvid.film.budget import STRIKE, freed_by, rise_of, step_budget, turn_of
from dreamvid.film.inbetween import FlowField, FlowFields, blend, chained, direct
from dreamvid.film.prefetch import Prefetch
from dreamvid.film.splitting import Place, split_up
from dreamvid.motion.warp import fill_in
from dreamvid.travel import side_stream
from dreamvid.types import CutDetector, FlowEstimator, Frame, Shot

FORGOTTEN = 0.9
"""Share of what a finder saw before that is forgotten where the flow cannot be trusted."""
NO_ROOM = 1e-6
"""Smallest room, of brightness, that is divided by."""
FLASH = 3
"""Most frames of a flash: where the earlier picture returns within so many, there is no cut."""


@dataclass(frozen=True, eq=False)
class Carry:
    """All that the loop remembers from one frame to the next."""

    index: int
    """Index of the last finished key frame, from 0."""
    time: Fraction
    """Presentation time of that key frame, in seconds."""
    source: Tensor
    """Source of that key frame, (3, H, W)."""
    dream: Tensor
    """Dream of that key frame, (3, H, W)."""
    mean_colour: Tensor
    """Mean over the shot's key frames so far of the mean colour of dream − source, (3,), each for
    the brightness of this one's source (`tint_for`)."""
    keys: int = 1
    """Number of the shot's key frames so far."""
    given: int = 0
    """Number of frames after that key frame that have been yielded."""
    strength: float | None = None
    """Strength with which that key frame was dreamed; None where it is not known."""
    changes: float = 0.0
    """Changes from one text to the next that were done by then."""
    found: Tensor | None = None
    """What a `Finder` saw in that key frame; None without one."""

    @property
    def last(self) -> int:
        """Index of the last frame that has been yielded."""
        return self.index + self.given


Outcome = Literal["dreamed", "retried", "kept"]
"""Outcome of a frame: dreamed as configured; retried at half the step size, after a failed
gradient; or kept at its warm start, where the retry failed too."""


class Finder(Protocol):
    """Finds the part of each frame that is to be dreamed, and the areas of prompts."""

    @property
    def limits(self) -> bool:
        """Whether it limits the dream; else it only finds areas."""

    def look(self, image: Tensor, before: Tensor | None = None, turn: int = 0) -> Tensor:
        """What is seen in an image (3, H, W): (C, h, w), for `masks`.

        `before` is the same of the frame before, on this frame's grid and faded; it counts too, so
        that a part of the work is enough. The part changes with `turn`, a number.
        """

    def masks(self, seen: Tensor, image: Tensor) -> Tensor:
        """Masks (1 + A, H, W) in [0, 1] of an image, from what is seen in it.

        The first says what is dreamed, the others are areas of prompts, in their order.
        """


@dataclass(frozen=True, eq=False)
class FrameSettings:
    """Everything that decides how one frame is dreamed, beside its start."""

    config: SequenceConfig
    objectives: Sequence[Objective]
    canvas: Canvas | None = None
    """None for the one that `config` names."""
    terms: Sequence[Term] | None = None
    """Terms of the loss; None for those to which `config` gives a weight."""
    changes: float = 0.0
    """Changes from one text to the next that are done by this frame."""
    mask: Tensor | None = None
    """(1, H, W) in [0, 1], of the delivered size: the share of the dream that is shown."""
    region: Tensor | None = None
    """The mask at the dreamed size, where it steers the dream."""
    finder: Finder | None = None
    """Finds what else limits the mask, and the region if `finder_steers`."""
    finder_steers: bool = True

    parts: Sequence[Part] = ()
    """What prompts say in which area; none where all act everywhere."""
    places: Sequence[Placed] = ()
    """The same as parts of the image to dream, once its masks are known."""

    def under(self, found: Tensor | None, image: Tensor) -> FrameSettings:
        """The settings of an image (3, H, W) under the masks that the finder has found, if any."""
        if found is None and not self.parts:
            return self
        layout = Layout(self.mask, self.region).divided(
            self.parts,
            found,
            image,
            limits=self.finder is not None and self.finder.limits,
            steers=self.finder_steers,
        )
        return replace(self, **vars(layout))


SettingsAt = Callable[[Frame, int], FrameSettings]
"""(source frame, its index from 0) → its settings, independent of earlier calls."""

SketchAt = Callable[[int], Tensor | None]
"""Index of a frame → what its descent has made before, (3, h, w); None for a frame to dream."""


def no_sketch(index: int) -> None:
    """None: every frame is to be dreamed."""


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
    reached: float | None = None
    """Share of the strength that the dream reaches, where it strikes (`STRIKE`); None elsewhere."""
    found: Tensor | None = None
    """(1 + A, H, W) in [0, 1]: the masks that the settings' finder has found."""
    sketch: Tensor | None = None
    """(3, h, w): what its descent has made, at the size at which it dreamed; None without one."""

    @property
    def mask(self) -> Tensor | None:
        """(1, H, W) in [0, 1], of any size: the share of the dream that is shown.

        None where all is.
        """
        return self.settings.mask


def dream_frames(
    frames: Iterable[Frame],
    settings_at: SettingsAt,
    *,
    flow: FlowEstimator,
    is_cut: CutDetector,
    carry: Carry | None = None,
    first: int = 0,
    on_step: OnStep | None = None,
    ahead: int = 0,
    device: torch.device | None = None,
    graphs: StepGraphs | None = None,
    sketch_at: SketchAt = no_sketch,
) -> Generator[DreamedFrame, None, None]:
    """Dream `frames` in order, each key frame warm-started from the one before.

    `settings_at` gives the settings of each frame and is called once for each, in order;
    `constant_settings` is the simplest. Every `every`-th frame of a shot is a key frame, and so are
    its last and those whose strength or text strikes (`STRIKE`); frames between get the changes of
    the two keys around them (see `inbetween`).
    Remembers one key, looks ahead to the next, and FLASH frames further at a possible cut.

    With `carry` the loop resumes: `frames` must begin after frame `carry.index`, and results that
    were yielded before are not yielded again. Without, the first of `frames` has index `first`.

    With `ahead`, so many key frames, and the frames before each, are read and their motion
    estimated while one is dreamed, in another thread, which then calls `frames`, `settings_at`,
    `flow` and `is_cut`. The thread ends with this iterator; close it when leaving it early. Where
    all of it is on a CUDA `device`, name that: the thread then does not wait for the steps.

    With `graphs`, steps are captured there and replayed. Where `sketch_at` gives what the descent
    of a key frame has made before, it is made again without one, to the same bits.
    """
    dreamer = _Dreamer(on_step, graphs, sketch_at)
    first = first if carry is None else carry.index + 1
    asked = _asked(frames, settings_at, first)
    found = _with_flow_fields(_spans(asked, is_cut, carry), carry, flow)
    with Prefetch(found, ahead, side_stream(device)) if ahead else nullcontext(found) as spans:
        for span in spans:
            given = 0 if carry is None else carry.given
            for result in _dream_span(span, carry, dreamer):
                carry = result.carry
                if given:
                    given -= 1
                else:
                    yield result


def find_shots(
    frames: Iterable[Frame],
    settings_at: SettingsAt,
    is_cut: CutDetector,
    mark_of: Callable[[Frame], int],
    split: Fraction | None = None,
) -> Iterator[Shot]:
    """Yield the shots into which `dream_frames` cuts all `frames` of a film; dreams nothing.

    Those longer than `split` seconds are split up (`splitting`). `mark_of` gives the mark of a
    frame that has just been read, or of the one before.
    """
    pieces = (
        piece
        for shot, places in _whole_shots(frames, settings_at, is_cut, mark_of, split is not None)
        for piece in split_up(shot, places, split)
    )
    for number, piece in enumerate(pieces, 1):
        yield replace(piece, number=number)


def _whole_shots(
    frames: Iterable[Frame],
    settings_at: SettingsAt,
    is_cut: CutDetector,
    mark_of: Callable[[Frame], int],
    with_places: bool,
) -> Iterator[tuple[Shot, list[Place]]]:
    """Yield the shots between cuts; the places of all their frames too, where asked for."""
    shot: Shot | None = None
    before: Frame | None = None
    strength, changes = None, 0.0
    places: list[Place] = []
    for span in _spans(_asked(frames, settings_at, 0), is_cut, None):
        key = span.frames[-1]
        end = _end_of(key.frame)
        rise, turn = rise_of(key.strength, strength), turn_of(key.changes, changes)
        steps = step_budget(key.settings.config, rise=rise, turn=turn)
        if shot is None or before is None:
            first_steps = key.settings.config.first_steps
            shot = Shot(1, key.index, key.index, key.frame.time, end, first_steps)
        elif span.begins_shot:
            yield shot, places
            places = []
            place = shot.number + 1, key.index, key.index, key.frame.time, end
            first_steps = key.settings.config.first_steps
            shot = Shot(*place, first_steps, before.time, mark_of(before))
        else:
            shot = replace(shot, last=key.index, end=end, steps=shot.steps + steps)
        if with_places:
            places += _places(span, steps, mark_of)
        before, strength, changes = key.frame, key.strength, key.changes
    if shot is not None:
        yield shot, places


def _places(span: _Span, steps: int, mark_of: Callable[[Frame], int]) -> Iterator[Place]:
    """The places of a span's frames; its key, the last, takes so many steps."""
    for each in span.frames:
        is_key = each is span.frames[-1]
        yield Place(
            each.frame.time,
            _end_of(each.frame),
            mark_of(each.frame),
            steps if is_key else 0,
            each.settings.config.first_steps,
            is_safe=is_key or not span.is_flash,
        )


def _end_of(frame: Frame) -> Fraction:
    return frame.time + (frame.duration or 0)


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
    (dreamed,) = _dream_span(span, carry, _Dreamer(on_step, graphs))
    return dreamed


@dataclass(frozen=True, eq=False)
class _Asked:
    """A frame and the settings that it is given."""

    index: int
    frame: Frame
    settings: FrameSettings
    found: Tensor | None = None
    """(1 + A, H, W): the masks that the settings' finder has found, once it has."""

    @property
    def image(self) -> Tensor:
        return self.frame.image

    @property
    def strength(self) -> float:
        return self.settings.config.strength

    @property
    def changes(self) -> float:
        return self.settings.changes

    def strikes(self, strength: float | None, changes: float) -> bool:
        """Whether much of its strength or its text is new since a frame with these."""
        new = rise_of(self.strength, strength), turn_of(self.changes, changes)
        return max(new) >= STRIKE

    def under(self, found: Tensor | None) -> _Asked:
        """The same frame under the masks that have been found in it."""
        return replace(self, found=found, settings=self.settings.under(found, self.image))


def _asked(frames: Iterable[Frame], settings_at: SettingsAt, first: int) -> Iterator[_Asked]:
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
    strength = None if carry is None else carry.strength
    changes = 0.0 if carry is None else carry.changes
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
            strength = flash[-1].strength if flash else now.strength
            changes = flash[-1].changes if flash else now.changes
            continue
        last = now.image
        waiting.append(now)
        if len(waiting) >= config.every or now.strikes(strength, changes):
            yield _Span(waiting)
            waiting = []
        strength, changes = now.strength, now.changes
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


def _dream_span(span: _Span, last: Carry | None, dreamer: _Dreamer) -> Iterator[DreamedFrame]:
    """Yield the results of a span, in order; its key frame, the last, is dreamed first."""
    carry, flow_fields = None if span.begins_shot else last, span.flow_fields
    (*between, key), seen = _find(span, carry)
    start = _begin(key, carry, flow_fields)
    dream, outcome, sketch = dreamer.dream(key, start)
    tint, freed = start.mean_colour, start.freed
    del start  # free its memory before those between are made
    if carry is not None and flow_fields is not None:
        before, after = carry.dream - carry.source, dream - key.image
        for number, each in enumerate(between, 1):
            share = number / len(span.frames)
            delta = blend(
                flow_fields.back[number - 1], flow_fields.ahead[number - 1], before, after, share
            )
            region = each.settings.region
            image = constrain(each.image + delta, each.image, each.strength, region=region)
            yield _result(each, image, replace(carry, given=number))
    is_strike = carry is not None and rise_of(key.strength, carry.strength) >= STRIKE
    reached = (
        float(rms(dream - key.image, key.settings.region)) / key.strength if is_strike else None
    )
    remembered = _remember(key, dream, tint, freed, carry, seen)
    result = _result(key, dream, remembered, span.begins_shot, outcome, reached)
    yield replace(result, sketch=sketch)


def _find(span: _Span, carry: Carry | None) -> tuple[list[_Asked], Tensor | None]:
    """The frames of a span with the masks that their finders find, and what the key's has seen.

    What was seen in the key before is followed along the flow, so that a mask does not flicker.
    """
    if all(each.settings.finder is None for each in span.frames):
        return [each.under(None) for each in span.frames], None
    frames: list[_Asked] = []
    seen: Tensor | None = None
    for number, each in enumerate(span.frames):
        finder, before = each.settings.finder, None
        assert finder is not None  # all frames have one, or none has
        if carry is not None and carry.found is not None and span.flow_fields is not None:
            before = _followed(carry.found, span.flow_fields.back[number])
        if before is None or number == len(span.frames) - 1:
            seen = finder.look(each.image, before, 0 if carry is None else carry.keys)
        else:
            seen = before
        frames.append(each.under(finder.masks(seen, each.image)))
    return frames, seen


def _followed(seen: Tensor, back: FlowField) -> Tensor:
    """What was seen, (3, h, w), on the next frame's grid; less where the flow is not trusted."""
    there = back.warp(resize(seen, back.trust.shape[1:]))
    return resize((1 - FORGOTTEN * (1 - back.trust)) * there, seen.shape[1:])


@dataclass(frozen=True, eq=False)
class _Start:
    """The start of a key frame's dream, and its number of steps."""

    image: Tensor
    trust: Tensor | None
    mean_colour: Tensor | None
    steps: int
    fresh: float = 0
    """Share of the dream that is new: what comes into view, a rise of the strength, a new text."""
    freed: float = 0
    """Share of it that is new since the text changes."""


def _begin(key: _Asked, carry: Carry | None, flow_fields: FlowFields | None) -> _Start:
    config, region = key.settings.config, key.settings.region
    if carry is None:
        return _Start(key.image, None, None, config.first_steps)
    rise = rise_of(key.strength, carry.strength)
    image, trust, unknown = key.image, None, 0.0
    if flow_fields is not None:
        image, trust = warm_start(key.image, carry, flow_fields.back[-1], config, region)
    if trust is not None:
        unknown = float(1 - mean_within(trust, region))
    turn = turn_of(key.changes, carry.changes)
    steps = step_budget(config, rise=rise, turn=turn, unknown=unknown)
    freed = freed_by(turn, steps, config)
    if trust is not None:
        trust = trust * (1 - rise) * (1 - freed)  # nothing holds back what is new
    fresh = 1 - (1 - unknown) * (1 - rise) * (1 - freed)
    return _Start(image, trust, tint_for(key.image, carry), steps, fresh, freed)


def tint_for(source: Tensor, carry: Carry) -> Tensor:
    """The mean colour that the shot's dream adds, (3,), for the brightness of `source` (3, H, W).

    It keeps its share of the room: up to white where it adds light, down to black where it takes
    it away. What is dreamed on black can only be light; the same light would burn a scene white
    that fades in.
    """
    tint, before, now = carry.mean_colour, carry.source.mean((1, 2)), source.mean((1, 2))
    room_before, room = (torch.where(tint > 0, 1 - mean, mean) for mean in (before, now))
    return tint * room / room_before.clamp(min=NO_ROOM)


def _remember(
    key: _Asked,
    dream: Tensor,
    tint: Tensor | None,
    freed: float,
    carry: Carry | None,
    seen: Tensor | None,
) -> Carry:
    """The carry for the next key frame.

    `carry` is that of the key frame before, in this shot, and `tint` its mean colour for this one;
    the share `freed` of that is forgotten, since a new text has colours of its own.
    """
    keys = 1 if carry is None else carry.keys + 1
    mean_colour = (dream - key.image).mean((1, 2))
    if tint is not None:
        mean_colour = torch.lerp(tint, mean_colour, max(1 / keys, freed))
    return Carry(
        key.index,
        key.frame.time,
        key.image,
        dream,
        mean_colour,
        keys,
        strength=key.settings.config.strength,
        changes=key.changes,
        found=seen,
    )


def _result(
    asked: _Asked,
    dream: Tensor,
    carry: Carry,
    begins_shot: bool = False,
    outcome: Outcome = "dreamed",
    reached: float | None = None,
) -> DreamedFrame:
    frame, settings, found = asked.frame.with_image(dream), asked.settings, asked.found
    return DreamedFrame(frame, asked.image, begins_shot, carry, settings, outcome, reached, found)


@dataclass(frozen=True, eq=False)
class _Dreamer:
    """Dreams key frames, or makes them of the sketches of an earlier run."""

    on_step: OnStep | None
    graphs: StepGraphs | None
    sketch_at: SketchAt = no_sketch

    def dream(self, asked: _Asked, start: _Start) -> tuple[Tensor, Outcome, Tensor | None]:
        """The dream of a frame, its outcome and its sketch.

        It is its warm start, without a sketch, where the gradient fails twice.
        """
        config = asked.settings.config
        if start.fresh:
            kept = config.colour_drift * (1 - start.fresh)
            config = config.model_copy(update={"colour_drift": kept})
        gentle = config.model_copy(update={"lr": config.lr / 2})
        attempts: list[tuple[Outcome, SequenceConfig]] = [("dreamed", config), ("retried", gentle)]
        for outcome, attempt in attempts:
            try:
                dream, sketch = self._descend(asked, start, attempt)
            except GradientError:
                continue
            return dream, outcome, sketch
        return start.image, "kept", None

    def _descend(
        self, asked: _Asked, start: _Start, config: SequenceConfig
    ) -> tuple[Tensor, Tensor | None]:
        settings, sketches = asked.settings, list[Tensor]()
        dream = descend(
            asked.image,
            settings.objectives,
            config,
            generator=frame_generator(config.seed, asked.index),
            start=start.image,
            trust=start.trust,
            mean_colour=start.mean_colour,
            steps=start.steps,
            canvas=settings.canvas,
            terms=settings.terms,
            on_step=self.on_step,
            graphs=self.graphs,
            region=settings.region,
            places=settings.places,
            sketch=self.sketch_at(asked.index),
            on_sketch=sketches.append,
        )
        return dream, next(iter(sketches), None)


def warm_start(
    source: Tensor,
    carry: Carry,
    back: FlowField,
    config: SequenceConfig,
    region: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """The start of the dream of `source`, (3, H, W), and its trust, (1, H, W) or None.

    `back` is the flow field to the last key frame, of trust C; S is `source`, W the start. By
    `config.carry`:

    - `frame` carries the dreamed picture: `W = C·warp(dream) + (1−C)·S`;
    - `delta` carries the change that the dream made: `W = S + decay·fill(C, warp(dream − its
      source))`. The source's own detail stays crisp under any number of warps, and newly visible
      areas continue the change around them;
    - `none` starts at the source, without trust.

    W obeys `config.strength`, within `region`.
    """
    if config.carry == "none":
        return source, None
    if config.carry == "frame":
        start = source + back.trust * (back.warp(carry.dream) - source)
    else:
        added = fill_in(back.warp(carry.dream - carry.source), back.trust)
        start = source + config.decay * added
    return constrain(start, source, config.strength, region=region), back.trust
