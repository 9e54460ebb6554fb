"""The journal of one shot of a film: like that of a film, but its end is a closed segment."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamvid.errors import JournalError
from dreamvid.journal.lock import FileLock
from dreamvid.journal.record import Record, from_bytes, to_bytes
from dreamvid.journal.run import Run
from dreamvid.journal.shot_list import (
    holding,
    is_finished,
    neighbours,
    read_shot_list,
    shot_path,
    shot_state,
)
from dreamvid.journal.state import (
    ANEW,
    State,
    checkpoint_path,
    folder_of,
    seal,
    state_path,
    unseal,
)
from dreamvid.journal.writing import Journal
from dreamvid.media.files import media_errors, write_durably
from dreamvid.media.probing import VideoInfo
from dreamvid.media.tracks import SoundSource
from dreamvid.types import Shot

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dreamvid.types import Frame

_DIGEST_SIZE = hashlib.sha256().digest_size


class ShotTakenError(JournalError):
    """Another process dreams the shot, or has just finished it."""


class ShotJournal(Journal):
    """The journal of one shot of the film `out`, which goes on with what is there.

    `sound` is not written; it is checked that the result can hold it. Raises ShotTakenError where
    another process dreams the shot, and what `Journal` raises.
    """

    def __init__(
        self,
        out: Path,
        shot: Shot,
        run: Run,
        info: VideoInfo,
        *,
        origin: Fraction,
        watches: bool,
        metadata: Mapping[str, str],
        sound: SoundSource | None = None,
        force: bool = False,
    ) -> None:
        self._whole, self._shot = out, shot
        super().__init__(
            shot_path(out, shot),
            run,
            info,
            origin=origin,
            watches=watches,
            sound=sound,
            metadata=metadata,
            resume=True,
            force=force,
        )
        if self.state.frames:  # a kill may have come between its state and its digest
            self._note_digest()

    @property
    def way_on(self) -> str:
        """What to do to resume the shot."""
        return "the same command"

    def _write(
        self,
        frame: Frame,
        carry: Callable[[], Any] | None,
        sketch: Tensor | None,
        tally: Mapping[str, Any] | None,
    ) -> None:
        super()._write(frame, carry, sketch, tally)
        self._note_digest()

    def share(self, index: int, record: Any, carry: Any) -> None:
        """Keep what was made of the film's frame `index` for the seam that shows it.

        After the return, no kill can lose it: `checkpoint` then gives `carry`. Raises MediaError
        where writing fails.
        """
        self._behind.wait()
        self._clear()
        self._has_checkpoint = True
        write_durably(shared_path(self._out, index), *seal(to_bytes(record)))
        self.keep(lambda: carry, now=True)

    def shared(self, kind: type[Record], index: int, device: torch.device) -> tuple[Record, Record]:
        """The records that the parts before and after this seam keep of the film's frame `index`.

        Raises JournalError where they are missing or damaged.
        """
        before, after = neighbours(self._shot)
        return (
            read_shared(kind, shot_path(self._whole, before), index, device),
            read_shared(kind, shot_path(self._whole, after), index, device),
        )

    def finish(
        self,
        is_cut_short: bool = False,
        on_packet: Callable[[], None] = lambda: None,
        tally: Mapping[str, Any] | None = None,
    ) -> None:
        """Close the last segment, and drop all that only a shot in the making needs.

        Raises JournalError where the source has changed, MediaError where writing fails.
        """
        self._behind.wait()
        self.check_source(is_cut_short)
        self._open_parts.close_segment(self.state)
        state = replace(self.state, is_finished=True, tally=tally or self.state.tally)
        write_durably(state_path(self._out, state.frames), *state.to_bytes())
        with media_errors(f"'{self._folder}' cannot be written"):
            state_path(self._out, state.frames + 1).unlink(missing_ok=True)
            checkpoint_path(self._out).unlink(missing_ok=True)
            for suffix in ("open", "carry", "sketch"):
                for path in self._folder.glob(f"*.{suffix}"):
                    path.unlink()
            self._remove_shared()

    def _remove_shared(self) -> None:
        """Remove what was kept for this seam, which now has its own frames."""
        if self._shot.kind != "seam":
            return
        indices = range(self._shot.first, self._shot.last + 1)
        for part in neighbours(self._shot):
            for index in indices:
                shared_path(shot_path(self._whole, part), index).unlink(missing_ok=True)

    def _note_digest(self) -> None:
        """Write the digest of the last frame to its place among those of the shot."""
        path = digests_path(self._out)
        with media_errors(f"'{path}' cannot be written"):
            path.touch()
            with path.open("r+b") as file:
                file.seek((self.state.frames - 1) * _DIGEST_SIZE)
                file.write(bytes.fromhex(self.state.frame_digest))
                file.flush()
                os.fsync(file.fileno())

    def _take_lock(self) -> FileLock:
        with holding(self._whole):
            if read_shot_list(self._whole) is None:
                raise JournalError(f"'{folder_of(self._whole)}' has been begun anew meanwhile")
            with media_errors(f"'{self._folder}' cannot be written"):
                self._folder.mkdir(exist_ok=True)
            try:
                lock = FileLock(self._folder / "lock")
            except BlockingIOError as error:
                raise ShotTakenError(
                    f"shot {self._shot.number} of '{self._whole}' is being made by process {error}"
                ) from None
            if is_finished(shot_state(self._whole, self._shot), self._shot):
                lock.release()
                raise ShotTakenError(
                    f"shot {self._shot.number} of '{self._whole}' has just been finished"
                )
            return lock


def shared_path(out: Path, index: int) -> Path:
    """Path of what the part whose result is `out` keeps of the film's frame `index` for a seam."""
    return folder_of(out) / f"{index:06}.shared"


def read_shared(kind: type[Record], out: Path, index: int, device: torch.device) -> Record:
    """The record that the part whose result is `out` keeps of the film's frame `index`.

    Raises JournalError where it is missing or damaged.
    """
    path = shared_path(out, index)
    try:
        return from_bytes(kind, unseal(path.read_bytes()), device)
    except (OSError, ValueError) as error:
        raise JournalError(f"the journal is damaged: '{path}' {error}; {ANEW}") from None


def digests_path(out: Path) -> Path:
    """Path of the SHA-256 digests of all frames of the shot whose result is `out`."""
    return folder_of(out) / "digests"


def read_digests(out: Path, state: State) -> list[str]:
    """The digests of the frames of `state`, in hexadecimal digits.

    Raises JournalError where they are missing or damaged.
    """
    path = digests_path(out)
    with media_errors(f"the journal is damaged: '{path}' cannot be read"):
        data = path.read_bytes()
    ends = range(_DIGEST_SIZE, state.frames * _DIGEST_SIZE + 1, _DIGEST_SIZE)
    digests = [data[end - _DIGEST_SIZE : end].hex() for end in ends]
    if chained_digest(digests) != state.digest:
        raise JournalError(f"the journal is damaged: '{path}' does not fit its frames; {ANEW}")
    return digests


def chained_digest(digests: list[str]) -> str:
    """The digest of a film from those of its frames, as its `State` has it."""
    chained = ""
    for digest in digests:
        chained = hashlib.sha256((chained + digest).encode()).hexdigest()
    return chained
