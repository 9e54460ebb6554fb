"""`dreamvid compare`: results side by side, and their figures in one table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dreamvid.cli.display import Display, Overwrite, Quiet
from dreamvid.cli.options import command
from dreamvid.cli.stopping import stopping
from dreamvid.config import ReportConfig

if TYPE_CHECKING:
    from dreamvid.reporting.comparing import Comparison

WIDEST = 28
"""Most characters of an option's value in its column."""


@command(ReportConfig)
def compare(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS…", help="Films or pictures, two or more.")
    ],
    config: ReportConfig,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Write a film of all, side by side; of pictures, a picture."
        ),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a few moments of all into this picture: .png, .jpg …")
    ] = None,
    columns: Annotated[
        int | None,
        typer.Option(metavar="N", help="Results in a row; 2 or 3 if left out."),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all of it as one JSON object instead.")
    ] = False,
) -> None:
    """Show results side by side, and tell in what they differ: options, and figures."""
    from dreamvid.reporting.comparing import compare as set_side_by_side

    with stopping(Display(quiet)) as listener:
        compared = set_side_by_side(
            results,
            out,
            sheet=sheet,
            columns=columns,
            config=config,
            overwrite=overwrite,
            listener=listener,
        )
    if as_json:
        print(json.dumps(compared.to_json(), ensure_ascii=False))
    else:
        print("\n".join(_lines(compared)))


def _lines(comparison: Comparison) -> list[str]:
    """One table: a column for each result, rows for the options that differ and main figures."""
    from dreamvid.reporting.words import FIRST, shown

    results = comparison.results
    rows = [["", *(each.name for each in results)]]
    rows += [
        [f"--{name}", *(_cut(each.options.get(name, "–")) for each in results)]
        for name in dict.fromkeys(name for each in results for name in each.options)
    ]
    rows += [
        [name, *(shown(each.figures.get(name)) for each in results)]
        for name in FIRST
        if any(each.figures.get(name) is not None for each in results)
    ]
    return _table(rows)


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells, the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return lines
