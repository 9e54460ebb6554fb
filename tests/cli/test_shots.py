"""`dreamvid shots`: the cuts of a clip, without a frame dreamed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import refused
from tests.media.clips import Clip, make, steady

LENGTHS = (5, 3, 8)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two thirds of a second of 64×48, in three shots."""
    path = tmp_path_factory.mktemp("in") / "in.mp4"
    return make(path, Clip(times=steady(sum(LENGTHS)), shots=LENGTHS))


def test_shots_as_json(dreamvid, clip):
    typed = ["--no-timing", "--json", "-q", "--steps", "2", "--first-steps", "7"]
    told = dreamvid("shots", clip, *typed).json()
    assert (told["frames"], told["seconds_per_step"]) == (16, None)
    assert [(shot["shot"], shot["first"], shot["last"]) for shot in told["shots"]] == [
        (1, 0, 4),
        (2, 5, 7),
        (3, 8, 15),
    ]
    assert [shot["begin"] for shot in told["shots"]] == [0, 0.208333, 0.333333]
    assert [shot["end"] for shot in told["shots"]] == [0.208333, 0.333333, 0.666667]
    assert [shot["steps"] for shot in told["shots"]] == [7 + 4 * 2, 7 + 2 * 2, 7 + 7 * 2]


def test_options_that_decide_the_cuts_decide_here_too(dreamvid, clip):
    typed = ["--no-timing", "--json", "-q"]

    def firsts(*options: object) -> list[int]:
        told = dreamvid("shots", clip, *typed, *options).json()
        return [shot["first"] for shot in told["shots"]]

    assert firsts("--no-cuts") == [0]
    assert firsts("--cut-threshold", "250") == [0]
    assert firsts("--start", "0.125", "--end", "0.5") == [0, 2, 5]
    assert firsts("--fps", "12") == [0, 3, 4]
    assert firsts("--every", "4", "--size", "32x24") == [0, 5, 8]


def test_shots_in_a_table_with_the_work_expected(dreamvid, clip):
    typed = ["-q", "--octaves", "1", "--cutouts", "2", "--steps", "2", "--first-steps", "7"]
    lines = dreamvid("shots", clip, *typed).out.splitlines()
    assert lines[0].split() == ["shot", "first", "last", "begin", "end", "steps", "seconds"]
    assert [line.split()[:-1] for line in lines[1:]] == [
        ["1", "0", "4", "0.000", "0.208", "15"],
        ["2", "5", "7", "0.208", "0.333", "11"],
        ["3", "8", "15", "0.333", "0.667", "21"],
    ]
    assert all(float(line.split()[-1]) >= 0 for line in lines[1:])


def test_what_cannot_be_read_twice_is_refused(dreamvid):
    refused(dreamvid("shots", "-"), 2, "'-' cannot be read twice; allowed: a file, or pictures")
