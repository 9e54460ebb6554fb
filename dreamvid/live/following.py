"""What was dreamed, brought along the motion to each new frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dreamvid.film.inbetween import FlowField, continued, flow_field
from dreamvid.live.remembering import Effort, Memories
from dreamvid.motion.warp import fill_in
from dreamvid.types import CutDetector, FlowEstimator

BLEND = 6
"""Fewest frames in which a new difference replaces the one before."""
ANCHOR = 24
"""Frames after which a difference is kept as it has arrived: trust fades along a chain of flow."""
LOST = 0.05
"""Mean trust below which the motion is lost, as after a jump."""
TRIES = 3
"""Most memories that are compared with a new shot: a frame has little time."""
KNOWN = 0.5
"""Mean trust above which a picture is one that was seen before."""


@dataclass
class _Track:
    """The flow field from the newest frame to an earlier one."""

    field: FlowField | None = None
    """None where that frame is the newest."""
    length: int = 0
    """Frames from there to the newest."""


@dataclass
class _Difference:
    """What was dreamed on an earlier frame, (3, H, W), and the way there."""

    added: Tensor
    track: _Track
    effort: Effort

    def here(self) -> Tensor:
        """The difference on the newest frame, (3, H, W)."""
        field = self.track.field
        if field is None:
            return self.added
        here = fill_in(field.warp(self.added), field.trust)
        if self.track.length >= ANCHOR:
            self.added, self.track = here, _Track()
        return here


@dataclass(frozen=True, eq=False)
class Begun:
    """What was dreamed before on the frame that a dream begins with."""

    added: Tensor
    """(3, H, W)."""
    trust: Tensor
    """(1, H, W)."""
    age: int
    """Number of frames since the one on which it was dreamed."""
    effort: Effort


class Follower:
    """The dreamed difference of the newest frame, by the flow from frame to frame.

    A dream takes longer than a frame: `begin` marks the frame that it begins with, and `arrive`
    brings what it has added there. From then on the new difference is blended in, over as many
    frames as it took. A cut, found by `is_cut` or as motion that cannot be followed, ends all of
    it; but where the picture resembles one that was dreamed before, that dream goes on.
    """

    def __init__(self, flow: FlowEstimator, is_cut: CutDetector) -> None:
        self._flow, self._is_cut = flow, is_cut
        self._memories = Memories()
        self._last: Tensor | None = None
        self._before: _Difference | None = None
        self._newest: _Difference | None = None
        self._key: _Track | None = None
        self._blended = 0
        self._blend = BLEND

    def advance(self, image: Tensor) -> bool:
        """Go on to the next frame's source (3, H, W); whether it begins a shot."""
        last, self._last = self._last, image
        if last is not None and not self._is_cut(image, last):
            step = flow_field(image, last, self._flow)
            if float(step.trust.mean()) > LOST:
                self._lengthen(step)
                return False
        self._before = self._newest = self._key = None
        self._recall(image)
        return True

    def begin(self) -> Begun | None:
        """Begin a dream on the newest frame; None where nothing was dreamed in this shot yet."""
        self._key = _Track()
        newest = self._newest
        if newest is None:
            return None
        field, age = newest.track.field, newest.track.length
        here = newest.here()
        trust = here.new_ones(1, *here.shape[1:]) if field is None else field.trust
        return Begun(here, trust, age, newest.effort)

    def arrive(self, source: Tensor, added: Tensor, effort: Effort) -> None:
        """Take what a dream has added to the frame `source` that `begin` marked, (3, H, W) each.

        It is also kept until such a picture comes back, which is all that happens where the shot
        of that frame is over.
        """
        self._memories.keep(source, added, effort)
        if self._key is None:
            return
        shown = self.difference()
        self._before = None if shown is None else _Difference(shown, _Track(), effort)
        self._blended, self._blend = 0, max(BLEND, self._key.length)
        self._newest, self._key = _Difference(added, self._key, effort), None

    def difference(self) -> Tensor | None:
        """What is added to the newest frame, (3, H, W); None where nothing was dreamed."""
        if self._newest is None:
            return None
        here = self._newest.here()
        share = min(1.0, self._blended / self._blend)
        if share == 1:
            self._before = None
            return here
        if self._before is None:
            return share * here
        return torch.lerp(self._before.here(), here, share)

    def _recall(self, image: Tensor) -> None:
        """Go on with what was dreamed on a picture like `image`, if there is one."""
        for memory in self._memories.like(image)[:TRIES]:
            if self._is_cut(image, memory.source):
                continue
            field = flow_field(image, memory.source, self._flow)
            if float(field.trust.mean()) > KNOWN:
                self._newest = _Difference(memory.added, _Track(field, 1), memory.effort)
                self._blended = self._blend
                return

    def _lengthen(self, step: FlowField) -> None:
        differences = [each.track for each in (self._before, self._newest) if each is not None]
        tracks = [*differences, *([] if self._key is None else [self._key])]
        fields = [track.field for track in tracks if track.field is not None]
        longer = iter(continued(fields, step) if fields else [])
        for track in tracks:
            track.field = step if track.field is None else next(longer)
            track.length += 1
        self._blended += 1
