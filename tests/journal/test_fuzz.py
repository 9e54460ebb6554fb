"""Journals as somebody else's files: damaged, or altered with care; each ends in one line."""

from __future__ import annotations

import itertools
import json
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

import dreamvid.film.clip
import dreamvid.film.settings
import dreamvid.journal.writing
import dreamvid.zooms.film
from dreamvid.cli.app import run
from dreamvid.journal import folder_of
from dreamvid.journal.state import seal, unseal
from dreamvid.media import write_image
from tests.dreamer import LOSSLESS, OPTIONS, SlowColour
from tests.media.clips import Clip, make, picture, steady
from tests.mutants import altered, damaged

LIMIT = 10
"""Seconds of processor time that a journal may take."""
SIZE = ["--size", "32x24", *LOSSLESS, "-q"]
ZOOM = [*("-p", "red", "--cutouts", "1", "--steps", "1", "--first-steps", "1"), "--seconds", "0.3"]
LOOP = [*ZOOM, "--loop", "--loop-steps", "6", "--zoom", "60"]
KINDS = {
    "video": ("video", "in.mp4", "out.mkv", [*OPTIONS, *SIZE]),
    "zoom": ("zoom", "in.png", "out.mkv", [*ZOOM, *SIZE]),
    "loop": ("zoom", "in.png", "out.mkv", [*LOOP, *SIZE]),
    "pictures": ("video", "in.mp4", "%d.png", [*OPTIONS, "--size", "32x24", "-q"]),
}
"""Kind → command, IN, OUT, options."""


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """A fake guide, short segments, and a checkpoint at every moment."""
    objectives = [SlowColour(None, 0)]
    with pytest.MonkeyPatch.context() as patches:
        for module in (dreamvid.film.clip, dreamvid.film.settings):
            patches.setattr(module, "load_objectives", lambda *_: objectives)
        patches.setattr(dreamvid.journal.writing, "SEGMENT_FRAMES", 2)
        patches.setattr(dreamvid.journal.writing, "CHECKPOINT_S", 0)
        patches.setattr(dreamvid.journal.writing, "CHECKPOINT_SHARE", 1)
        yield


def status_of(arguments: list[str]) -> int:
    """The exit status of the program."""
    try:
        run(arguments)
    except SystemExit as ended:
        assert isinstance(ended.code, int)
        return ended.code
    return 0


def stopped_after(kind: str, folder: Path, frames: int) -> Path:
    """Leave a run that the disk ended after so many frames, with its journal; its OUT."""
    command, source, name, options = KINDS[kind]
    make(folder / "in.mp4", Clip(times=steady(6)))
    write_image(folder / "in.png", picture(3))
    write, written = dreamvid.journal.writing.Journal.write, itertools.count()

    def failing(self: Any, *arguments: Any) -> None:
        # Not the journal's own count, which is some frames behind and may pass over the number.
        if next(written) == frames:
            raise dreamvid.errors.MediaError("the disk is full")
        write(self, *arguments)

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(dreamvid.journal.writing.Journal, "write", failing)
        out = folder / name
        assert status_of([command, str(folder / source), str(out), *options]) == 1
    assert folder_of(out).is_dir()
    return out


@pytest.fixture(scope="module", params=KINDS)
def stopped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stopped_after(request.param, tmp_path_factory.mktemp("stopped"), 3)


_LENGTH = struct.Struct("<Q")


def resealed(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A sealed file whose content is changed, with the hash that fits."""
    return b"".join(seal(change(unseal(data))))


def with_other_facts(data: bytes, dice: Random) -> bytes:
    """A state in which one fact is another."""

    def change(content: bytes) -> bytes:
        (length,) = _LENGTH.unpack_from(content)
        begin = _LENGTH.size
        facts = altered(json.loads(content[begin : begin + length]), dice)
        head = json.dumps(facts).encode()
        return _LENGTH.pack(len(head)) + head + content[begin + length :]

    return resealed(data, change)


def mutate(folder: Path, dice: Random) -> str:
    """Change one file of a journal, or remove it; what was done."""
    files = sorted(path for path in folder.iterdir() if path.name != "lock")
    path = dice.choice(files)
    data = path.read_bytes()
    is_state = path.name.startswith(("state", "checkpoint"))
    is_kept = is_state or path.suffix in (".carry", ".sketch")
    deeds = ("damage", "remove", *(("seal",) if is_kept else ()))
    deed = dice.choice((*deeds, *(("facts", "facts") if is_state else ())))
    if deed == "remove":
        path.unlink()
    elif deed == "damage":
        path.write_bytes(damaged(data, dice, [file.read_bytes() for file in files]))
    elif deed == "seal":
        path.write_bytes(resealed(data, lambda content: damaged(content, dice)))
    else:
        for state in [path, *(file for file in files if file.name == "state.0")][:2]:
            state.write_bytes(with_other_facts(state.read_bytes(), dice))
    return f"{deed} {path.name}"


def endure(stopped: Path, seed: int, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Look at a changed journal and resume it."""
    dice = Random(seed)
    shutil.copytree(stopped.parent, folder)
    out = folder / stopped.name
    done = mutate(folder_of(out), dice)
    for arguments in (["peek", str(out)], ["resume", str(out), "-q"]):
        if dice.random() < 0.5:
            arguments.append("--force" if arguments[0] == "resume" else "--overwrite")
        began = time.process_time()
        status = status_of(arguments)
        told = capfd.readouterr().err
        case = f"seed {seed}, {done}, {arguments[0]}: {told}"
        assert status in (0, 1, 2), case
        assert "Traceback" not in told, case
        assert "this is a bug" not in told, case
        assert time.process_time() - began < LIMIT, case
        if status:
            assert told.startswith("dreamvid: "), case
            assert told.count("\n") <= 2, case
    if status and stopped.suffix == ".mkv":
        assert not out.exists(), case
    shutil.rmtree(folder)


def test_some_journals_of_somebody_else(stopped, tmp_path, capfd):
    for seed in range(5):
        endure(stopped, seed, tmp_path / "copy", capfd)


@pytest.mark.slow
def test_many_journals_of_somebody_else(stopped, tmp_path, capfd):
    for seed in range(1000, 1100):
        endure(stopped, seed, tmp_path / "copy", capfd)
