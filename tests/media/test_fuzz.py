"""Files damaged at random: each ends soon, in frames or in one line; a crash ends the test run."""

from __future__ import annotations

import faulthandler
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import pytest

from dreamvid.cli.app import run
from dreamvid.config import VideoConfig
from dreamvid.errors import DreamvidError
from dreamvid.media import VideoWriter
from dreamvid.media.source import Source
from dreamvid.media.still import write_image
from tests.media.clips import Clip, make, picture, steady
from tests.media.test_webp import make_webp
from tests.mutants import damaged

LIMIT = 10
"""Seconds a file may take."""

_H264 = Clip(times=steady(8), sound="aac")
MAKERS: dict[str, Callable[[Path], object]] = {
    "mp4": lambda path: make(path, _H264),
    "mov": lambda path: make(path, replace(_H264, rotation=90)),
    "mkv": lambda path: make(path, replace(_H264, pix_fmt="yuv422p")),
    "webm": lambda path: make(
        path, Clip(steady(8), codec="libvpx-vp9", options={"crf": "30"}, sound="libopus")
    ),
    "ts": lambda path: make(path, Clip(times=steady(8), sound="mp2")),
    "nut": lambda path: make(path, Clip(times=steady(8), codec="ffv1", options={})),
    "flv": lambda path: make(path, _H264),
    "mpg": lambda path: make(
        path, Clip(times=steady(8), codec="mpeg2video", options={"qmin": "2"}, sound="mp2")
    ),
    "avi": lambda path: make(path, Clip(times=steady(8), codec="mpeg4", options={})),
    "gif": lambda path: make(path, Clip(steady(8), Fraction(1, 24), codec="gif",
                                        pix_fmt="rgb8", options={})),
    "png": lambda path: write_image(path, picture(1)),
    "jpg": lambda path: write_image(path, picture(1)),
    "webp": lambda path: write_image(path, picture(1)),
    "moving.webp": lambda path: make_webp(path, opaque=False),
    "pictures": lambda path: write_image(path.with_suffix(".png"), picture(2)),
    "pipe": lambda path: make(path.with_suffix(".mkv"), _H264),
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A sound file of each kind."""
    folder = tmp_path_factory.mktemp("whole")
    made: dict[str, bytes] = {}
    for number, (kind, maker) in enumerate(MAKERS.items()):
        maker(folder / f"{number}.{kind}")
        (path,) = folder.glob(f"{number}.*")
        made[kind] = path.read_bytes()
    return made


@contextmanager
def placed(kind: str, data: bytes, folder: Path, whole: dict[str, bytes]) -> Iterator[Path]:
    """IN for a damaged file: itself, one of several numbered pictures, or standard input."""
    path = folder / f"in.{kind}"
    if kind == "pictures":
        path.mkdir()
        for number, content in enumerate((whole["pictures"], data, whole["jpg"])):
            (path / f"{number}.png").write_bytes(content)
        yield path / "%d.png"
        shutil.rmtree(path)
        return
    path.write_bytes(data)
    if kind != "pipe":
        yield path
    else:
        usual = os.dup(0)
        with path.open("rb") as file:
            os.dup2(file.fileno(), 0)
            try:
                yield Path("-")
            finally:
                os.dup2(usual, 0)
                os.close(usual)
    path.unlink()


def mutant(whole: dict[str, bytes], seed: int) -> tuple[str, bytes]:
    """A kind, and a damaged file of it."""
    kind = list(MAKERS)[seed % len(MAKERS)]
    return kind, damaged(whole[kind], random.Random(seed), list(whole.values()))


def copy(source: Path, out: Path) -> None:
    """The path of `dreamvid video` without the dream."""
    config = VideoConfig()

    def ignore(message: str) -> None:
        assert "\n" not in message

    found = Source.find(source, config)
    with found.open(ignore) as reader:
        sound = found.open_sound(reader, ignore)
        try:
            with VideoWriter(out, reader.info, config, sound=sound) as writer:
                for frame in islice(reader, 40):
                    writer.write(frame)
        finally:
            if sound is not None:
                sound.close()


def endure(whole: dict[str, bytes], seeds: range, folder: Path) -> None:
    for seed in seeds:
        kind, data = mutant(whole, seed)
        out = folder / "out.mkv"
        with placed(kind, data, folder, whole) as source:
            began = time.monotonic()
            faulthandler.dump_traceback_later(3 * LIMIT, exit=True)
            try:
                copy(source, out)
            except DreamvidError as error:
                assert "\n" not in str(error), seed
                assert not out.exists(), seed
            finally:
                faulthandler.cancel_dump_traceback_later()
            assert time.monotonic() - began < LIMIT, f"seed {seed} took too long"
        out.unlink(missing_ok=True)
        assert list(folder.iterdir()) == [], seed


def test_two_hundred_damaged_files(whole, tmp_path, capfd):
    endure(whole, range(200), tmp_path)
    assert capfd.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize("begin", range(200, 2000, 200))
def test_the_rest_of_two_thousand(whole, tmp_path, capfd, begin):
    endure(whole, range(begin, begin + 200), tmp_path)
    assert capfd.readouterr().err == ""


def test_twenty_through_the_command_line(whole, tmp_path, capfd):
    quick = ["-p", "a rose", "-q", "--steps", "0", "--first-steps", "0", "--end", "0.1"]
    for seed in range(5000, 5020):
        kind, data = mutant(whole, seed)
        out = tmp_path / "out.mkv"
        status: object = None
        with placed(kind, data, tmp_path, whole) as source:
            try:
                run(["video", str(source), str(out), *quick])
            except SystemExit as stopped:
                status = stopped.code
        told = capfd.readouterr().err
        assert status in (0, 1), (seed, told)
        assert "Traceback" not in told and "this is a bug" not in told, (seed, told)
        assert out.exists() == (status == 0), seed
        with suppress(FileNotFoundError):
            out.unlink()
        assert list(tmp_path.iterdir()) == []
