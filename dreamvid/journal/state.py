"""The state of a run: written after every frame, and read to resume the run.

A checkpoint is a state too, with a record of work that is done before any frame shows it.
"""

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

from dreamvid.config import checked
from dreamvid.errors import JournalError
from dreamvid.journal.run import Run
from dreamvid.media.probing import VideoInfo

FORMAT = 6
"""Version of the file format; files of another version are refused."""
COLOUR_TAGS = 256
"""FFmpeg's numbers of colour tags are below this."""
JOINING = "joining"
"""Stem of the file in which the result is made from its segments."""
ANEW = "allowed: the same command with --overwrite, which begins anew"

_LENGTH = struct.Struct("<Q")
_DIGEST_SIZE = hashlib.sha256().digest_size
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, struct.error)


class FormatError(JournalError):
    """A state is of another version of the file format."""

    def __init__(self, found: object) -> None:
        super().__init__(
            f"the journal is of format {found!r}, of another version of dreamvid; this one reads "
            f"format {FORMAT}; allowed: that version, to end the film, or the same command with "
            "--overwrite, which begins anew"
        )


def folder_of(out: Path) -> Path:
    """Folder of the journal of the result `out`."""
    return out.with_name(out.name + ".dreaming")


def resume_command(out: Path) -> str:
    """The command that resumes `out`."""
    return f"`dreamvid resume {shlex.quote(str(out))}`"


def seal(*parts: bytes) -> list[bytes]:
    """The parts and their SHA-256, for `unseal`."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return [*parts, digest.digest()]


def unseal(data: bytes) -> bytes:
    """The content that `seal` was given. Raises ValueError where the hash does not match."""
    content, digest = data[:-_DIGEST_SIZE], data[-_DIGEST_SIZE:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("does not fit its hash")
    return content


@dataclass(frozen=True, kw_only=True)
class State:
    """The progress of a run, and all that is needed to resume it."""

    run: Run
    info: VideoInfo
    """Header of the source: the fields that a writer needs."""
    journal: str
    """Random name of this journal, which its segments repeat."""
    overwrite: bool
    """Whether the run may replace an older result."""
    segment_frames: int
    metadata: Mapping[str, str]
    """Metadata of the result."""
    origin: Fraction = Fraction(0)
    """Time 0 of the delivered frames, in seconds of the source's own clock."""
    encoder: str = ""
    """SHA-256 of the encoder's name and header, which decoders need before the first packet."""
    frames: int = 0
    """Number of finished frames."""
    time: Fraction = Fraction(0)
    """Presentation time of the last finished frame, in seconds."""
    end_pts: int = -(2**62)
    """End of that frame, in ticks of the encoder's clock."""
    step: Fraction = Fraction(0)
    """Duration of that frame, in seconds."""
    frame_digest: str = ""
    """SHA-256 of that frame as its encoder was given it (`media.marks.picture_digest`)."""
    digest: str = ""
    """SHA-256 over all frames: each hashes the value before it and the frame's digest."""
    tally: Mapping[str, Any] | None = None
    """Values that the caller stores and finds again when the run resumes."""
    is_finished: bool = False
    """Whether all frames, of a shot, are in closed segments."""
    carry: bytes = b""
    """Of a checkpoint: the record from which the dream resumes, as `record` writes it."""

    @property
    def segments(self) -> int:
        """Number of closed segments."""
        return self.frames // self.segment_frames

    @property
    def pictures(self) -> int:
        """Number of frames in the open segment."""
        return self.frames % self.segment_frames

    @property
    def duration(self) -> Fraction:
        """Seconds until the last frame ends."""
        return self.time + self.step

    def to_bytes(self) -> list[bytes]:
        """The state in parts, for one file; the last part is the hash of the others."""
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
        """The state of `to_bytes`.

        Raises ValueError, KeyError, TypeError or struct.error where `data` is damaged, and
        FormatError where it is of another format.
        """
        content = unseal(data)
        (length,) = _LENGTH.unpack_from(content)
        begin = _LENGTH.size
        facts = json.loads(content[begin : begin + length])
        if facts["format"] != FORMAT:
            raise FormatError(facts["format"])
        values: dict[str, Any] = {name: facts[name] for name in (*_PLAIN, *_FRACTIONS)}
        values["run"] = Run.from_json(facts["run"])
        values["info"] = _info_from_json(facts["info"])
        state = checked(cls, values | {"carry": content[begin + length :]})
        if state.segment_frames < 1 or state.frames < 0:
            raise ValueError(f"counts {state.frames} frames in {state.segment_frames}s")
        return state


_PLAIN = (
    *("journal", "overwrite", "segment_frames", "metadata", "encoder", "frames", "end_pts"),
    *("frame_digest", "digest", "tally", "is_finished"),
)
_FRACTIONS = ("origin", "time", "step")
_INFO_FRACTIONS = ("rate", "time_base", "sample_aspect_ratio")
_INFO_PLAIN = ("width", "height", "alpha", "metadata")


def _info_to_json(info: VideoInfo) -> dict[str, Any]:
    """The fields of a header that a writer needs."""
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
    names = ("start", "end", "metadata")
    chapters = [dict(zip(names, chapter, strict=True)) for chapter in facts["chapters"]]
    info = checked(VideoInfo, {**facts, "chapters": chapters})
    if min(info.width, info.height) < 1:
        raise ValueError(f"has a picture of {info.width}x{info.height}")
    if not all(0 <= tag < COLOUR_TAGS for tag in asdict(info.colour).values()):
        raise ValueError(f"has {info.colour}")
    return info


def state_path(out: Path, frames: int) -> Path:
    """Path of the state after that many frames."""
    return folder_of(out) / f"state.{frames % 2}"


def checkpoint_path(out: Path) -> Path:
    """Path of the checkpoint."""
    return folder_of(out) / "checkpoint"


def read_checkpoint(out: Path) -> State | None:
    """The checkpoint of the run of `out`; None where there is none that can be read.

    Raises FormatError where it is of another format.
    """
    try:
        return State.from_bytes(checkpoint_path(out).read_bytes())
    except _UNREADABLE:
        return None


def read_state(out: Path) -> State | None:
    """The latest state of the run of `out`; None where no frame is finished.

    Falls back to the state before, where the latest is damaged. Raises JournalError where none
    that exists can be read, or one is of another format.
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
