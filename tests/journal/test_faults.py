"""Calls to the file system fail, each in turn: the film is whole, or resuming makes it so."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

import dreamvid
import dreamvid.journal.writing
from dreamvid.errors import DreamvidError, JournalError
from dreamvid.events import Event, FrameDone, Listener
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

    def dream(self, out: Path, listener: Listener = lambda event: None, **options: Any) -> Summary:
        objectives = [TowardsColour((1.0, 0.0, 0.0))]
        codec = {} if self.name.endswith("mkv") else {"codec": "auto"}
        return dreamvid.dream_video(
            self.source,
            out,
            objectives=objectives,
            listener=listener,
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


# The world changes meanwhile


def stop_after(frames: int, then: Callable[[], object] = lambda: None) -> Listener:
    """A listener that stops a run after so many frames, and does something else first."""

    def listen(event: Event) -> None:
        if isinstance(event, FrameDone) and event.index == frames - 1:
            then()
            raise DreamvidError("stopped")

    return listen


def test_a_source_that_changes_while_it_is_read_is_told(scene, tmp_path):
    source, out = tmp_path / "in.mp4", tmp_path / scene.name
    shutil.copy(scene.source, source)
    changing = replace(scene, source=source)

    def change(event: Event) -> None:
        if isinstance(event, FrameDone) and event.index == 0:
            source.write_bytes(scene.source.read_bytes() + b"more")

    with pytest.raises(JournalError, match=r"in\.mp4' has changed or gone while it was dreamed"):
        changing.dream(out, listener=change)
    assert not out.exists()
    shutil.copy(scene.source, source)
    with pytest.raises(JournalError, match=r"the source '.*' is not what it was; allowed"):
        changing.dream(out, resume=True)
    scene.check(out, changing.dream(out, resume=True, force=True))


def test_a_clock_that_is_set_back_loses_nothing(scene, tmp_path, monkeypatch):
    out = tmp_path / scene.name
    with pytest.raises(DreamvidError, match="stopped"):
        scene.dream(out, listener=stop_after(2))
    for number, name in enumerate(("state.0", "state.1")):
        if (path := folder_of(out) / name).exists():
            os.utime(path, (1e9 * (2 - number), 1e9 * (2 - number)))  # the older one seems newer
    with monkeypatch.context() as patches:
        patches.setattr(time, "time", lambda: 0.0)
        scene.check(out, scene.dream(out, resume=True))


@pytest.mark.parametrize(("first", "second"), [(0o077, 0o022), (0o002, 0o077)])
def test_a_result_has_the_mode_of_the_run_that_ends_it(scene, tmp_path, first, second):
    out, usual = tmp_path / scene.name, os.umask(first)
    try:
        with pytest.raises(DreamvidError, match="stopped"):
            scene.dream(out, listener=stop_after(1))
        os.umask(second)
        scene.check(out, scene.dream(out, resume=True))
    finally:
        os.umask(usual)
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {0o666 & ~second}
