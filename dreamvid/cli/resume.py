"""`dreamvid resume`: go on with a clip that was stopped."""

from __future__ import annotations

from contextlib import chdir, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.clip import Job, dream_clip
from dreamvid.cli.options import command
from dreamvid.cli.report import AsJson, Force, Quiet, Report
from dreamvid.cli.setup import check_dream


@command()
def resume(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The result that was not finished.")],
    force: Force = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Go on with a clip that was stopped or killed, losing no finished frame."""
    from dreamvid.journal import nothing_finished, read_state
    from dreamvid.media.files import check_output
    from dreamvid.media.source import check_source

    report = Report(quiet, as_json)
    if is_settled(out, report):
        return
    state = read_state(out)
    if state is None:
        raise nothing_finished(out)
    run, begun_in = state.run, Path(state.run.folder)
    job = Job(Path(run.source.path), out.absolute(), run.config, resume=True, force=force)
    # Options may name files as they are called from there.
    with chdir(begun_in) if begun_in.is_dir() else nullcontext():
        check_source(job.source, run.config)
        check_output(job.out, job.source, overwrite=True)
        check_dream(run.config)
        dream_clip(job, report)


def is_settled(out: Path, report: Report) -> bool:
    """Whether `out` is whole and only its journal was still to be removed: done then, and told."""
    from dreamvid.journal import folder_of, read_mark, remove_folder

    mark = read_mark(out)
    if mark is None:
        return False
    remove_folder(folder_of(out))
    report.say("only the journal of a whole result was left, and is removed")
    report.tally.update(mark["tally"])
    report.finish(out, **mark["summary"])
    return True
