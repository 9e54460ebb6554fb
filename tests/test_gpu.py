"""What a person with a card runs, on the CPU: every comparison, every figure, tiny."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import av
import gpu
import pytest
import torch
from torch import Tensor

from dreamvid.config import PromptConfig
from dreamvid.dream.step_graph import StepGraphs
from dreamvid.guide.objective import create_objective
from dreamvid.media.colour import Converter
from tests.dream.test_step_graph import Recorded

TINY = ["--device", "cpu", "--guides", "mini", "--smooth", "mini", "--sizes", "96x54"]
TINY += ["--frames", "2", "--steps", "8", "--cutouts", "3"]


def run(monkeypatch: pytest.MonkeyPatch, folder: Path) -> int:
    """The exit status of the script."""
    monkeypatch.setattr("sys.argv", ["gpu.py", *TINY, "--out", str(folder)])
    monkeypatch.setattr(gpu, "step_graphs", lambda device: StepGraphs(Recorded))
    with pytest.raises(SystemExit) as exit_:
        gpu.main()
    return int(exit_.value.code or 0)


@pytest.mark.slow
def test_all_that_can_run_on_a_cpu_does(monkeypatch, tmp_path, capsys):
    Recorded.captures = 0
    assert run(monkeypatch, tmp_path) == 0
    block = (tmp_path / "gpu.md").read_text()
    assert block == capsys.readouterr().out
    assert block.count("| holds |") == 9
    assert "| mini | 96x54 |" in block
    assert Recorded.captures > 0
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]


def test_a_comparison_that_fails_is_the_exit_status(monkeypatch, tmp_path, capsys):
    failed = gpu.Check("cutouts", 2e-5, 1e-5)
    monkeypatch.setattr(gpu, "compare", lambda *arguments: [failed])
    monkeypatch.setattr(gpu, "measure", lambda *arguments: gpu.Speed("mini", "96x54", 1, 1, 1, 1))
    monkeypatch.setattr(gpu, "trace", lambda *arguments: None)
    assert run(monkeypatch, tmp_path) == 1
    assert "| cutouts | 2e-05 | 1e-05 | FAILS |" in capsys.readouterr().out


def test_pictures_are_the_same_there_and_back():
    (frame,) = gpu.read_frames("96x54", 1, gpu.CPU)
    assert gpu.read_apart(frame, gpu.CPU) == gpu.share_changed(frame, gpu.CPU) == 0
    assert gpu.decoded_otherwise(gpu.CPU, 3) == 0


def test_pictures_that_differ_are_counted(monkeypatch):
    (frame,) = gpu.read_frames("96x54", 1, gpu.CPU)
    to_frame, to_tensor = Converter.to_frame, Converter.to_tensor
    turns = count()

    def brighter(self: Converter, image: Tensor, *rest: Any) -> av.VideoFrame:
        return to_frame(self, image + 0.1 * (next(turns) % 2), *rest)

    def shifted(self: Converter, picture: av.VideoFrame) -> Tensor:
        return to_tensor(self, picture) + 0.01 * (next(turns) % 2)

    with monkeypatch.context() as patched:
        patched.setattr(Converter, "to_frame", brighter)
        assert gpu.share_changed(frame, gpu.CPU) > 0.5
    monkeypatch.setattr(Converter, "to_tensor", shifted)
    assert gpu.read_apart(frame, gpu.CPU) == pytest.approx(0.01, abs=1e-6)


def test_the_memory_that_is_short_halves_the_cutouts_shown_at_once(mini):
    objective = create_objective(mini, PromptConfig(prompt=["a rose"]))
    cramped = gpu.Cramped(objective, room=2)
    with pytest.raises(torch.OutOfMemoryError):
        cramped(torch.zeros(3, 3, mini.tower.size, mini.tower.size), None)
    cutouts = torch.zeros(2, 3, mini.tower.size, mini.tower.size)
    assert torch.equal(cramped(cutouts, None), objective(cutouts, None))
