"""Curves of the figures over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dreamvid.plot import Line, Panel, write_plot

Series = Mapping[str, Sequence[float | None]]
"""Values by name, one per frame, as `Evaluation.series` holds them."""

_COLOURS = ("red", "green", "blue")
_TITLES = {
    "dream_warp_error": "dream warp error",
    "tof": "distance of the motion from the source's (tOF), pixels",
    "sharpness": "gradient energy over the source's",
}


def write_curves(path: Path, series: Series, *, overwrite: bool = False) -> None:
    """Draw the figures over time into a PNG file, with a vertical line at each cut.

    Raises MediaError where it cannot be written.
    """
    times = [time for time in series["time"] if time is not None]
    cuts = [time for time, value in zip(times, series["fdb"], strict=True) if value is None][1:]
    write_plot(path, _panels(series, times), marks=cuts, overwrite=overwrite)


def _panels(series: Series, times: Sequence[float]) -> list[Panel]:
    panels = [
        Panel(title, [Line("", times, series[name])], from_zero=True)
        for name, title in _TITLES.items()
    ]
    colours = [
        Line(f"{name} {colour}", times, series[f"{name}_{colour}"], f"tab:{colour}", faint)
        for colour in _COLOURS
        for name, faint in (("result", False), ("source", True))
    ]
    panels.append(Panel("mean colour", colours))
    if "judge_after" in series:
        judged = [
            Line("result", times, series["judge_after"], "tab:blue"),
            Line("source", times, series["judge_before"], "tab:blue", faint=True),
        ]
        panels.insert(0, Panel("judge's similarity to the prompts", judged))
    return panels
