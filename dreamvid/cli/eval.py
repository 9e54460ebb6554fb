"""`dreamvid eval`: measure a result against its source, or a film as a loop."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dreamvid.cli.display import AsJson, Display, Overwrite, Quiet
from dreamvid.cli.options import command
from dreamvid.config import EvalConfig
from dreamvid.errors import ConfigError
from dreamvid.evaluation.figures import FIGURES
from dreamvid.events import Listener, ignore

if TYPE_CHECKING:
    from dreamvid.evaluation.run import EvaluationResult


@command(EvalConfig)
def evaluate(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="What was dreamed on; with --loop, the film.")
    ],
    config: EvalConfig,
    result: Annotated[
        Path | None, typer.Argument(metavar="RESULT", help="A video file made of it.")
    ] = None,
    loop: Annotated[
        bool,
        typer.Option(
            "--loop", help="Measure one film alone: how it joins its beginning, zoom and rotation."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Let a guide judge what it dreamed itself.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the figures over time into this PNG file.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Write frames of SOURCE above those of RESULT: .png, .jpg …")
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure a result against its source: coherence, content, and a judge's gain.

    The span of SOURCE and the prompts are those that RESULT's metadata tell, where not given.
    """
    if loop:
        for given, name in ((result, "RESULT"), (plot, "--plot"), (sheet, "--sheet")):
            if given is not None:
                raise ConfigError(f"{name} '{given}' is of no use to --loop; allowed: FILE alone")
        tell_loop(source, as_json=as_json, config=config, listener=Display(quiet))
        return
    if result is None:
        raise ConfigError("RESULT is missing; allowed without it: --loop")

    from dreamvid.evaluation import run

    display = Display(quiet)
    measured = run.evaluate(
        source,
        result,
        config=config,
        listener=display,
        force=force,
        sheet=sheet,
        plot=plot,
        overwrite=overwrite,
    )
    display.close()
    _tell(measured, as_json)


def tell_loop(
    film: Path,
    *,
    as_json: bool,
    config: EvalConfig | None = None,
    listener: Listener = ignore,
) -> None:
    """Measure a film as a loop and print its figures, one a line or as one JSON object."""
    from dreamvid.evaluation.run import evaluate_loop

    measure = evaluate_loop(film, config=config, listener=listener)
    if as_json:
        print(json.dumps({"file": str(film), **asdict(measure)}, ensure_ascii=False))
        return
    print(f"frames  {measure.frames} in {measure.seconds:.3f} s")
    print(f"join    {measure.join:.3f} of the median step between neighbours")
    print(f"zoom    {measure.zoom:.4f} a second")
    print(f"rotate  {measure.rotate:.3f} degrees a second, clockwise")


def _tell(result: EvaluationResult, as_json: bool) -> None:
    """Print the figures to six digits, one a line or all in one JSON object."""
    figures = {
        name: float(f"{value:.6g}") if isinstance(value, float) else value
        for name, value in result.figures.items()
    }
    if as_json:
        told = {**result.conditions, **figures, "warnings": result.warnings}
        print(json.dumps(told, ensure_ascii=False))
        return
    width = max(map(len, FIGURES))
    for name, value in figures.items():
        shown = "–" if value is None else f"{value:.4g}"
        print(f"{name:{width}}  {shown:>10}  {FIGURES[name]}")
