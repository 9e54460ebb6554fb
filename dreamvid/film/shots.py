"""The shots of a film, each of which can be dreamed independently of the others."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamvid.config import VideoConfig
from dreamvid.errors import ConfigError
from dreamvid.events import Listener
from dreamvid.film.checks import config_of
from dreamvid.film.job import VideoJob
from dreamvid.film.report import Reporter, Summary, Tally
from dreamvid.notebook import usual_listener
from dreamvid.types import Shot

if TYPE_CHECKING:
    from dreamvid.film.clip import Clip
    from dreamvid.journal import ShotList
    from dreamvid.media.tracks import SoundSource

POLL_S = 0.5
"""Seconds between two looks at shots that other processes dream."""

ANY_PROMPT = "a picture"
"""Stands in where none is given: a step takes as long whatever the text."""


@dataclass(frozen=True)
class FoundShots:
    """The shots of a clip, and the work that each takes."""

    source: str
    shots: tuple[Shot, ...]
    seconds_per_step: float | None = None
    """None where it was not measured."""

    def seconds(self, shot: Shot) -> float | None:
        """Seconds of gradient steps that a shot is expected to take; None where not measured."""
        return None if self.seconds_per_step is None else self.seconds_per_step * shot.steps

    def to_json(self) -> dict[str, Any]:
        """A JSON object of all shots, as `dreamvid shots --json` prints it."""
        return {
            "source": self.source,
            "frames": sum(shot.frames for shot in self.shots),
            "seconds_per_step": self.seconds_per_step and round(self.seconds_per_step, 4),
            "shots": [
                {
                    "shot": shot.number,
                    "first": shot.first,
                    "last": shot.last,
                    "begin": round(float(shot.begin), 6),
                    "end": round(float(shot.end), 6),
                    "steps": shot.steps,
                    "seconds": None if (took := self.seconds(shot)) is None else round(took, 1),
                    "kind": shot.kind,
                }
                for shot in self.shots
            ],
        }


def find_shots(
    source: str | PathLike[str],
    *,
    config: VideoConfig | None = None,
    timing: bool = True,
    listener: Listener | None = None,
    **options: Any,
) -> FoundShots:
    """The shots into which `dream_video` cuts a clip with these options; dreams no frame.

    With `timing` a few steps are made on the first frame, to estimate the work of each shot. Each
    option of `dreamvid video` is a keyword, on top of `config`. Raises ConfigError, MediaError,
    GuideError, DeviceError.
    """
    reporter = Reporter(listener or usual_listener())
    config = config_of(VideoConfig, config, options)
    if not config.has_prompt:
        config = config.model_copy(update={"prompt": [ANY_PROMPT]})
    job = VideoJob.without_result(Path(source), config)
    with job.open(reporter) as clip:
        shots = tuple(clip.find_shots())
        each = _time_step(clip, reporter) if timing else None
    return FoundShots(str(source), shots, each)


def _time_step(clip: Clip, reporter: Reporter) -> float:
    """Seconds of a gradient step on the first frame."""
    from dreamvid.film.outlook import time_step

    frame = clip.first_frame()
    prompts = clip.schedule(frame.time, 0).prompts
    return time_step(clip.job.config, frame.image, prompts, reporter)


def parse_shots(texts: Iterable[str]) -> list[int]:
    """The numbers of shots in texts as "3" and "3-7", each once, in the order given.

    Raises ConfigError.
    """
    numbers: dict[int, None] = {}
    for text in texts:
        found = re.fullmatch(r"([1-9]\d{0,8})(?:-([1-9]\d{0,8}))?", text)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if last < first:
            raise ConfigError(f"--shot '{text}' is no shot; allowed: 3, or 3-7 for several")
        numbers |= dict.fromkeys(range(first, last + 1))
    return list(numbers)


def dream_shots(job: VideoJob, numbers: Sequence[int] | None, reporter: Reporter) -> Summary:
    """Dream the shots of these numbers, or all, into the journal of the film; go on where begun.

    Any number of processes may do so at once, also on the same shots: each is dreamed by one, and
    when this returns, all of these are finished. Raises DreamvidError.
    """
    check_shots(job)
    with job.open(reporter) as clip:
        shot_list = begin(clip)
        shots = chosen(shot_list, numbers)
        made = _dream_all(clip, shot_list, shots)
        return sum_up(job, shot_list, shots, made, reporter, device=str(clip.device), **clip.facts)


def sum_up(
    job: VideoJob,
    shot_list: ShotList,
    shots: Sequence[Shot],
    made: int,
    reporter: Reporter,
    **facts: Any,
) -> Summary:
    """Tell what is missing of the film; the summary of these shots, of which `made` frames here."""
    from dreamvid.journal import shot_state

    reporter.say(_remaining(job.out, shot_list))
    states = [shot_state(job.out, shot) for shot in shots]
    reporter.total((Tally.from_json(state.tally) for state in states if state is not None), made)
    return reporter.finish(None, **facts)


def _dream_all(clip: Clip, shot_list: ShotList, shots: Sequence[Shot]) -> int:
    """Dream these shots; the number of frames made here, when all of them are finished."""
    left = shots
    dreamer = ShotDreamer(clip, shot_list)
    together = Together(clip.reporter, left)
    while left:
        taken = [shot for shot in left if not dreamer.dream(shot, together)]
        if len(taken) == len(left):
            dreamer.wait(taken)
            together.tell()
        left = taken
    return dreamer.made


def check_shots(job: VideoJob) -> None:
    """Raise ConfigError where the shots of a film cannot be dreamed one by one."""
    if not job.can_resume:
        asked = "shots" if job.config.split is None else "--split"
        raise ConfigError(
            f"{asked}: '{job.source_name}' to '{job.out}' has no journal; allowed: from files to "
            "files"
        )


def begin(clip: Clip) -> ShotList:
    """The shot list of the film: that in its journal, or a new one. Raises DreamvidError."""
    from dreamvid.film.recipe import describe_run, metadata
    from dreamvid.journal import begin_shots
    from dreamvid.media.containers import container_at
    from dreamvid.media.image_sequence import output_pattern

    job, info = clip.job, clip.info
    if output_pattern(job.out) is None and info.rate is not None:
        clock = container_at(job.out).clock_for(info.time_base)
        if info.rate * clock > 1:  # each frame would move those after it, over the cuts
            raise ConfigError(
                f"shots: '{job.out}' holds {float(1 / clock):g} frames a second, not "
                f"{float(info.rate):g}; allowed: a lower --fps, or the film in one piece"
            )
    return begin_shots(
        job.out,
        describe_run(job, device=None),
        lambda: tuple(clip.find_shots()),
        metadata=metadata(job.config, job.source_name),
        overwrite=job.overwrite,
        force=job.force,
    )


def chosen(shot_list: ShotList, numbers: Sequence[int] | None) -> list[Shot]:
    """The shots of these numbers, or all; and the parts between which a seam among them lies.

    Raises ConfigError where the film has no such shot.
    """
    shots = shot_list.shots
    if numbers is None:
        return list(shots)
    found: dict[int, Shot] = {}
    for number in numbers:
        if number > len(shots):
            plural = "s" if len(shots) > 1 else ""
            raise ConfigError(
                f"--shot {number}: the film has {len(shots)} shot{plural}; "
                f"allowed: {'1 to ' if plural else ''}{len(shots)}"
            )
        shot = shots[number - 1]
        found |= {each.number: each for each in (*needed(shot_list, shot), shot)}
    return list(found.values())


def needed(shot_list: ShotList, shot: Shot) -> tuple[Shot, ...]:
    """The shots that must be finished before this one: the parts around a seam."""
    if shot.kind != "seam":
        return ()
    return shot_list.shots[shot.number - 2], shot_list.shots[shot.number]


class Together:
    """How far several shots are, as one progress."""

    def __init__(self, reporter: Reporter, shots: Sequence[Shot]) -> None:
        self._reporter = reporter
        self._done = dict.fromkeys((shot.number for shot in shots), 0)
        self._total = sum(shot.frames for shot in shots)

    def __call__(self, shot: Shot, done: int, note: str = "") -> None:
        """Tell that so many frames of a shot are finished."""
        self._done[shot.number] = done
        self.tell(note)

    def tell(self, note: str = "") -> None:
        """Tell how far all are."""
        self._reporter.progress("dreaming", self._total, sum(self._done.values()), note)


OnFrames = Callable[[Shot, int, str], None]
"""(shot, number of its finished frames, note), called after each frame."""


class ShotDreamer:
    """Dreams shots of one film, one after the other, with one guide."""

    def __init__(self, clip: Clip, shot_list: ShotList) -> None:
        self._clip, self._list = clip, shot_list
        self._unchecked_sound: SoundSource | None = clip.sound
        self._has_waited = False
        self.made = 0
        """Number of frames that were made here."""

    def dream(self, shot: Shot, on_frames: OnFrames) -> bool:
        """Dream what is missing of a shot; False where another process is at it.

        False too for a seam whose parts are not finished. Raises DreamvidError.
        """
        from dreamvid.journal import ShotTakenError, is_finished, shot_state

        out = self._clip.job.out
        if not is_finished(shot_state(out, shot), shot):
            if unfinished(out, needed(self._list, shot)):
                return False
            try:
                self._go_on(shot, on_frames)
            except ShotTakenError:
                return False
        on_frames(shot, shot.frames, "")
        return True

    def _go_on(self, shot: Shot, on_frames: OnFrames) -> None:
        from dreamvid.film.pipeline import write_frames
        from dreamvid.film.recipe import describe_run
        from dreamvid.journal import ShotJournal

        clip, reporter = self._clip, self._clip.reporter
        with ShotJournal(
            clip.job.out,
            shot,
            describe_run(clip.job, clip.device),
            clip.info,
            origin=clip.origin,
            watches=clip.watches,
            metadata=self._list.metadata,
            sound=self._unchecked_sound,
            force=clip.job.force,
        ) as result:
            self._unchecked_sound = None
            done = result.frames
            reporter.tally = Tally.from_json(result.state.tally if done else None)
            reporter.say(f"shot {shot.number}: {_from_where(done, shot.frames)}")

            def on_frame(note: str) -> None:
                on_frames(shot, reporter.tally.frames, note)

            if done < shot.frames or shot.tail:
                frames = clip.shot_frames(result, shot)
                write_frames(frames, result, reporter, on_frame, shot.first)
            result.finish(clip.is_cut_short)
            self.made += result.frames - done

    def wait(self, taken: Sequence[Shot]) -> None:
        """Wait for a moment, since all that is left is in the hands of other processes."""
        from dreamvid.journal import ranges

        if not self._has_waited:
            numbers = ranges(shot.number for shot in taken)
            self._clip.reporter.say(f"waiting for other processes, which dream {numbers}")
        self._has_waited = True
        time.sleep(POLL_S)


def _remaining(out: Path, shot_list: ShotList) -> str:
    """What is missing of the film `out`, or what puts it together, in one line."""
    from dreamvid.journal import ranges

    missing = [shot.number for shot in unfinished(out, shot_list.shots)]
    if missing:
        return f"of {len(shot_list.shots)} shots there remain {ranges(missing)}"
    command = f"`dreamvid join {shlex.quote(str(out))}`"
    return f"all {len(shot_list.shots)} shots are finished; {command} puts them together"


def unfinished(out: Path, shots: Sequence[Shot]) -> list[Shot]:
    """Those of the shots of `out` that are not finished. Raises JournalError."""
    from dreamvid.journal import is_finished, shot_state

    return [shot for shot in shots if not is_finished(shot_state(out, shot), shot)]


def _from_where(done: int, count: int) -> str:
    return f"going on after {done} of {count} frames" if done else f"{count} frames"


def complete_shots(job: VideoJob, reporter: Reporter) -> Summary:
    """Dream all shots that are missing, and join them. Raises DreamvidError."""
    check_shots(job)
    with job.open(reporter) as clip:
        shot_list = begin(clip)
        made = _dream_all(clip, shot_list, shot_list.shots)
    return join_shots(job, reporter, made)


def join_shots(job: VideoJob, reporter: Reporter, made: int = 0) -> Summary:
    """Put the finished shots of a film together, with its sound, texts and metadata.

    `made` is the number of frames that this run has dreamed.
    Raises JournalError, which names what is missing, and MediaError.
    """
    from dreamvid.film.clip import open_reader, open_sound
    from dreamvid.film.pipeline import joining
    from dreamvid.film.recipe import describe_run
    from dreamvid.journal import nothing_finished, open_shots, read_shot_list

    shot_list = read_shot_list(job.out)
    if shot_list is None:
        raise nothing_finished(job.out)
    describe_run(job, device=None).goes_on(shot_list.run, force=job.force)
    with (
        open_shots(job.out, shot_list) as together,
        open_reader(job, reporter) as reader,
        open_sound(job, reader, reporter) or nullcontext() as sound,
    ):
        tallies = (Tally.from_json(state.tally) for state in together.states)
        reporter.total(tallies, made)
        reporter.note_strikes()
        devices = dict.fromkeys(state.run.environment["the device"] for state in together.states)
        digest = together.finish(
            reader.info,
            sound=sound,
            tally=reporter.tally.to_json(),
            overwrite=job.overwrite or shot_list.overwrite,
            on_packet=joining(reporter),
        )
    device = ", ".join(devices)
    return reporter.finish(job.out, digest=digest, guide=job.config.guide, device=device)
