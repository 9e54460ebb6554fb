"""Between two other programs: standard input and standard output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from threading import Thread

import pytest
import torch

from dreamvid.media import VideoReader, probe
from dreamvid.media.source import Source
from tests.dreamer import wait_until
from tests.media.clips import Clip, make, packets_of, steady

HEAD = 3000
"""Bytes of the result that cannot hold its first frame yet."""
QUICK = ["-p", "a red rose", "-q", "--steps", "1", "--first-steps", "1", "--cutouts", "2"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("pipe") / "in.mkv", Clip(times=steady(6), sound="aac"))


def program(data: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the program with `data` on a pipe, as another program would give it."""
    command = [sys.executable, "-c", "from dreamvid.cli import main; main()", *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, input=data, capture_output=True, env=environment, timeout=120)


def piped(data: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Dream what comes through the pipe."""
    return program(data, "video", *arguments, *QUICK)


@pytest.mark.parametrize("output", ["nut", "mp4"])
def test_a_pipe_on_both_sides_keeps_times_and_sound(clip, tmp_path, output):
    result = piped(clip.read_bytes(), "-", "-", "--output-format", output)
    assert (result.returncode, result.stderr) == (0, b"")
    path = tmp_path / f"out.{output}"
    path.write_bytes(result.stdout)
    with VideoReader(path) as reader:
        times = [frame.time for frame in reader]
    with VideoReader(clip) as reader:
        wanted = [frame.time for frame in reader]
    assert all(abs(a - b) <= Fraction(1, 2000) for a, b in zip(times, wanted, strict=True))
    assert [track.codec for track in probe(path).sound] == ["aac"]


def test_vorbis_goes_through_matroska_on_standard_output(tmp_path):
    source = make(tmp_path / "in.mkv", Clip(times=steady(6), sound="vorbis"))
    result = piped(source.read_bytes(), "-", "-", "--output-format", "matroska")
    assert (result.returncode, result.stderr) == (0, b"")
    (tmp_path / "out.mkv").write_bytes(result.stdout)
    assert packets_of(tmp_path / "out.mkv", "audio") == packets_of(source, "audio")
    assert len(packets_of(tmp_path / "out.mkv")) == 6


def test_a_named_pipe_is_a_pipe_and_waiting_for_it_is_told(clip, tmp_path, monkeypatch):
    monkeypatch.setattr("dreamvid.media.files.PATIENCE_S", 0.01)
    named = tmp_path / "named"
    os.mkfifo(named)
    writer = Thread(target=lambda: named.write_bytes(clip.read_bytes()))
    told: list[str] = []

    def on_warning(text: str) -> None:
        told.append(text)
        writer.start()

    source = Source.find(named)
    assert (source.kind, source.is_stored) == ("pipe", False)
    with source.open(on_warning) as reader, VideoReader(clip) as expected:
        assert source.open_sound(reader, on_warning) is not None
        for one, other in zip(reader, expected, strict=True):
            assert one.time == other.time
            assert torch.equal(one.image, other.image)
    writer.join()
    waiting = "waiting for a program that writes to it"
    assert told == [f"nothing comes from '{named}' yet: {waiting}"]


def test_a_named_pipe_is_read_though_its_writer_has_left(clip, tmp_path):
    named = tmp_path / "named"
    os.mkfifo(named)
    reader = os.open(named, os.O_RDONLY | os.O_NONBLOCK)  # keeps what is written
    named.write_bytes(clip.read_bytes())  # less than a pipe holds
    with Source.find(named).open(lambda text: None) as frames:
        os.close(reader)
        assert sum(1 for _ in frames) == 6


def test_waiting_for_a_named_pipe_ends_with_a_signal(tmp_path):
    named = tmp_path / "named"
    os.mkfifo(named)
    # What a script starts in its background ignores the signal.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heeding}; from dreamvid.cli import main; main()"
    command = [sys.executable, "-c", program, "info", str(named)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stderr is not None
        assert b"nothing comes from" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
    assert process.returncode == 130
    assert b"Traceback" not in told


def test_info_of_a_pipe(clip):
    for asked in ([], ["--input-format", "matroska"]):
        result = program(clip.read_bytes(), "info", "-", "--json", *asked)
        assert (result.returncode, result.stderr) == (0, b"")
        seen = json.loads(result.stdout)
        assert (seen["width"], seen["height"], seen["codec"]) == (64, 48, "h264")


def test_raw_pictures(clip):
    result = piped(clip.read_bytes(), "-", "-", "--output-format", "rawvideo", "--no-sound")
    assert (result.returncode, result.stderr) == (0, b"")
    assert len(result.stdout) == 6 * 64 * 48 * 3


def test_what_cannot_be_read_from_a_pipe_is_told_in_one_line(tmp_path):
    for data, arguments, message in [
        (b"", [], b"standard input cannot be read; allowed: a stream that FFmpeg can read"),
        (b"no film" * 99, ["--input-format", "nut"], b"standard input cannot be read as nut"),
        (b"", ["--input-format", "noise"], b"--input-format 'noise' is no format"),
    ]:
        result = piped(data, "-", str(tmp_path / "out.mp4"), *arguments)
        assert result.returncode == 1
        assert result.stderr.startswith(b"dreamvid: " + message)
        assert result.stderr.count(b"\n") == 1
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_what_has_gone_into_the_pipe_is_a_film(clip, tmp_path, number):
    command = [sys.executable, "-c", "from dreamvid.cli import main; main()", "video", str(clip)]
    slow = ["-", "-p", "a red rose", "--first-steps", "1", "--steps", "20", "--seed", "3"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    out = tmp_path / "out.nut"
    with (
        out.open("wb") as file,
        subprocess.Popen(
            [*command, *slow], stdout=file, stderr=subprocess.PIPE, env=environment
        ) as process,
    ):
        assert process.stderr is not None
        wait_until(lambda: out.stat().st_size > HEAD)
        process.send_signal(number)
        told = process.stderr.read()
    assert process.returncode == 128 + number
    assert b"stopped; what is on standard output ends there" in told
    with VideoReader(out) as reader:
        assert 1 <= len(list(reader)) < 6
