"""How far a run is: what is written after every frame, and read to go on."""

from __future__ import annotations

import hashlib
import json
import shlex
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from dreamvid.errors import JournalError
from dreamvid.journal.run import Run
from dreamvid.media.colour import ColourTags
from dreamvid.media.probing import Chapter, VideoInfo

FORMAT = 3
"""Of the files; another one is not read."""
ANEW = "allowed: the same command with --overwrite, which begins anew"

_LENGTH = struct.Struct("<Q")
_DIGEST_SIZE = hashlib.sha256().digest_size
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, struct.error)


def folder_of(out: Path) -> Path:
    """Where the journal of the result `out` lies."""
    return out.with_name(out.name + ".dreaming")


def resume_command(out: Path) -> str:
    """What to type to go on with `out`."""
    return f"`dreamvid resume {shlex.quote(str(out))}`"


def seal(*parts: bytes) -> list[bytes]:
    """The parts and a hash of them, for `unseal`."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return [*parts, digest.digest()]


def unseal(data: bytes) -> bytes:
    """What was sealed. Raises ValueError where that is not what is there."""
    content, digest = data[:-_DIGEST_SIZE], data[-_DIGEST_SIZE:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("does not fit its hash")
    return content


@dataclass(frozen=True, kw_only=True)
class State:
    """How far a run is."""

    run: Run
    info: VideoInfo
    """What a writer reads of it."""
    journal: str
    """Names this journal in its segments."""
    overwrite: bool
    """Whether the run may replace an older result."""
    segment_frames: int
    metadata: Mapping[str, str]
    """Of the result."""
    origin: Fraction = Fraction(0)
    """When delivered times begin, in seconds of the source's own clock."""
    encoder: str = ""
    """Hash of what decoders must know beforehand."""
    frames: int = 0
    """Finished ones."""
    time: Fraction = Fraction(0)
    """Of the last finished frame, in seconds."""
    end_pts: int = -(2**62)
    """The tick at which its picture ends."""
    step: Fraction = Fraction(0)
    """How long it is shown, in seconds."""
    frame_digest: str = ""
    """Of the last frame as it is delivered, float32 as it lies in memory."""
    digest: str = ""
    """Of all frame digests so far, each with the one of this kind before."""
    tally: Mapping[str, Any] | None = None
    """What the caller wants to find again."""
    carry: bytes = b""
    """What the loop goes on from."""

    @property
    def segments(self) -> int:
        """Closed ones."""
        return self.frames // self.segment_frames

    @property
    def pictures(self) -> int:
        """Frames in the open segment."""
        return self.frames % self.segment_frames

    @property
    def duration(self) -> Fraction:
        """Seconds until the last frame ends."""
        return self.time + self.step

    def to_bytes(self) -> list[bytes]:
        """In parts, the last one a hash."""
        facts = {name: getattr(self, name) for name in _PLAIN} | {
            "format": FORMAT,
            "run": self.run.to_json(),
            "info": _info_to_json(self.info),
            **{name: str(getattr(self, name)) for name in _FRACTIONS},
        }
        head = json.dumps(facts).encode()
        return seal(_LENGTH.pack(len(head)), head, self.carry)

    @classmethod
    def from_bytes(cls, data: bytes) -> State:
        """Raises ValueError (KeyError, TypeError) for what is damaged or of another format."""
        content = unseal(data)
        (length,) = _LENGTH.unpack_from(content)
        begin = _LENGTH.size
        facts = json.loads(content[begin : begin + length])
        if facts["format"] != FORMAT:
            raise ValueError(f"is of format {facts['format']}, not {FORMAT}")
        values: dict[str, Any] = {name: facts[name] for name in _PLAIN}
        values |= {name: Fraction(facts[name]) for name in _FRACTIONS}
        return cls(
            **values,
            run=Run.from_json(facts["run"]),
            info=_info_from_json(facts["info"]),
            carry=content[begin + length :],
        )


_PLAIN = (
    *("journal", "overwrite", "segment_frames", "metadata", "encoder", "frames", "end_pts"),
    *("frame_digest", "digest", "tally"),
)
_FRACTIONS = ("origin", "time", "step")
_INFO_FRACTIONS = ("rate", "time_base", "sample_aspect_ratio")
_INFO_PLAIN = ("width", "height", "alpha", "metadata")


def _info_to_json(info: VideoInfo) -> dict[str, Any]:
    """What a writer reads of it."""
    fractions = {name: getattr(info, name) for name in _INFO_FRACTIONS}
    return {
        **{name: getattr(info, name) for name in _INFO_PLAIN},
        **{name: None if value is None else str(value) for name, value in fractions.items()},
        "metadata": dict(info.metadata),
        "colour": asdict(info.colour),
        "chapters": [
            [str(chapter.start), str(chapter.end), dict(chapter.metadata)]
            for chapter in info.chapters
        ],
    }


def _info_from_json(facts: Mapping[str, Any]) -> VideoInfo:
    fractions: dict[str, Any] = {
        name: facts[name] and Fraction(facts[name]) for name in _INFO_FRACTIONS
    }
    return VideoInfo(
        **{name: facts[name] for name in _INFO_PLAIN},
        **fractions,
        colour=ColourTags(**facts["colour"]),
        chapters=tuple(
            Chapter(Fraction(start), Fraction(end), metadata)
            for start, end, metadata in facts["chapters"]
        ),
    )


def state_path(out: Path, frames: int) -> Path:
    """Where the state after so many frames is written."""
    return folder_of(out) / f"state.{frames % 2}"


def read_state(out: Path) -> State | None:
    """How far the run of `out` is; None where none has finished a frame.

    Of a damaged state the one before is taken. Raises JournalError where both are.
    """
    states, complaints = [], []
    for slot in (0, 1):
        path = state_path(out, slot)
        try:
            states.append(State.from_bytes(path.read_bytes()))
        except FileNotFoundError:
            continue
        except _UNREADABLE as error:
            complaints.append(f"'{path}' {error}")
    if complaints and not states:
        raise JournalError(f"the journal is damaged: {complaints[0]}; {ANEW}")
    return max(states, key=lambda state: state.frames, default=None)
