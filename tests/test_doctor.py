"""What the program tells of this machine."""

from __future__ import annotations

import shutil
from collections import namedtuple

import pytest

from dreamvid import diagnose, doctor
from dreamvid.doctor import Diagnosis, Finding
from dreamvid.guide import hub
from tests.cli.conftest import dreamvid as command  # noqa: F401 (a fixture)

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, no other guides and no card, but enough of all else."""
    monkeypatch.setattr(hub, "hub_answers", lambda: False)
    monkeypatch.setattr(hub, "cached_repositories", dict)
    monkeypatch.setattr(doctor, "_has_nvidia_card", lambda: False)
    monkeypatch.setattr(doctor, "_memory", lambda: 16e9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(9e10, 1e10, 8e10))


def found(diagnosis: Diagnosis) -> dict[str, Finding]:
    return {each.name: each for each in diagnosis.findings}


def test_a_machine_without_the_hub_is_told_what_is_left():
    diagnosis = diagnose(timing=False)
    assert diagnosis.advice == [
        "model hub: only --guide mini, or weights in a file: --guide MODEL:FILE"
    ]
    here = found(diagnosis)
    assert here["free here"].value == "80.0 GB"
    assert "libx264" in here["encoders"].value
    assert here["guides on this machine"].value == "mini"


def test_cached_guides_need_no_hub(monkeypatch):
    cached = {"laion/CLIP-ViT-B-32-laion2B-s34B-b79K": 606}
    monkeypatch.setattr(hub, "cached_repositories", lambda: cached)
    diagnosis = diagnose(timing=False)
    assert diagnosis.advice == []
    there = found(diagnosis)["guides on this machine"].value
    assert there == "mini, ViT-B-32:laion2b_s34b_b79k"


def test_what_is_little_is_told(monkeypatch):
    monkeypatch.setattr(doctor, "_memory", lambda: 2e9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(9e10, 9e10, 1e9))
    monkeypatch.setattr(doctor, "_has_nvidia_card", lambda: True)
    told = diagnose(timing=False, network=False).advice
    assert [line.partition(":")[0] for line in told] == ["device", "memory", "free here"]


def test_a_step_is_timed(monkeypatch):
    monkeypatch.setattr(doctor, "SLOW_STEP_S", 0)
    step = diagnose(network=False).findings[-1]
    assert step.name == "a step at 640x360 with mini"
    assert float(step.value.removesuffix(" ms")) > 0
    assert "--every 4" in step.advice


def test_by_the_command_line(command):  # noqa: F811
    told = command("doctor", "--no-timing", "--no-network")
    assert told.status == 0
    lines = told.out.splitlines()
    assert lines[0].split()[0] == "dreamvid"
    assert lines[-1] == "nothing is amiss"
    listed = command("doctor", "--no-timing", "--no-network", "--json").json()
    assert len(listed) == len(lines) - 2
    assert listed[0].keys() == {"name", "value", "advice"}
