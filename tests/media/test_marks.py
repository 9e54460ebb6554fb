"""Marks and digests of pictures: their code values count, the padding of their rows does not."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from dreamvid.media.marks import mark_of, picture_digest

BYTES = {"yuv420p": 1, "yuv420p10le": 2, "yuva444p10le": 2, "rgb24": 3, "rgba": 4, "pal8": 1}
"""Bytes of one sample in a plane of each format."""


def even(pix_fmt: str, value: int, padding: int = 0, width: int = 33) -> av.VideoFrame:
    """A picture that has the same value all over, and another in the padding of its rows."""
    frame = av.VideoFrame(width, 17, pix_fmt)
    for plane in frame.planes:
        rows = np.asarray(memoryview(plane)).reshape(plane.height, -1)
        rows[:] = padding
        rows[:, : plane.width * (BYTES[pix_fmt] if len(rows) > 1 else 4)] = value
    return frame


@pytest.mark.parametrize("of", [mark_of, picture_digest])
@pytest.mark.parametrize("pix_fmt", BYTES)
def test_each_code_value_counts_and_no_padding(of, pix_fmt):
    found = of(even(pix_fmt, 2))
    assert of(even(pix_fmt, 2, padding=7)) == found
    for index, plane in enumerate(even(pix_fmt, 2).planes):
        changed = even(pix_fmt, 2)
        last = (plane.height - 1) * plane.line_size + plane.width * BYTES[pix_fmt] - 1
        np.asarray(memoryview(changed.planes[index]))[last] += 1
        assert of(changed) != found


def test_the_digest_tells_format_and_size_apart():
    four, three = even("rgba", 0, width=33), even("rgb24", 0, width=44)
    assert mark_of(four) == mark_of(three)  # 132 bytes a row
    assert picture_digest(four) != picture_digest(three)


@pytest.mark.parametrize("pts", [1001, None])
def test_the_picture_keeps_its_time(pts):
    frame = even("yuv420p", 2)
    frame.pts, frame.time_base = pts, Fraction(1, 30_000)
    mark_of(frame)
    assert (frame.pts, frame.time_base) == (pts, Fraction(1, 30_000))
