"""The finished part of a result: closed segments as packets, the open segment as pictures."""

from __future__ import annotations

import hashlib
import os
import struct
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from dreamvid.errors import JournalError
from dreamvid.journal.state import ANEW, State, folder_of, seal, unseal
from dreamvid.media.encoder_frames import EncoderFrame
from dreamvid.media.encoders import Encoding
from dreamvid.media.files import media_errors, write_durably
from dreamvid.media.packets import PacketEncoder, Packets, in_order, read_packets

_LENGTH = struct.Struct("<Q")


def segment_path(out: Path, index: int) -> Path:
    """Path of the packets of closed segment `index`."""
    return folder_of(out) / f"{index:06}.segment"


def open_path(out: Path, index: int) -> Path:
    """Path of the pictures of open segment `index`."""
    return folder_of(out) / f"{index:06}.open"


def read_packets_of(out: Path, state: State, open_packets: list[bytes]) -> Packets:
    """All packets so far, ready for muxing; `open_packets` are those of the open segment."""
    closed = (_read_segment(out, state, index) for index in range(state.segments))
    return in_order(chain.from_iterable(map(read_packets, chain(closed, open_packets))))


def _read_segment(out: Path, state: State, index: int) -> bytes:
    """The packets of a closed segment. Raises JournalError where the file is missing or damaged."""
    path, mark = segment_path(out, index), _mark(state, index)
    try:
        content = unseal(path.read_bytes())
    except OSError as error:
        raise JournalError(f"the journal lacks '{path}': {error.strerror}; {ANEW}") from None
    except ValueError as error:
        raise JournalError(f"the journal is damaged: '{path}' {error}; {ANEW}") from None
    if not content.startswith(mark):
        raise JournalError(f"'{path}' is of another run; {ANEW}")
    return content[len(mark) :]


def _mark(state: State, index: int) -> bytes:
    return f"{state.journal} {index}\n".encode()


def read_open(out: Path, state: State) -> tuple[list[bytes], int]:
    """The pictures of the open segment, and the number of bytes that they take in the file.

    Raises JournalError where the file is missing or damaged.
    """
    path, pictures = open_path(out, state.segments), []
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
                pictures.append(unseal(data))
            return pictures, file.tell()
    except OSError as error:
        raise JournalError(f"the journal lacks '{path}': {error.strerror}; {ANEW}") from None
    except (ValueError, struct.error):
        raise JournalError(
            f"the journal is damaged: '{path}' does not fit its hash; {ANEW}"
        ) from None


def check_encoder(encoder: PacketEncoder, state: State) -> None:
    """Raise JournalError unless the encoder is the same as that of `state`."""
    if header_digest(encoder) != state.encoder:
        raise JournalError(
            "the encoder is not the one that the finished frames went through; allowed: the "
            f"same FFmpeg (av is {version('av')}, was {state.run.environment.get('av')}) and "
            "options"
        )


def header_digest(encoder: PacketEncoder) -> str:
    """SHA-256 of the codec's header, which decoders need before the first packet."""
    return hashlib.sha256(encoder.header).hexdigest()


class OpenSegment:
    """The growing segment and its encoder, which first encodes the pictures on disk again."""

    def __init__(self, out: Path, state: State, encoding: Encoding) -> None:
        """Raises JournalError where the pictures on disk are damaged, or the encoder is another."""
        self._path = open_path(out, state.segments)
        self._encoder = PacketEncoder(encoding)
        self.encoder_digest = header_digest(self._encoder)
        if state.frames:
            check_encoder(self._encoder, state)
        self.packets: list[bytes] = []
        """Packets that the encoder has returned so far."""
        pictures, self._size = read_open(out, state)
        for data in pictures:
            self.encode(EncoderFrame.from_bytes(data, encoding))

    def encode(self, picture: EncoderFrame) -> None:
        """Add a picture. Raises MediaError where the encoder fails."""
        self.packets += self._encoder.encode(picture)

    def keep(self, picture: EncoderFrame) -> None:
        """Write a picture to disk, not encoded. Raises MediaError where that fails."""
        sealed = seal(picture.to_bytes())
        with media_errors(f"'{self._path}' cannot be written"):
            self._path.touch()
            with self._path.open("r+b") as file:
                file.truncate(self._size)  # remains of a kill or a full disk
                file.seek(self._size)
                file.write(_LENGTH.pack(sum(map(len, sealed))))
                file.writelines(sealed)
                size = file.tell()
                file.flush()
                os.fsync(file.fileno())
        self._size = size

    def finish(self) -> None:
        """Flush the encoder. Raises MediaError."""
        self.packets += self._encoder.finish()

    def close(self, out: Path, state: State) -> None:
        """Flush the encoder and write the packets as a closed segment. Raises MediaError."""
        self.finish()
        sealed = seal(_mark(state, state.segments), *self.packets)
        write_durably(segment_path(out, state.segments), *sealed)
