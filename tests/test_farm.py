"""The recipes for farms, and the simulation of one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import scale

from dreamvid.journal import folder_of
from dreamvid.media import VideoReader
from tests.media.clips import Clip, make, steady

SAMPLES = Path(__file__).parent.parent / "samples"
TEMPLATE = SAMPLES / "farm.openjd.yaml"


def openjd(*arguments: object) -> subprocess.CompletedProcess[str]:
    programs = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    command = [str(programs / "openjd"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_the_template_of_open_job_description_is_valid():
    told = openjd("check", TEMPLATE)
    assert told.returncode == 0, told.stdout


@pytest.mark.slow
def test_the_template_makes_a_film(tmp_path):
    clip = make(tmp_path / "in.mp4", Clip(times=steady(6), shots=(4, 2), sound="aac"))
    out, config = tmp_path / "out.mkv", tmp_path / "dream.toml"
    config.write_text('prompt = "red"\nsteps = 0\nfirst-steps = 1\ncutouts = 2\n')
    given = {"In": clip, "Out": out, "Shots": 2, "Config": config, "Threads": 1}
    told = openjd("run", TEMPLATE, *(f"-p={name}={value}" for name, value in given.items()))
    assert told.returncode == 0, told.stdout
    with VideoReader(out) as reader:
        assert len(list(reader)) == 6
    assert not folder_of(out).exists()


def test_a_farm_is_done_when_its_longest_worker_is():
    works = [5.0, 3, 3, 3, 2, 2]
    assert scale.wall_time(works, 1) == 18
    assert scale.wall_time(works, 2) == 10  # 9 were possible, by looking at all at once
    assert scale.wall_time(works, 3) == 7
    assert scale.wall_time(works, 1000) == 5
    assert scale.wall_time(works, 2, start=1, alone=10) == 21


def test_the_longest_shot_is_the_floor():
    works = scale.invented_works(0.9)
    assert sum(works) == pytest.approx(0.9 * 4 * 60 * 24)
    lines = scale.table(works, 15, 30)
    assert len(lines) == 4 + len(scale.WORKERS)
    assert lines[-1].startswith(f"| 1,000 | {scale.shown(45 + max(works))} |")


def test_the_page_has_the_table_that_the_script_makes():
    page = (SAMPLES / "farm.md").read_text(encoding="utf-8")
    assert "\n".join(scale.table(scale.invented_works(0.9), 15, 30)) in page


def test_shots_without_seconds_are_refused(tmp_path):
    path = tmp_path / "shots.json"
    path.write_text('{"seconds_per_step": 0.5, "shots": [{"seconds": 2.0}, {"seconds": 3.5}]}')
    assert scale.read_works(path) == [2.0, 3.5]
    path.write_text('{"seconds_per_step": null, "shots": []}')
    with pytest.raises(SystemExit, match="tells no seconds; allowed: dreamvid shots without"):
        scale.read_works(path)
