"""A long shot split into parts, each dreamed independently, with seams where two are blended."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from dreamvid.types import Shot

SEAM_S = Fraction(1, 3)
"""Seconds of a seam. More hides it better, and is dreamed twice."""
SEAM_FRAMES = 2
"""Fewest frames of a seam."""


@dataclass(frozen=True)
class Place:
    """A frame of a shot, as one at which a part may begin or end."""

    time: Fraction
    end: Fraction
    mark: int
    """CRC-32 of the frame as read."""
    steps: int
    """Gradient steps of the frame as a later one of the shot; 0 between key frames."""
    first_steps: int
    """Gradient steps of the frame as the first of a part."""
    is_safe: bool = True
    """Whether it is outside of flashes: whoever begins or ends within one takes it for a cut."""


def split_up(shot: Shot, places: Sequence[Place], seconds: Fraction | None) -> list[Shot]:
    """The parts of a shot of at most so many seconds, and the seams between them, in order.

    All parts are about as long, and twice a seam or longer. The shot itself where it is not longer
    or `seconds` is None. `places` are all its frames. Their numbers are that of the shot.
    """
    seams = [] if seconds is None else list(_seams(shot, places, seconds))
    if not seams:
        return [shot]
    found, begin = [], 0
    for number, (first, last) in enumerate([*seams, (len(places), len(places))]):
        lead = begin - seams[number - 1][0] if number else 0
        tail = last - first + 1 if number < len(seams) else 0
        found.append(_part(shot, places, begin, first - 1, lead=lead, tail=tail))
        if tail:
            found.append(_seam(shot, places, first, last))
        begin = last + 1
    return found


def _seams(shot: Shot, places: Sequence[Place], seconds: Fraction) -> Iterator[tuple[int, int]]:
    """The first and last frames of the seams, counted within the shot."""
    frames, length = len(places), shot.end - shot.begin
    seam = max(SEAM_FRAMES, round(SEAM_S * frames / length)) if length else SEAM_FRAMES
    parts = min(math.ceil(length / seconds), frames // (2 * seam))
    last = 0
    for number in range(1, parts):
        first = _safe(places, max(last + 2, frames * number // parts - seam // 2))
        last = _safe(places, first + seam - 1)
        if last >= frames - 1:
            return
        yield first, last


def _safe(places: Sequence[Place], index: int) -> int:
    """The first frame from `index` on at which a part may begin and end."""
    while index < len(places) and not places[index].is_safe:
        index += 1
    return index


def _part(
    shot: Shot, places: Sequence[Place], first: int, last: int, *, lead: int, tail: int
) -> Shot:
    """The part with these frames, and `lead` and `tail` more that it dreams before and after."""
    begin = first - lead
    dreamed = places[begin + 1 : last + 1 + tail]
    steps = places[begin].first_steps + sum(place.steps for place in dreamed)
    part = _cut_out(shot, places, first, last, begin)
    return replace(part, kind="part", steps=steps, lead=lead, tail=tail)


def _seam(shot: Shot, places: Sequence[Place], first: int, last: int) -> Shot:
    return replace(_cut_out(shot, places, first, last, first), kind="seam", steps=0)


def _cut_out(shot: Shot, places: Sequence[Place], first: int, last: int, begin: int) -> Shot:
    """The frames `first` to `last` of a shot, read from its frame `begin` on."""
    piece = replace(
        shot,
        first=shot.first + first,
        last=shot.first + last,
        begin=places[first].time,
        end=places[last].end,
    )
    if begin == 0:
        return piece
    return replace(piece, before=places[begin - 1].time, mark=places[begin - 1].mark)
