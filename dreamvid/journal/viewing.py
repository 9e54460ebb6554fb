"""Reading a journal, also while another process writes it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from dreamvid.config import VideoConfig
from dreamvid.errors import DreamvidError, JournalError, MediaError
from dreamvid.journal.ending import is_done
from dreamvid.journal.film import read_open, show_film
from dreamvid.journal.pictures import show_pictures
from dreamvid.journal.shot_list import read_shot_list
from dreamvid.journal.state import State, folder_of, read_state
from dreamvid.media.image_sequence import output_pattern
from dreamvid.media.probing import moved_chapters
from dreamvid.media.source import Source
from dreamvid.media.tracks import SoundSource

_GLANCES, _GLANCE_S = 20, 0.05


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
    if output_pattern(out) is not None:
        show_pictures(out, to, state, overwrite)
        return
    chapters = moved_chapters(state.info.chapters, Fraction(0), state.duration)
    shown = replace(state, info=replace(state.info, chapters=chapters))
    with _sound_of(state, on_warning) or nullcontext() as sound:
        show_film(out, to, shown, pictures, overwrite, sound)


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
            f"'{folder}' does not exist; allowed: the OUT of a film that is being made or was "
            f"stopped, not of a finished one{is_there}"
        )
    if read_shot_list(out) is not None:
        return JournalError(
            f"'{folder}' holds a film that is made shot by shot, which is not looked at before "
            f"`dreamvid join {shlex.quote(str(out))}`"
        )
    return JournalError(
        f"'{folder}' holds no finished frame; allowed: the OUT of a film of which there is one, "
        "or the same command again, which begins"
    )


def _sound_of(state: State, on_warning: Callable[[str], None]) -> SoundSource | None:
    """The sound up to the last finished frame; None where there is none or it cannot be read."""
    config, music = state.run.config, state.run.inputs.get("--music")
    try:
        if music is not None:
            start = getattr(config, "music_start", Fraction(0))
            end = start + state.duration
            return SoundSource(Path(music.path), start, end, on_warning=on_warning)
        path = Path(state.run.source.path)
        if not isinstance(config, VideoConfig) or Source.find(path, config).kind != "video":
            return None
        end = (config.start or 0) + state.duration
        return SoundSource(path, config.start, end, origin=state.origin, on_warning=on_warning)
    except MediaError as error:
        on_warning(f"without sound, as {error}")
        return None
