"""The result of a film: a journal, from which a stopped run resumes, or a plain writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dreamvid.errors import MediaError
from dreamvid.film.recipe import describe_run, metadata
from dreamvid.journal import Journal
from dreamvid.media.files import STANDARD
from dreamvid.media.source import can_resume, open_writer

if TYPE_CHECKING:
    import torch

    from dreamvid.film.job import Job
    from dreamvid.journal.record import Record
    from dreamvid.media.image_sequence import ImageSequenceWriter
    from dreamvid.media.reader import FrameReader
    from dreamvid.media.tracks import SoundSource
    from dreamvid.media.writer import VideoWriter
    from dreamvid.types import Frame


def open_result(
    job: Job, reader: FrameReader, sound: SoundSource | None, device: torch.device
) -> Journal | DirectResult:
    """The result of `job`; a journal where its run can be resumed. Raises DreamvidError."""
    made = metadata(job.config, str(job.source.path))
    if can_resume(job.source, job.out):
        return Journal(
            job.out,
            describe_run(job.source, job.config, device),
            reader.info,
            origin=reader.origin,
            watches=job.source.kind in ("video", "animation"),
            sound=sound,
            metadata=made,
            overwrite=job.overwrite,
            resume=job.resume,
            force=job.force,
        )
    writer = open_writer(
        job.out, reader.info, job.config, overwrite=job.overwrite, sound=sound, metadata=made
    )
    return DirectResult(writer, job.out)


class DirectResult:
    """A result written frame by frame without a journal; a stopped run cannot be resumed."""

    facts: Mapping[str, Any] = {}

    def __init__(self, writer: VideoWriter | ImageSequenceWriter, out: Path) -> None:
        self._writer, self._out = writer, out
        self.keeps_alpha = writer.keeps_alpha

    def carry(self, kind: type[Record]) -> Record | None:
        """None, since this result always begins at the first frame."""
        return None

    def write(self, frame: Frame, carry: Any, tally: Mapping[str, Any]) -> None:
        """Add a frame. Raises MediaError where that fails."""
        self._writer.write(frame)

    def check_source(self, is_cut_short: bool) -> None:
        """Check nothing, since the source is read once."""

    def finish(self, is_cut_short: bool, on_packet: Callable[[], None]) -> None:
        """Give the result its name. Raises MediaError where that fails."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Frames that are on standard output already stay a film.
        if isinstance(error, KeyboardInterrupt) and self._out == STANDARD:
            with suppress(MediaError):
                self._writer.close()
                error.add_note("what is on standard output ends there")
        if error is not None:
            self._writer.abort()
