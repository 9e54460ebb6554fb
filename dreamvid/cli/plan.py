"""`dreamvid plan`: show the plan of `dreamvid video`, without dreaming a frame."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dreamvid.cli.display import Display, Overwrite, Quiet
from dreamvid.cli.options import command
from dreamvid.config import VideoConfig, split_scene

if TYPE_CHECKING:
    from dreamvid.film.outlook import Cost, Outlook

ROWS = 25
"""Most rows of the table."""
WIDTH = 9


@command(VideoConfig)
def plan(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="What `dreamvid video` would be given.")
    ],
    config: VideoConfig,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw sound, beats, all curves and masks into this PNG file."),
    ] = None,
    timing: Annotated[
        bool, typer.Option(help="Time a few steps, to tell what the whole will take.")
    ] = True,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all of it as one JSON object instead.")
    ] = False,
) -> None:
    """Show every number and prompt that changes with time, and what dreaming would take."""
    from dreamvid.film.outlook import plan as look_ahead

    outlook = look_ahead(
        source,
        config=config,
        timing=timing,
        plot=plot,
        overwrite=overwrite,
        listener=Display(quiet),
    )
    if as_json:
        print(json.dumps(outlook.to_json(), ensure_ascii=False))
    else:
        print("\n".join(_lines(outlook)))


def _lines(outlook: Outlook) -> list[str]:
    clock, times = outlook.schedule.clock, outlook.times
    rate = "" if clock.rate is None else f" at {float(clock.rate):.5g} a second"
    lines = [f"{outlook.source}: {len(times)} frames{rate}"]
    if clock.bpm is not None:
        first = f", the first at {outlook.beats[0]:.3f} s" if outlook.beats else ""
        lines.append(f"tempo: {clock.bpm:.2f} beats a minute, {len(outlook.beats)} beats{first}")
    elif outlook.sound is not None:
        lines.append("tempo: none found")
    lines += _prompt_lines(outlook)
    lines += _table(outlook)
    if outlook.cost is not None:
        lines += ["", _cost_line(outlook, outlook.cost)]
    return lines


def _prompt_lines(outlook: Outlook) -> list[str]:
    always = [*outlook.config.prompt, *outlook.config.to]
    lines = [f"  always      {text}" for text in always]
    lines += [f"  {time:8.3f} s  {split_scene(text)[0]}" for time, text in outlook.schedule.scenes]
    return ["", "prompts", *lines]


def _table(outlook: Outlook) -> list[str]:
    """Lines of a table: evenly spread frames, and the range of each value over all frames."""
    curves = outlook.curves
    if not curves:
        return ["", "no number varies (--set NAME=EXPRESSION)"]
    columns = ["frame", "seconds", *(["beat"] if outlook.beats else []), *curves]
    widths = [max(WIDTH, len(name) + 2) for name in columns]

    def row(cells: Sequence[str]) -> str:
        return "".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))

    count = len(outlook.times)
    every = max(1, -(-count // ROWS))
    lines = ["", row(columns)]
    for frame in range(0, count, every):
        time = outlook.times[frame]
        beat = [f"{outlook.schedule.clock.beat(time):.2f}"] if outlook.beats else []
        values = [f"{values[frame]:.4g}" for values in curves.values()]
        lines.append(row([str(frame), f"{time:.3f}", *beat, *values]))
    blank = [""] * (len(columns) - len(curves) - 1)
    for name, measure in {"lowest": min, "highest": max}.items():
        lines.append(row([name, *blank, *(f"{measure(values):.4g}" for values in curves.values())]))
    return lines


def _cost_line(outlook: Outlook, cost: Cost) -> str:
    minutes, seconds = divmod(round(cost.seconds), 60)
    hours, minutes = divmod(minutes, 60)
    memory = "" if cost.memory is None else f", {cost.memory / 2**30:.1f} GiB of memory"
    return (
        f"expected: {outlook.steps} steps of {cost.seconds_per_step:.3g} s, "
        f"{hours}:{minutes:02}:{seconds:02} in all, and more at cuts{memory}"
    )
