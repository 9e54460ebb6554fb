"""The list of a film's shots, where each has a journal of its own.

The folder OUT.dreaming then holds, beside its lock, which is only held for moments:

    shots                       the list: the run without its machine, and each shot
    shot-0003.mkv.dreaming      the journal of the third shot, written by one process at a time
    joining.mkv, done           as in the journal of a film that is made in one piece

Whoever takes a shot's lock holds that of the film meanwhile, so that nobody begins the film anew
or joins it at that moment.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dreamvid.config import checked
from dreamvid.errors import JournalError
from dreamvid.journal.ending import remove_folder
from dreamvid.journal.lock import FileLock
from dreamvid.journal.run import Run
from dreamvid.journal.state import ANEW, State, folder_of, read_state, resume_command
from dreamvid.media.files import media_errors, write_durably
from dreamvid.media.image_sequence import output_pattern
from dreamvid.types import Shot

FORMAT = 2
"""Version of the file format; lists of another version are refused."""
PATIENCE_S = 10.0
"""Longest wait in seconds for another process that holds the film's lock for a moment."""
_GLANCE_S = 0.02

_TIMES = ("begin", "end", "before")


@dataclass(frozen=True, kw_only=True)
class ShotList:
    """The shots of a film, and what its result needs beside their frames."""

    run: Run
    """The run, without the machine: that of each shot may be another."""
    overwrite: bool
    """Whether the result may replace an older one."""
    metadata: Mapping[str, str]
    """Metadata of the result."""
    shots: tuple[Shot, ...]

    def to_bytes(self) -> bytes:
        """The list as JSON, for `from_bytes`."""
        shots = [asdict(shot) for shot in self.shots]
        for shot in shots:
            shot |= {name: None if shot[name] is None else str(shot[name]) for name in _TIMES}
        facts = {"format": FORMAT, "run": self.run.to_json(), "shots": shots}
        facts |= {"overwrite": self.overwrite, "metadata": dict(self.metadata)}
        return json.dumps(facts).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> ShotList:
        """The list of `to_bytes`. Raises ValueError, KeyError or TypeError for other `data`."""
        facts = json.loads(data)
        if facts["format"] != FORMAT:
            raise ValueError(f"is of format {facts['format']}, not {FORMAT}")
        names = ("overwrite", "metadata", "shots")
        run = Run.from_json(facts["run"])
        return checked(cls, {name: facts[name] for name in names} | {"run": run})


def list_path(out: Path) -> Path:
    """Path of the shot list of `out`."""
    return folder_of(out) / "shots"


def shot_path(out: Path, shot: Shot) -> Path:
    """Path of the result of one shot of `out`, beside which its journal lies; never written."""
    number = "" if output_pattern(out) is None else "-%d"
    return folder_of(out) / f"shot-{shot.number:04}{number}{out.suffix.lower()}"


def read_shot_list(out: Path) -> ShotList | None:
    """The shot list of `out`; None where there is none. Raises JournalError where it is damaged."""
    path = list_path(out)
    try:
        return ShotList.from_bytes(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JournalError(f"the journal is damaged: '{path}' {error}; {ANEW}") from None


def has_frames(out: Path) -> bool:
    """Whether a frame of any shot of `out` is finished; without any, a list is in nobody's way."""
    return any(folder_of(out).glob("shot-*/state.?"))


def shot_state(out: Path, shot: Shot) -> State | None:
    """The latest state of a shot of `out`; None where no frame is finished.

    Raises JournalError where it is damaged.
    """
    return read_state(shot_path(out, shot))


def neighbours(seam: Shot) -> tuple[Shot, Shot]:
    """The parts before and after a seam, by their numbers alone."""
    return replace(seam, number=seam.number - 1), replace(seam, number=seam.number + 1)


def is_finished(state: State | None, shot: Shot) -> bool:
    """Whether all frames of a shot are in closed segments."""
    return state is not None and state.frames == shot.frames and state.is_finished


@contextmanager
def holding(out: Path) -> Iterator[None]:
    """Hold the lock of the film `out` within the block; its folder is made.

    Raises JournalError where another process holds it for long, MediaError where the folder cannot
    be written.
    """
    lock = _patiently(out)
    try:
        yield
    finally:
        _remove_empty(folder_of(out))
        lock.release()
        if os.name == "nt":  # Windows cannot remove open files
            _remove_empty(folder_of(out))


def _remove_empty(folder: Path) -> None:
    if all(path.name == "lock" for path in folder.glob("*")):
        remove_folder(folder)


def _patiently(out: Path) -> FileLock:
    folder = folder_of(out)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with media_errors(f"'{folder}' cannot be written"):
                folder.mkdir(exist_ok=True)
            return FileLock(folder / "lock")
        except FileNotFoundError:  # its last owner has just removed the folder
            continue
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise JournalError(
                    f"'{out}' is being made by process {error}; "
                    "allowed: another OUT, or this one when that has ended"
                ) from None
        time.sleep(_GLANCE_S)


def begin_shots(
    out: Path,
    run: Run,
    find: Callable[[], tuple[Shot, ...]],
    *,
    metadata: Mapping[str, str],
    overwrite: bool = False,
    force: bool = False,
) -> ShotList:
    """The shot list of `out`: that of an earlier process, or a new one of the shots that `find`s.

    `run` is the run without its machine. `overwrite` begins anew where it differs from that of the
    list, `force` accepts that. Raises JournalError where an unfinished run is in the way or is
    being made, MediaError where the list cannot be written.
    """
    with holding(out):
        found = _begun(out, run, overwrite, force)
    if found is not None:
        return found
    shots = find()  # others may do the same meanwhile
    with holding(out):
        found = _begun(out, run, overwrite, force)
        if found is None:
            found = ShotList(run=run, overwrite=overwrite, metadata=metadata, shots=shots)
            write_durably(list_path(out), found.to_bytes())
    return found


def _begun(out: Path, run: Run, overwrite: bool, force: bool) -> ShotList | None:
    """The list to go on with; None where there is none, or none any more."""
    found = read_shot_list(out)
    if found is not None:
        differs = run.fixed_differences(found.run) or run.differences(found.run)
        if not (differs and (overwrite or not has_frames(out))):
            run.goes_on(found.run, force=force)
            return found
        check_idle(out)
    in_one_piece = None if overwrite else read_state(out)
    if in_one_piece is not None:
        raise JournalError(
            f"'{folder_of(out)}' holds {in_one_piece.frames} frames of an unfinished run; "
            f"{resume_command(out)} goes on, --overwrite begins anew"
        )
    with media_errors(f"'{folder_of(out)}' cannot be written"):
        for path in folder_of(out).iterdir():
            if path.is_dir():
                remove_folder(path)
            elif path.name != "lock":
                path.unlink()
    return None


def check_idle(out: Path) -> None:
    """Raise JournalError where a process dreams a shot of `out`; call it with the film's lock."""
    for path in folder_of(out).glob("shot-*/lock"):
        try:
            FileLock(path).release()
        except BlockingIOError as error:
            raise JournalError(
                f"'{out}' is being made by process {error}; "
                "allowed: another OUT, or this one when that has ended"
            ) from None
