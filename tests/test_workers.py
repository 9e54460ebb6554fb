"""Work shared out by Ray, with a work of which everything is known."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dreamvid import workers
from dreamvid.errors import ConfigError, MediaError
from dreamvid.events import Listener, Message, Progress
from dreamvid.workers import Done, Share, Told, parse_workers, share_out


@dataclass
class Square:
    """Squares numbers, in a folder that tells what has been begun; dies or fails where asked."""

    folder: Path
    loads: int = 0

    def __call__(self, task: int, listener: Listener) -> tuple[int, int, int]:
        self.loads += 1
        begun = self.folder / str(task)
        is_again = begun.exists()
        begun.touch()
        listener(Progress("squaring", task, None))
        if task == 3 and not is_again:
            os.kill(os.getpid(), signal.SIGKILL)
        if task == 4:
            raise MediaError("4 is no number here")
        return task**2, self.loads, os.getpid()


def test_all_is_done_though_a_worker_dies_and_a_task_fails(tmp_path, capfd):
    told: list[Any] = []
    tasks = [1, 3, 4, 5, 6, 7]
    with closing(share_out(Square(tmp_path), tasks, 2, on_gpu=False, threads=1)) as happened:
        told += [event for event in happened if event is not None]
    started = told[0]
    assert isinstance(started, Message)
    assert started.text.startswith("2 workers on a Ray of its own, after ")
    ends = {event.task: event for event in told if isinstance(event, Done)}
    assert sorted(ends) == list(range(len(tasks)))
    assert str(ends.pop(2).error) == "4 is no number here"
    assert {task: end.result[0] for task, end in ends.items()} == {0: 1, 1: 9, 3: 25, 4: 36, 5: 49}
    assert max(end.result[1] for end in ends.values()) > 1  # a worker keeps what it has loaded
    assert len({end.result[2] for end in ends.values()}) in (2, 3)
    progress = [(event.task, event.event) for event in told if isinstance(event, Told)]
    assert (0, Progress("squaring", 1, None)) in progress
    assert {task for task, _ in progress} == set(range(len(tasks)))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("there", "asked", "tasks", "share"),
    [
        ({"CPU": 16}, 4, 9, Share(4, 4, 0)),
        ({"CPU": 16}, 5, 9, Share(5, 3, 0)),
        ({"CPU": 16}, "auto", 99, Share(16, 1, 0)),
        ({"CPU": 16}, "auto", 3, Share(3, 5, 0)),
        ({"CPU": 2}, 4, 9, Share(4, 0.495, 0)),
        ({"CPU": 64, "GPU": 4}, "auto", 9, Share(4, 16, 1)),
        ({"CPU": 64, "GPU": 4}, 9, 9, Share(4, 16, 1)),
        ({"CPU": 64, "GPU": 4}, 2, 9, Share(2, 32, 1)),
    ],
)
def test_each_worker_has_its_share(there, asked, tasks, share):
    assert Share.of(there, asked, tasks, on_gpu=True) == share


def test_gpus_are_left_alone_where_the_cpu_computes():
    assert Share.of({"CPU": 8, "GPU": 4}, 2, 9, on_gpu=False) == Share(2, 4, 0)


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("12", 12), ("auto", "auto")])
def test_workers_are_a_number_or_auto(text, number):
    assert parse_workers(text) == number


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "many", "123456"])
def test_what_is_no_number_of_workers_is_told(text):
    with pytest.raises(ConfigError, match="is not allowed; allowed: 1 or more, or auto"):
        parse_workers(text)


def test_without_ray_one_line_tells_how_to_get_it(monkeypatch):
    monkeypatch.setattr(workers, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"needs Ray, .*; allowed: pip install 'dreamvid\[farm\]'"
    ):
        next(share_out(Square(Path()), [1], 1, on_gpu=False, threads=1))
