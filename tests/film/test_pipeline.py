"""A whole film in one call."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamvid.config import VideoConfig
from dreamvid.film.pipeline import read_ahead
from dreamvid.media.source import Source


@pytest.mark.parametrize(
    ("size", "every", "ahead"),
    [((640, 360), 1, 1), ((640, 360), 50, 1), ((3840, 2160), 2, 1), ((3840, 2160), 4, 0)],
)
def test_a_stored_clip_is_read_ahead_as_far_as_memory_goes(tmp_path, size, every, ahead):
    source = tmp_path / "in.mp4"
    source.write_bytes(b"film")
    config = VideoConfig(prompt=["a red rose"], every=every)
    assert read_ahead(Source.find(source, config), config, size[0] * size[1]) == ahead


@pytest.mark.parametrize(
    ("source", "input_format"), [("-", "matroska"), ("/dev/video0", "v4l2"), ("testsrc", "lavfi")]
)
def test_what_comes_when_it_likes_is_not(source, input_format):
    config = VideoConfig(prompt=["a red rose"], input_format=input_format)
    assert read_ahead(Source.find(Path(source), config), config, 64 * 48) == 0
