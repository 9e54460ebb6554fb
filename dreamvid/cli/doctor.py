"""`dreamvid doctor`: what this machine has, for slow runs and reports of bugs."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from dreamvid.cli.options import command


@command()
def doctor(
    timing: Annotated[
        bool, typer.Option("--timing/--no-timing", help="Time a few gradient steps.")
    ] = True,
    network: Annotated[
        bool, typer.Option("--network/--no-network", help="Ask whether the model hub answers.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """Tell what this machine has, what will be slow and what helps; paste it into a bug report."""
    from dreamvid.doctor import diagnose

    diagnosis = diagnose(timing=timing, network=network)
    if as_json:
        print(json.dumps(diagnosis.to_json(), ensure_ascii=False))
        return
    width = max(len(each.name) for each in diagnosis.findings)
    for each in diagnosis.findings:
        print(f"{each.name:{width}}  {each.value}")
    print("\n" + "\n".join(diagnosis.advice or ["nothing is amiss"]))
