"""Many results from one file: what the file may say, and what becomes of each job."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dreamvid import batch as module
from dreamvid.batch import batch, read_jobs
from dreamvid.config import ImageConfig, VideoConfig, ZoomConfig
from dreamvid.errors import ConfigError
from dreamvid.events import Event, Message, Progress
from dreamvid.guide import loading
from dreamvid.journal import folder_of
from dreamvid.media import read_image, write_image
from dreamvid.workers import Done, Told
from tests.media.clips import Clip, make, picture, steady

QUICK = """
[all]
prompt = "red"
steps = 0
first-steps = 0
size = "32x24"
seconds = 0.1
"""
JOBS = (
    QUICK
    + """
[[job]]
in = "clip.mp4"
out = "dream.mkv"
end = 0.1

[[job]]
in = "none.mp4"
out = "none.mkv"

[[job]]
command = "zoom"
in = "photo.png"
out = "fall.mkv"
zoom = 1.5

[[job]]
command = "image"
in = "photo.png"
out = "still.png"
film = "still.mkv"
steps = 1
"""
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make(tmp_path / "clip.mp4", Clip(times=steady(4)))
    write_image(tmp_path / "photo.png", picture(3))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(text: str) -> Path:
    path = Path("jobs.toml")
    path.write_text(text, encoding="utf-8")
    return path


def without(text: str) -> str:
    """`JOBS` without --seconds, which a clip does not take."""
    return text.replace("seconds = 0.1\n", "").replace("zoom = 1.5", "zoom = 1.5\nseconds = 0.1")


def test_jobs_are_made_in_order_and_one_that_fails_stops_no_other(folder, dreamvid, monkeypatch):
    loads: list[Any] = []
    load = loading._load_both

    def noted(*given: Any) -> loading.Clip:
        loads.append(given)
        return load(*given)

    monkeypatch.setattr(loading, "_load_both", noted)
    file = written(without(JOBS))
    told: list[Event] = []
    results = batch(file, listener=told.append)
    assert [result.outcome for result in results] == ["made", "failed", "made", "made"]
    assert results[1].error == "'none.mp4' does not exist; allowed: an existing file"
    assert [result.summary.frames for result in results if result.summary] == [3, 2, 1]
    assert len(loads) == 1  # one guide for all
    for name in ("dream.mkv", "fall.mkv", "still.png", "still.mkv"):
        assert (folder / name).exists()
    assert read_image(folder / "still.png").shape == (3, 24, 32)
    stages = {event.stage for event in told if isinstance(event, Progress)}
    assert {"1 of 4: dreaming", "3 of 4: dreaming", "4 of 4: dreaming"} <= stages
    texts = [event.text for event in told if isinstance(event, Message)]
    assert "2 of 4: none.mkv: failed: 'none.mp4' does not exist; allowed: an existing file" in texts

    make(folder / "none.mp4", Clip(times=steady(2)))
    again = dreamvid("batch", file, "--json", "-q")
    assert (again.status, again.err) == (0, "")
    facts = json.loads(again.out)
    assert (facts["made"], facts["there"], facts["failed"]) == (1, 3, 0)
    assert [each["outcome"] for each in facts["results"]] == ["there", "made", "there", "there"]
    assert facts["results"][1]["summary"]["frames"] == 2


def test_a_failed_job_is_an_exit_status_of_one(folder, dreamvid):
    result = dreamvid("batch", written('[[job]]\nin = "none.mp4"\nout = "a.mkv"\nprompt = "x"'))
    assert result.status == 1
    assert result.err.splitlines() == [
        "dreamvid: 1 of 1: a.mkv: failed: 'none.mp4' does not exist; allowed: an existing file",
        "dreamvid: 1 failed",
    ]


def test_a_job_that_was_stopped_is_gone_on_with(folder):
    file = written(without(QUICK) + '[[job]]\nin = "clip.mp4"\nout = "dream.mkv"')

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batch(file, listener=stop)
    assert folder_of(folder / "dream.mkv").exists()
    told: list[Event] = []
    (result,) = batch(file, listener=told.append)
    assert Message("going on after 2 frames") in told
    assert result.summary is not None
    assert result.summary.frames == 4


def test_workers_make_jobs_too_and_results_keep_their_order(folder, monkeypatch):
    def backwards(work: Any, jobs: Sequence[Any], workers: Any, **given: Any) -> Iterator[Any]:
        assert (workers, given["on_gpu"]) == (2, True)
        yield Message("two workers")
        for index in reversed(range(len(jobs))):
            told: list[Event] = []
            result = work(jobs[index], told.append)
            yield from (Told(index, event) for event in told if isinstance(event, Message))
            yield Done(index, result)

    monkeypatch.setattr(module, "share_out", backwards)
    told: list[Event] = []
    results = batch(written(without(JOBS)), workers=2, listener=told.append)
    assert [result.job for result in results] == [1, 2, 3, 4]
    assert [result.outcome for result in results] == ["made", "failed", "made", "made"]
    assert told[-1] == Progress("jobs", 4, 4)
    loading._kept = None  # what a worker keeps to its end


def test_what_the_file_says_becomes_options(folder):
    jobs = read_jobs(written(without(JOBS)))
    assert [type(job.config) for job in jobs] == [VideoConfig, VideoConfig, ZoomConfig, ImageConfig]
    assert [job.config.prompt for job in jobs] == [["red"]] * 4
    assert [job.config.steps for job in jobs] == [0, 0, 0, 1]
    assert [job.film for job in jobs] == [None, None, None, Path("still.mkv")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'jobs.toml' is no list of jobs; allowed: tables \\[\\[job\\]\\], and one \\[all\\]"),
        ("steps = 3", "is no list of jobs"),
        ("job = 3", "is no list of jobs"),
        ("[job]\nin = 'a'", "is no list of jobs"),
        ("[[job]]\nin = 'a.mp4'", "job 1: 'out' is missing; allowed: the name of a file"),
        ("[[job]]\nout = 'a.mp4'", "job 1: 'in' is missing"),
        ("[[job]]\nin = 3\nout = 'a.mp4'", "job 1: in = 3 is no text; allowed: a text"),
        (
            "[[job]]\nin = 'a'\nout = 'b'\ncommand = 'eval'",
            "job 1: command 'eval' is not allowed; allowed: video, zoom, image",
        ),
        ("[[job]]\nin = 'a'\nout = 'b'\nfilm = 'c'", "job 1: 'film' is of command image alone"),
        ("[[job]]\nin = 'a'\nout = 'b'\nstepz = 1", "job 1: unknown option 'stepz'"),
        ("[[job]]\nin = 'a'\nout = 'b'\nsteps = -1", "job 1: --steps: '-1' is not allowed"),
        ("[[job]]\nin = 'a'\nout = 'b'\n" * 2, "'b' is the result of 2 jobs; allowed: a name for"),
        ("[[job", "'jobs.toml' is not TOML"),
    ],
)
def test_what_is_no_list_of_jobs_is_told_before_anything_is_made(folder, text, message):
    with pytest.raises(ConfigError, match=message):
        batch(written(text))
    assert not (folder / "b").exists()
