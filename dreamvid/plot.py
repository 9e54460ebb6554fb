"""Curves in a PNG file, and text as pixels. The only module that imports matplotlib."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamvid.media.files import check_output, write_whole

if TYPE_CHECKING:
    from torch import Tensor

PLOT_SUFFIXES = (".png",)
_WIDTH, _PANEL_HEIGHT = 10.0, 2.1  # inches
_DOTS_AN_INCH = 110
_INK, _RULE, _MARK = "#333333", "#dddddd", "#999999"


@dataclass(frozen=True)
class Line:
    """One curve."""

    label: str
    x: Sequence[float]
    y: Sequence[float | None]
    """Values; the line is interrupted where one is None."""
    colour: str | None = None
    """Name of a colour in matplotlib; None for the next of its cycle."""
    faint: bool = False
    """Draw it dashed and pale, as a reference for the others."""
    points: bool = False
    """Mark each point."""
    filled: bool = False
    """Fill the area between the curve and 0."""


@dataclass(frozen=True)
class Panel:
    """Curves that share a scale. Panels stand above one another, all over the same x."""

    title: str
    lines: Sequence[Line]
    from_zero: bool = False
    """Whether the scale begins at 0."""


@dataclass(frozen=True)
class Pictures:
    """A row of pictures over the same x as the panels around it."""

    title: str
    images: Sequence[Tensor]
    """(3, H, W) in [0, 1] each, one for each equal part of the x axis, in order."""
    end: float
    """Where the x axis ends; it begins at 0."""


def write_plot(
    path: Path,
    panels: Sequence[Panel | Pictures],
    *,
    x_label: str = "seconds",
    marks: Sequence[float] = (),
    panel_height: float = _PANEL_HEIGHT,
    overwrite: bool = False,
) -> None:
    """Draw the panels into a PNG file, with a vertical line through all at each of `marks`.

    `panel_height` is in inches. The file appears when it is complete. Raises MediaError where it
    cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    check_output(path, overwrite=overwrite, suffixes=PLOT_SUFFIXES)
    drawn = io.BytesIO()
    with rc_context({"axes.edgecolor": _MARK, "text.color": _INK, "font.size": 9}):
        figure = Figure((_WIDTH, panel_height * len(panels) + 0.4), layout="constrained")
        axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
        for plane, panel in zip(axes, panels, strict=True):
            if isinstance(panel, Pictures):
                _show(plane, panel, panel_height)
            else:
                _draw(plane, panel, marks)
        axes[-1].set_xlabel(x_label)
        figure.savefig(drawn, format="png", dpi=_DOTS_AN_INCH)
    write_whole(path, drawn.getvalue(), overwrite)


def draw_label(text: str, width: int, height: int) -> Tensor:
    """Draw a strip of text, light on dark: float32 (3, height, width) in [0, 1].

    Of a text that is too long, the beginning is shown.
    """
    import torch
    from matplotlib.figure import Figure

    figure = Figure((width / 100, height / 100), dpi=100, facecolor=_INK)
    points = 0.6 * height * 72 / 100
    margin = height / 3
    drawn_text = figure.text(margin / width, 0.5, text, color="white", fontsize=points)
    drawn_text.set(va="center_baseline", parse_math=False)
    while len(text) > 1 and drawn_text.get_window_extent().x1 > width - margin:
        text = text[:-1]
        drawn_text.set_text(f"{text.rstrip()}…")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="rgba", dpi=100)
    pixels = torch.frombuffer(drawn.getbuffer(), dtype=torch.uint8).view(height, width, 4)
    return pixels[..., :3].permute(2, 0, 1).float() / 255


def _show(plane: Any, row: Pictures, panel_height: float) -> None:
    """Draw a row of pictures on matplotlib's `Axes`, each in its own proportions."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    plane.plot([0, row.end], [0, 1], alpha=0)  # for the limits
    for number, image in enumerate(row.images):
        height, width = image.shape[1:]
        zoom = 72 * min(0.75 * panel_height / height, 0.85 * _WIDTH / len(row.images) / width)
        shown = OffsetImage(image.cpu().permute(1, 2, 0).numpy(), zoom=zoom)
        place = (number + 0.5) / len(row.images) * row.end, 0.5
        plane.add_artist(AnnotationBbox(shown, place, frameon=False, pad=0))
    plane.set_title(row.title, loc="left", fontsize=10)
    plane.spines[["top", "right", "left"]].set_visible(False)
    plane.tick_params(left=False, labelleft=False)
    plane.margins(x=0.01)


def _draw(plane: Any, panel: Panel, marks: Sequence[float]) -> None:
    """Draw one panel on matplotlib's `Axes`."""
    for line in panel.lines:
        values = [math.nan if value is None else value for value in line.y]
        plane.plot(
            line.x,
            values,
            label=line.label,
            color=line.colour,
            linewidth=1 if line.faint else 1.5,
            alpha=0.6 if line.faint else 1,
            linestyle="--" if line.faint else "-",
            marker="o" if line.points else None,
            markersize=4,
        )
        if line.filled:
            plane.fill_between(line.x, values, color=line.colour, alpha=0.3, linewidth=0)
    for mark in marks:
        plane.axvline(mark, color=_MARK, linewidth=0.8, linestyle=":")
    plane.set_title(panel.title, loc="left", fontsize=10)
    plane.grid(color=_RULE, linewidth=0.6)
    plane.spines[["top", "right"]].set_visible(False)
    plane.margins(x=0.01)
    if panel.from_zero:
        plane.set_ylim(bottom=0)
    if len(panel.lines) > 1:
        plane.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
