"""A film shared out to workers, one task a shot, the longest first."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dreamvid.errors import ConfigError
from dreamvid.events import Event, Listener, Message, Progress, Warned
from dreamvid.film.job import Parts, VideoJob
from dreamvid.film.report import Reporter, Summary
from dreamvid.film.shots import (
    OnFrames,
    ShotDreamer,
    Together,
    begin,
    check_shots,
    chosen,
    complete_shots,
    dream_shots,
    join_shots,
    needed,
    sum_up,
    unfinished,
)
from dreamvid.workers import Done, Told, Workers, check_ray, share_out

if TYPE_CHECKING:
    from dreamvid.journal import ShotList
    from dreamvid.types import Shot


def share_film(
    job: VideoJob, workers: Workers, numbers: Sequence[int] | None, reporter: Reporter
) -> Summary:
    """Dream the shots of these numbers by workers; or all, and join them. Raises DreamvidError."""
    check_shots(job)
    check_ray()
    on_gpu = _wants_gpu(job)
    with job.open(reporter) as clip:
        shot_list = begin(clip)
    shots = chosen(shot_list, numbers)
    left = unfinished(job.out, shots)
    if len(shot_list.shots) == 1:
        reporter.say(
            "the film is a single shot, which only --split shares out: one process dreams it"
        )
        if numbers is None:
            return complete_shots(job, reporter)
        return dream_shots(job, numbers, reporter)
    made = _share(job, shot_list, shots, left, workers, on_gpu, reporter) if left else 0
    if numbers is None:
        return join_shots(job, reporter, made)
    return sum_up(job, shot_list, shots, made, reporter, guide=job.config.guide)


def _wants_gpu(job: VideoJob) -> bool:
    """Whether workers take a GPU each. Raises ConfigError for what they cannot be given."""
    device = job.config.device
    if job.parts != Parts():
        raise ConfigError("workers take no objects of the caller's own; allowed: options alone")
    if device.startswith("cuda:"):
        raise ConfigError(
            f"--device {device}: each worker has a card of its own; allowed: auto, cuda, cpu"
        )
    return device in ("auto", "cuda")


def _share(
    job: VideoJob,
    shot_list: ShotList,
    shots: Sequence[Shot],
    left: Sequence[Shot],
    workers: Workers,
    on_gpu: bool,
    reporter: Reporter,
) -> int:
    """Dream the shots that are `left` of `shots` by workers; the number of frames made.

    Raises DreamvidError: the first of any worker, after which all stop.
    """
    import torch

    left = sorted(left, key=lambda shot: -shot.steps)
    together = Together(reporter, shots)
    for shot in shots:
        if shot not in left:
            together(shot, shot.frames)
    work = ShotWork(job, shot_list, Path.cwd())
    heard: set[str] = set()
    made = 0
    try:
        with closing(
            share_out(work, left, workers, on_gpu=on_gpu, threads=torch.get_num_threads())
        ) as happened:
            for event in happened:
                if isinstance(event, Message):
                    reporter.tell(event)
                elif isinstance(event, Told):
                    _pass_on(event.event, left[event.task], together, reporter, heard)
                elif isinstance(event, Done):
                    if event.error is not None:
                        raise event.error
                    made += event.result
                    together(left[event.task], left[event.task].frames)
                else:
                    together.tell()  # so that a listener can stop all
    except BaseException as error:
        command = f"`dreamvid resume {shlex.quote(str(job.out))}`"
        error.add_note(f"what is finished is safe, {command} goes on")
        raise
    return made


def _pass_on(
    event: Message | Warned | Progress,
    shot: Shot,
    together: Together,
    reporter: Reporter,
    heard: set[str],
) -> None:
    """Pass an event of a worker on, but once what all of them tell."""
    if isinstance(event, Progress):
        if event.stage == "dreaming":
            together(shot, event.done, event.note)
    elif event.text not in heard:
        heard.add(event.text)
        reporter.tell(event)


@dataclass
class ShotWork:
    """What a worker does: opens the film with its first shot, and dreams one after the other."""

    job: VideoJob
    shot_list: ShotList
    folder: Path
    """Where the options name files from."""
    _open: ExitStack = field(default_factory=ExitStack)
    _dreamer: ShotDreamer | None = None

    def __call__(self, shot: Shot, listener: Listener) -> int:
        """Dream a shot; the number of frames made."""
        self._listener = listener
        dreamer = self._dreamer or self._begin()
        made = dreamer.made

        def on_frames(shot: Shot, done: int, note: str) -> None:
            listener(Progress("dreaming", done, shot.frames, note))

        for part in needed(self.shot_list, shot):  # most often, others have made them
            self._complete(dreamer, part, lambda *_: None)
        self._complete(dreamer, shot, on_frames)
        return dreamer.made - made

    def _complete(self, dreamer: ShotDreamer, shot: Shot, on_frames: OnFrames) -> None:
        while not dreamer.dream(shot, on_frames):
            dreamer.wait([shot])

    def _begin(self) -> ShotDreamer:
        os.chdir(self.folder)
        clip = self._open.enter_context(self.job.open(Reporter(self._hear)))
        self._dreamer = ShotDreamer(clip, self.shot_list)
        return self._dreamer

    def _hear(self, event: Event) -> None:
        self._listener(event)
