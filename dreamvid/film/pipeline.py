"""A film from its job to its result: made frame by frame, written, and resumed where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

from dreamvid.film.report import Reporter, Summary, Tally
from dreamvid.film.result import DirectResult, open_result

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dreamvid.film.job import FilmJob
    from dreamvid.journal import Journal
    from dreamvid.media.probing import VideoInfo
    from dreamvid.media.tracks import SoundSource
    from dreamvid.types import Frame


@dataclass(frozen=True, eq=False)
class FilmFrame:
    """One finished frame of a film."""

    frame: Frame
    """The frame as it is delivered."""
    source: Tensor
    """(3, H, W): what was dreamed on."""
    before: float
    """Similarity of the source to the prompts."""
    after: float
    """Similarity of the dream to the prompts."""
    carry: Callable[[], Any] | None = None
    """Makes the record from which the film resumes after this frame; None where what is carried
    does not change here."""
    sketch: Tensor | None = None
    """What the frame's descent has made, at the size at which it dreamed, from which the film makes
    the frame again; None where that saves nothing."""


class Film(Protocol):
    """An open film: what its result needs to know, and its frames."""

    @property
    def info(self) -> VideoInfo:
        """Header of the result."""

    @property
    def device(self) -> torch.device: ...

    @property
    def sound(self) -> SoundSource | None: ...

    @property
    def origin(self) -> Fraction:
        """Time 0 of the film, in seconds of its source's own clock."""

    @property
    def stage(self) -> str:
        """Name of the stage in which frames appear, for progress."""

    @property
    def is_endless(self) -> bool:
        """Whether the source may have no end of its own."""

    @property
    def watches(self) -> bool:
        """Whether the source is one file, which must not change until the end."""

    @property
    def is_cut_short(self) -> bool:
        """Whether the source has ended earlier than its header states."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """Values for the summary."""

    def frames(self, result: Journal | DirectResult) -> Generator[FilmFrame, None, None]:
        """Make the frames that `result` does not have yet, in order."""


def run(job: FilmJob, reporter: Reporter) -> Summary:
    """Make the film of `job`, or resume it. Raises DreamvidError."""
    with (
        job.open(reporter) as film,
        open_result(
            job,
            film.info,
            film.device,
            origin=film.origin,
            watches=film.watches,
            sound=film.sound,
        ) as result,
    ):
        if film.info.alpha and not result.keeps_alpha:
            reporter.warn(
                f"'{job.out}' does not keep the alpha of '{job.source_name}'; --codec prores_ks in "
                ".mov, ffv1 in .mkv, libvpx-vp9 in .webm and PNG pictures do"
            )
        _make(film, result, reporter)
        result.finish(film.is_cut_short, joining(reporter))
    return reporter.finish(job.out, **result.facts, **film.facts, device=str(film.device))


def _make(film: Film, result: Journal | DirectResult, reporter: Reporter) -> None:
    """Make the frames that are missing, and write and report each."""
    if not isinstance(result, DirectResult) and result.frames:
        reporter.go_on(Tally.from_json(result.state.tally))
    until_stopped = reporter.ends_on_interrupt() if film.is_endless else nullcontext()

    def on_frame(note: str) -> None:
        reporter.progress(film.stage, film.info.frame_count, reporter.tally.frames, note)

    with until_stopped:
        write_frames(film.frames(result), result, reporter, on_frame)


def write_frames(
    frames: Generator[FilmFrame, None, None],
    result: Journal | DirectResult,
    reporter: Reporter,
    on_frame: Callable[[str], None],
    first: int = 0,
) -> None:
    """Write `frames` and report each; `on_frame` is called with a note for its progress.

    `first` is the index in the film of the result's first frame.
    """
    with closing(frames):
        for made in frames:
            reporter.count(made.before, made.after)
            result.write(made.frame, made.carry, made.sketch, reporter.tally.to_json())
            on_frame(f"similarity {made.before:.3f} -> {made.after:.3f}")
            index = first + reporter.tally.frames - 1
            reporter.frame_done(index, made.frame, made.source, made.before, made.after)


def joining(reporter: Reporter) -> Callable[[], None]:
    """A callback that reports each packet joined to the result."""
    done = 0

    def on_packet() -> None:
        nonlocal done
        reporter.progress("joining", reporter.tally.frames, done)
        done = min(done + 1, reporter.tally.frames)

    return on_packet
