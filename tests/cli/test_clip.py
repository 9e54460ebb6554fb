"""What of a clip is read ahead."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from dreamvid.cli.clip import read_ahead
from dreamvid.config import VideoConfig
from dreamvid.media.info import VideoInfo


def info(width: int, height: int) -> VideoInfo:
    return VideoInfo(width, height, rate=Fraction(25), time_base=Fraction(1, 25))


@pytest.mark.parametrize(
    ("size", "every", "ahead"),
    [((640, 360), 1, 1), ((640, 360), 50, 1), ((3840, 2160), 2, 1), ((3840, 2160), 4, 0)],
)
def test_a_stored_clip_is_read_ahead_as_far_as_memory_goes(tmp_path, size, every, ahead):
    source = tmp_path / "in.mp4"
    source.touch()
    config = VideoConfig(prompt=["a red rose"], every=every)
    assert read_ahead(source, config, info(*size)) == ahead


@pytest.mark.parametrize(
    ("source", "input_format"), [("-", "matroska"), ("/dev/video0", "v4l2"), ("testsrc", "lavfi")]
)
def test_what_comes_when_it_likes_is_not(source, input_format):
    config = VideoConfig(prompt=["a red rose"], input_format=input_format)
    assert read_ahead(Path(source), config, info(64, 48)) == 0
