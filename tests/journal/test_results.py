"""Journals of all kinds of clips: masks, pictures, alpha; and what has none."""

from __future__ import annotations

import signal
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dreamvid.film.keeping import KeptCarry
from dreamvid.journal import folder_of, read_state
from dreamvid.journal.carries import Carries
from dreamvid.media import VideoReader, probe, write_image
from dreamvid.types import Frame
from tests.cli.test_over_time import write_sound
from tests.dreamer import (
    LOSSLESS,
    OPTIONS,
    Dreamer,
    Fault,
    refused,
    stopped,
    wait_for_frames,
    wait_until,
    whole_as_if,
)
from tests.media.clips import Clip, make, packets_of, picture, steady
from tests.media.test_footage import make_rich, texts_of

FRAMES = 8
RUN = ["-q", "--json"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("in") / "in.mkv"
    return make(path, Clip(times=steady(FRAMES), sound="aac", tracks=2))


def frames_of(path: Path) -> list[Frame]:
    with VideoReader(path) as reader:
        return list(reader)


def resumed_like_straight(
    source: Path, out: Path, *options: object, frames: int = 5
) -> tuple[Path, Any]:
    """Stop a run, resume it, and hold it against one that nothing disturbs."""
    straight = out.with_name(f"straight{out.suffix}")
    stopped(source, out, frames, *options)
    told = Dreamer(out.parent, "resume", out, *RUN).summary()
    run = Dreamer(out.parent, "video", source, straight, *OPTIONS, *options, *RUN)
    wanted = run.summary()
    assert (told["digest"], told["frames"]) == (wanted["digest"], wanted["frames"])
    for a, b in zip(frames_of(out), frames_of(straight), strict=True):
        assert (a.time, a.duration) == (b.time, b.duration)
        assert torch.equal(a.image, b.image)
        assert (a.alpha is None) == (b.alpha is None)
        assert a.alpha is None or b.alpha is None or torch.equal(a.alpha, b.alpha)
    assert not folder_of(out).exists()
    return straight, told


def test_under_a_mask_the_delivered_frame_is_kept_and_the_dreamed_one_carried(clip, tmp_path):
    mask, out = tmp_path / "mask.mkv", tmp_path / "out.mkv"
    make(mask, Clip(times=steady(4, 12), time_base=Fraction(1, 12)))
    options = [*LOSSLESS, "--mask", mask, "--size", "32x24", "--deliver", "source"]
    stopped(clip, out, 5, *options)
    state = read_state(out)
    assert state is not None
    frames, carry = Carries(out, state).read(KeptCarry, torch.device("cpu"))
    assert frames == 5
    assert carry is not None
    assert carry.dream.shape == (3, 24, 32)
    assert list(state.run.inputs) == ["the source", "--mask"]
    folder_of(out).rename(tmp_path / "away")
    straight, _ = resumed_like_straight(clip, out, *options)
    assert frames_of(straight)[0].image.shape == (3, 48, 64)
    (tmp_path / "away").rename(folder_of(out))
    out.unlink()
    make(mask, Clip(times=steady(5, 12), time_base=Fraction(1, 12)))
    refused(Dreamer(tmp_path, "resume", out), f"--mask '{mask}' is not what it was; allowed")


@pytest.mark.parametrize("name", ["tile", "kaleidoscope:6"])
def test_a_symmetric_film_goes_on(clip, tmp_path, name):
    options = [*LOSSLESS, "--symmetry", name, "--size", "32x24", "--zoom", "1.5"]
    resumed_like_straight(clip, tmp_path / "out.mkv", *options)


def test_a_film_under_a_mask_from_words_goes_on(clip, tmp_path):
    words = ["--where", "sky", "--set", "where-threshold=0.2*t", "--every", "2", "--mask-invert"]
    write_image(tmp_path / "mask.png", 0.5 * picture(3))
    options = [*LOSSLESS, "--mask", tmp_path / "mask.png", *words]
    resumed_like_straight(clip, tmp_path / "out.mkv", *options)


def test_files_that_options_name_are_found_from_another_folder(clip, tmp_path):
    write_image(tmp_path / "mask.png", picture(3))
    out = tmp_path / "out.mkv"
    stopped(clip, out, 3, "--mask", "mask.png", within=tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run = Dreamer(tmp_path, "resume", "../out.mkv", *RUN, within=elsewhere)
    assert run.summary()["frames"] == FRAMES
    assert len(frames_of(out)) == FRAMES


@pytest.mark.parametrize("name", ["", "%02d.png", "*.png", "all.txt"])
def test_pictures_as_a_film_go_on(tmp_path, name):
    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(FRAMES):
        write_image(folder / f"{k:02}.png", picture(k))
    (folder / "all.txt").write_text("".join(f"{k:02}.png\n" for k in range(FRAMES)))
    source, out = folder / name, tmp_path / "out.mkv"
    resumed_like_straight(source, out, *LOSSLESS)
    out.unlink()
    stopped(source, out, 3, *LOSSLESS)
    write_image(folder / "04.png", picture(20), overwrite=True)
    refused(Dreamer(tmp_path, "resume", out), f"the source '{source}' is not what it was; ")
    (folder / "04.png").unlink()
    assert Dreamer(tmp_path, "resume", out, "-q").wait() == 1
    assert read_state(out) is not None


def test_a_single_picture_that_stays_goes_on(tmp_path):
    source = tmp_path / "in.png"
    write_image(source, picture(3))
    _, told = resumed_like_straight(source, tmp_path / "out.mkv", *LOSSLESS, "--seconds", "0.3")
    assert told["frames"] == 8


@pytest.mark.parametrize(
    ("codec", "suffix"), [("libvpx-vp9", "webm"), ("prores_ks", "mov"), ("ffv1", "mkv")]
)
def test_alpha_goes_on(tmp_path, codec, suffix):
    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(6):
        write_image(folder / f"{k}.png", picture(k), alpha=picture(k + 9)[:1])
    out = tmp_path / f"out.{suffix}"
    resumed_like_straight(folder, out, "--codec", codec, frames=5)
    clear = frames_of(out)[3].alpha
    assert clear is not None
    assert (clear - picture(12)[:1]).abs().mean() < 0.05


def test_everything_beside_the_pictures_arrives(tmp_path):
    rich, out = make_rich(tmp_path / "in.mkv"), tmp_path / "out.mkv"
    straight, _ = resumed_like_straight(rich, out, *LOSSLESS)
    for what in ("subtitles", "chapters", "metadata", "sound", "colour"):
        seen, wanted = getattr(probe(out), what), getattr(probe(straight), what)
        if what == "metadata":  # which names the source
            seen, wanted = set(seen), set(wanted)
        assert seen == wanted
    assert probe(out).chapters
    assert probe(out).subtitles
    assert texts_of(out) == texts_of(straight)


def test_a_peek_has_what_stands_beside_its_frames(clip, tmp_path):
    rich, out = make_rich(tmp_path / "in.mkv"), tmp_path / "out.mkv"
    stopped(rich, out, 5, *LOSSLESS)
    assert Dreamer(tmp_path, "peek", out).wait() == 0
    seen = probe(tmp_path / "out.peek.mkv")
    assert seen.subtitles
    assert max(chapter.end for chapter in seen.chapters) <= Fraction(5, 20)
    out = tmp_path / "sound.mkv"
    stopped(clip, out, 5, *LOSSLESS)
    assert Dreamer(tmp_path, "peek", out).wait() == 0
    assert len(probe(tmp_path / "sound.peek.mkv").sound) == 2
    assert packets_of(tmp_path / "sound.peek.mkv", "audio")
    out = tmp_path / "music.mkv"
    music = write_sound(tmp_path / "music.flac", 0.1 * np.ones(22_050), "flac")
    stopped(clip, out, 5, *LOSSLESS, "--music", music)
    assert Dreamer(tmp_path, "peek", out).wait() == 0
    assert [track.codec for track in probe(tmp_path / "music.peek.mkv").sound] == ["flac"]


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize(
    ("codec", "suffix"), [("libx265", "mp4"), ("libx264", "mp4"), ("libx264", "mkv")]
)
def test_very_short_clips_are_found_whole(tmp_path, codec, suffix, frames):
    source, out = tmp_path / "in.mp4", tmp_path / f"out.{suffix}"
    times = [Fraction(k, 10) for k in range(3)][: max(frames, 2)]
    make(source, Clip(times=times, time_base=Fraction(1, 600), size=(96, 80)))
    end = ["--end", "0.05"] if frames == 1 else []
    run = Dreamer(tmp_path, "video", source, out, *OPTIONS, "--codec", codec, *RUN, *end)
    assert run.summary()["frames"] == frames
    assert [frame.time for frame in frames_of(out)] == times[:frames]


# What goes wrong within a frame


def test_a_frame_that_is_tried_again_is_named_at_the_end_though_the_run_was_stopped(clip, tmp_path):
    out = tmp_path / "out.mkv"
    fault = Fault("no number", 3 + 2)
    run = Dreamer(tmp_path, "video", clip, out, *OPTIONS, *LOSSLESS, "-q", fault=fault, step_s=0.1)
    wait_for_frames(out, 4)
    run.signal(signal.SIGTERM)
    assert run.wait() == 143
    told = Dreamer(tmp_path, "resume", out, *RUN).summary()
    assert told["retried"] == [pytest.approx(2 / 24, abs=1e-3)]
    assert "kept" not in told
    assert told["shots"] == 1


def test_the_digest_is_of_all_frames_those_between_keys_too(clip, tmp_path):
    """Under a weaker strength at one of these alone, which no key frame sees."""
    digests = []
    for number, strength in enumerate(("0.2", "0.2 if frame != 1 else 0.01")):
        out = tmp_path / f"{number}.mkv"
        options = [*LOSSLESS, "--every", "3", "--set", f"strength={strength}"]
        run = Dreamer(tmp_path, "video", clip, out, *OPTIONS, *options, *RUN)
        digests.append(run.summary()["digest"])
    assert digests[0] != digests[1]


@pytest.mark.parametrize("frames", [4, 6])
def test_between_key_frames_and_under_a_moving_camera_it_goes_on_too(clip, tmp_path, frames):
    out = tmp_path / "out.mkv"
    options = [*LOSSLESS, "--every", "3", "--zoom", "1.5", "--pan", "0.1,0", "--shutter", "180"]
    options += ["--set", "rotate=20*frame"]
    resumed_like_straight(clip, out, *options, frames=frames)


def test_where_memory_is_short_that_is_told_once(clip, tmp_path):
    fault = Fault("no memory", 4)
    run = Dreamer(
        tmp_path, "video", clip, tmp_path / "out.mkv", *OPTIONS, *LOSSLESS, "--json", fault=fault
    )
    told = run.summary()
    assert told["frames"] == FRAMES
    assert [line for line in told["warnings"] if "out of memory" in line] == told["warnings"]
    assert "now sees 1 cutouts at once or fewer, to the same effect" in told["warnings"][0]


# Stopping


def test_a_second_signal_ends_at_once(clip, tmp_path):
    out = tmp_path / "out.mkv"
    begun = tmp_path / "begun"
    long = Fault("long step", 3 + 2 * 3, begun)
    run = Dreamer(tmp_path, "video", clip, out, *OPTIONS, *LOSSLESS, fault=long)
    wait_until(begun.exists)
    run.signal(signal.SIGINT)
    wait_until(lambda: "once more stops at once" in " ".join(run.told().split()))
    assert run.is_running
    begin = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.wait() == 130
    assert time.monotonic() - begin < 10
    told = " ".join(run.told().split())
    assert "stopping after this step; once more stops at once" in told
    assert f"stopped; 4 finished frames are safe, `dreamvid resume {out}` goes on" in told
    assert Dreamer(tmp_path, "resume", out, *RUN).summary()["frames"] == FRAMES


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_has_no_journal_leaves_nothing_when_stopped(clip, tmp_path, number):
    folder = tmp_path / "out"
    folder.mkdir()
    picture_file = clip.with_name("in.png")
    write_image(picture_file, picture(3), overwrite=True)
    begun = tmp_path / "begun"
    out, fault = folder / "out.png", Fault("long step", 5, begun)
    run = Dreamer(tmp_path, "image", picture_file, out, "-p", "red", fault=fault)
    wait_until(begun.exists)
    run.signal(number)
    wait_until(lambda: "once more stops at once" in " ".join(run.told().split()))
    run.signal(number)
    assert run.wait() == 128 + number
    assert run.told().rstrip().endswith("stopped; no result was written")
    assert list(folder.iterdir()) == []


def test_what_cannot_go_on_says_so(clip, tmp_path):
    run = Dreamer(tmp_path, "video", clip, "-", *OPTIONS, "--resume")
    refused(run, f"'{clip}' to '-' has no journal; allowed: from files to files", status=2)
    run = Dreamer(tmp_path, "video", clip, tmp_path / "out.mkv", *OPTIONS, "--force")
    refused(run, "--force is given without --resume", status=2)


def test_a_peek_at_a_result_that_is_whole_says_so(clip, tmp_path):
    out = tmp_path / "out.mkv"
    stopped(clip, out, 5)
    whole_as_if(out, b"as if whole")
    (folder_of(out) / "000000.segment").unlink()
    refused(Dreamer(tmp_path, "peek", out), f"'{out}' is whole: look at that; only its journal")
    told = Dreamer(tmp_path, "resume", out, *RUN).summary()
    assert told["frames"] == 5
    refused(Dreamer(tmp_path, "peek", out), "does not exist; allowed: the OUT of a film that")
