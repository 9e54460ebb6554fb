"""The table of the file formats that are written, with their properties."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

MAX_TIMESCALE = 2**31 - 1
"""Largest number of ticks a second that fits FFmpeg's integers."""
_FALLBACK_CLOCK = Fraction(1, 705_600_000)
"""A multiple of every common frame and sample rate."""
_MILLISECOND = Fraction(1, 1000)
_ALPHA_IN_SIDE_DATA = {"vp8", "vp9"}


@dataclass(frozen=True)
class Container:
    """Properties of one file format."""

    format: str
    """FFmpeg's name."""
    suffix: str | None = None
    """The extension of its files; None for a format that is only written to standard output."""
    codec: str = "libx264"
    """The default video encoder."""
    alpha_codec: str | None = None
    """A video encoder whose alpha the format keeps; None where it keeps no alpha."""
    holds_side_data: bool = False
    """Whether the format keeps side data of packets, in which VP8 and VP9 have their alpha."""
    holds_sound: bool = True
    sound_encoder: str | None = None
    """The encoder for sound that the format cannot hold as it is; None refuses such sound."""
    refused_sound: frozenset[str] = frozenset()
    """Sound codecs that FFmpeg lists for the format, but refuses when it writes the header."""
    subtitle_encoder: str | None = None
    """The encoder for text that the format cannot hold as it is; None leaves such text out."""
    tick: Fraction | None = None
    """Unit of all its times in seconds; None where the format keeps any time base."""
    stores_durations: bool = False
    """Whether the format stores durations of frames, which must then be whole ticks."""
    is_isom: bool = False
    """Whether this is an ISO base media file: times in edit lists, fragmented on a pipe."""
    begins_at_zero: bool = False
    """Whether the muxer shifts all times if a packet has a negative time."""
    joins: bool = True
    """Whether the packets of several encoders can be joined, each with its frames."""

    def holds_alpha(self, codec: str) -> bool:
        """Whether the format keeps the alpha of FFmpeg's `codec`, where the codec has alpha."""
        if self.alpha_codec is None:
            return False
        return self.holds_side_data or codec not in _ALPHA_IN_SIDE_DATA

    def clock_for(self, time_base: Fraction) -> Fraction:
        """Tick of the encoder's clock in seconds, for frames whose times are in `time_base`."""
        if self.stores_durations and self.tick is not None:
            return self.tick
        fits = max(time_base.numerator, time_base.denominator) <= MAX_TIMESCALE
        return time_base if fits else _FALLBACK_CLOCK


CONTAINERS = (
    Container(
        "mp4",
        ".mp4",
        alpha_codec="ffv1",
        sound_encoder="aac",
        subtitle_encoder="mov_text",
        is_isom=True,
    ),
    Container(
        "mov",
        ".mov",
        alpha_codec="prores_ks",
        sound_encoder="aac",
        refused_sound=frozenset({"flac", "opus", "truehd"}),
        subtitle_encoder="mov_text",
        is_isom=True,
    ),
    Container(
        "matroska",
        ".mkv",
        alpha_codec="ffv1",
        holds_side_data=True,
        sound_encoder="libopus",
        subtitle_encoder="subrip",
        tick=_MILLISECOND,
    ),
    Container(
        "webm",
        ".webm",
        codec="libvpx-vp9",
        alpha_codec="libvpx-vp9",
        holds_side_data=True,
        sound_encoder="libopus",
        subtitle_encoder="webvtt",
        tick=_MILLISECOND,
    ),
    Container(
        "gif",
        ".gif",
        codec="gif",
        holds_sound=False,
        tick=Fraction(1, 100),
        stores_durations=True,
        joins=False,  # each encoder begins a file of its own, and frames repeat the one before
    ),
    Container("nut", codec="ffv1", alpha_codec="ffv1", begins_at_zero=True),
    Container("rawvideo", codec="rawvideo", holds_sound=False),
)
"""All formats that are written, with all their differences."""


def container_of(name: str) -> Container:
    """The container with FFmpeg's format `name`. Raises ValueError where there is none."""
    for container in CONTAINERS:
        if container.format == name:
            return container
    known = ", ".join(container.format for container in CONTAINERS)
    raise ValueError(f"format '{name}' is not written; allowed: {known}")


def container_at(path: Path) -> Container:
    """The container with the extension of `path`. Raises ValueError where there is none."""
    for container in CONTAINERS:
        if container.suffix == path.suffix.lower():
            return container
    raise ValueError(f"'{path.suffix}' is not written; allowed: {', '.join(video_suffixes())}")


def video_suffixes() -> tuple[str, ...]:
    """The extensions of all video files that are written."""
    return tuple(row.suffix for row in CONTAINERS if row.suffix is not None)
