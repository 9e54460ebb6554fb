"""What a run goes on from: now and then all that is carried, and between only what is new.

What a film remembers from frame to frame is as large as a few frames in float32. So it is written
in full every CARRY_FRAMES frames, as a carry. The key frames between leave a sketch: what their
descent has made, at the small size at which large frames are dreamed. A run that resumes begins at
the last carry and makes the frames after it again, each key frame of its sketch instead of by a
descent, to the same bits. A carry that is damaged costs time, and no frame: the
one before it is kept, with the sketches since; and a frame without a sketch is dreamed again.

    000008.carry    what is carried after 8 frames
    000009.sketch   what the descent of frame 9 has made

Both name the journal, and end with their hash.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from dreamvid.journal.record import Record, from_bytes, to_bytes
from dreamvid.journal.state import State, folder_of, seal, unseal
from dreamvid.media.files import write_durably

if TYPE_CHECKING:
    import torch

CARRY_FRAMES = 8
"""Frames between two carries. More means fewer bytes, but more frames to make again."""


@dataclass(frozen=True, eq=False)
class _Sketch:
    image: Tensor


class Carries:
    """The carries and sketches in the journal of `out`, up to the last frame of `state`."""

    def __init__(self, out: Path, state: State) -> None:
        self._folder, self._journal = folder_of(out), state.journal
        numbers = sorted(_number(path) for path in self._folder.glob("*.carry"))
        self._kept = [number for number in numbers if 0 < number <= state.frames]

    def write(self, frames: int, carry: Callable[[], Any] | None, sketch: Tensor | None) -> None:
        """Write what follows from the frame that makes `frames`: the carry, where one is due.

        `carry` makes its record; None where the frame changes nothing that is carried. Without a
        `sketch` a carry is always due. Raises MediaError.
        """
        if carry is None:
            return
        if sketch is not None and self._kept and frames < self._kept[-1] + CARRY_FRAMES:
            self._write(frames, "sketch", _Sketch(sketch))
        else:
            self._write(frames, "carry", carry())
            self._kept = [number for number in self._kept if number < frames] + [frames]

    def settle(self) -> None:
        """Remove what is not needed any more, once the state is on disk."""
        if len(self._kept) < 3:
            return
        oldest = self._kept[-2]
        self._kept = self._kept[-2:]
        with suppress(OSError):  # left over, it is in nobody's way
            for path in [*self._folder.glob("*.carry"), *self._folder.glob("*.sketch")]:
                if _number(path) < oldest:
                    path.unlink(missing_ok=True)

    def read(self, kind: type[Record], device: torch.device) -> tuple[int, Record | None]:
        """The latest carry that can be read, and the number of frames after which it is.

        (0, None) where there is none. Raises ValueError where it holds no `kind`.
        """
        for frames in reversed(self._kept):
            data = self._read(frames, "carry")
            if data is not None:
                return frames, from_bytes(kind, data, device)
        return 0, None

    def sketch(self, frames: int, device: torch.device) -> Tensor | None:
        """The sketch of the frame that makes `frames`; None where none can be read."""
        data = self._read(frames, "sketch")
        try:
            return None if data is None else from_bytes(_Sketch, data, device).image
        except ValueError:
            return None

    def _read(self, frames: int, suffix: str) -> bytes | None:
        """The content of a file; None where it is missing, damaged or of another journal."""
        mark = self._mark(frames)
        try:
            content = unseal(self._path(frames, suffix).read_bytes())
        except (OSError, ValueError):
            return None
        return content[len(mark) :] if content.startswith(mark) else None

    def _write(self, frames: int, suffix: str, record: Any) -> None:
        write_durably(self._path(frames, suffix), *seal(self._mark(frames), to_bytes(record)))

    def _mark(self, frames: int) -> bytes:
        return f"{self._journal} {frames}\n".encode()

    def _path(self, frames: int, suffix: str) -> Path:
        return self._folder / f"{frames:06}.{suffix}"


def _number(path: Path) -> int:
    """The number of frames in a file's name; 0 where it has none."""
    return int(path.stem) if path.stem.isdecimal() else 0
