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
from dreamvid.journal.state import JOINING, State, folder_of
from dreamvid.media.files import media_errors, publish, sync_folder, write_durably, write_whole
from dreamvid.media.image_sequence import check_pattern, numbered_path
from dreamvid.media.marks import picture_digest
from dreamvid.media.still import ALPHA_SUFFIXES, encode_picture, to_picture
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
        picture = to_picture(path, frame.image, frame.alpha)
        data = encode_picture(path, picture, state.metadata)
        write_segment(self._out, state, state.frames, data)
        step = frame.duration or 1 / (state.info.rate or _USUAL_RATE)
        digest = picture_digest(picture)
        return replace(state, frames=state.frames + 1, step=step, frame_digest=digest)

    def settle(self, state: State) -> None:
        """Do nothing: each picture is complete by itself."""

    def complete(self, state: State, on_packet: Callable[[], None]) -> Path:
        """Give all pictures their names; the path of the last.

        Raises JournalError where a segment is damaged, MediaError where a picture cannot be
        written or, without `overwrite`, another file has its name.
        """

        def read(index: int) -> bytes:
            return read_segment(self._out, state, index)

        return name_pictures(self._out, state.frames, read, state.overwrite, on_packet)

    def close_segment(self, state: State) -> None:
        """Do nothing: each picture is a closed segment."""

    def publish(self) -> None:
        """Do nothing: the pictures have their names."""

    def abort(self) -> None:
        """Do nothing: what is finished is kept."""


def name_pictures(
    out: Path,
    count: int,
    read: Callable[[int], bytes],
    overwrite: bool,
    on_packet: Callable[[], None],
) -> Path:
    """Give `count` pictures the names of the pattern `out`; the path of the last.

    `read` gives the content of the picture with an index from 0. Raises JournalError where one is
    damaged, MediaError where it cannot be written or, without `overwrite`, another file has its
    name.
    """
    if not count:
        raise MediaError(f"'{out}' cannot be written: no frame has come")
    partial = folder_of(out) / f"{JOINING}{out.suffix.lower()}"
    for path, index in _missing(out, count, read, overwrite):
        write_durably(partial, read(index))
        publish(partial, path, overwrite)
        on_packet()
    with media_errors(f"'{out}' cannot be written"):
        sync_folder(out.parent)
    return numbered_path(out, count)


def show_pictures(out: Path, to: Path, state: State, overwrite: bool) -> None:
    """Write the pictures of `state` with the names of the pattern `to`, of the same extension.

    Raises JournalError where the journal is damaged, MediaError where they cannot be written.
    """
    if to.suffix.lower() != out.suffix.lower():
        raise MediaError(f"'{to}' is of another kind; allowed: names with '{out.suffix}'")
    check_pattern(to, overwrite)
    for index in range(state.frames):
        write_whole(numbered_path(to, index + 1), read_segment(out, state, index), overwrite)


def _missing(
    out: Path, count: int, read: Callable[[int], bytes], overwrite: bool
) -> list[tuple[Path, int]]:
    """The pictures, each with its index, that do not have their names yet.

    Raises MediaError where another file has the name of one, and may not be replaced.
    """
    missing = []
    for index in range(count):
        path = numbered_path(out, index + 1)
        if path.is_file() and path.read_bytes() == read(index):
            continue
        if path.exists() and not overwrite:
            raise MediaError(f"'{path}' exists; --overwrite replaces it")
        missing.append((path, index))
    return missing
