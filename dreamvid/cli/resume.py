"""`dreamvid resume`: go on with a clip that was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.clip import dream_clip
from dreamvid.cli.options import command
from dreamvid.cli.report import AsJson, Force, Quiet, Report
from dreamvid.cli.setup import check_dream
from dreamvid.errors import JournalError


@command()
def resume(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The result that was not finished.")],
    force: Force = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Go on with a clip that was stopped or killed, losing no finished frame."""
    from dreamvid.journal import folder_of, read_state
    from dreamvid.media.files import check_input, check_output

    report = Report(quiet, as_json)
    if report.is_settled(out):
        return
    state = read_state(out)
    if state is None:
        raise JournalError(
            f"'{folder_of(out)}' holds no finished frame; allowed: the OUT of a video that was "
            "stopped"
        )
    source = Path(state.run.source.path)
    check_input(source)
    check_output(out, source, overwrite=True)
    check_dream(state.run.config)
    dream_clip(source, out, state.run.config, report, resume=True, force=force)
