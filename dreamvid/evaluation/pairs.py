"""Pairs of a source's and a result's frames that are shown at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from fractions import Fraction

from dreamvid.types import Frame


def match_frames(
    sources: Iterable[Frame], results: Iterable[Frame], tolerance: Fraction, alone: Counter[str]
) -> Iterator[tuple[Frame, Frame]]:
    """Yield pairs (source, result) at most `tolerance` seconds apart, both in order of time.

    Frames without a partner are counted in `alone` under "source" and "result". A source that
    is longer than the result is read no further and counted once, under "rest".
    """
    source_frames, result_frames = iter(sources), iter(results)
    source, result = next(source_frames, None), next(result_frames, None)
    while source is not None and result is not None:
        late = result.time - source.time
        if abs(late) <= tolerance:
            yield source, result
        alone["source"] += late > tolerance
        alone["result"] += late < -tolerance
        # The earlier one moves on; both do where they are a pair.
        if late >= -tolerance:
            source = next(source_frames, None)
        if late <= tolerance:
            result = next(result_frames, None)
    alone["rest"] += source is not None
    while result is not None:
        alone["result"] += 1
        result = next(result_frames, None)
