"""The journal of a run, written frame by frame, and its result at the end."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dreamvid.errors import JournalError, MediaError
from dreamvid.journal.behind import Behind
from dreamvid.journal.carries import Carries
from dreamvid.journal.ending import mark_done, remove_folder
from dreamvid.journal.film import FilmParts
from dreamvid.journal.lock import FileLock
from dreamvid.journal.pictures import PictureParts
from dreamvid.journal.record import Record, from_bytes, to_bytes
from dreamvid.journal.run import FileMark, Run
from dreamvid.journal.shot_list import check_idle, has_frames, read_shot_list
from dreamvid.journal.state import (
    ANEW,
    JOINING,
    State,
    checkpoint_path,
    folder_of,
    read_checkpoint,
    read_state,
    resume_command,
    state_path,
)
from dreamvid.media.files import media_errors, sync_folder, write_durably
from dreamvid.media.image_sequence import output_pattern
from dreamvid.media.probing import VideoInfo
from dreamvid.media.tracks import SoundSource

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dreamvid.types import Frame

SEGMENT_FRAMES = 48
"""Frames per segment of a film. More means fewer keyframes, but more pictures not encoded."""
IN_HAND = 2
"""Most frames that are made and not on disk yet."""
CHECKPOINT_S = 1.0
"""Shortest time in seconds between two checkpoints."""
CHECKPOINT_SHARE = 0.05
"""Largest share of the time that checkpoints may take, as measured by the last one."""


class Journal:
    """The journal of a run, and its result at the end: a video file or a row of pictures.

    Replaces a writer: call `write` for each frame, then `finish`. Where there is much to compute
    before a frame, call `keep` between. Without `finish` the folder stays, ready to be resumed, or
    is removed where nothing is kept. `state` is the progress of the run: what is on disk. Frames
    are written behind, in a thread of their own, until the block `with` ends. `origin` is the
    reader's.
    `watches` says whether the source is one file, which must not change until the end.

    Raises JournalError, before any frame, where another process writes `out`, where an unfinished
    run is in the way, or where the journal differs from `run` (the message names the differences;
    `force` accepts them); MediaError as a writer does.
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
        is_film = output_pattern(out) is None
        self.state = State(
            run=run,
            info=info,
            journal=secrets.token_hex(8),
            metadata=dict(metadata or {}),
            overwrite=overwrite,
            origin=origin,
            segment_frames=SEGMENT_FRAMES if is_film else 1,
        )
        self._checkpoint: State | None = None
        self._has_checkpoint = False
        self._checkpoint_due = time.monotonic() + CHECKPOINT_S
        self._parts: FilmParts | PictureParts | None = None
        self._behind = Behind(IN_HAND)
        self._lock = self._take_lock()
        try:
            self._find_state(overwrite and not resume, resume, force)
            self._carries = Carries(out, self.state)
            self._parts = (FilmParts if is_film else PictureParts)(out, self.state, sound)
            self.keeps_alpha = self._parts.keeps_alpha
        except BaseException:
            self._leave()
            raise

    @property
    def facts(self) -> dict[str, Any]:
        """Values for a summary: the digest of all frames."""
        return {"digest": self.state.digest}

    @property
    def way_on(self) -> str:
        """What to do to resume the run."""
        return resume_command(self._out)

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata of the result."""
        return self.state.metadata

    @property
    def overwrite(self) -> bool:
        """Whether the run may replace older results."""
        return self.state.overwrite

    @property
    def frames(self) -> int:
        """Number of finished frames."""
        return self.state.frames

    def carry(self, kind: type[Record], device: torch.device) -> Record | None:
        """The record from which the dream resumes, on `device`; None where there is none.

        It may be that of an earlier frame than the last; `sketch` helps to make those after it
        again. Raises JournalError where the journal holds no `kind`.
        """
        with self._of_this_version():
            return self._carries.read(kind, device)[1]

    def sketch(self, index: int, device: torch.device) -> Tensor | None:
        """What the descent of the finished frame `index`, from 0, has made, on `device`.

        None where that is not kept, or not finished.
        """
        return self._carries.sketch(index + 1, device) if 0 <= index < self.frames else None

    def checkpoint(self, kind: type[Record], device: torch.device) -> Record | None:
        """The record last given to `keep` by an earlier run, on `device`; None where none was.

        It is given once. Raises JournalError where the journal holds no `kind`.
        """
        found, self._checkpoint = self._checkpoint, None  # it may be large
        return None if found is None else self._record(kind, found.carry, device)

    def _record(self, kind: type[Record], data: bytes, device: torch.device) -> Record:
        with self._of_this_version():
            return from_bytes(kind, data, device)

    @contextmanager
    def _of_this_version(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            raise JournalError(f"'{self._folder}' is of another version: {error}; {ANEW}") from None

    def keep(self, record: Callable[[], Any], *, now: bool = False) -> None:
        """Store the record that `record` makes, from which a run resumes that shows no frame yet.

        It is on disk after the return, as are all frames before. Does nothing where the last one is
        too recent, except where `now`. Raises MediaError where writing fails; the record before
        remains.
        """
        begin = time.monotonic()
        if begin < self._checkpoint_due and not now:
            return
        self._behind.wait()
        self._clear()
        kept = replace(self.state, carry=to_bytes(record()))
        write_durably(checkpoint_path(self._out), *kept.to_bytes())
        self._has_checkpoint = True
        end = time.monotonic()
        self._checkpoint_due = end + max(CHECKPOINT_S, (end - begin) / CHECKPOINT_SHARE)

    def write(
        self,
        frame: Frame,
        carry: Callable[[], Any] | None = None,
        sketch: Tensor | None = None,
        tally: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a frame; it is written behind, and can be lost until IN_HAND further ones are added.

        `frame` is the delivered frame, `carry` makes the record from which the loop resumes after
        it; None where nothing that is carried has changed. `sketch` (3, h, w) is what its descent
        has made, from which the loop makes the frame again. Neither may change afterwards. Raises
        MediaError where writing an earlier frame has failed; those before it are safe.
        """
        work = partial(self._write, frame, carry, sketch, tally)
        self._behind.do(work, frame.image.device)

    # Behind

    def _write(
        self,
        frame: Frame,
        carry: Callable[[], Any] | None,
        sketch: Tensor | None,
        tally: Mapping[str, Any] | None,
    ) -> None:
        """Add a frame; after the return, no kill can lose it."""
        self._clear()
        state = self._open_parts.add(frame, self.state)
        state = replace(
            state,
            time=frame.time,
            digest=hashlib.sha256((state.digest + state.frame_digest).encode()).hexdigest(),
            tally=tally,
        )
        self._carries.write(state.frames, carry, sketch)
        write_durably(state_path(self._out, state.frames), *state.to_bytes())
        self.state = state
        self._open_parts.settle(state)
        self._carries.settle()

    # Beginning and end

    def finish(
        self,
        is_cut_short: bool = False,
        on_packet: Callable[[], None] = lambda: None,
        tally: Mapping[str, Any] | None = None,
    ) -> None:
        """Put the segments together, check the result and give it its name.

        `is_cut_short` says that the source ended earlier than its header states. `on_packet` is
        called as the result grows, and may raise. `tally` replaces that of the last frame. Raises
        JournalError where the source has changed since the beginning, MediaError where the result
        cannot be written; the journal then stays.
        """
        self._behind.wait()
        self.check_source(is_cut_short)
        parts = self._open_parts
        whole = parts.complete(self.state, on_packet)
        named = self._out if whole.parent == self._folder else whole
        mark_done(self._out, whole, named, replace(self.state, tally=tally or self.state.tally))
        parts.publish()
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
        try:
            failed = self._behind.close()
        except BaseException:
            self._leave()
            raise
        if failed is not None and error is not None:
            error.add_note(f"meanwhile, {failed}")
        frames = self.state.frames
        if error is not None and (frames or self._has_checkpoint):
            safe = "1 finished frame is" if frames == 1 else f"{frames} finished frames are"
            safe = safe if frames else "what is dreamed so far is"
            error.add_note(f"{safe} safe, {self.way_on} goes on")
        self._leave()

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

        A run without a finished frame is never in the way: it is resumed where it is the same,
        and else forgotten. Raises JournalError where an unfinished run should not be resumed, or
        where the two runs differ.
        """
        if read_shot_list(self._out) is not None:
            if not anew and has_frames(self._out):
                raise JournalError(
                    f"'{self._folder}' holds a film that is made shot by shot; "
                    f"{resume_command(self._out)} goes on, --overwrite begins anew"
                )
            check_idle(self._out)
        begun = None if anew else read_state(self._out)
        if begun is None:
            if not anew:
                self._find_checkpoint()
            return
        if not resume:
            raise JournalError(
                f"'{self._folder}' holds {begun.frames} frames of an unfinished run; "
                f"{resume_command(self._out)} goes on, --overwrite begins anew"
            )
        is_changed = self.state.run.goes_on(begun.run, force=force)
        self.state = replace(
            begun,
            run=self.state.run,
            overwrite=begun.overwrite or self.state.overwrite,
            metadata=self.state.metadata if is_changed else begun.metadata,
        )
        self._find_checkpoint(begun.journal)

    def _find_checkpoint(self, journal: str | None = None) -> None:
        """Take over the checkpoint of the same run; of the named journal, where one is given."""
        found = read_checkpoint(self._out)
        if found is None or journal not in (None, found.journal):
            return
        run = self.state.run
        if run.fixed_differences(found.run) or run.differences(found.run):
            return
        self._checkpoint, self._has_checkpoint = found, True
        self.state = replace(self.state, journal=found.journal)

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
        """Release the lock; remove the journal where nothing is kept."""
        if not self._lock.is_held:
            return
        if self._parts is not None:
            self._parts.abort()
        has_state = any(self._folder.glob("state.?"))
        if not has_state and not checkpoint_path(self._out).exists():
            self._remove()
        self._lock.release()

    def _remove(self) -> None:
        remove_folder(self._folder)
        self._lock.release()
        if os.name == "nt":  # Windows cannot remove open files
            remove_folder(self._folder)

    def _clear(self) -> None:
        """Remove an older journal, only now that something can replace it."""
        if self.state.frames or self._has_checkpoint:
            return
        with media_errors(f"'{self._folder}' cannot be written"):
            for path in self._folder.iterdir():
                if path.is_dir():
                    remove_folder(path)
                elif path.name != "lock" and path.stem != JOINING:
                    path.unlink()

    @property
    def _open_parts(self) -> FilmParts | PictureParts:
        assert self._parts is not None
        return self._parts
