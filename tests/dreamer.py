"""Runs of the program in processes of their own, which can be killed.

A server that has loaded the heavy libraries forks them, so that each costs milliseconds. The
guide is a fake one: one colour, a moment's sleep a step.
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import torch
from torch import Tensor

import dreamvid.cli.app
import dreamvid.film.clip
import dreamvid.film.image
import dreamvid.film.settings
import dreamvid.journal.writing
import dreamvid.resuming
import dreamvid.zooms.endless
import dreamvid.zooms.loop
from dreamvid.config import DreamConfig
from dreamvid.dream.descent import descend
from dreamvid.errors import MediaError
from dreamvid.journal import State, folder_of, is_done, read_state
from dreamvid.journal.ending import mark_done
from dreamvid.media.encoder_frames import EncoderFrame
from dreamvid.media.packets import PacketEncoder
from dreamvid.media.reader import VideoReader
from dreamvid.motion.shots import create_cut_detector
from tests.fakes import TowardsColour

SEGMENT_FRAMES = 4
STEP_S = 0.004
_LONG_S = 30
_PATIENCE = 100
_GROWTH, _SHRINKAGE = 1.04, 0.7
OPTIONS = [
    *("-p", "red", "--steps", "2", "--first-steps", "3", "--octaves", "1", "--cutouts", "2"),
    *("--catch-up", "0"),  # faults are counted in steps
    *("--flow", "farneback"),  # on small frames a few times faster than dis
]
LOSSLESS = ["--codec", "ffv1"]

_context = get_context("forkserver")
_context.set_forkserver_preload(["tests.dreamer"])


@dataclass(frozen=True)
class Fault:
    """What goes wrong, at the how manieth time, and the file that it takes.

    A long step makes the file as it begins.
    """

    kind: str
    at: int
    path: Path = Path()


class SlowColour(TowardsColour):
    """Takes a while, as a guide does; and longer, or fails, at the calls that a fault names."""

    def __init__(self, fault: Fault | None, step_s: float = STEP_S) -> None:
        super().__init__((1.0, 0.0, 0.0))
        self.fault, self.step_s = fault, step_s

    def at(self, meaning: object) -> SlowColour:
        """Its one colour at every moment."""
        return self

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        kind = self.fault.kind if self.fault and self.calls == self.fault.at else ""
        if kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "long step" and self.fault is not None:
            self.fault.path.touch()
        time.sleep(_LONG_S if kind == "long step" else self.step_s)
        loss = super().__call__(cutouts, source_cutouts)
        if kind == "no memory" and len(cutouts) > 1:
            raise torch.OutOfMemoryError
        return loss * float("nan") if kind == "no number" else loss

    def similarities(self, images: Sequence[Tensor]) -> Tensor:
        """How near to its colour each of `images` is."""
        return torch.stack([1 - (image - self.colour).square().mean() for image in images])


def _warm_up() -> None:
    """Let the server load what is loaded at first use, for all that it forks."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    create_cut_detector(27.0)
    config = DreamConfig(steps=1, cutouts=1)
    descend(torch.rand(3, 32, 32), [TowardsColour((1.0, 0.0, 0.0))], config)


def _full_disk(fault: Fault) -> Any:
    """Every write to the disk fails from then on."""
    calls = iter(range(10**6))

    def fsync(descriptor: int) -> None:
        if next(calls) >= fault.at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return patch("os.fsync", fsync)


def _power_cut(fault: Fault) -> Any:
    """The process dies as it brings something to the disk."""
    calls, fsync = iter(range(10**6)), os.fsync

    def last(descriptor: int) -> None:
        if next(calls) >= fault.at:
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(descriptor)

    return patch("os.fsync", last)


def _failing_encoder(fault: Fault) -> Any:
    calls = iter(range(10**6))
    encode = PacketEncoder.encode

    def failing(self: PacketEncoder, picture: EncoderFrame) -> Iterator[bytes]:
        if next(calls) == fault.at:
            raise MediaError("the encoder cannot encode")
        return encode(self, picture)

    return patch.object(PacketEncoder, "encode", failing)


def _source_goes_away(fault: Fault) -> Any:
    demux = VideoReader._demux

    def failing(self: VideoReader) -> Iterator[Any]:
        for number, packet in enumerate(demux(self)):
            if number == fault.at:
                fault.path.rename(fault.path.with_name("away"))
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            yield packet

    return patch.object(VideoReader, "_demux", failing)


_FAULTS: dict[str, Callable[[Fault], Any]] = {
    "full disk": _full_disk,
    "power cut": _power_cut,
    "failing encoder": _failing_encoder,
    "source goes away": _source_goes_away,
}


