"""Films whose shots are dreamed one by one, in any order and by any number of processes."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

import dreamvid
from dreamvid import journal
from dreamvid.config import VideoConfig
from dreamvid.errors import ConfigError, JournalError, MediaError
from dreamvid.film import shots as shots_of_films
from dreamvid.film.shots import parse_shots
from dreamvid.journal import folder_of, ranges, read_shot_list, read_state, remove_folder
from dreamvid.journal.shot_list import is_finished as journal_is_finished
from dreamvid.journal.shot_list import shot_path
from dreamvid.media import VideoReader, probe, read_image, write_image
from dreamvid.media.image_sequence import find_images, is_pattern
from tests.cli.test_over_time import write_sound
from tests.control.pieces import beat_times, clicks
from tests.dreamer import LOSSLESS, OPTIONS, Dreamer, Fault, refused, stopped, wait_for_frames
from tests.media.clips import Clip, make, packets_of, picture, steady
from tests.media.test_footage import make_rich, texts_of

SHOTS = (5, 1, 7, 3)
FRAMES = sum(SHOTS)
RUN = ["-q", "--json"]
QUICK = [*OPTIONS, *LOSSLESS]
SLOW = pytest.mark.slow


@dataclass(frozen=True)
class Scene:
    """A clip of four shots, and what one undisturbed run makes of it."""

    source: Path
    whole: Path
    summary: Any


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("in")
    source = make(folder / "in.mp4", Clip(times=steady(FRAMES), shots=SHOTS, sound="aac"))
    whole = folder / "whole.mkv"
    summary = Dreamer(folder, "video", source, whole, *QUICK, *RUN).summary()
    assert (summary["shots"], summary["frames"]) == (len(SHOTS), FRAMES)
    return Scene(source, whole, summary)


def images_of(path: Path) -> torch.Tensor:
    """(N, 3, H, W)"""
    if is_pattern(path):
        return torch.stack([read_image(file) for file in find_images(path)])
    with VideoReader(path) as reader:
        return torch.stack([frame.image for frame in reader])


def times_of(path: Path) -> list[tuple[Fraction, Fraction | None]]:
    with VideoReader(path) as reader:
        return [(frame.time, frame.duration) for frame in reader]


def joined(source: Path, out: Path, *options: object, numbers: str = "4 3 2 1") -> Any:
    """The summary of the join, after its shots were dreamed by a process each."""
    for number in numbers.split():
        run = Dreamer(out.parent, "video", source, out, *options, "--shot", number, *RUN)
        assert run.summary()["output"] == ""
    return Dreamer(out.parent, "join", out, *RUN).summary()


def test_shots_in_reverse_order_are_the_film_of_one_run(scene, tmp_path):
    out = tmp_path / "out.mkv"
    told = joined(scene.source, out, *QUICK)
    assert told["digest"] == scene.summary["digest"]
    assert torch.equal(images_of(out), images_of(scene.whole))
    assert times_of(out) == times_of(scene.whole)
    assert packets_of(out, "audio") == packets_of(scene.whole, "audio")
    for name in ("frames", "shots", "similarity_before", "similarity_after", "guide", "device"):
        assert told[name] == scene.summary[name]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "out.mkv"]


@pytest.mark.parametrize("music", [False, pytest.param(True, marks=SLOW)])
def test_expressions_a_mask_and_key_frames_are_those_of_the_whole_film(scene, tmp_path, music):
    mask = make(tmp_path / "mask.mkv", Clip(times=steady(8, 12), time_base=Fraction(1, 12)))
    options = [*QUICK, "--mask", mask, "--every", "4", "--rotate", "20", "--end", "0.6"]
    options += ["--at", "0", "red", "--at", "0.3", "blue", "--transition", "0.2"]
    options += ["--set", "lr=0.02+t/100+n/100000"]
    options += ["--size", "48x36", "--deliver", "source"]
    if music:
        path = write_sound(tmp_path / "clicks.flac", clicks(beat_times(240, 1, 0.1), 1))
        options += [
            "--music",
            path,
            "--bpm",
            "240",
            "--set",
            "strength=0.1+0.1*pulse(beat)+0.1*rms",
        ]
    else:
        options += ["--set", "strength=0.1+frame/100"]
    whole, out = tmp_path / "whole.mkv", tmp_path / "out.mkv"
    wanted = Dreamer(tmp_path, "video", scene.source, whole, *options, *RUN).summary()
    every = ["--shot", "4", "--shot", "2-3", "--shot", "1"]
    assert Dreamer(tmp_path, "video", scene.source, out, *options, *every, "-q").wait() == 0
    told = Dreamer(tmp_path, "join", out, *RUN).summary()
    assert (told["digest"], told["frames"]) == (wanted["digest"], 15)
    assert torch.equal(images_of(out), images_of(whole))
    assert packets_of(out, "audio") == packets_of(whole, "audio")


@pytest.mark.parametrize(
    "name", ["%03d.png", pytest.param("out.gif", marks=SLOW), pytest.param("out.mp4", marks=SLOW)]
)
def test_every_kind_of_result_is_joined(scene, tmp_path, name):
    whole, out = tmp_path / "whole" / name, tmp_path / "out" / name
    for path in (whole, out):
        path.parent.mkdir()
    wanted = Dreamer(tmp_path, "video", scene.source, whole, *OPTIONS, *RUN).summary()
    told = joined(scene.source, out, *OPTIONS, numbers="2-4 1")
    assert told["digest"] == wanted["digest"]
    assert sorted(path.name for path in out.parent.iterdir() if path.name != "log") == sorted(
        path.name for path in whole.parent.iterdir()
    )
    if name == "out.mp4":  # its keyframes are at other places
        assert times_of(out) == times_of(whole)
        assert (images_of(out) - images_of(whole)).abs().mean() < 0.02
    else:
        assert torch.equal(images_of(out), images_of(whole))


def test_everything_beside_the_pictures_arrives_and_a_shot_may_be_one_frame(tmp_path):
    rich, whole, out = (tmp_path / name for name in ("in.mkv", "whole.mkv", "out.mkv"))
    make_rich(rich)
    options = [*QUICK, "--cut-threshold", "12"]
    wanted = Dreamer(tmp_path, "video", rich, whole, *options, *RUN).summary()
    assert wanted["shots"] == wanted["frames"]
    told = joined(rich, out, *options, numbers="3-8 1-2")
    assert told["digest"] == wanted["digest"]
    for what in ("subtitles", "chapters", "metadata", "sound", "colour"):
        assert getattr(probe(out), what) == getattr(probe(whole), what)
    assert texts_of(out) == texts_of(whole)


def test_what_is_missing_is_named_and_resume_makes_it(scene, tmp_path):
    out = tmp_path / "out.mkv"
    fault = Fault("failing encoder", 4)
    arguments = ["video", scene.source, out, *QUICK, "--shot"]
    first = Dreamer(tmp_path, *arguments, "3", "-q", fault=fault)
    refused(first, "the encoder cannot encode; 4 finished frames are safe, the same command goes")
    refused(
        Dreamer(tmp_path, "join", out),
        "missing: shots 1-4 of 4; finished so far are 4 of 7 frames of shot 3; allowed: to dream",
    )
    refused(Dreamer(tmp_path, "peek", out), "holds a film that is made shot by shot")
    again = Dreamer(tmp_path, *arguments, "3", "--shot", "1")
    assert again.wait() == 0
    assert "shot 3: going on after 4 of 7 frames" in again.told()
    assert "of 4 shots there remain 2, 4" in again.told()
    refused(Dreamer(tmp_path, "join", out), "missing: shots 2, 4 of 4; allowed: to dream them")
    told = Dreamer(tmp_path, "resume", out, *RUN).summary()
    assert told["digest"] == scene.summary["digest"]
    assert torch.equal(images_of(out), images_of(scene.whole))
    assert not folder_of(out).exists()
    refused(Dreamer(tmp_path, "join", out), "does not exist; allowed: the OUT of a film")


def test_four_processes_at_once_dream_each_shot_once(scene, tmp_path):
    out = tmp_path / "out.mkv"
    folders = [tmp_path / str(number) for number in range(4)]
    runs = []
    for folder in folders:
        folder.mkdir()
        arguments = ["video", scene.source, out, *QUICK, "--shot", "1-4"]
        runs.append(Dreamer(folder, *arguments, step_s=0.02))
    assert [run.wait() for run in runs] == [0] * 4
    told = "".join(run.told() for run in runs)
    assert sorted(re.findall(r"^dreamvid: shot (\d): (\d) frames", told, re.M)) == [
        (str(number), str(count)) for number, count in enumerate(SHOTS, 1)
    ]
    assert "going on" not in told
    assert told.count("puts them together") == 4
    assert Dreamer(tmp_path, "join", out, *RUN).summary()["digest"] == scene.summary["digest"]


def test_who_waits_for_a_killed_process_takes_over(scene, tmp_path):
    out = tmp_path / "out.mkv"
    arguments = ["video", scene.source, out, *QUICK, "--shot", "3"]
    (tmp_path / "first").mkdir()
    first = Dreamer(tmp_path / "first", *arguments, "-q", fault=Fault("long step", 3 + 2 + 1))
    shot = shot_path(out, dreamvid.Shot(3, 6, 12, Fraction(1, 4), Fraction(13, 24), 0))
    wait_for_frames(shot, 2)
    second = Dreamer(tmp_path, *arguments)
    first.signal(signal.SIGKILL)
    assert (first.wait(), second.wait()) == (-signal.SIGKILL, 0)
    assert "shot 3: going on after 2 of 7 frames" in second.told()
    told = joined(scene.source, out, *QUICK, numbers="1-4")
    assert told["digest"] == scene.summary["digest"]


def killed_everywhere(scene: Scene, out: Path, every: int) -> int:
    """Dream and join, killed at each `every`-th time that something is brought to the disk."""
    commands: list[list[object]] = [
        ["video", scene.source, out, *QUICK, "--shot", "2-3", "--shot", "1", "--shot", "4"],
        ["join", out],
    ]
    kills = 0
    for command in commands:
        for _ in range(200):
            run = Dreamer(out.parent, *command, "-q", fault=Fault("power cut", every))
            if run.wait() == 0:
                break
            assert run.wait() == -signal.SIGKILL, run.told()
            kills += 1
    return kills


@pytest.mark.parametrize(
    "every", [30, *(pytest.param(every, marks=SLOW) for every in (6, 7, 8, 9, 10, 11, 13))]
)
def test_killed_at_any_write_it_goes_on_to_the_same_film(scene, tmp_path, every):
    out = tmp_path / "out.mkv"
    assert killed_everywhere(scene, out, every) >= 60 // every
    assert torch.equal(images_of(out), images_of(scene.whole))


def test_a_film_in_one_piece_and_one_in_shots_do_not_mix(scene, tmp_path):
    out = tmp_path / "out.mkv"
    stopped(scene.source, out, 4, *LOSSLESS)
    arguments = ["video", scene.source, out, *QUICK, "-q"]
    refused(Dreamer(tmp_path, *arguments, "--shot", "1"), "holds 4 frames of an unfinished run; ")
    assert Dreamer(tmp_path, *arguments, "--shot", "1", "--overwrite").wait() == 0
    assert read_state(out) is None
    refused(Dreamer(tmp_path, *arguments), "holds a film that is made shot by shot; `dreamvid res")
    told = Dreamer(tmp_path, *arguments, "--overwrite", "--json").summary()
    assert told["digest"] == scene.summary["digest"]
    assert not folder_of(out).exists()


def test_a_list_without_a_frame_is_in_nobody_s_way(scene, tmp_path):
    out = tmp_path / "out.mkv"
    arguments = ["video", scene.source, out, *QUICK, "-q"]
    refused(Dreamer(tmp_path, *arguments, "--shot", "9"), "the film has 4 shots", status=2)
    assert read_shot_list(out) is not None
    assert Dreamer(tmp_path, *arguments, "--shot", "2", "--steps", "1").wait() == 0
    remove_folder(folder_of(out))
    refused(Dreamer(tmp_path, *arguments, "--shot", "9"), "the film has 4 shots", status=2)
    told = Dreamer(tmp_path, *arguments, "--json").summary()
    assert told["digest"] == scene.summary["digest"]
    assert not folder_of(out).exists()


def test_another_run_does_not_go_on_with_the_shots_of_the_first(scene, tmp_path):
    out = tmp_path / "out.mkv"
    arguments = ["video", scene.source, out, *QUICK, "-q", "--shot"]
    assert Dreamer(tmp_path, *arguments, "2").wait() == 0
    refused(
        Dreamer(tmp_path, *arguments, "1", "--steps", "1"),
        "this is not the run that was begun: --steps is 1, was 2; allowed: what was, or --force",
    )
    assert Dreamer(tmp_path, *arguments, "2", "--overwrite").wait() == 0
    shots = read_shot_list(out)
    assert shots is not None
    shot = shots.shots[1]
    assert list(folder_of(shot_path(out, shot)).glob("state.?"))
    assert Dreamer(tmp_path, *arguments, "1", "--steps", "1", "--overwrite").wait() == 0
    assert not folder_of(shot_path(out, shot)).exists()


def test_damage_is_found_when_joining(scene, tmp_path):
    out = tmp_path / "out.mkv"
    run = Dreamer(tmp_path, "video", scene.source, out, *QUICK, "-q", "--shot", "1-4")
    assert run.wait() == 0
    digests = folder_of(out) / "shot-0003.mkv.dreaming" / "digests"
    kept = digests.read_bytes()
    digests.write_bytes(kept[:-1] + b"\0")
    refused(Dreamer(tmp_path, "join", out, "-q"), "the journal is damaged: ", "digests' does not")
    digests.write_bytes(kept)
    out.write_bytes(b"somebody's")
    refused(Dreamer(tmp_path, "join", out, "-q"), "exists; --overwrite replaces it")
    told = Dreamer(tmp_path, "join", out, "--overwrite", *RUN).summary()
    assert told["digest"] == scene.summary["digest"]


# In this process


def test_shots_are_found_by_time_though_pictures_are_the_source(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(6):
        write_image(folder / f"{k}.png", picture(k) * (1 if k < 4 else 0))
    found = dreamvid.find_shots(folder, timing=False)
    assert [(shot.first, shot.last) for shot in found.shots] == [(0, 3), (4, 5)]
    assert found.seconds(found.shots[0]) is None


@pytest.mark.parametrize(
    ("texts", "numbers"), [(["3"], [3]), (["5-7", "1"], [5, 6, 7, 1]), (["2-3", "3-4"], [2, 3, 4])]
)
def test_shots_are_named_by_number(texts, numbers):
    assert parse_shots(texts) == numbers


@pytest.mark.parametrize("text", ["", "0", "x", "3-", "4-3", "1,2", "-1", "9" * 30])
def test_what_is_no_shot_is_told(text):
    with pytest.raises(ConfigError, match="is no shot; allowed: 3, or 3-7 for several"):
        parse_shots([text])


def test_shots_that_are_not_there_are_told(scene, tmp_path):
    given: dict[str, Any] = {"prompt": "red", "shots": [5]}
    with pytest.raises(ConfigError, match="--shot 5: the film has 4 shots; allowed: 1 to 4"):
        dreamvid.dream_video(scene.source, tmp_path / "out.mkv", **given)
    with pytest.raises(ConfigError, match="has no journal; allowed: from files to files"):
        dreamvid.dream_video(scene.source, "-", **given)
    with pytest.raises(ConfigError, match="holds 100 frames a second, not 150; allowed: a lower"):
        dreamvid.dream_video(scene.source, tmp_path / "out.gif", **given, fps=150)
    with pytest.raises(JournalError, match="does not exist; allowed: the OUT of a film"):
        dreamvid.join(tmp_path / "none.mkv")


def test_a_source_that_shows_another_picture_is_noticed(scene, tmp_path):
    out = tmp_path / "out.mkv"
    run = Dreamer(tmp_path, "video", scene.source, out, *QUICK, "-q", "--shot", "1")
    assert run.wait() == 0
    found = read_shot_list(out)
    assert found is not None
    wrong = tuple(replace(shot, mark=shot.mark ^ 1) for shot in found.shots)
    (folder_of(out) / "shots").write_bytes(replace(found, shots=wrong).to_bytes())
    config = found.run.config
    assert isinstance(config, VideoConfig)
    with pytest.raises(MediaError, match=r"does not show at 0\.167 s what it did"):
        dreamvid.dream_video(scene.source, out, config=config, shots=[2])


def test_a_shot_that_is_finished_at_the_last_moment_is_left_alone(scene, tmp_path, monkeypatch):
    out = tmp_path / "out.mkv"
    run = Dreamer(tmp_path, "video", scene.source, out, *QUICK, "-q", "--shot", "1")
    assert run.wait() == 0
    found = read_shot_list(out)
    assert found is not None
    answers = iter([False])

    def is_finished(*given: Any) -> bool:
        return next(answers, None) is not False and journal_is_finished(*given)

    monkeypatch.setattr(journal, "is_finished", is_finished)
    monkeypatch.setattr(shots_of_films, "POLL_S", 0)
    config = found.run.config
    assert isinstance(config, VideoConfig)
    told: list[Any] = []
    given: dict[str, Any] = {"config": config, "shots": [1], "listener": told.append}
    summary = dreamvid.dream_video(scene.source, out, **given)
    assert (summary.frames, next(answers, None)) == (SHOTS[0], None)
    assert dreamvid.Message("shot 1: 5 frames") not in told


def test_numbers_in_short():
    assert ranges([7, 1, 3, 4, 5]) == "1, 3-5, 7"
    assert ranges([]) == ""
