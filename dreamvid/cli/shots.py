"""`dreamvid shots`: list the shots of a clip, each of which can be dreamed by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dreamvid.cli.display import Display, Quiet
from dreamvid.cli.options import command
from dreamvid.cli.stopping import stopping
from dreamvid.config import VideoConfig

if TYPE_CHECKING:
    from dreamvid.film.shots import FoundShots

COLUMNS = ("shot", "first", "last", "begin", "end", "steps", "seconds")


@command(VideoConfig)
def shots(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="What `dreamvid video` would be given.")
    ],
    config: VideoConfig,
    timing: Annotated[
        bool, typer.Option(help="Time a few steps, to tell what each shot will take.")
    ] = True,
    quiet: Quiet = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all of it as one JSON object instead.")
    ] = False,
) -> None:
    """List the shots between cuts: their frames, times and expected work."""
    from dreamvid.film.shots import find_shots

    with stopping(Display(quiet)) as listener:
        found = find_shots(source, config=config, timing=timing, listener=listener)
    if as_json:
        print(json.dumps(found.to_json(), ensure_ascii=False))
    else:
        print("\n".join(_lines(found)))


def _lines(found: FoundShots) -> list[str]:
    is_split = any(shot.kind != "shot" for shot in found.shots)
    rows: list[tuple[str, ...]] = [(*COLUMNS, "kind") if is_split else COLUMNS]
    for shot in found.shots:
        seconds = found.seconds(shot)
        places = map(str, (shot.number, shot.first, shot.last))
        times = (f"{float(time):.3f}" for time in (shot.begin, shot.end))
        work = str(shot.steps), "" if seconds is None else f"{seconds:.1f}"
        rows.append((*places, *times, *work, *([shot.kind] if is_split else [])))
    return ["".join(cell.rjust(10) for cell in row).rstrip() for row in rows]
