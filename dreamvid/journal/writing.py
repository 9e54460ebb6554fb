"""The journal of a run, written frame by frame, and its result at the end."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dreamvid.errors import JournalError, MediaError
from dreamvid.journal.lock import FileLock
from dreamvid.journal.record import Record, from_bytes, to_bytes
from dreamvid.journal.run import FileMark, Run
from dreamvid.journal.segments import OpenSegment, open_path, read_packets_of
from dreamvid.journal.state import (
    ANEW,
    State,
    folder_of,
    read_state,
    resume_command,
    state_path,
)
from dreamvid.journal.viewing import mark_done, remove_folder
from dreamvid.media.encoder_frames import EncoderFrameMaker
from dreamvid.media.files import media_errors, sync_folder, write_durably
from dreamvid.media.muxer import Muxer, check_whole
from dreamvid.media.probing import VideoInfo
from dreamvid.media.tracks import SoundSource

if TYPE_CHECKING:
    from dreamvid.types import Frame

SEGMENT_FRAMES = 48
"""Frames per segment. More means fewer keyframes, but more pictures on disk not encoded."""
_JOINING = "joining"


class Journal:
    """The journal of a run, and its result at the end.

    Replaces a `VideoWriter`: call `write` for each frame, then `finish`. Without `finish` the
    folder stays, ready to be resumed, or is removed where no frame is finished. `state` is the
    progress of the run. `origin` is the reader's. `watches` says whether the source is one file,
    which must not change until the end.

    Raises JournalError, before any frame, where another process writes `out`, where an unfinished
    run is in the way, or where the journal differs from `run` (the message names the differences;
    `force` accepts them); MediaError as `VideoWriter` does.
    """

    def __init__(
        self,
        out: Path,
        run: Run,
        info: VideoInfo,
        *,
        origin: Fraction = Fraction(0),
        watches: bool = True,
        sound: SoundSource | None = None,
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = False,
        resume: bool = False,
        force: bool = False,
    ) -> None:
        self._out, self._folder, self._watches = out, folder_of(out), watches
        self.state = State(
            run=run,
            info=info,
            journal=secrets.token_hex(8),
            metadata=dict(metadata or {}),
            overwrite=overwrite,
            origin=origin,
            segment_frames=SEGMENT_FRAMES,
        )
        self._muxer: Muxer | None = None
        self._lock = self._take_lock()
        try:
            self._find_state(overwrite and not resume, resume, force)
            self._muxer = Muxer(
                out,
                info,
                run.config,
                overwrite=self.state.overwrite,
                sound=sound,
                metadata=self.state.metadata,
                partial=self._folder / f"{_JOINING}{out.suffix.lower()}",
            )
            self.keeps_alpha = self._muxer.encoding.keeps_alpha
            self._start_segment(self._muxer)
        except BaseException:
            self._leave()
            raise

    @property
    def facts(self) -> dict[str, Any]:
        """Values for a summary: the digest of all frames."""
        return {"digest": self.state.digest}

    def carry(self, kind: type[Record]) -> Record | None:
        """The record from which the loop resumes, its tensors on the CPU; None at the beginning.

        Raises JournalError where the journal holds no `kind`.
        """
        if not self.state.frames:
            return None
        try:
            return from_bytes(kind, self.state.carry)
        except ValueError as error:
            raise JournalError(f"'{self._folder}' is of another version: {error}; {ANEW}") from None

    def write(self, frame: Frame, carry: Any, tally: Mapping[str, Any] | None = None) -> None:
        """Add a frame; after the return, no kill can lose it.

        `frame` is the delivered frame, `carry` the record from which the loop resumes after it.
        Raises MediaError where writing fails; earlier frames remain safe.
        """
        if not self.state.frames:
            self._clear()
        picture = self._maker.make(frame, frame.duration)
        self._segment.encode(picture)
        state = replace(self.state, frames=self.state.frames + 1, tally=tally)
        if state.pictures:
            self._segment.keep(picture)
        else:
            self._segment.close(self._out, self.state)
        image = frame.image.detach().cpu().contiguous().numpy()
        frame_digest = hashlib.sha256(image.data).hexdigest()
        self._commit(
            replace(
                state,
                time=frame.time,
                end_pts=self._maker.end_pts,
                step=self._maker.step,
                frame_digest=frame_digest,
                digest=hashlib.sha256((state.digest + frame_digest).encode()).hexdigest(),
                carry=to_bytes(carry),
            )
        )
        if not state.pictures:
            self._start_segment(self._open_muxer)

    def finish(
        self, is_cut_short: bool = False, on_packet: Callable[[], None] = lambda: None
    ) -> None:
        """Join the segments, add the sound, check the result and give it its name.

        `is_cut_short` says that the source ended earlier than its header states. `on_packet` is
        called as the result grows, and may raise. Raises JournalError where the source has changed
        since the beginning, MediaError where the result cannot be written; the journal then stays.
        """
        muxer = self._open_muxer
        self.check_source(is_cut_short)
        if self.state.pictures:
            self._segment.finish()
        for packet in read_packets_of(self._out, self.state, self._segment.packets):
            muxer.mux(packet)
            on_packet()
        muxer.complete()
        whole = self._folder / f"{_JOINING}{self._out.suffix.lower()}"
        packets = read_packets_of(self._out, self.state, self._segment.packets)
        check_whole(whole, packets, muxer.encoding.clock)
        on_packet()
        with media_errors(f"'{whole}' cannot be written"), whole.open("rb") as file:
            os.fsync(file.fileno())
        mark_done(whole, self.state)
        muxer.close()
        with suppress(OSError):
            sync_folder(self._out.parent)
        self._remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        frames = self.state.frames
        if error is not None and frames:
            safe = "1 finished frame is" if frames == 1 else f"{frames} finished frames are"
            error.add_note(f"{safe} safe, {resume_command(self._out)} goes on")
        self._leave()

    # Beginning and end

    def _take_lock(self) -> FileLock:
        try:
            with media_errors(f"'{self._folder}' cannot be written"):
                self._folder.mkdir(exist_ok=True)
                return FileLock(self._folder / "lock")
        except MediaError as error:
            if not isinstance(error.__cause__, BlockingIOError):
                raise
            raise JournalError(
                f"'{self._out}' is being made by process {error.__cause__}; "
                "allowed: another OUT, or this one when that has ended"
            ) from None

    def _find_state(self, anew: bool, resume: bool, force: bool) -> None:
        """Take over the state of an unfinished run, where it should be resumed.

        Raises JournalError where it should not, or where the two runs differ.
        """
        begun = None if anew else read_state(self._out)
        if begun is None:
            return
        if not resume:
            raise JournalError(
                f"'{self._folder}' holds {begun.frames} frames of an unfinished run; "
                f"{resume_command(self._out)} goes on, --overwrite begins anew"
            )
        is_changed = self._check_run(begun.run, force)
        self.state = replace(
            begun,
            run=self.state.run,
            overwrite=begun.overwrite or self.state.overwrite,
            metadata=self.state.metadata if is_changed else begun.metadata,
        )

    def _check_run(self, begun: Run, force: bool) -> bool:
        """Whether the runs differ, as `force` allows. Raises JournalError for other differences."""
        fixed = self.state.run.fixed_differences(begun)
        if fixed:
            raise JournalError(
                f"what cannot change midway has: {'; '.join(fixed)}; "
                "allowed: the values it was begun with"
            )
        differences = self.state.run.differences(begun)
        if differences and not force:
            raise JournalError(
                f"this is not the run that was begun: {'; '.join(differences)}; "
                "allowed: what was, or --force"
            )
        return bool(differences)

    def check_source(self, is_cut_short: bool) -> None:
        """Raise JournalError where the source has changed, or has gone before its end.

        A source cut short must not count as ended: its last frame would be shown too long.
        """
        mark = self.state.run.source
        path = Path(mark.path)
        if not self._watches:
            return
        if path.is_file() and FileMark.of(path, [path]).is_same(mark):
            return
        if path.is_file() or is_cut_short:
            raise JournalError(
                f"'{path}' has changed or gone while it was dreamed; "
                "allowed: what it was, or to resume with --force"
            )

    def _leave(self) -> None:
        """Release the lock; remove the journal where no frame is finished."""
        if not self._lock.is_held:
            return
        if self._muxer is not None:
            self._muxer.abort()
        if not any(self._folder.glob("state.?")):
            self._remove()
        self._lock.release()

    def _remove(self) -> None:
        remove_folder(self._folder)
        self._lock.release()
        if os.name == "nt":  # Windows cannot remove open files
            remove_folder(self._folder)

    def _clear(self) -> None:
        """Remove an older journal, only now that a frame can replace it."""
        with media_errors(f"'{self._folder}' cannot be written"):
            for path in self._folder.iterdir():
                if path.name != "lock" and path.stem != _JOINING:
                    path.unlink()

    # Frames

    @property
    def _open_muxer(self) -> Muxer:
        assert self._muxer is not None
        return self._muxer

    def _start_segment(self, muxer: Muxer) -> None:
        self._segment = OpenSegment(self._out, self.state, muxer.encoding)
        self.state = replace(self.state, encoder=self._segment.encoder_digest)
        state = self.state
        self._maker = EncoderFrameMaker(muxer.encoding, state.end_pts, state.step or None)

    def _commit(self, state: State) -> None:
        write_durably(state_path(self._out, state.frames), *state.to_bytes())
        # Removed one frame late: the older state, the fallback for a damaged one, may need it.
        if self.state.segments and not self.state.pictures:
            open_path(self._out, self.state.segments - 1).unlink(missing_ok=True)
        self.state = state
