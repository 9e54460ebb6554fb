"""The end of a journal: its result has its name, and the folder goes."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from dreamvid.journal.state import State, folder_of
from dreamvid.media.files import write_durably

_LAST = ("state.0", "state.1", "done", "lock")


def mark_done(out: Path, whole: Path, named: Path, state: State) -> None:
    """Note in the journal of `out` that the file `whole` is complete, and only lacks its name.

    `named` is the path that it gets. The mark repeats what a summary needs of the last `state`: a
    kill may remove the states first. Raises MediaError.
    """
    status = whole.stat()
    mark = {
        "file": [named.name, status.st_ino, status.st_size],
        "summary": {
            "digest": state.digest,
            "guide": state.run.config.guide,
            "loop": getattr(state.run.config, "loop", None),
        },
        "tally": state.tally,
    }
    write_durably(folder_of(out) / "done", json.dumps(mark).encode())


def read_mark(out: Path) -> Any:
    """The mark of `out`; None unless `out` is complete and only its journal remains."""
    try:
        mark = json.loads((folder_of(out) / "done").read_bytes())
        name, *numbers = mark["file"]
        status = out.with_name(name).stat()
        return mark if numbers == [status.st_ino, status.st_size] else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def is_done(out: Path) -> bool:
    """Whether `out` is complete and only its journal remains."""
    return read_mark(out) is not None


def remove_folder(folder: Path) -> None:
    """Remove a journal; its mark goes late, so that a kill leaves a complete result marked."""
    with suppress(OSError):
        others = [path for path in folder.iterdir() if path.name not in _LAST]
        for path in [*others, *(folder / name for name in _LAST)]:
            if path.is_dir():
                remove_folder(path)
            else:
                path.unlink(missing_ok=True)
        folder.rmdir()
