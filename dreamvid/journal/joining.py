"""The result of a film whose shots were dreamed one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from dreamvid.errors import JournalError
from dreamvid.journal.ending import mark_done, remove_folder
from dreamvid.journal.film import check_encoder, complete_film
from dreamvid.journal.pictures import name_pictures
from dreamvid.journal.run import write_config
from dreamvid.journal.segments import read_segment
from dreamvid.journal.shot import chained_digest, read_digests
from dreamvid.journal.shot_list import ShotList, holding, is_finished, shot_path, shot_state
from dreamvid.journal.state import JOINING, State, folder_of
from dreamvid.media.files import sync_folder
from dreamvid.media.image_sequence import output_pattern
from dreamvid.media.muxer import Muxer
from dreamvid.media.packets import join, segment_encoder
from dreamvid.media.probing import VideoInfo
from dreamvid.media.tracks import SoundSource
from dreamvid.types import Shot


class ShotsTogether:
    """The finished shots of the film `out`, ready to be joined. Create it by `open_shots`."""

    def __init__(self, out: Path, shot_list: ShotList, states: Sequence[State]) -> None:
        self._out, self._list = out, shot_list
        self.states = states
        """The last state of each shot."""

    def finish(
        self,
        info: VideoInfo,
        *,
        sound: SoundSource | None,
        tally: Mapping[str, Any],
        overwrite: bool,
        on_packet: Callable[[], None],
    ) -> str:
        """Make the result, give it its name and remove the journal; the digest of all frames.

        `tally` is that of the whole film. Raises JournalError where the journal is damaged,
        MediaError where the result cannot be written; the journal then stays.
        """
        whole = self._whole_state(info, tally, overwrite)
        if output_pattern(self._out) is None:
            self._finish_film(whole, sound, on_packet)
        else:
            self._finish_pictures(whole, sound, on_packet)
        with suppress(OSError):
            sync_folder(self._out.parent)
        remove_folder(folder_of(self._out))
        return whole.digest

    def _whole_state(self, info: VideoInfo, tally: Mapping[str, Any], overwrite: bool) -> State:
        """The state of a film in one piece that has these frames."""
        digests: list[str] = []
        for shot, state in self._shots:
            digests += read_digests(shot_path(self._out, shot), state)
        return replace(
            self.states[-1],
            run=self._list.run,
            info=info,
            overwrite=overwrite,
            metadata=self._list.metadata,
            origin=self.states[0].origin,
            frames=len(digests),
            digest=chained_digest(digests),
            tally=tally,
        )

    def _finish_film(
        self, whole: State, sound: SoundSource | None, on_packet: Callable[[], None]
    ) -> None:
        path = folder_of(self._out) / f"{JOINING}{self._out.suffix.lower()}"
        with Muxer(
            self._out,
            whole.info,
            write_config(whole.run.config),
            overwrite=whole.overwrite,
            sound=sound,
            metadata=whole.metadata,
            partial=path,
        ) as muxer:
            encoder = segment_encoder(muxer.encoding)
            for state in self.states:
                check_encoder(encoder, muxer.encoding, state)
            complete_film(muxer, path, lambda: join(self._segments(), muxer.encoding), on_packet)
            mark_done(self._out, path, self._out, whole)

    def _finish_pictures(
        self, whole: State, sound: SoundSource | None, on_packet: Callable[[], None]
    ) -> None:
        if sound is not None:
            sound.leave_out("a row of pictures")
        owners = [
            (shot_path(self._out, shot), state, index)
            for shot, state in self._shots
            for index in range(state.frames)
        ]

        def read(index: int) -> bytes:
            return read_segment(*owners[index])

        last = name_pictures(self._out, whole.frames, read, whole.overwrite, on_packet)
        mark_done(self._out, last, last, whole)

    @property
    def _shots(self) -> Iterable[tuple[Shot, State]]:
        return zip(self._list.shots, self.states, strict=True)

    def _segments(self) -> Iterator[bytes]:
        """The packets of all segments, in order."""
        for shot, state in self._shots:
            for index in range(-(-state.frames // state.segment_frames)):
                yield read_segment(shot_path(self._out, shot), state, index)


@contextmanager
def open_shots(out: Path, shot_list: ShotList) -> Iterator[ShotsTogether]:
    """All shots of `out`, which nobody else writes within the block.

    Raises JournalError, which names what is missing, where a shot is not finished.
    """
    with holding(out):
        states = [shot_state(out, shot) for shot in shot_list.shots]
        missing = {
            shot.number: 0 if state is None else state.frames
            for shot, state in zip(shot_list.shots, states, strict=True)
            if not is_finished(state, shot)
        }
        if missing:
            raise JournalError(_what_is_missing(shot_list, missing))
        yield ShotsTogether(out, shot_list, [state for state in states if state is not None])


def _what_is_missing(shot_list: ShotList, missing: Mapping[int, int]) -> str:
    begun = [
        f"{done} of {shot_list.shots[number - 1].frames} frames of shot {number}"
        for number, done in missing.items()
        if done
    ]
    told = f"; finished so far are {', '.join(begun)}" if begun else ""
    plural = "s" if len(missing) > 1 else ""
    return (
        f"missing: shot{plural} {ranges(missing)} of {len(shot_list.shots)}{told}; "
        "allowed: to dream them first, by `dreamvid video` with --shot, or `dreamvid resume`"
    )


def ranges(numbers: Iterable[int]) -> str:
    """Numbers in short, as "1, 3-7"."""
    rows = []
    for _, group in groupby(enumerate(sorted(numbers)), lambda each: each[1] - each[0]):
        first, *rest = (number for _, number in group)
        rows.append(f"{first}-{rest[-1]}" if rest else str(first))
    return ", ".join(rows)
