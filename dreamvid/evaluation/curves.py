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
    write_plot(path, curve_panels(series), marks=cuts_of(series), overwrite=overwrite)


def cuts_of(series: Series) -> list[float]:
    """Times in seconds at which a shot begins, without the first."""
    pairs = zip(_times(series), series["fdb"], strict=True)
    return [time for time, value in pairs if value is None][1:]


def _times(series: Series) -> list[float]:
    return [time for time in series["time"] if time is not None]


def curve_panels(series: Series) -> list[Panel]:
    """The figures over time, one panel for each kind."""
    times = _times(series)
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
