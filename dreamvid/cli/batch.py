"""`dreamvid batch`: make many results from one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.display import Display, Overwrite, Quiet, SharedOut
from dreamvid.cli.options import command
from dreamvid.cli.stopping import stopping


@command()
def batch(
    jobs: Annotated[
        Path,
        typer.Argument(
            metavar="JOBS",
            help="A TOML file: tables [[job]] with in, out, command and options, [all] for all.",
        ),
    ],
    workers: SharedOut = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all results as one JSON object at the end.")
    ] = False,
) -> None:
    """Make many results, clips, zooms and pictures; one that fails does not stop the others."""
    from dreamvid.batch import batch as make_all
    from dreamvid.workers import parse_workers

    display = Display(quiet)
    with stopping(display) as listener:
        shared = None if workers is None else parse_workers(workers)
        results = make_all(jobs, workers=shared, overwrite=overwrite, listener=listener)
    counts = {
        outcome: sum(result.outcome == outcome for result in results)
        for outcome in ("made", "there", "failed")
    }
    if as_json:
        facts = counts | {"results": [result.to_json() for result in results]}
        print(json.dumps(facts, ensure_ascii=False))
    else:
        display.say(", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count))
    raise typer.Exit(1 if counts["failed"] else 0)
