"""Texts with their times, from files of subtitles and lyrics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.packet import Packet
from av.subtitles.stream import SubtitleStream

from dreamvid.errors import MediaError
from dreamvid.media.files import check_input, media_errors, open_input, reason

SUFFIXES = (".srt", ".vtt", ".lrc")
LARGEST_FILE = 2**24
"""Largest number of bytes of a file of texts."""
_TIME = re.compile(r"\[(\d{1,6}):(\d{1,2}(?:[.:]\d{1,9})?)\]")
_OFFSET = re.compile(r"^\s*\[offset:\s*([+-]?\d{1,9})\s*\]", re.MULTILINE | re.IGNORECASE)
_MARKUP = re.compile(r"\{[^}]*\}|<[^>]*>")
"""What is left of a text's looks: FFmpeg turns tags into those of ASS, in braces."""


def read_lyrics(path: Path) -> list[tuple[Fraction, str]]:
    """The texts of a .srt, .vtt or .lrc file, each with the second at which it begins.

    Markup is left out, and so are texts that are nothing but signs, as "♪" is. In the order of the
    file. Raises MediaError where the file cannot be read or holds no text.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise MediaError(f"--lyrics: '{path}' is no file of texts; allowed: {', '.join(SUFFIXES)}")
    check_input(path)
    texts = _of_lrc(path) if path.suffix.lower() == ".lrc" else _of_subtitles(path)
    found = [(time, plain) for time, text in texts if (plain := _plain(text))]
    if not found:
        raise MediaError(f"--lyrics: '{path}' has no text with a time; allowed: a file with some")
    return found


def _plain(text: str) -> str:
    """A text without markup and line breaks; empty where it has neither a letter nor a digit."""
    words = " ".join(_MARKUP.sub(" ", text).split())
    return words if any(character.isalnum() for character in words) else ""


def _of_subtitles(path: Path) -> Iterator[tuple[Fraction, str]]:
    """The texts of subtitles, as FFmpeg reads them."""
    with (
        open_input(path) as container,
        media_errors(f"--lyrics: '{path}' cannot be read; allowed: texts in UTF-8"),
    ):
        if not container.streams.subtitles:
            raise MediaError(f"--lyrics: '{path}' holds no subtitles; allowed: a file of texts")
        for packet in _packets(container):
            for shown in packet.decode():
                text = getattr(shown, "dialogue", b"").decode("utf-8", "replace")
                yield (packet.pts or 0) * packet.time_base, text


def _packets(container: InputContainer) -> Iterator[Packet[SubtitleStream]]:
    """The packets of the first subtitles; the last one, which is empty, ends them."""
    packets = container.demux(container.streams.subtitles[0])
    return (packet for packet in packets if packet.pts is not None)


def _of_lrc(path: Path) -> Iterator[tuple[Fraction, str]]:
    """The texts of lyrics. FFmpeg reads them too, but takes their offset for microseconds."""
    content = _read_text(path)
    offset = _OFFSET.search(content)
    earlier = Fraction(int(offset[1]), 1000) if offset else Fraction(0)
    for line in content.splitlines():
        times = _TIME.findall(line)
        for minutes, seconds in times:
            begins = 60 * int(minutes) + Fraction(seconds.replace(":", "."))
            yield max(begins - earlier, Fraction(0)), _TIME.sub("", line)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise MediaError(
                f"--lyrics: '{path}' has more than {LARGEST_FILE} bytes; allowed: up to so many"
            )
        marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        return content.decode("utf-16" if marked else "utf-8-sig")
    except (OSError, ValueError) as error:
        raise MediaError(
            f"--lyrics: '{path}' cannot be read: {reason(error)}; allowed: texts in UTF-8"
        ) from error
