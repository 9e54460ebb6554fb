"""Calls to the file system fail, each in turn: the film is whole, or resuming makes it so."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import dreamvid
import dreamvid.journal.writing
from dreamvid.errors import DreamvidError
from dreamvid.film.report import Summary
from dreamvid.journal import folder_of, is_done
from dreamvid.media import VideoReader, read_image
from tests.fakes import TowardsColour
from tests.faults import Faults, injected
from tests.media.clips import Clip, make, steady

FRAMES = 3
SOME = 7
"""Of so many calls, the quick tests let one fail."""
NAMES = {"film": "out.mkv", "pictures": "%03d.png"}
OPTIONS: dict[str, Any] = {
    **{"prompt": "red", "steps": 1, "first_steps": 1, "cutouts": 1, "size": "32x24"},
    **{"flow": "farneback", "codec": "ffv1", "sound": False},
}


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dreamvid.journal.writing, "SEGMENT_FRAMES", 2)


@dataclass(frozen=True)
class Scene:
    """A source, the name of the result, and what an undisturbed run makes."""

    source: Path
    name: str
    digest: str | None
    images: torch.Tensor

    def dream(self, out: Path, **options: Any) -> Summary:
        objectives = [TowardsColour((1.0, 0.0, 0.0))]
        codec = {} if self.name.endswith("mkv") else {"codec": "auto"}
        return dreamvid.dream_video(
            self.source,
            out,
            objectives=objectives,
            listener=lambda event: None,
            **OPTIONS | codec | options,
        )

    def check(self, out: Path, summary: Summary | None) -> None:
        assert torch.equal(images_of(out), self.images)
        if summary is not None:
            assert (summary.digest, summary.frames) == (self.digest, FRAMES)


def images_of(out: Path) -> torch.Tensor:
    if out.suffix == ".png":
        return torch.stack([read_image(path) for path in sorted(out.parent.glob("*.png"))])
    with VideoReader(out) as reader:
        return torch.stack([frame.image for frame in reader])


@pytest.fixture(scope="module", params=NAMES)
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("whole")
    source = make(tmp_path_factory.mktemp("in") / "in.mp4", Clip(times=steady(FRAMES)))
    begun = Scene(source, NAMES[request.param], None, torch.empty(0))
    out = folder / begun.name
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(dreamvid.journal.writing, "SEGMENT_FRAMES", 2)
        digest = begun.dream(out).digest
    return Scene(source, begun.name, digest, images_of(out))


def calls_of(scene: Scene, folder: Path) -> list[str]:
    """The calls to the file system of an undisturbed run."""
    folder.mkdir()
    with injected(Faults(folder, lambda call, index: False)) as faults:
        scene.dream(folder / scene.name)
    return faults.calls


def survives(scene: Scene, folder: Path, faults: Faults) -> None:
    """The film is whole although calls fail, or one line says why not and resuming makes it so."""
    out, summary = folder / scene.name, None
    try:
        with injected(faults):
            summary = scene.dream(out)
    except DreamvidError as error:
        assert "\n" not in str(error)
        assert not out.is_file() or is_done(out)
        if not is_done(out):
            summary = scene.dream(out, resume=True)
            assert not folder_of(out).exists()
    scene.check(out, summary)


def each_once(scene: Scene, tmp_path: Path, step: int, from_then_on: bool, number: int) -> int:
    """Let every `step`-th call fail; how many did."""
    calls = calls_of(scene, tmp_path / "counted")
    chosen = range(0, len(calls), step)
    for at in chosen:
        folder = tmp_path / str(at)
        folder.mkdir()

        def fails(call: str, index: int, at: int = at) -> bool:
            return index >= at if from_then_on else index == at

        survives(scene, folder, Faults(folder, fails, number))
    return len(chosen)


def test_the_calls_that_can_fail_are_found(scene, tmp_path):
    calls = calls_of(scene, tmp_path / "counted")
    assert {"open", "read", "write", "fsync", "mkdir", "unlink"} <= set(calls)
    assert {"replace", "rename", "link"} & set(calls)


@pytest.mark.parametrize("from_then_on", [False, True], ids=["once", "from then on"])
def test_some_calls_fail(scene, tmp_path, from_then_on):
    assert each_once(scene, tmp_path, SOME, from_then_on, errno.ENOSPC) > 5


@pytest.mark.slow
@pytest.mark.parametrize("from_then_on", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EACCES], ids=os.strerror)
def test_every_call_fails(scene, tmp_path, from_then_on, number):
    assert each_once(scene, tmp_path, 1, from_then_on, number) > 50
