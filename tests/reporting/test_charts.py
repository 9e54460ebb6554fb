"""Curves as paths: where they should be, interrupted, thinned, and in the style sheet's colours."""

from __future__ import annotations

import re

from dreamvid.plot import Line, Panel
from dreamvid.reporting.charts import BINS, draw, ticks


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)]


def test_a_rising_curve_rises_from_the_lower_left_to_the_upper_right():
    chart = draw(Panel("rising", [Line("a", [0, 1, 2], [3, 4, 5])]), (0, 2))
    assert points(chart.curves[0].path) == [(0, 100), (500, 50), (1000, 0)]
    assert (chart.low, chart.high) == ("3", "5")


def test_a_curve_is_interrupted_where_it_has_no_value():
    chart = draw(Panel("", [Line("a", [0, 1, 2, 3], [1, None, 2, 3])]), (0, 3))
    assert [letter for letter in chart.curves[0].path if letter.isalpha()] == ["M", "M", "L"]


def test_of_a_long_curve_the_extremes_are_kept():
    count = 20 * BINS
    values = [0.0] * count
    values[777] = 9.0
    chart = draw(Panel("", [Line("", list(range(count)), values)]), (0, count))
    drawn = points(chart.curves[0].path)
    assert len(drawn) <= 2 * BINS
    assert min(drawn, key=lambda point: point[1]) == (round(777 / count * 1000, 1), 0.0)


def test_a_constant_curve_is_drawn_in_the_middle():
    chart = draw(Panel("", [Line("", [0, 1], [2, 2])]), (0, 1))
    assert {round(y) for _, y in points(chart.curves[0].path)} == {50}


def test_a_wave_is_filled_about_its_middle_and_has_no_scale():
    lines = [Line("loudness", [0, 1], [1, 1], filled=True), Line("", [0, 1], [-1, -1], filled=True)]
    chart = draw(Panel("sound", lines), (0, 1))
    assert points(chart.curves[0].path) == [(0, 0), (1000, 0), (1000, 50), (0, 50)]
    assert chart.curves[0].path.endswith("Z")
    assert chart.high == ""


def test_marks_outside_of_the_span_are_left_out_and_each_line_has_its_colour():
    lines = [
        Line("a", [0, 1], [0, 1]),
        Line("b", [0, 1], [0, 1], faint=True),
        Line("c", [0], [0], "tab:red"),
    ]
    chart = draw(Panel("", lines), (0, 2), [-1, 1, 3])
    assert list(chart.marks) == [500]
    assert [curve.kind for curve in chart.curves] == ["c0", "c1 faint", "red"]


def test_times_below_are_round():
    assert [tick.label for tick in ticks((0, 3))] == [
        "0 s",
        "0.5 s",
        "1 s",
        "1.5 s",
        "2 s",
        "2.5 s",
        "3 s",
    ]
    assert [tick.label for tick in ticks((0, 60))][:3] == ["0 s", "10 s", "20 s"]
    assert ticks((0, 0.04))[-1].place <= 100
