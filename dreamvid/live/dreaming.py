"""The dream of what is played: a thread of its own that makes steps on the newest frame."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Condition, Thread, get_native_id

import torch
from torch import Tensor

from dreamvid.dream.descent import Step
from dreamvid.dream.step_graph import StepGraphs
from dreamvid.film.inbetween import FlowField
from dreamvid.film.sequence import Carry, FrameSettings, dream_key, tint_for
from dreamvid.live.following import Begun
from dreamvid.live.remembering import Effort
from dreamvid.media.closing import Closes
from dreamvid.types import Frame

LONGEST_S = 1.0
"""Seconds after which a dream is shown although steps are left."""
NICENESS = 10
"""How much the dream gives way, as `nice` counts."""
_PATIENCE_S = 10.0


@dataclass(frozen=True, eq=False)
class Moment:
    """What a dream begins with."""

    frame: Frame
    """The source, at the dreamed size."""
    settings: Callable[[], FrameSettings]
    """Its settings; asked for in the dream's thread."""
    begun: Begun | None
    """What was dreamed before; None at a shot's beginning."""
    wishes: int
    """Changes whenever somebody wishes for another picture, so that the dream hurries there."""


@dataclass(frozen=True, eq=False)
class Dreamt:
    """What came of a moment."""

    source: Tensor
    """(3, H, W)."""
    added: Tensor
    """The dream minus its source, (3, H, W)."""
    effort: Effort
    seconds: float


class _EnoughError(Exception):
    """A dream that takes too long; `image` is what there is of it."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.image = image


class Dreamer(Closes):
    """A thread that dreams one moment at a time. Use it under `with`.

    A moment is dreamed as a key frame of a film is, except that it may be many frames after the
    one before: what `--hold` and `--decay` take from each frame is taken once for each of them.
    The `--first-steps` of a shot are made in several dreams, so that the first is seen soon, and
    again, freely, after each change of `wishes`. No dream takes much longer than a second.
    """

    def __init__(
        self, graphs: StepGraphs | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._graphs, self._clock = graphs, clock
        self._changed = Condition()
        self._moment: Moment | None = None
        self._dreamt: Dreamt | None = None
        self._error: BaseException | None = None
        self._is_over = False
        self._carry: Carry | None = None
        self._count = 0
        self._thread = Thread(target=self._run, name="dream", daemon=True)
        self._thread.start()

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a moment, and nothing dreamt waits to be taken."""
        return self._moment is None and self._dreamt is None

    def offer(self, moment: Moment) -> None:
        """Begin with `moment`; only where it is idle."""
        with self._changed:
            self._moment = moment
            self._changed.notify_all()

    def take(self) -> Dreamt | None:
        """What was dreamt since the last call; None where nothing was. Raises what went wrong."""
        if self._error is not None:
            raise self._error
        dreamt, self._dreamt = self._dreamt, None
        return dreamt

    def close(self) -> None:
        """End after the step in work."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self._thread.join(_PATIENCE_S)

    # In the thread

    def _run(self) -> None:
        torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))
        _step_aside()
        try:
            while (moment := self._next()) is not None:
                dreamt = self._dream(moment)
                with self._changed:
                    self._dreamt, self._moment = dreamt, None
        except BaseException as error:
            self._error = error

    def _next(self) -> Moment | None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_over or self._moment is not None)
            return None if self._is_over else self._moment

    def _dream(self, moment: Moment) -> Dreamt:
        begun = self._clock()
        settings = moment.settings()
        config = settings.config
        done, age = 0, 1
        if moment.begun is not None:
            age = moment.begun.age
            if moment.begun.effort.wishes == moment.wishes:
                done = moment.begun.effort.steps
        changes = {
            "hold": config.hold**age if done >= config.first_steps else 0.0,
            "decay": config.decay**age,
            "first_steps": min(config.steps, config.first_steps),
        }
        settings = replace(settings, config=config.model_copy(update=changes))
        image = self._dreamed(moment, settings, begun)
        self._count += 1
        effort = Effort(moment.wishes, done + config.steps)
        source = moment.frame.image
        return Dreamt(source, image - source, effort, self._clock() - begun)

    def _dreamed(self, moment: Moment, settings: FrameSettings, begun: float) -> Tensor:
        source = moment.frame.image

        def look(step: Step) -> None:
            is_late = self._clock() - begun > LONGEST_S
            if self._is_over or (is_late and step.index + 1 < step.count):
                raise _EnoughError(step.image)

        carry, back = None, None
        if moment.begun is None:
            self._carry = None
        else:
            carry = self._carried(moment, moment.begun.added, settings.changes)
            back = FlowField(torch.zeros_like(source[:2]), moment.begun.trust)
        try:
            dreamed = dream_key(
                moment.frame,
                self._count,
                settings,
                carry,
                back,
                on_step=look,
                graphs=self._graphs,
            )
        except _EnoughError as enough:
            return enough.image
        self._carry = dreamed.carry
        return dreamed.frame.image

    def _carried(self, moment: Moment, added: Tensor, changes: float) -> Carry:
        """The carry of a key that is this frame, but with what was dreamed before.

        `changes` are those of its texts that are done.
        """
        source, keys, mean_colour = moment.frame.image, 1, added.mean((1, 2))
        if self._carry is not None:
            keys, changes = self._carry.keys, self._carry.changes
            mean_colour = tint_for(source, self._carry)
        return Carry(
            self._count,
            moment.frame.time,
            source,
            source + added,
            mean_colour,
            keys,
            changes=changes,
        )


def _step_aside() -> None:
    """Let the thread that shows go first; only Linux has a priority for each thread."""
    if sys.platform == "linux":
        with suppress(OSError):
            thread = get_native_id()
            niceness = os.getpriority(os.PRIO_PROCESS, thread) + NICENESS
            os.setpriority(os.PRIO_PROCESS, thread, niceness)
