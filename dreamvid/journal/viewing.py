"""Reading a journal, also while another process writes it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from dreamvid.errors import DreamvidError, JournalError, MediaError
from dreamvid.journal.segments import check_encoder, read_open, read_packets_of
from dreamvid.journal.state import State, folder_of, read_state
from dreamvid.media.encoder_frames import EncoderFrame
from dreamvid.media.files import write_durably
from dreamvid.media.muxer import Muxer
from dreamvid.media.packets import PacketEncoder
from dreamvid.media.probing import moved_chapters
from dreamvid.media.source import Source
from dreamvid.media.tracks import SoundSource

_GLANCES, _GLANCE_S = 20, 0.05
_LAST = ("state.0", "state.1", "done", "lock")


def mark_done(whole: Path, state: State) -> None:
    """Note in the journal that the file `whole` is complete and only lacks its final name.

    The mark repeats what a summary needs of the last `state`: a kill may remove the states first.
    Raises MediaError.
    """
    status = whole.stat()
    mark = {
        "file": [status.st_ino, status.st_size],
        "summary": {"digest": state.digest, "guide": state.run.config.guide},
        "tally": state.tally,
    }
    write_durably(whole.parent / "done", json.dumps(mark).encode())


def read_mark(out: Path) -> Any:
    """The mark of `out`; None unless `out` is complete and only its journal remains."""
    try:
        mark = json.loads((folder_of(out) / "done").read_bytes())
        status = out.stat()
        return mark if mark["file"] == [status.st_ino, status.st_size] else None
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
            path.unlink(missing_ok=True)
        folder.rmdir()


def peek(
    out: Path,
    to: Path,
    *,
    overwrite: bool = False,
    on_warning: Callable[[str], None] = lambda message: None,
) -> State:
    """Write the frames of `out` that are finished so far to `to`, a complete film of its own.

    May be called at any time. Returns the state that it shows. Raises JournalError where no frame
    is finished, where `out` is complete, or where the journal is damaged; MediaError where `to`
    cannot be written.
    """
    try:
        state, pictures = _glance(out)
        _show(out, to, state, pictures, overwrite, on_warning)
    except DreamvidError:
        if not is_done(out):
            raise
        raise JournalError(
            f"'{out}' is whole: look at that; only its journal is still to be removed"
        ) from None
    return state


def _show(
    out: Path,
    to: Path,
    state: State,
    pictures: list[bytes],
    overwrite: bool,
    on_warning: Callable[[str], None],
) -> None:
    chapters = moved_chapters(state.info.chapters, Fraction(0), state.duration)
    info, config = replace(state.info, chapters=chapters), state.run.config
    with (
        _sound_of(state, on_warning) or nullcontext() as sound,
        Muxer(to, info, config, overwrite=overwrite, sound=sound) as muxer,
    ):
        encoder = PacketEncoder(muxer.encoding)
        check_encoder(encoder, state)
        packets: list[bytes] = []
        for data in pictures:
            packets += encoder.encode(EncoderFrame.from_bytes(data, muxer.encoding))
        if pictures:
            packets += encoder.finish()
        for packet in read_packets_of(out, state, packets):
            muxer.mux(packet)


def _glance(out: Path) -> tuple[State, list[bytes]]:
    """A state and its open pictures; retried, as another process may change them meanwhile."""
    for glance in range(_GLANCES):
        try:
            state = read_state(out)
            if state is None:
                raise nothing_finished(out)
            return state, read_open(out, state)[0]
        except JournalError:
            if glance == _GLANCES - 1 or not folder_of(out).exists():
                raise
            time.sleep(_GLANCE_S)
    raise AssertionError


def nothing_finished(out: Path) -> JournalError:
    """The error that says why there is nothing to show or to resume."""
    folder = folder_of(out)
    if not folder.exists():
        is_there = f", which is there already: '{out}'" if out.exists() else ""
        return JournalError(
            f"'{folder}' does not exist; allowed: the OUT of a video that is being dreamed or was "
            f"stopped, not of a finished one{is_there}"
        )
    return JournalError(
        f"'{folder}' holds no finished frame; allowed: the OUT of a video of which there is one"
    )


def _sound_of(state: State, on_warning: Callable[[str], None]) -> SoundSource | None:
    """The sound up to the last finished frame; None where there is none or it cannot be read."""
    config, music = state.run.config, state.run.inputs.get("--music")
    path = Path((music or state.run.source).path)
    start, origin = (config.start, state.origin) if music is None else (config.music_start, None)
    end = (start or 0) + state.duration
    try:
        if music is None and Source.find(path, config).kind != "video":
            return None
        return SoundSource(path, start, end, origin=origin, on_warning=on_warning)
    except MediaError as error:
        on_warning(f"without sound, as {error}")
        return None
