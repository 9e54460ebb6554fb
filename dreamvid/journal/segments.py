"""The finished part of a result on disk, in segments that end with their hash."""

from __future__ import annotations

from pathlib import Path

from dreamvid.errors import JournalError
from dreamvid.journal.state import ANEW, State, folder_of, seal, unseal
from dreamvid.media.files import write_durably


def segment_path(out: Path, index: int) -> Path:
    """Path of closed segment `index`."""
    return folder_of(out) / f"{index:06}.segment"


def write_segment(out: Path, state: State, index: int, *parts: bytes) -> None:
    """Write a closed segment. Raises MediaError."""
    write_durably(segment_path(out, index), *seal(_mark(state, index), *parts))


def read_segment(out: Path, state: State, index: int) -> bytes:
    """The content of a closed segment.

    Raises JournalError where the file is missing or damaged.
    """
    path, mark = segment_path(out, index), _mark(state, index)
    try:
        content = unseal(path.read_bytes())
    except OSError as error:
        raise JournalError(f"the journal lacks '{path}': {error.strerror}; {ANEW}") from None
    except ValueError as error:
        raise JournalError(f"the journal is damaged: '{path}' {error}; {ANEW}") from None
    if not content.startswith(mark):
        raise JournalError(f"'{path}' is of another run; {ANEW}")
    return content[len(mark) :]


def _mark(state: State, index: int) -> bytes:
    return f"{state.journal} {index}\n".encode()
