"""Curves as vector graphics within a page: paths that take their colours from its style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dreamvid.plot import Line, Panel

WIDTH, HEIGHT = 1000.0, 100.0
"""Units of a chart, which the page stretches."""
BINS = 250
"""Of a longer curve, the least and the greatest value in each of so many spans are drawn."""
COLOURS = 6
_NAMED = {"tab:red": "red", "tab:green": "green", "tab:blue": "blue", "tab:grey": "grey"}
_STEPS = (1.0, 2.0, 5.0)
_TICKS = 8


@dataclass(frozen=True)
class Curve:
    """One curve as the data of an SVG path; `kind` names its classes in the style sheet."""

    label: str
    kind: str
    path: str


@dataclass(frozen=True)
class Chart:
    """One panel: curves over time that share a scale."""

    title: str
    curves: tuple[Curve, ...]
    marks: tuple[float, ...]
    """Places of vertical lines, from 0 to `WIDTH`."""
    low: str
    """Least value of the scale, as text; empty where the scale says nothing."""
    high: str


@dataclass(frozen=True)
class Tick:
    """A time below the charts, and its place in percent of their width."""

    place: float
    label: str


def draw(panel: Panel, span: tuple[float, float], marks: Sequence[float] = ()) -> Chart:
    """The chart of a panel over a span of time, in seconds."""
    values = [value for line in panel.lines for value in line.y if value is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    low = min(low, 0.0) if panel.from_zero else low
    is_wave = any(line.filled for line in panel.lines)
    if high - low < 1e-9:
        low, high = low - 0.5 * abs(low) - 1e-6, high + 0.5 * abs(high) + 1e-6
    colours = _kinds(panel.lines)
    curves = tuple(
        Curve(line.label, kind, _path(line, span, (low, high)))
        for line, kind in zip(panel.lines, colours, strict=True)
    )
    places = tuple(round(_place(mark, span), 1) for mark in marks if span[0] <= mark <= span[1])
    scale = ("", "") if is_wave else (f"{low:.3g}", f"{high:.3g}")
    return Chart(panel.title, curves, places, *scale)


def ticks(span: tuple[float, float]) -> list[Tick]:
    """Round times within a span of seconds, at most `_TICKS`."""
    length = max(span[1] - span[0], 1e-6)
    tenfold = 10 ** math.floor(math.log10(length / _TICKS))
    step = next(
        (part * tenfold for part in _STEPS if length / (part * tenfold) <= _TICKS), 10 * tenfold
    )
    count = math.floor(span[1] / step + 1e-9)
    times = [step * number for number in range(math.ceil(span[0] / step), count + 1)]
    return [Tick(round(_place(time, span) / WIDTH * 100, 2), f"{time:g} s") for time in times]


def _kinds(lines: Sequence[Line]) -> Iterator[str]:
    """The classes of each line; those without a colour of their own take the next."""
    following = 0
    for line in lines:
        named = _NAMED.get(line.colour or "")
        if named is None:
            named, following = f"c{following % COLOURS}", following + 1
        extra = [word for word in ("faint", "filled") if getattr(line, word)]
        yield " ".join([named, *extra])


def _place(time: float, span: tuple[float, float]) -> float:
    return (time - span[0]) / max(span[1] - span[0], 1e-9) * WIDTH


def _path(line: Line, span: tuple[float, float], scale: tuple[float, float]) -> str:
    """The data of a path; where a value is missing, it begins anew."""
    low, high = scale
    parts, draws = [], False
    points = list(_thinned(line.x, line.y))
    for time, value in points:
        if value is None or not math.isfinite(value):
            draws = False
            continue
        height = HEIGHT - (value - low) / (high - low) * HEIGHT
        parts.append(f"{'L' if draws else 'M'}{_place(time, span):.1f} {height:.1f}")
        draws = True
    if line.filled and points:
        ground = HEIGHT + low / (high - low) * HEIGHT
        ends = (_place(points[index][0], span) for index in (-1, 0))
        parts += [f"L{end:.1f} {ground:.1f}" for end in ends]
        parts.append("Z")
    return "".join(parts)


def _thinned(
    times: Sequence[float], values: Sequence[float | None]
) -> Iterator[tuple[float, float | None]]:
    """The points to draw: all of a short curve, the extremes within each bin of a long one."""
    count = len(times)
    if count <= 2 * BINS:
        yield from zip(times, values, strict=True)
        return
    for number in range(BINS):
        part = range(number * count // BINS, (number + 1) * count // BINS)
        known = [(value, index) for index in part if (value := values[index]) is not None]
        if not known:
            yield times[part[0]], None
            continue
        for index in sorted({min(known)[1], max(known)[1]}):
            yield times[index], values[index]
