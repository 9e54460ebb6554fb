"""Films shared out to workers: by a stand-in for them in this process, and by Ray."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

import dreamvid
from dreamvid.config import VideoConfig
from dreamvid.errors import ConfigError, DreamvidError, MediaError
from dreamvid.events import Event, Message, Progress
from dreamvid.film import clip as film_clip
from dreamvid.film import sharing
from dreamvid.guide.objective import as_film_objective
from dreamvid.journal import folder_of
from dreamvid.media import VideoReader
from dreamvid.workers import Done, Told
from tests.fakes import TowardsColour
from tests.media.clips import Clip, make, steady

SHOTS = (3, 5, 2)


def quick(**changes: Any) -> VideoConfig:
    options = {"prompt": ["red"], "steps": 1, "first_steps": 2, "octaves": 1, "cutouts": 2}
    options |= {"catch_up": 0, "flow": "farneback", "codec": "ffv1"}
    return VideoConfig.model_validate(options | changes)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("in") / "in.mp4"
    return make(path, Clip(times=steady(sum(SHOTS)), shots=SHOTS, sound="aac"))


class OneWorker:
    """Stands in for Ray: does the tasks one after the other, in this process."""

    def __init__(self) -> None:
        self.tasks: list[int] = []
        self.fails_at: int | None = None

    def __call__(
        self, work: Any, tasks: Sequence[Any], workers: Any, **given: Any
    ) -> Iterator[Any]:
        yield Message("one worker")
        for index, shot in enumerate(tasks):
            self.tasks.append(shot.number)
            if shot.number == self.fails_at:
                yield Done(index, error=MediaError("the disk is full"))
                return
            told: list[Event] = []
            made = work(shot, told.append)
            kept = [event for event in told if isinstance(event, Message | Progress)]
            yield from (Told(index, event) for event in kept)
            yield None
            yield Done(index, made)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> OneWorker:
    found = OneWorker()
    objectives = [as_film_objective(TowardsColour((1.0, 0.0, 0.0)))]
    monkeypatch.setattr(sharing, "share_out", found)
    monkeypatch.setattr(film_clip, "load_objectives", lambda *_: objectives)
    return found


def test_the_longest_shot_comes_first_and_the_film_is_that_of_one_run(clip, tmp_path, worker):
    whole = dreamvid.dream_video(clip, tmp_path / "whole.mkv", config=quick())
    told: list[Event] = []
    out = tmp_path / "out.mkv"
    shared = dreamvid.dream_video(clip, out, config=quick(), workers=2, listener=told.append)
    assert worker.tasks == [2, 1, 3]
    assert (shared.digest, shared.frames) == (whole.digest, sum(SHOTS))
    assert shared.shots == len(SHOTS)
    assert not folder_of(out).exists()
    dreaming = [
        event for event in told if isinstance(event, Progress) and event.stage == "dreaming"
    ]
    assert [event.done for event in dreaming] == sorted(event.done for event in dreaming)
    assert {event.total for event in dreaming} == {sum(SHOTS)}
    texts = [event.text for event in told if isinstance(event, Message)]
    assert texts == ["one worker", *(f"shot {n}: {SHOTS[n - 1]} frames" for n in (2, 1, 3))]


def test_an_error_ends_all_and_what_is_finished_is_kept(clip, tmp_path, worker):
    out = tmp_path / "out.mkv"
    worker.fails_at = 1
    with pytest.raises(MediaError, match="the disk is full") as caught:
        dreamvid.dream_video(clip, out, config=quick(), workers="auto")
    assert caught.value.__notes__ == [f"what is finished is safe, `dreamvid resume {out}` goes on"]
    worker.fails_at, worker.tasks = None, []
    summary = dreamvid.resume(out, workers=2)
    assert worker.tasks == [1, 3]
    whole = dreamvid.dream_video(clip, tmp_path / "whole.mkv", config=quick())
    assert summary.digest == whole.digest


def test_workers_for_some_shots_alone_do_not_join_them(clip, tmp_path, worker):
    out = tmp_path / "out.mkv"
    summary = dreamvid.dream_video(clip, out, config=quick(), workers=2, shots=[3, 1])
    assert (summary.output, summary.frames, worker.tasks) == ("", 5, [1, 3])
    assert folder_of(out).exists()
    again = dreamvid.dream_video(clip, out, config=quick(), workers=2, shots=[3, 1])
    assert (again.frames, worker.tasks) == (5, [1, 3])


def test_a_single_shot_says_that_it_cannot_be_shared_out(clip, tmp_path, worker):
    told: list[Event] = []
    out, config = tmp_path / "out.mkv", quick(end="1/12")
    summary = dreamvid.dream_video(clip, out, config=config, workers=2, listener=told.append)
    assert (summary.frames, worker.tasks) == (2, [])
    text = "the film is a single shot, which only --split shares out: one process dreams it"
    assert Message(text) in told


def test_what_workers_cannot_be_given_is_told(clip, tmp_path, worker):
    out = tmp_path / "out.mkv"
    with pytest.raises(ConfigError, match="--device cuda:1: each worker has a card of its own; "):
        dreamvid.dream_video(clip, out, config=quick(device="cuda:1"), workers=2)
    with pytest.raises(ConfigError, match="workers take no objects of the caller's own"):
        dreamvid.dream_video(
            clip, out, prompt="x", workers=2, objectives=[TowardsColour((1, 0, 0))]
        )
    with pytest.raises(ConfigError, match="has no journal; allowed: from files to files"):
        dreamvid.dream_video(clip, "-", config=quick(), workers=2)


# By Ray, in processes that are killed

OPTIONS = [*("-p", "red", "--steps", "12", "--first-steps", "12", "--octaves", "1")]
OPTIONS += [*("--cutouts", "2", "--flow", "farneback", "--codec", "ffv1", "--json")]


def started(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from dreamvid.cli import main; main()", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **pipes)


def ended(run: subprocess.Popen[str]) -> Any:
    out, err = run.communicate(timeout=300)
    assert run.returncode == 0, err
    return json.loads(out)


def done(out: Path) -> int:
    """Number of finished frames."""
    digests = folder_of(out).glob("shot-*/digests")
    return sum(path.stat().st_size // 32 for path in digests)


def busy(out: Path) -> Iterator[int]:
    """The workers that hold shots."""
    for lock in folder_of(out).glob("shot-*/lock"):
        with suppress(OSError, ValueError):
            pid = int(lock.read_text(encoding="ascii"))
            if b"ray::" in Path(f"/proc/{pid}/cmdline").read_bytes():
                yield pid


def wait_until(run: subprocess.Popen[str], out: Path, frames: int) -> None:
    while done(out) < frames:
        assert run.poll() is None
        time.sleep(0.05)


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Path]:
    """A clip of eight shots, the summary of one run, and its result."""
    folder = tmp_path_factory.mktemp("eight")
    shots = (4, 6, 3, 5, 1, 7, 4, 6)
    source = make(folder / "in.mp4", Clip(times=steady(sum(shots)), shots=shots, sound="aac"))
    whole = folder / "whole.mkv"
    return source, ended(started("video", source, whole, *OPTIONS)), whole


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="tells workers by /proc")
def test_workers_killed_five_times_and_the_driver_twice(serial, tmp_path):
    source, wanted, whole = serial
    out = tmp_path / "out.mkv"
    first = ["video", source, out, *OPTIONS, "--workers", 2]
    again = ["resume", out, "--workers", 2, "--json"]
    for command in (first, again):
        run, before = started(*command), done(out)
        wait_until(run, out, before + 4)
        run.kill()
        run.communicate()
    run, kills = started(*again), 0
    reached = done(out)
    while kills < 5:
        wait_until(run, out, reached + 2)
        for pid in list(busy(out))[:1]:
            os.kill(pid, signal.SIGKILL)
            reached, kills = done(out), kills + 1
    assert ended(run)["digest"] == wanted["digest"]
    with VideoReader(out) as a, VideoReader(whole) as b:
        for here, there in zip(a, b, strict=True):
            assert torch.equal(here.image, there.image)


@pytest.mark.slow
def test_ctrl_c_stops_all_and_loses_nothing(serial, tmp_path):
    source, wanted, _ = serial
    out = tmp_path / "out.mkv"
    run = started("video", source, out, *OPTIONS, "--workers", 2)
    wait_until(run, out, 5)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "stopped; what is finished is safe, `dreamvid resume " in err
    safe = done(out)
    assert safe >= 5
    told = started("resume", out, "--json")
    assert ended(told)["digest"] == wanted["digest"]


def test_ray_that_is_missing_is_told_before_anything_is_read(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(dreamvid.workers, "find_spec", lambda name: None)
    with pytest.raises(DreamvidError, match="needs Ray, which is not installed"):
        dreamvid.dream_video(clip, tmp_path / "out.mkv", config=quick(), workers=2)
    assert list(tmp_path.iterdir()) == []
