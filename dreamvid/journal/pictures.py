"""A row of pictures in the making: each finished picture is a segment, until all get their names.

Pictures that have been given their names may be given them again, so that a kill meanwhile costs
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from dreamvid.errors import MediaError
from dreamvid.journal.segments import read_segment, write_segment
from dreamvid.journal.state import State
from dreamvid.media.files import sync_folder, write_whole
from dreamvid.media.image_sequence import check_pattern, numbered_path
from dreamvid.media.still import ALPHA_SUFFIXES, encode_image
from dreamvid.media.tracks import SoundSource

if TYPE_CHECKING:
    from dreamvid.types import Frame

_USUAL_RATE = Fraction(25)
"""Frames a second of a film that states no rate."""


class PictureParts:
    """Picture files with the numbered names of the pattern `out`.

    Raises MediaError, before any frame, where they may not be written.
    """

    def __init__(self, out: Path, state: State, sound: SoundSource | None) -> None:
        self._out = out
        if not state.frames:
            check_pattern(out, state.overwrite)
        if sound is not None:
            sound.leave_out("a row of pictures")
        self.keeps_alpha = out.suffix.lower() in ALPHA_SUFFIXES

    def add(self, frame: Frame, state: State) -> State:
        """Write a frame to disk; the state that counts it. Raises MediaError."""
        path = numbered_path(self._out, state.frames + 1)
        data = encode_image(path, frame.image, metadata=state.metadata, alpha=frame.alpha)
        write_segment(self._out, state, state.frames, data)
        step = frame.duration or 1 / (state.info.rate or _USUAL_RATE)
        return replace(state, frames=state.frames + 1, step=step)

    def settle(self, state: State) -> None:
        """Do nothing: each picture is complete by itself."""

    def complete(self, state: State, on_packet: Callable[[], None]) -> Path:
        """Give all pictures their names; the path of the last.

        Raises JournalError where a segment is damaged, MediaError where a picture cannot be
        written or, without `overwrite`, another file has its name.
        """
        if not state.frames:
            raise MediaError(f"'{self._out}' cannot be written: no frame has come")
        _write_all(self._out, self._out, state, state.overwrite, on_packet)
        sync_folder(self._out.parent)
        return numbered_path(self._out, state.frames)

    def publish(self) -> None:
        """Do nothing: the pictures have their names."""

    def abort(self) -> None:
        """Do nothing: what is finished is kept."""


def show_pictures(out: Path, to: Path, state: State, overwrite: bool) -> None:
    """Write the pictures of `state` with the names of the pattern `to`, of the same extension.

    Raises JournalError where the journal is damaged, MediaError where they cannot be written.
    """
    if to.suffix.lower() != out.suffix.lower():
        raise MediaError(f"'{to}' is of another kind; allowed: names with '{out.suffix}'")
    check_pattern(to, overwrite)
    _write_all(out, to, state, overwrite)


def _write_all(
    out: Path,
    to: Path,
    state: State,
    overwrite: bool,
    on_written: Callable[[], None] = lambda: None,
) -> None:
    """Write all finished pictures to their names in the pattern `to`, or none."""
    paths = [numbered_path(to, index + 1) for index in range(state.frames)]
    missing = [
        index for index, path in enumerate(paths) if not _is_written(path, out, state, index)
    ]
    for index in missing:
        if paths[index].exists() and not overwrite:
            raise MediaError(f"'{paths[index]}' exists; --overwrite replaces it")
    for index in missing:
        write_whole(paths[index], read_segment(out, state, index), overwrite)
        on_written()


def _is_written(path: Path, out: Path, state: State, index: int) -> bool:
    return path.is_file() and path.read_bytes() == read_segment(out, state, index)
