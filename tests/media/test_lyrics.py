"""Texts with times: what each format writes, and what is wrong in one line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from dreamvid.errors import MediaError
from dreamvid.media.lyrics import read_lyrics

SRT = """1
00:00:01,500 --> 00:00:02,000
<i>A calm</i> {\\an8}sea
by night

2
00:00:03,040 --> 00:00:05,000
♪♪

3
01:00:05,001 --> 01:00:07,000
a storm: 12:30
"""
VTT = """WEBVTT

NOTE none of this is shown

STYLE
::cue { color: red }

intro
00:01.500 --> 00:02.000 line:0
<v Bob>A calm &amp; <c.blue>blue</c> <00:01.700>sea

01:00:05.001 --> 01:00:07.000
a storm
"""
LRC = """[ar:Nobody]
[offset:+500]
[00:02.00][00:10.50]A calm <00:02.50>sea
[00:05.00]
[01:02.345]a storm
no time
"""


def read(folder: Path, name: str, content: str | bytes) -> list[tuple[Fraction, str]]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_lyrics(path)


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("a.srt", SRT, [("1.5", "A calm sea by night"), ("3605.001", "a storm: 12:30")]),
        ("a.VTT", VTT, [("1.5", "A calm & blue sea"), ("3605.001", "a storm")]),
        ("a.lrc", LRC, [("1.5", "A calm sea"), ("10", "A calm sea"), ("61.845", "a storm")]),
        ("b.lrc", "[0:01:50]a\r\n".encode("utf-16"), [("1.5", "a")]),
        ("b.lrc", b"\xef\xbb\xbf[offset: 2000]\n[00:01]a", [("0", "a")]),
    ],
)
def test_texts_and_their_times(tmp_path, name, content, texts):
    assert read(tmp_path, name, content) == [(Fraction(time), text) for time, text in texts]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.txt", "a", "is no file of texts; allowed: .srt, .vtt, .lrc"),
        ("a.srt", "no subtitles", "cannot be read"),
        ("a.srt", SRT.encode().replace(b"calm", b"\xe9"), "allowed: texts in UTF-8"),
        ("a.srt", "", "is empty"),
        ("a.lrc", "", "is empty"),
        ("a.lrc", "[00:01.00]\n[00:02.00]♪", "has no text with a time"),
        ("a.lrc", "[00:01.00]caf\xe9".encode("latin-1"), "allowed: texts in UTF-8"),
        ("a.lrc", b"a" * (2**24 + 1), "more than 16777216 bytes"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, name, content, complaint):
    with pytest.raises(MediaError, match=complaint) as raised:
        read(tmp_path, name, content)
    assert "\n" not in str(raised.value)
    assert f"'{tmp_path / name}'" in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MediaError, match=r"none\.srt' does not exist"):
        read_lyrics(tmp_path / "none.srt")
