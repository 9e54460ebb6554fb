"""A run on disk, so that a kill at any moment costs at most the frame in hand.

Beside the result OUT lies the folder OUT.dreaming while it is made:

    state.0, state.1    the run, how far it is, and its `Carry`; written in turns after every
                        frame, so that a damaged one leaves the one before
    000002.segment      packets of a closed segment, encoded by an encoder of its own
    000003.open         the pictures of the open segment, as the encoder takes them
    joining.mp4         the result, as the segments are joined at the end
    done                which file that was, once it is ready for its name
    lock                the process at work

Segments are cut by frame count alone, and each encoder starts afresh, so that a run that was
killed and one that was not give the same packets. Every file ends with a hash of what is before.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shlex
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dreamvid.config import ReadConfig, VideoConfig, WriteConfig
from dreamvid.errors import JournalError, MediaError
from dreamvid.media.colour import ColourTags
from dreamvid.media.files import media_errors, sync_folder, write_durably
from dreamvid.media.info import VideoInfo
from dreamvid.media.lock import FileLock
from dreamvid.media.pictures import (
    Packets,
    Picture,
    PictureMaker,
    SegmentEncoder,
    in_order,
    read_packets,
)
from dreamvid.media.sound import SoundSource
from dreamvid.media.writer import VideoWriter, check_whole

if TYPE_CHECKING:
    from torch import Tensor

    from dreamvid.sequence import Carry
    from dreamvid.types import Frame

SEGMENT_FRAMES = 48
"""Frames a segment; more of them means fewer keyframes, but more pictures kept as they are."""
FORMAT = 1
"""Of the files; another one is not read."""

_PACKAGES = ("dreamvid", "torch", "av", "opencv-python-headless", "open_clip_torch")
"""Whose versions decide about a frame's pixels."""
_FIXED = {*ReadConfig.model_fields, *WriteConfig.model_fields} - {"end", "sound", "metadata"}
"""Options that no force can change midway: times and pictures would not fit together."""
_JOINING = "joining"
_HASHED_BYTES = 2**20
_LENGTH = struct.Struct("<Q")
_DIGEST_SIZE = hashlib.sha256().digest_size
_GLANCES, _GLANCE_S = 20, 0.05


def folder_of(out: Path) -> Path:
    """Where the journal of the result `out` lies."""
    return out.with_name(out.name + ".dreaming")


# What a run is


@dataclass(frozen=True)
class SourceMark:
    """By what a source file is known again."""

    path: str
    size: int
    modified_ns: int
    digest: str
    """Of its head and tail."""

    @classmethod
    def of(cls, path: Path) -> SourceMark:
        """The file as it is now. Raises MediaError where it cannot be read."""
        with media_errors(f"'{path}' cannot be read"), path.open("rb") as file:
            status = os.fstat(file.fileno())
            digest = hashlib.sha256(file.read(_HASHED_BYTES))
            file.seek(max(0, status.st_size - _HASHED_BYTES))
            digest.update(file.read(_HASHED_BYTES))
        return cls(str(path.absolute()), status.st_size, status.st_mtime_ns, digest.hexdigest())

    def is_same(self, other: SourceMark) -> bool:
        """Whether both are the same file, wherever it lies."""
        return replace(self, path="") == replace(other, path="")


@dataclass(frozen=True)
class Run:
    """What decides about a run's result."""

    source: SourceMark
    config: VideoConfig
    versions: Mapping[str, str]

    @classmethod
    def of(cls, source: Path, config: VideoConfig) -> Run:
        """The run of this program over `source`. Raises MediaError where it cannot be read."""
        return cls(SourceMark.of(source), config, {name: version(name) for name in _PACKAGES})

    @property
    def options(self) -> dict[str, Any]:
        return self.config.model_dump(mode="json", by_alias=True)

    def differences(self, begun: Run) -> list[str]:
        """In words, what is not as it was in the run that was `begun`."""
        found = []
        if not self.source.is_same(begun.source):
            found.append(f"the source '{self.source.path}' is not what it was")
        found += [
            f"--{name} is {value}, was {begun.options.get(name)}"
            for name, value in self.options.items()
            if value != begun.options.get(name)
        ]
        found += [
            f"{name} is {here}, was {begun.versions.get(name)}"
            for name, here in self.versions.items()
            if here != begun.versions.get(name)
        ]
        return found

    def fixed_differences(self, begun: Run) -> list[str]:
        """Those that no force can overcome."""
        mine, theirs = self.config, begun.config
        return [
            f"--{name.replace('_', '-')}"
            for name in sorted(_FIXED)
            if getattr(mine, name) != getattr(theirs, name)
        ]


