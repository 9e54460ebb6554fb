"""Killed, stopped, out of disk, damaged: no finished frame is lost, and none is another."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from dreamvid.errors import JournalError
from dreamvid.journal import folder_of, peek, read_state, remove_folder
from dreamvid.media import VideoReader
from tests.dreamer import (
    LOSSLESS,
    OPTIONS,
    Dreamer,
    Fault,
    Pauses,
    interrupted,
    refused,
    stopped,
    wait_for_frames,
    whole_as_if,
)
from tests.media.clips import Clip, make, packets_of, uneven

FRAMES = 18
KILLS = 20


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of a variable rate, with B-frames and sound."""
    times, clock = uneven(FRAMES), Fraction(1, 600)
    path = tmp_path_factory.mktemp("in") / "in.mp4"
    return make(path, Clip(times=times, time_base=clock, sound="aac"))


def frames_of(path: Path) -> tuple[list[Fraction], torch.Tensor]:
    with VideoReader(path) as reader:
        frames = list(reader)
    return [frame.time for frame in frames], torch.stack([frame.image for frame in frames])


@pytest.fixture(scope="module")
def whole(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The result of a run that nothing disturbs, and its summary."""
    out = tmp_path_factory.mktemp("out") / "whole.mkv"
    run = Dreamer(out.parent, "video", clip, out, *OPTIONS, *LOSSLESS, "-q", "--json")
    return out, run.summary()


@pytest.fixture(scope="module")
def window_s(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[float, float]:
    """Seconds from the start in which to end a run: half of the beginning, and a few frames."""
    out = tmp_path_factory.mktemp("pace") / "out.mkv"
    begin = time.monotonic()
    run = Dreamer(out.parent, "video", clip, out, *OPTIONS, *LOSSLESS, "-q")
    wait_for_frames(out, 1)
    first = time.monotonic() - begin
    wait_for_frames(out, 11)
    tenth = time.monotonic() - begin
    run.wait()
    return first / 2, first + (tenth - first) / 2


def same(out: Path, told: Any, whole: tuple[Path, Any]) -> None:
    """Every dreamed frame's hash, every decoded frame and every packet."""
    assert told["digest"] == whole[1]["digest"]
    assert told["frames"] == FRAMES
    assert told["similarity_after"] == whole[1]["similarity_after"]
    times, images = frames_of(out)
    wanted_times, wanted = frames_of(whole[0])
    assert times == wanted_times
    assert torch.equal(images, wanted)
    assert packets_of(out) == packets_of(whole[0])
    assert packets_of(out, "audio") == packets_of(whole[0], "audio")
    assert not folder_of(out).exists()


def test_killed_at_any_moment_it_goes_on_to_the_same_result(clip, whole, window_s, tmp_path):
    pauses, kills, clips = Pauses(0, *window_s), 0, itertools.count()
    _, wanted = frames_of(whole[0])
    peeked = 0

    def look() -> None:
        nonlocal peeked
        state = read_state(out)
        if state is None or out.exists():  # killed as the journal was being removed
            return
        to = tmp_path / "peek.mkv"
        peek(out, to, overwrite=True)
        _, images = frames_of(to)
        assert len(images) == state.frames
        assert torch.equal(images, wanted[: state.frames])
        peeked += 1

    while kills < KILLS:
        out = tmp_path / f"{next(clips)}.mkv"
        video = ["video", clip, out, *OPTIONS, *LOSSLESS, "-q", "--json", "--resume"]
        told, ended = interrupted(tmp_path, video, signal.SIGKILL, pauses, look)
        kills += ended
        same(out, told, whole)
    assert peeked > KILLS / 4


def test_killed_before_any_write_is_on_the_disk_it_goes_on_to_the_same_result(
    clip, whole, tmp_path
):
    out = tmp_path / "out.mkv"
    video = ["video", clip, out, *OPTIONS, *LOSSLESS, "-q", "--json", "--resume"]
    for writes in range(12):
        killed = Dreamer(tmp_path, *video, fault=Fault("power cut", writes))
        assert killed.wait() == -signal.SIGKILL
    same(out, Dreamer(tmp_path, *video).summary(), whole)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_it_says_how_to_go_on(clip, whole, tmp_path, number, status):
    out = tmp_path / "out.mkv"
    run = Dreamer(tmp_path, "video", clip, out, *OPTIONS, *LOSSLESS, "-q", step_s=0.1)
    wait_for_frames(out, 6)
    run.signal(number)
    assert run.wait() == status
    state = read_state(out)
    assert state is not None
    assert run.told() == (
        f"dreamvid: stopped; {state.frames} finished frames are safe, "
        f"`dreamvid resume {out}` goes on\n"
    )
    assert 6 <= state.frames < FRAMES
    same(out, Dreamer(tmp_path, "resume", out, "-q", "--json").summary(), whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_at_any_moment_lead_to_the_same_result(clip, whole, window_s, tmp_path, number):
    pauses, stops, clips = Pauses(int(number), *window_s), 0, itertools.count()
    while stops < 4:
        out = tmp_path / f"{next(clips)}.mkv"
        video = ["video", clip, out, *OPTIONS, *LOSSLESS, "-q", "--json", "--resume"]
        told, ended = interrupted(tmp_path, video, number, pauses)
        stops += ended
        same(out, told, whole)


FAULTS = {
    "full disk": (19, "state.0' cannot be written: No space left on device; "),
    "failing encoder": (7, "the encoder cannot encode; 7 finished frames are safe, "),
    "source goes away": (
        15,
        "' has changed or gone while it was dreamed; allowed: what it was, or ",
    ),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_what_fails_is_told_in_one_line_and_loses_nothing(clip, whole, tmp_path, kind):
    at, message = FAULTS[kind]
    source, out = tmp_path / "in.mp4", tmp_path / "out.mkv"
    os.link(clip, source)
    run = Dreamer(
        tmp_path,
        *["video", source, out, *OPTIONS, *LOSSLESS, "-q"],
        fault=Fault(kind, at, source),
    )
    assert run.wait() == 1
    lines = run.told().splitlines()
    assert message in lines[-1]
    assert f"`dreamvid resume {out}` goes on" in lines[-1]
    assert len([line for line in lines if "warning" not in line]) == 1
    assert not out.exists()
    if kind == "source goes away":
        again = Dreamer(tmp_path, "resume", out, "-q")
        assert again.wait() == 1
        assert f"'{source}' does not exist" in again.told()
        source.with_name("away").rename(source)
    same(out, Dreamer(tmp_path, "resume", out, "-q", "--json").summary(), whole)


# What is in the way


def test_the_same_command_tells_what_is_there_and_what_to_type(clip, tmp_path):
    out = tmp_path / "out.mkv"
    stopped(clip, out, 10, *LOSSLESS)
    run = Dreamer(tmp_path, "video", clip, out, *OPTIONS, *LOSSLESS, "-q")
    told = "holds 10 frames of an unfinished run; "
    refused(run, told, f"`dreamvid resume {out}` goes on, --overwrite begins anew")
    again = ["video", clip, out, *OPTIONS, *LOSSLESS, "-q", "--json", "--overwrite"]
    assert Dreamer(tmp_path, *again, "--end", "0.2").summary()["frames"] < FRAMES
    assert not folder_of(out).exists()


def test_another_source_option_or_version_is_named_and_refused(clip, whole, tmp_path):
    out, other = tmp_path / "out.mkv", tmp_path / "other.mp4"
    stopped(clip, out, 10, *LOSSLESS)
    make(other, Clip(times=uneven(FRAMES), time_base=Fraction(1, 600), size=(64, 48)))
    video = ["video", clip, out, *OPTIONS, *LOSSLESS, "-q", "--json", "--resume"]
    refused(
        Dreamer(tmp_path, "video", other, *video[2:]),
        f"the source '{other}' is not what it was; allowed: what was, or --force",
    )
    refused(Dreamer(tmp_path, *video, "--tv", "3"), "--tv is 3.0, was 8.0; allowed: what was, or")
    refused(
        Dreamer(tmp_path, *video, "--start", "0.1"),
        "what cannot change midway has: --start is 0.1, was None; allowed",
    )
    refused(Dreamer(tmp_path, *video, "--force", "--pix-fmt", "gbrp"), "midway has: --pix-fmt is")
    told = Dreamer(tmp_path, *video, "--tv", "3", "--force").summary()
    assert told["frames"] == FRAMES
    assert told["digest"] != whole[1]["digest"]


def test_another_version_is_named(clip, tmp_path):
    out = tmp_path / "out.mkv"
    stopped(clip, out, 6, *LOSSLESS)
    state = read_state(out)
    assert state is not None
    here = {**state.run.environment, "torch": "1.0"}
    differences = replace(state.run, environment=here).differences(state.run)
    assert differences == [f"torch is 1.0, was {state.run.environment['torch']}"]
    assert state.run.environment["torch's number of threads"] == "1"
    more = {**state.run.environment, "torch's number of threads": "2"}
    differences = replace(state.run, environment=more).differences(state.run)
    assert differences == ["torch's number of threads is 2, was 1"]


def test_two_runs_on_one_result_are_refused_and_a_stale_lock_is_taken_over(clip, whole, tmp_path):
    out = tmp_path / "out.mkv"
    first = Dreamer(tmp_path, "video", clip, out, *OPTIONS, *LOSSLESS, "-q", step_s=0.7)
    wait_for_frames(out, 1)
    second = tmp_path / "second"
    second.mkdir()
    refused(
        Dreamer(second, "video", clip, out, *OPTIONS, *LOSSLESS, "-q"),
        f"'{out}' is being made by process {first.pid}; allowed: another OUT",
    )
    refused(Dreamer(second, "resume", out), f"process {first.pid}")
    first.signal(signal.SIGKILL)
    first.wait()
    assert (folder_of(out) / "lock").read_text().strip() == str(first.pid)
    same(out, Dreamer(tmp_path, "resume", out, "-q", "--json").summary(), whole)


def test_peek_while_it_runs(clip, whole, tmp_path):
    out = tmp_path / "out.mkv"
    run = Dreamer(tmp_path, "video", clip, out, *OPTIONS, *LOSSLESS, "-q", "--json", step_s=0.05)
    wait_for_frames(out, 1)
    seen: list[int] = []
    while run.is_running and len(set(seen)) < 3:
        try:
            seen.append(peek(out, tmp_path / "peek.mkv", overwrite=True).frames)
        except JournalError:
            break  # it has just finished
        assert len(frames_of(tmp_path / "peek.mkv")[0]) == seen[-1]
    assert len(set(seen)) > 1
    same(out, run.summary(), whole)


def test_peek_by_command_has_sound_and_a_name_of_its_own(clip, tmp_path):
    out = tmp_path / "out.mp4"
    stopped(clip, out, 10)
    run = Dreamer(tmp_path, "peek", out, "--json")
    assert run.summary() == {
        "output": str(tmp_path / "out.peek.mp4"),
        "frames": 10,
        "seconds": pytest.approx(float(uneven(11)[-1])),
    }
    assert frames_of(tmp_path / "out.peek.mp4")[0] == uneven(10)
    assert packets_of(tmp_path / "out.peek.mp4", "audio")
    refused(Dreamer(tmp_path, "peek", out, tmp_path / "out.peek.mp4"), "exists; --overwrite")
    refused(Dreamer(tmp_path, "peek", tmp_path / "no.mp4"), "no.mp4.dreaming' does not exist; ")
    refused(Dreamer(tmp_path, "resume", tmp_path / "no.mp4"), "no.mp4.dreaming' does not exist; ")


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        *(("libx264", suffix) for suffix in ("mp4", "mkv")),
        ("libx265", "mp4"),
        ("mpeg4", "mov"),
    ],
)
def test_segments_join_to_what_one_run_gives(clip, tmp_path, suffix, codec):
    out, straight = tmp_path / f"out.{suffix}", tmp_path / f"straight.{suffix}"
    stopped(clip, out, 10, "--codec", codec)
    Dreamer(tmp_path, "resume", out, "-q", "--json").summary()
    run = ["video", clip, straight, *OPTIONS, "--codec", codec, "-q", "--json"]
    Dreamer(tmp_path, *run).summary()
    times, images = frames_of(out)
    tick = Fraction(1, 1000) if suffix == "mkv" else 0
    assert all(abs(a - b) <= tick / 2 for a, b in zip(times, uneven(FRAMES), strict=True))
    if codec == "libx265":
        return  # which corrupts the heap below 64 pixels a side
    assert torch.equal(images, frames_of(straight)[1])
    assert packets_of(out, "audio") == packets_of(straight, "audio")
    if codec == "libx264":
        assert packets_of(out) == packets_of(straight)


@pytest.mark.parametrize(
    "options",
    [
        ["--fps", "30", "--end", "0.6"],
        ["--fps", "7"],
        ["--start", "0.3"],
        ["--start", "0.3", "--fps", "50", "--end", "0.6"],
        ["--size", "48x32"],
    ],
    ids=" ".join,
)
def test_it_goes_on_at_the_right_frame(clip, tmp_path, options):
    out, straight = tmp_path / "out.mkv", tmp_path / "straight.mkv"
    stopped(clip, out, 5, *LOSSLESS, *options)
    told = Dreamer(tmp_path, "resume", out, "-q", "--json").summary()
    run = ["video", clip, straight, *OPTIONS, *LOSSLESS, *options, "-q", "--json"]
    whole = Dreamer(tmp_path, *run).summary()
    assert (told["digest"], told["frames"]) == (whole["digest"], whole["frames"])
    times, images = frames_of(out)
    assert times == frames_of(straight)[0]
    assert torch.equal(images, frames_of(straight)[1])


# Damage


@pytest.mark.parametrize(
    ("harm", "frames"),
    [("truncated", 9), ("flipped", 12), ("missing", 12), ("flipped", 13)],
)
def test_of_a_damaged_state_the_one_before_serves(clip, whole, tmp_path, harm, frames):
    out = tmp_path / "out.mkv"
    stopped(clip, out, frames, *LOSSLESS)
    damage(folder_of(out) / f"state.{frames % 2}", harm)
    state = read_state(out)
    assert state is not None
    assert state.frames == frames - 1
    same(out, Dreamer(tmp_path, "resume", out, "-q", "--json").summary(), whole)


def damage(path: Path, harm: str) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    if harm == "truncated":
        path.write_bytes(path.read_bytes()[: len(content) // 3])
    elif harm == "flipped":
        path.write_bytes(content)
    else:
        path.unlink()


@pytest.mark.parametrize(
    ("harm", "name"),
    [
        ("truncated", "000002.open"),
        ("flipped", "000001.segment"),
        ("flipped", "000002.open"),
        ("missing", "000000.segment"),
    ],
)
def test_a_damaged_segment_is_named(clip, tmp_path, harm, name):
    out = tmp_path / "out.mkv"
    stopped(clip, out, 10, *LOSSLESS)
    damage(folder_of(out) / name, harm)
    refused(Dreamer(tmp_path, "resume", out, "-q"), name, "--overwrite, which begins anew")
    assert not out.exists()
    refused(Dreamer(tmp_path, "peek", out, "-q"), name)
    run = ["video", clip, out, *OPTIONS, *LOSSLESS, "-q", "--json", "--overwrite"]
    assert Dreamer(tmp_path, *run).summary()["frames"] == FRAMES


def test_flipped_bytes_in_any_file_are_found_or_do_no_harm(clip, whole, tmp_path):
    out = tmp_path / "out.mkv"
    stopped(clip, out, 10, *LOSSLESS)
    intact = tmp_path / "intact"
    folder_of(out).rename(intact)
    refusals = []
    for path in sorted(intact.iterdir()):
        shutil.copytree(intact, folder_of(out))
        damage(folder_of(out) / path.name, "flipped" if path.stat().st_size else "truncated")
        run = Dreamer(tmp_path, "resume", out, "-q", "--json")
        if run.wait() == 0:
            same(out, run.summary(), whole)
            out.unlink()
        else:
            refused(run, path.name, "--overwrite, which begins anew")
            refusals.append(path.name)
            shutil.rmtree(folder_of(out))
    assert refusals == ["000000.segment", "000001.segment", "000002.open"]


def test_where_both_states_are_damaged_that_is_told(clip, tmp_path):
    out = tmp_path / "out.mkv"
    stopped(clip, out, 10, *LOSSLESS)
    for slot in (0, 1):
        damage(folder_of(out) / f"state.{slot}", "flipped")
    refused(Dreamer(tmp_path, "resume", out), "state.0' does not fit its hash; allowed: the same")


# The end


def test_killed_after_the_result_had_its_name_only_the_journal_goes(clip, tmp_path):
    out = tmp_path / "out.mkv"
    stopped(clip, out, 10, *LOSSLESS)
    whole_as_if(out, b"as if whole")
    run = Dreamer(tmp_path, "resume", out)
    assert run.wait() == 0
    assert "only the journal of a whole result was left" in run.told()
    assert list(tmp_path.iterdir()) in ([out, tmp_path / "log"], [tmp_path / "log", out])


@pytest.mark.parametrize("removed", range(8))
def test_killed_as_the_journal_is_removed_it_is_known_to_be_whole(
    clip, tmp_path, monkeypatch, removed
):
    out = tmp_path / "out.mkv"
    folder = folder_of(out)
    stopped(clip, out, 10, *LOSSLESS)
    state = whole_as_if(out, b"whole")
    unlinks, unlink = iter(range(99)), Path.unlink

    def killed(self: Path, missing_ok: bool = False) -> None:
        if next(unlinks) == removed:
            raise KeyboardInterrupt
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", killed)
    with contextlib.suppress(KeyboardInterrupt):
        remove_folder(folder)
    monkeypatch.setattr(Path, "unlink", unlink)
    if any(folder.glob("state.*")):
        told = Dreamer(tmp_path, "resume", out, "-q", "--json").summary()
        assert (told["frames"], told["digest"]) == (10, state.digest)
    else:
        remove_folder(folder)
    assert out.read_bytes() == b"whole"
    assert not folder.exists()


def test_a_result_that_appears_meanwhile_is_not_replaced(clip, whole, tmp_path):
    out = tmp_path / "out.mkv"
    stopped(clip, out, 10, *LOSSLESS)
    out.write_bytes(b"precious")
    refused(Dreamer(tmp_path, "resume", out, "-q"), "exists; --overwrite replaces it")
    assert out.read_bytes() == b"precious"
    out.unlink()
    same(out, Dreamer(tmp_path, "resume", out, "-q", "--json").summary(), whole)