def _main(
    arguments: list[str], log: Path, fault: Fault | None, folder: Path | None, step_s: float
) -> None:
    torch.set_num_threads(1)
    if folder is not None:
        os.chdir(folder)
    objectives = [SlowColour(fault, step_s)]
    with log.open("w", encoding="utf-8", buffering=1) as file:
        sys.stdout = sys.stderr = file
        with (
            patch.object(dreamvid.film.clip, "load_objectives", lambda *_: objectives),
            patch.object(dreamvid.film.settings, "load_objectives", lambda *_: objectives),
            patch.object(dreamvid.journal.writing, "SEGMENT_FRAMES", SEGMENT_FRAMES),
            patch.object(dreamvid.journal.writing, "CHECKPOINT_S", 0),
            patch.object(dreamvid.journal.writing, "CHECKPOINT_SHARE", 1),
        ):
            of_the_world = fault is not None and fault.kind in _FAULTS
            with _FAULTS[fault.kind](fault) if fault and of_the_world else nullcontext():
                dreamvid.cli.app.run(arguments)


_warm_up()


class Dreamer:
    """One run of the program."""

    def __init__(
        self,
        folder: Path,
        *arguments: object,
        fault: Fault | None = None,
        within: Path | None = None,
        step_s: float = STEP_S,
    ) -> None:
        """Its `log` goes into `folder`; `within` is where it works; a step takes `step_s`."""
        self._log = folder / "log"
        given = [str(argument) for argument in arguments]
        self._process = _context.Process(
            target=_main, args=(given, self._log, fault, within, step_s)
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.is_alive()

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):  # it has ended
            os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit status; negative for a signal's number."""
        self._process.join(300)
        assert self._process.exitcode is not None
        return self._process.exitcode

    def told(self) -> str:
        """What it has printed."""
        return self._log.read_text(encoding="utf-8")

    def summary(self) -> Any:
        status = self.wait()
        assert status == 0, self.told()
        return json.loads(self.told().splitlines()[-1])


class Pauses:
    """Random times in which to let a run go on, kept in step with how busy the machine is."""

    def __init__(self, seed: int, low_s: float, high_s: float) -> None:
        self._random, self._low_s, self._high_s = random.Random(seed), low_s, high_s

    def sleep(self) -> None:
        time.sleep(self._random.uniform(self._low_s, self._high_s))

    def adapt(self, was_done: bool) -> None:
        """Shorter ones after a run that was done by then; else longer, to get past its start."""
        factor = _SHRINKAGE if was_done else _GROWTH
        self._low_s *= min(1, factor)
        self._high_s *= factor


def interrupted(
    folder: Path,
    arguments: Sequence[object],
    number: int,
    pauses: Pauses,
    after: Callable[[], None] = lambda: None,
) -> tuple[Any, int]:
    """Run `arguments` again and again, each ended by signal `number` after a pause, to the end.

    `after` is called after each such end. The summary of the last, and how many were ended.
    """
    for ended in range(_PATIENCE):
        run = Dreamer(folder, *arguments)
        pauses.sleep()
        run.signal(number)
        status = run.wait()
        pauses.adapt(status == 0)
        if status == 0:
            return run.summary(), ended
        out = Path(str(arguments[2]))
        if not is_done(out) and read_state(out) is None:
            for path in out.parent.glob(re.sub(r"%\d*d", "[0-9]*", out.name)):
                path.unlink()  # it ended after its work, untold
        # Before the program takes signals itself, Python has a status of its own.
        assert status in (-number, 128 + number) or "dreamvid" not in run.told(), run.told()
        after()
    raise TimeoutError(f"not done after {_PATIENCE} interruptions")


def stopped(source: Path, out: Path, frames: int = 10, *options: object, **given: Any) -> None:
    """Leave a journal of so many frames."""
    fault = Fault("failing encoder", frames)
    run = Dreamer(out.parent, "video", source, out, *OPTIONS, *options, "-q", fault=fault, **given)
    assert run.wait() == 1, run.told()
    state = read_state(out)
    assert state is not None
    assert state.frames == frames


def whole_as_if(out: Path, content: bytes) -> State:
    """Leave beside a stopped run's journal what it would leave had it just become whole."""
    state = read_state(out)
    assert state is not None
    whole = folder_of(out) / "whole"
    whole.write_bytes(content)
    mark_done(out, whole, out, state)
    whole.rename(out)
    return state


def refused(run: Dreamer, *parts: str, status: int = 1) -> None:
    """In one line, which has all these parts."""
    assert run.wait() == status
    told = run.told()
    assert told.startswith("dreamvid: ")
    assert told.count("\n") == 1
    for part in parts:
        assert part in told, told


def wait_until(is_so: Callable[[], bool]) -> None:
    """Until something has happened in another process."""
    deadline = time.monotonic() + 60
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.005)


def wait_for_frames(out: Path, count: int) -> None:
    """Until so many frames of `out` are finished."""

    def are_finished() -> bool:
        state = read_state(out) if (folder_of(out) / "state.0").exists() else None
        return state is not None and state.frames >= count

    wait_until(are_finished)
