"""The result of a film: a journal, from which a stopped run resumes, or a plain writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dreamvid.errors import MediaError
from dreamvid.film.recipe import describe_run, metadata
from dreamvid.journal import Journal, write_config
from dreamvid.media.files import STANDARD
from dreamvid.media.source import open_writer

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dreamvid.film.job import Job
    from dreamvid.journal.record import Record
    from dreamvid.media.image_sequence import ImageSequenceWriter
    from dreamvid.media.probing import VideoInfo
    from dreamvid.media.tracks import SoundSource
    from dreamvid.media.writer import VideoWriter
    from dreamvid.types import Frame


def open_result(
    job: Job,
    info: VideoInfo,
    device: torch.device,
    *,
    origin: Fraction = Fraction(0),
    watches: bool = False,
    sound: SoundSource | None = None,
    picture: Path | None = None,
) -> Journal | DirectResult:
    """The result of `job`, with the header `info`; a journal where its run can be resumed.

    `origin` and `watches` are those of a `Journal`; `picture` is written beside the film. Raises
    DreamvidError.
    """
    made = metadata(job.config, job.source_name)
    if job.can_resume:
        return Journal(
            job.out,
            describe_run(job, device, picture),
            info,
            origin=origin,
            watches=watches,
            sound=sound,
            metadata=made,
            overwrite=job.overwrite,
            resume=job.resume,
            force=job.force,
        )
    config = write_config(job.config)
    writer = open_writer(job.out, info, config, overwrite=job.overwrite, sound=sound, metadata=made)
    return DirectResult(writer, job.out, made, job.overwrite)


class DirectResult:
    """A result written frame by frame without a journal; a stopped run cannot be resumed."""

    facts: Mapping[str, Any] = {}
    frames = 0
    """Number of frames that an earlier run has finished: none, since it begins at the first."""

    def __init__(
        self,
        writer: VideoWriter | ImageSequenceWriter,
        out: Path,
        metadata: Mapping[str, str],
        overwrite: bool,
    ) -> None:
        self._writer, self._out = writer, out
        self.metadata, self.overwrite = metadata, overwrite
        self.keeps_alpha = writer.keeps_alpha

    def carry(self, kind: type[Record], device: torch.device) -> Record | None:
        """None, since this result always begins at the first frame."""
        return None

    def sketch(self, index: int, device: torch.device) -> Tensor | None:
        """None, since nothing is kept."""
        return None

    def checkpoint(self, kind: type[Record], device: torch.device) -> Record | None:
        """None, since nothing is kept."""
        return None

    def keep(self, record: Callable[[], Any], *, now: bool = False) -> None:
        """Do nothing, since nothing is kept."""

    def write(
        self,
        frame: Frame,
        carry: Callable[[], Any] | None = None,
        sketch: Tensor | None = None,
        tally: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a frame. Raises MediaError where that fails."""
        self._writer.write(frame)

    def check_source(self, is_cut_short: bool) -> None:
        """Check nothing, since the source is read once."""

    def finish(
        self,
        is_cut_short: bool = False,
        on_packet: Callable[[], None] = lambda: None,
        tally: Mapping[str, Any] | None = None,
    ) -> None:
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
