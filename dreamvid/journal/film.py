"""A film in the making: closed segments as packets, the open segment as pictures."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from dreamvid.errors import JournalError
from dreamvid.journal.run import write_config
from dreamvid.journal.segments import read_segment, write_segment
from dreamvid.journal.state import ANEW, JOINING, State, folder_of, seal, unseal
from dreamvid.media.encoder_frames import EncoderFrame, EncoderFrameMaker
from dreamvid.media.encoders import Encoding
from dreamvid.media.files import media_errors
from dreamvid.media.marks import picture_digest
from dreamvid.media.muxer import Muxer, check_whole
from dreamvid.media.packets import FrameKeeper, PacketEncoder, Packets, join, segment_encoder
from dreamvid.media.tracks import SoundSource

if TYPE_CHECKING:
    from dreamvid.types import Frame

_LENGTH = struct.Struct("<Q")


class FilmParts:
    """A film in segments, each encoded by an encoder of its own, and joined at the end.

    Raises MediaError as `Muxer` does, JournalError where the open segment is damaged.
    """

    def __init__(self, out: Path, state: State, sound: SoundSource | None) -> None:
        self._out = out
        self._whole = folder_of(out) / f"{JOINING}{out.suffix.lower()}"
        self._muxer = Muxer(
            out,
            state.info,
            write_config(state.run.config),
            overwrite=state.overwrite,
            sound=sound,
            metadata=state.metadata,
            partial=self._whole,
        )
        self.keeps_alpha = self._muxer.encoding.keeps_alpha
        try:
            self._start_segment(state)
        except BaseException:
            self.abort()
            raise

    def _start_segment(self, state: State) -> None:
        encoding = self._muxer.encoding
        self._segment = OpenSegment(self._out, state, encoding)
        self._maker = EncoderFrameMaker(encoding, state.end_pts, state.step or None)

    def add(self, frame: Frame, state: State) -> State:
        """Write a frame to disk; the state that counts it. Raises MediaError."""
        picture = self._maker.make(frame, frame.duration)
        self._segment.encode(picture)
        counted = replace(
            state,
            frames=state.frames + 1,
            encoder=self._segment.encoder_digest,
            end_pts=self._maker.end_pts,
            step=self._maker.step,
            frame_digest=picture_digest(picture.image),
        )
        if counted.pictures:
            self._segment.keep(picture)
        else:
            self._segment.close(self._out, state)
        return counted

    def settle(self, state: State) -> None:
        """Prepare for the next frame, once `state` is on disk."""
        if not state.pictures:
            self._start_segment(state)
        elif state.segments and state.pictures == 1:
            # Removed one frame late: the older state, the fallback for a damaged one, may need it.
            with suppress(OSError):  # left over, it is in nobody's way
                open_path(self._out, state.segments - 1).unlink(missing_ok=True)

    def complete(self, state: State, on_packet: Callable[[], None]) -> Path:
        """Join the segments, add the sound and check the result; its path before it has its name.

        Raises MediaError, JournalError.
        """
        if state.pictures:
            self._segment.finish()
        complete_film(self._muxer, self._whole, lambda: self._packets(state), on_packet)
        return self._whole

    def close_segment(self, state: State) -> None:
        """Close the open segment, after which no frame can be added. Raises MediaError."""
        if state.pictures:
            self._segment.close(self._out, state)

    def _packets(self, state: State) -> Packets:
        return read_packets_of(self._out, state, self._segment.packets, self._muxer.encoding)

    def publish(self) -> None:
        """Give the result its name. Raises MediaError."""
        self._muxer.close()

    def abort(self) -> None:
        """Stop, and keep what is finished; no effect after `publish`."""
        self._muxer.abort()


def complete_film(
    muxer: Muxer, whole: Path, packets: Callable[[], Packets], on_packet: Callable[[], None]
) -> None:
    """Write all packets and the sound to the muxer's file `whole`, and check it.

    `packets` gives them anew each time. Raises MediaError, JournalError.
    """
    for packet in packets():
        muxer.mux(packet)
        on_packet()
    muxer.complete()
    check_whole(whole, packets(), muxer.encoding.clock)
    on_packet()
    with media_errors(f"'{whole}' cannot be written"), whole.open("rb") as file:
        os.fsync(file.fileno())


def show_film(
    out: Path,
    to: Path,
    state: State,
    pictures: list[bytes],
    overwrite: bool,
    sound: SoundSource | None,
) -> None:
    """Write the frames of `state` to the file `to`; `pictures` are those of the open segment.

    Raises JournalError where the journal is damaged, MediaError where `to` cannot be written.
    """
    config = write_config(state.run.config)
    with Muxer(to, state.info, config, overwrite=overwrite, sound=sound) as muxer:
        encoder = segment_encoder(muxer.encoding)
        check_encoder(encoder, muxer.encoding, state)
        packets: list[bytes] = []
        for data in pictures:
            packets += encoder.encode(EncoderFrame.from_bytes(data, muxer.encoding))
        if pictures:
            packets += encoder.finish()
        for packet in read_packets_of(out, state, packets, muxer.encoding):
            muxer.mux(packet)


def open_path(out: Path, index: int) -> Path:
    """Path of the pictures of open segment `index`."""
    return folder_of(out) / f"{index:06}.open"


def read_packets_of(
    out: Path, state: State, open_packets: list[bytes], encoding: Encoding
) -> Packets:
    """All packets so far, ready for muxing; `open_packets` are those of the open segment."""
    closed = (read_segment(out, state, index) for index in range(state.segments))
    return join(chain(closed, open_packets), encoding)


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


def check_encoder(encoder: PacketEncoder | FrameKeeper, encoding: Encoding, state: State) -> None:
    """Raise JournalError unless the encoder is the same as that of `state`."""
    if _encoder_digest(encoder, encoding) != state.encoder:
        raise JournalError(
            "the encoder is not the one that the finished frames went through; allowed: the "
            f"same FFmpeg (av is {version('av')}, was {state.run.environment.get('av')}) and "
            "options"
        )


def _encoder_digest(encoder: PacketEncoder | FrameKeeper, encoding: Encoding) -> str:
    """SHA-256 of the codec's name and its header, which decoders need before the first packet."""
    return hashlib.sha256(f"{encoding.codec.name}\n".encode() + encoder.header).hexdigest()


class OpenSegment:
    """The growing segment and its encoder, which first encodes the pictures on disk again."""

    def __init__(self, out: Path, state: State, encoding: Encoding) -> None:
        """Raises JournalError where the pictures on disk are damaged, or the encoder is another."""
        self._path = open_path(out, state.segments)
        self._encoder = segment_encoder(encoding)
        self.encoder_digest = _encoder_digest(self._encoder, encoding)
        if state.frames:
            check_encoder(self._encoder, encoding, state)
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
        write_segment(out, state, state.segments, *self.packets)
