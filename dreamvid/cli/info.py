"""`dreamvid info`: show the header of a source as the reader sees it."""

from __future__ import annotations

import json
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dreamvid.cli.display import Display
from dreamvid.cli.options import command
from dreamvid.config import ReadConfig

if TYPE_CHECKING:
    from dreamvid.media.probing import VideoInfo


@command()
def info(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Whatever `dreamvid video` takes as IN.")
    ],
    input_format: Annotated[
        str | None,
        typer.Option("--input-format", help="FFmpeg's name of its format, for - and devices."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell what the reader sees: size, rate, times, colour, sound, subtitles, chapters."""
    from dreamvid.media.source import Source

    found = Source.find(source, ReadConfig(input_format=input_format))
    seen = _described(found.describe(Display(quiet=False).say))
    if as_json:
        print(json.dumps(seen, ensure_ascii=False))
        return
    width = max(map(len, seen))
    for name, value in seen.items():
        print(f"{name:{width}}  {_shown(value)}")


def _described(seen: VideoInfo) -> dict[str, Any]:
    """The header as values for JSON: sizes in pixels, times in seconds, rates as exact text."""
    return {
        "container": seen.container,
        "codec": seen.codec,
        "pix_fmt": seen.pix_fmt,
        "width": seen.width,
        "height": seen.height,
        "alpha": seen.alpha,
        "rotation": seen.rotation,
        "scan": "interlaced, read deinterlaced at the same rate"
        if seen.interlaced
        else "progressive",
        "sample_aspect_ratio": str(seen.sample_aspect_ratio),
        "rate": _text(seen.rate),
        "time_base": str(seen.time_base),
        "frames": seen.frame_count,
        "start": float(seen.start_time),
        "duration": None if seen.duration is None else float(seen.duration),
        "colour": asdict(seen.colour),
        "sound": [
            asdict(track) | {"duration": None if track.duration is None else float(track.duration)}
            for track in seen.sound
        ],
        "subtitles": [asdict(track) for track in seen.subtitles],
        "chapters": [
            asdict(chapter) | {"start": float(chapter.start), "end": float(chapter.end)}
            for chapter in seen.chapters
        ],
        "metadata": dict(seen.metadata),
    }


def _text(value: Fraction | None) -> str | None:
    return None if value is None else str(value)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items()) or "none"
    if isinstance(value, list):
        return "; ".join(map(_shown, value)) or "none"
    return "unknown" if value is None else str(value)
