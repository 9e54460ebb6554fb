"""Films whose long shots are dreamed in parts, killed at any moment."""

from __future__ import annotations

import re
import signal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from dreamvid.journal import folder_of
from tests.dreamer import LOSSLESS, OPTIONS, Dreamer, Fault, wait_until
from tests.journal.test_shots import images_of
from tests.media.clips import Clip, make, steady

RUN = ["-q", "--json"]
FRAMES, LEAD = 18, 4
QUICK = [*OPTIONS, *LOSSLESS, "--split", "1"]
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Any]:
    """A clip of one shot, what is made of it in two parts, and the summary."""
    folder = tmp_path_factory.mktemp("in")
    source = make(folder / "in.mp4", Clip(steady(FRAMES, 12), Fraction(1, 12)))
    whole = folder / "whole.mkv"
    return source, whole, Dreamer(folder, "video", source, whole, *QUICK, *RUN).summary()


@pytest.mark.parametrize(
    ("every", "options"),
    [
        (31, ["--every", "3"]),
        *(pytest.param(every, [], marks=SLOW) for every in (9, 10, 11, 12, 13, 14, 15)),
        *(pytest.param(every, ["--every", "3"], marks=SLOW) for every in (13, 17, 19)),
    ],
)
def test_killed_at_any_write_it_goes_on_to_the_same_film(scene, tmp_path, every, options):
    source, whole, _ = scene
    out = tmp_path / "out.mkv"
    if options:
        whole = tmp_path / "whole.mkv"
        Dreamer(tmp_path, "video", source, whole, *QUICK, *options, *RUN).summary()
    kills = 0
    for _ in range(100):
        arguments = ["video", source, out, *QUICK, *options, "--resume", "-q"]
        run = Dreamer(tmp_path, *arguments, fault=Fault("power cut", every))
        if run.wait() == 0:
            break
        assert run.wait() == -signal.SIGKILL, run.told()
        kills += 1
    assert kills >= 90 // every
    assert torch.equal(images_of(out), images_of(whole))


@pytest.mark.parametrize(("number", "shared"), [(1, "000009"), (3, "000008")])
def test_no_frame_that_a_seam_has_is_dreamed_twice_after_a_kill(scene, tmp_path, number, shared):
    """Killed after a frame of its tail, or of its lead, a part goes on with the next."""
    source, _, summary = scene
    out = tmp_path / "out.mkv"
    arguments = ["video", source, out, *QUICK, "--shot", number]
    part = folder_of(out) / f"shot-{number:04}.mkv.dreaming"
    steps = 2 + 2 * (int(shared) - (0 if number == 1 else 7))
    begun = tmp_path / "begun"
    first = Dreamer(tmp_path, *arguments, "-q", fault=Fault("long step", steps + 1, begun))
    wait_until(begun.exists)
    assert (part / f"{shared}.shared").exists()
    first.signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in part.glob("*.shared")}
    assert Dreamer(tmp_path, *arguments).wait() == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(list(part.glob("*.shared"))) == LEAD
    assert Dreamer(tmp_path, "resume", out, *RUN).summary()["digest"] == summary["digest"]


def test_two_processes_at_once_make_each_part_and_seam_once(scene, tmp_path):
    source, _, summary = scene
    out = tmp_path / "out.mkv"
    runs = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        arguments = ["video", source, out, *QUICK, "--shot", "1-3"]
        runs.append(Dreamer(tmp_path / name, *arguments, step_s=0.02))
    assert [run.wait() for run in runs] == [0, 0]
    told = "".join(run.told() for run in runs)
    assert sorted(re.findall(r"^dreamvid: shot (\d): \d frames", told, re.M)) == ["1", "2", "3"]
    assert "going on" not in told
    assert Dreamer(tmp_path, "join", out, *RUN).summary()["digest"] == summary["digest"]