# Files that know whether they are whole


def _seal(*parts: bytes) -> list[bytes]:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return [*parts, digest.digest()]


def _unseal(data: bytes) -> bytes:
    """What was sealed. Raises ValueError where that is not what is there."""
    content, digest = data[:-_DIGEST_SIZE], data[-_DIGEST_SIZE:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("does not fit its hash")
    return content


@dataclass(frozen=True, kw_only=True)
class State:
    """How far a run is; all that is written after a frame."""

    run: Run
    info: VideoInfo
    journal: str
    """Names this journal in its segments."""
    overwrite: bool
    """Whether the run may replace an older result."""
    segment_frames: int
    metadata: Mapping[str, str]
    """Of the result."""
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
    """Of the last dreamed frame, float32 as it lies in memory."""
    digest: str = ""
    """Of all frame digests so far, each with the one of this kind before."""
    tally: Mapping[str, Any] | None = None
    """What the caller wants to find again."""
    pixels: bytes = b""
    """The carry's source and dream, one after the other."""

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

    def carry(self) -> Carry:
        """What the loop goes on from, on the CPU."""
        import torch

        from dreamvid.sequence import Carry

        values = torch.frombuffer(bytearray(self.pixels), dtype=torch.float32)
        source, dream = values.view(2, 3, self.info.height, self.info.width)
        return Carry(self.frames - 1, source, dream)

    def to_bytes(self) -> list[bytes]:
        """In parts, the last one a hash."""
        run = {
            "source": asdict(self.run.source),
            "config": self.run.options,
            "config-digest": _digest_of(self.run.options),
            "versions": dict(self.run.versions),
        }
        facts = {name: getattr(self, name) for name in _PLAIN} | {
            "format": FORMAT,
            "run": run,
            "info": _info_to_json(self.info),
            "time": str(self.time),
            "step": str(self.step),
        }
        head = json.dumps(facts).encode()
        return _seal(_LENGTH.pack(len(head)), head, self.pixels)

    @classmethod
    def from_bytes(cls, data: bytes) -> State:
        """Raises ValueError for what is damaged or of another format."""
        content = _unseal(data)
        (length,) = _LENGTH.unpack_from(content)
        begin = _LENGTH.size
        facts = json.loads(content[begin : begin + length])
        if facts["format"] != FORMAT:
            raise ValueError(f"is of format {facts['format']}, not {FORMAT}")
        run = facts["run"]
        return cls(
            **{name: facts[name] for name in _PLAIN},
            run=Run(SourceMark(**run["source"]), VideoConfig(**run["config"]), run["versions"]),
            info=_info_from_json(facts["info"]),
            time=Fraction(facts["time"]),
            step=Fraction(facts["step"]),
            pixels=content[begin + length :],
        )


_PLAIN = (
    *("journal", "overwrite", "segment_frames", "metadata", "encoder", "frames", "end_pts"),
    *("frame_digest", "digest", "tally"),
)


def _digest_of(options: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()


_INFO_FRACTIONS = ("rate", "time_base", "sample_aspect_ratio")


def _info_to_json(info: VideoInfo) -> dict[str, Any]:
    """What a writer reads of it."""
    fractions = {name: getattr(info, name) for name in _INFO_FRACTIONS}
    return {
        "width": info.width,
        "height": info.height,
        "colour": asdict(info.colour),
        **{name: None if value is None else str(value) for name, value in fractions.items()},
    }


def _info_from_json(facts: Mapping[str, Any]) -> VideoInfo:
    fractions: dict[str, Any] = {
        name: facts[name] and Fraction(facts[name]) for name in _INFO_FRACTIONS
    }
    return VideoInfo(
        facts["width"], facts["height"], colour=ColourTags(**facts["colour"]), **fractions
    )


# Reading a journal


def read_state(out: Path) -> State | None:
    """How far the run of `out` is; None where none has finished a frame.

    Of a damaged state the one before is taken. Raises JournalError where both are.
    """
    states, complaints = [], []
    for slot in (0, 1):
        path = folder_of(out) / f"state.{slot}"
        try:
            states.append(State.from_bytes(path.read_bytes()))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
            complaints.append(f"'{path}' {error}")
    if complaints and not states:
        raise JournalError(f"the journal is damaged: {complaints[0]}; {_anew()}")
    return max(states, key=lambda state: state.frames, default=None)


def _resume(out: Path) -> str:
    return f"`dreamvid resume {shlex.quote(str(out))}`"


def _anew() -> str:
    return "allowed: the same command with --overwrite, which begins anew"


def _segment_path(out: Path, index: int) -> Path:
    return folder_of(out) / f"{index:06}.segment"


def _open_path(out: Path, index: int) -> Path:
    return folder_of(out) / f"{index:06}.open"


def _segment_mark(state: State, index: int) -> bytes:
    return f"{state.journal} {index}\n".encode()


def _read_segment(out: Path, state: State, index: int) -> bytes:
    """A closed segment's packets. Raises JournalError where they are not whole."""
    path, mark = _segment_path(out, index), _segment_mark(state, index)
    try:
        content = _unseal(path.read_bytes())
    except OSError as error:
        raise JournalError(f"the journal lacks '{path}': {error.strerror}; {_anew()}") from None
    except ValueError as error:
        raise JournalError(f"the journal is damaged: '{path}' {error}; {_anew()}") from None
    if not content.startswith(mark):
        raise JournalError(f"'{path}' is of another run; {_anew()}")
    return content[len(mark) :]


def _read_open(out: Path, state: State) -> tuple[list[bytes], int]:
    """The pictures of the open segment and the length of the file that they take.

    Raises JournalError where they are not whole.
    """
    path, pictures = _open_path(out, state.segments), []
    if not state.pictures:
        return [], 0
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            for _ in range(state.pictures):
                (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
                data = file.read(min(length, size))
                if len(data) != length:
                    raise ValueError("is cut short")
                pictures.append(_unseal(data))
            return pictures, file.tell()
    except OSError as error:
        raise JournalError(f"the journal lacks '{path}': {error.strerror}; {_anew()}") from None
    except (ValueError, struct.error):
        raise JournalError(
            f"the journal is damaged: '{path}' does not fit its hash; {_anew()}"
        ) from None


def _packets(out: Path, state: State, open_packets: list[bytes]) -> Packets:
    """All packets so far, ready to be muxed."""
    closed = (_read_segment(out, state, index) for index in range(state.segments))
    return in_order(chain.from_iterable(map(read_packets, chain(closed, open_packets))))


def is_settled(out: Path) -> bool:
    """Whether `out` is whole and only its journal was still to be removed, which is done then."""
    folder = folder_of(out)
    try:
        mark = json.loads((folder / "done").read_bytes())
        status = out.stat()
    except (OSError, ValueError):
        return False
    if mark != [status.st_ino, status.st_size]:
        return False
    _remove_folder(folder)
    return True


_LAST = ("done", "lock")


def _remove_folder(folder: Path) -> None:
    """In an order in which a kill leaves a whole result known as one."""
    with suppress(OSError):
        for path in sorted(folder.iterdir(), key=lambda path: (path.name in _LAST, path.name)):
            path.unlink()
        folder.rmdir()


def peek(
    out: Path,
    to: Path,
    *,
    overwrite: bool = False,
    on_warning: Callable[[str], None] = lambda message: None,
) -> State:
    """Make a file of what is done so far of `out`, as it would be were that all; at any time.

    Raises JournalError where nothing is done yet or what is done is damaged, MediaError where
    `to` cannot be written.
    """
    state, pictures = _glance(out)
    config = state.run.config
    with closing(_Lender()) as lender:
        sound = lender.sound_of(state, on_warning) if config.sound else None
        with VideoWriter(to, state.info, config, overwrite=overwrite, sound=sound) as writer:
            encoder = SegmentEncoder(writer.encoding)
            _check_encoder(encoder, state)
            packets: list[bytes] = []
            for data in pictures:
                packets += encoder.encode(Picture.from_bytes(data, writer.encoding))
            if pictures:
                packets += encoder.finish()
            for packet in _packets(out, state, packets):
                writer.mux(packet)
    return state


def _glance(out: Path) -> tuple[State, list[bytes]]:
    """A state and its open pictures, from under the hands of a process that may go on."""
    for glance in range(_GLANCES):
        try:
            state = read_state(out)
            if state is None:
                raise JournalError(
                    f"'{folder_of(out)}' holds no finished frame; allowed: the OUT of a video "
                    "that is being dreamed or was stopped"
                )
            return state, _read_open(out, state)[0]
        except JournalError:
            if glance == _GLANCES - 1 or not folder_of(out).exists():
                raise
            time.sleep(_GLANCE_S)
    raise AssertionError


class _Lender:
    """Opens the source's sound where it can, and closes what it opened."""

    def __init__(self) -> None:
        self._sound: SoundSource | None = None

    def sound_of(self, state: State, on_warning: Callable[[str], None]) -> SoundSource | None:
        start = state.run.config.start
        path = Path(state.run.source.path)
        try:
            self._sound = SoundSource(path, start, (start or 0) + state.duration)
        except MediaError as error:
            on_warning(f"without sound, as {error}")
        return self._sound

    def close(self) -> None:
        if self._sound is not None:
            self._sound.close()


def _check_encoder(encoder: SegmentEncoder, state: State) -> None:
    if hashlib.sha256(encoder.header).hexdigest() != state.encoder:
        raise JournalError(
            "the encoder is not the one that the finished frames went through; allowed: the "
            f"same FFmpeg (av is {version('av')}, was {state.run.versions.get('av')}) and options"
        )


# Writing one


class Journal:
    """The journal of a run, and its result at the end.

    Takes the place of a `VideoWriter`: `write` for each frame, then `finish`. Left without that,
    the folder stays, ready to go on; or goes, where no frame has been finished. `state` tells
    how far the run is, `is_resumed` whether it has begun in another process.

    Raises JournalError, before any frame, where another process is at work on `out`, where an
    unfinished run is in the way, or where what is there does not fit (named; `force` goes on
    all the same); MediaError as `VideoWriter` does.
    """

    def __init__(
        self,
        out: Path,
        run: Run,
        info: VideoInfo,
        *,
        sound: SoundSource | None = None,
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = False,
        resume: bool = False,
        force: bool = False,
    ) -> None:
        self._out, self._folder = out, folder_of(out)
        self.state = State(
            run=run,
            info=info,
            journal=secrets.token_hex(8),
            metadata=dict(metadata or {}),
            overwrite=overwrite,
            segment_frames=SEGMENT_FRAMES,
        )
        self._lock = self._take_lock()
        try:
            self.is_resumed = self._find_state(overwrite and not resume, resume, force)
            self._writer = VideoWriter(
                out,
                info,
                run.config,
                overwrite=self.state.overwrite,
                sound=sound,
                metadata=self.state.metadata,
                partial=self._folder / f"{_JOINING}{out.suffix.lower()}",
            )
            self._start_segment()
        except BaseException:
            self._leave()
            raise

    @property
    def path(self) -> Path:
        """The folder."""
        return self._folder

    def carry(self) -> Carry | None:
        """What the loop goes on from, on the CPU; None at the beginning."""
        return self.state.carry() if self.state.frames else None

    def write(self, frame: Frame, carry: Carry, tally: Mapping[str, Any] | None = None) -> None:
        """Add a frame; when this returns, no kill can lose it.

        Raises MediaError where that fails; the frames before it are safe then, too.
        """
        if not self.state.frames:
            self._clear()
        picture = self._maker.make(frame, frame.duration)
        self._segment += self._encoder.encode(picture)
        state = replace(self.state, frames=self.state.frames + 1, tally=tally)
        if state.pictures:
            self._keep_picture(picture)
        else:
            self._close_segment()
        source, dream = _bytes_of(carry.source), _bytes_of(carry.dream)
        frame_digest = hashlib.sha256(dream).hexdigest()
        self._commit(
            replace(
                state,
                time=frame.time,
                end_pts=self._maker.end_pts,
                step=self._maker.step,
                frame_digest=frame_digest,
                digest=hashlib.sha256((state.digest + frame_digest).encode()).hexdigest(),
                pixels=source + dream,
            )
        )
        if not state.pictures:
            self._start_segment()

    def finish(self, is_cut_short: bool = False) -> None:
        """Join the segments, lay in the sound, check the whole and give it its name.

        `is_cut_short` says that the source ended before its header said so. Raises JournalError
        where the source is not what it was at the beginning, MediaError where the result cannot
        be written; the journal stays then.
        """
        self._check_source(is_cut_short)
        if self.state.pictures:
            self._segment += self._encoder.finish()
        for packet in _packets(self._out, self.state, self._segment):
            self._writer.mux(packet)
        whole = self._writer.complete()
        check_whole(
            whole, _packets(self._out, self.state, self._segment), self._writer.encoding.clock
        )
        with media_errors(f"'{whole}' cannot be written"), whole.open("rb") as file:
            os.fsync(file.fileno())
        status = whole.stat()
        write_durably(self._folder / "done", json.dumps([status.st_ino, status.st_size]).encode())
        self._writer.close()
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
        if error is not None and self.state.frames:
            error.add_note(
                f"{self.state.frames} finished frames are safe, {_resume(self._out)} goes on"
            )
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

    def _find_state(self, anew: bool, resume: bool, force: bool) -> bool:
        """Take over what is there, if it is wanted; whether there was something."""
        begun = None if anew else read_state(self._out)
        if begun is None:
            return False
        if not resume:
            raise JournalError(
                f"'{self._folder}' holds {begun.frames} frames of an unfinished run; "
                f"{_resume(self._out)} goes on, --overwrite begins anew"
            )
        self._check_run(begun.run, force)
        overwrite = begun.overwrite or self.state.overwrite
        self.state = replace(begun, run=self.state.run, overwrite=overwrite)
        return True

    def _check_run(self, begun: Run, force: bool) -> None:
        fixed = self.state.run.fixed_differences(begun)
        differences = self.state.run.differences(begun)
        if fixed:
            raise JournalError(
                f"{', '.join(fixed)} cannot change midway: "
                f"{'; '.join(differences)}; allowed: the values it was begun with"
            )
        if differences and not force:
            raise JournalError(
                f"this is not the run that was begun: {'; '.join(differences)}; "
                "allowed: what was, or --force"
            )

    def _check_source(self, is_cut_short: bool) -> None:
        """A source that has gone must not pass for one that has ended."""
        mark = self.state.run.source
        path = Path(mark.path)
        if path.exists() and SourceMark.of(path).is_same(mark):
            return
        if path.exists() or is_cut_short:
            raise JournalError(
                f"'{path}' has changed or gone while it was dreamed; "
                "allowed: what it was, or to resume with --force"
            )

    def _leave(self) -> None:
        """Keep what is done, or nothing where nothing is."""
        if self._lock.is_held:
            writer = getattr(self, "_writer", None)
            if writer is not None:
                writer.abort()
            if not any(self._folder.glob("state.?")):
                self._remove()
            self._lock.release()

    def _remove(self) -> None:
        _remove_folder(self._folder)
        self._lock.release()
        if os.name == "nt":  # where what is open cannot be removed
            _remove_folder(self._folder)

    def _clear(self) -> None:
        """Remove an older journal: not before there is something to put in its place."""
        with media_errors(f"'{self._folder}' cannot be written"):
            for path in self._folder.iterdir():
                if path.name != "lock" and path.stem != _JOINING:
                    path.unlink()

    # Frames

    def _start_segment(self) -> None:
        """An encoder of its own, which sees again what was in the open segment."""
        state, encoding = self.state, self._writer.encoding
        self._encoder = SegmentEncoder(encoding)
        if state.frames:
            _check_encoder(self._encoder, state)
        else:
            header = hashlib.sha256(self._encoder.header).hexdigest()
            self.state = state = replace(state, encoder=header)
        self._maker = PictureMaker(encoding, state.end_pts, state.step or None)
        self._segment: list[bytes] = []
        pictures, self._open_size = _read_open(self._out, state)
        for data in pictures:
            self._segment += self._encoder.encode(Picture.from_bytes(data, encoding))

    def _keep_picture(self, picture: Picture) -> None:
        sealed = _seal(picture.to_bytes())
        path = _open_path(self._out, self.state.segments)
        with media_errors(f"'{path}' cannot be written"):
            path.touch()
            with path.open("r+b") as file:
                file.truncate(self._open_size)  # what a kill or a full disk has left
                file.seek(self._open_size)
                file.write(_LENGTH.pack(sum(map(len, sealed))))
                file.writelines(sealed)
                self._open_size = file.tell()
                file.flush()
                os.fsync(file.fileno())

    def _close_segment(self) -> None:
        index = self.state.segments
        self._segment += self._encoder.finish()
        sealed = _seal(_segment_mark(self.state, index), *self._segment)
        write_durably(_segment_path(self._out, index), *sealed)

    def _commit(self, state: State) -> None:
        write_durably(self._folder / f"state.{state.frames % 2}", *state.to_bytes())
        # Not one sooner: the other state, to which a damaged one falls back, may need it.
        if self.state.segments and not self.state.pictures:
            _open_path(self._out, self.state.segments - 1).unlink(missing_ok=True)
        self.state = state


def _bytes_of(image: Tensor) -> bytes:
    return image.detach().cpu().float().contiguous().numpy().tobytes()
