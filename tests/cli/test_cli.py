"""The program: what it makes, and how it fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from torch import Tensor

from dreamvid import config
from dreamvid.cli.app import run
from dreamvid.config import EvalConfig, ImageConfig, Section, VideoConfig, ZoomConfig, options
from dreamvid.dream import descent
from dreamvid.errors import DreamvidError, MediaError
from dreamvid.film.recipe import METADATA_KEY
from dreamvid.guide import hub
from dreamvid.media import ColourTags, VideoReader, probe, read_image, write_image
from dreamvid.motion.camera import Camera, view
from tests.cli.conftest import Result, refused
from tests.media.clips import Clip, make, steady

ROSE = ["-p", "a red rose"]
QUICK = ["--steps", "1", "--first-steps", "1", "--cutouts", "2", "--octaves", "1", "-q"]
QUICK_IMAGE = ["--steps", "3", "--cutouts", "2", "--octaves", "1", "-q"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames of 64×48 at 24 a second, with sound."""
    return make(tmp_path_factory.mktemp("in") / "in.mp4", Clip(times=steady(6), sound="aac"))


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small picture file."""
    path = tmp_path_factory.mktemp("in") / "picture.png"
    image = torch.rand(3, 36, 48, generator=torch.Generator().manual_seed(0))
    write_image(path, image)
    return path


def frames_of(path: Path) -> tuple[list[Fraction], Tensor]:
    """Times and pictures."""
    with VideoReader(path) as reader:
        frames = list(reader)
    return [frame.time for frame in frames], torch.stack([frame.image for frame in frames])


# What it makes


def test_a_clip_becomes_a_dreamed_clip_with_its_times_and_sound(dreamvid, clip, tmp_path):
    out = tmp_path / "out.mp4"
    told = dreamvid("video", clip, out, *ROSE, *QUICK, "--json").json()
    assert (told["output"], told["frames"], told["guide"]) == (str(out), 6, ["mini"])
    assert (told["shots"], told["device"], told["warnings"]) == (1, "cpu", [])
    assert told["similarity_after"] > told["similarity_before"]
    assert told["seconds"] > 0
    assert told["seconds_per_frame"] == pytest.approx(told["seconds"] / 6, abs=1e-3)
    times, images = frames_of(out)
    source_times, source_images = frames_of(clip)
    assert times == source_times
    assert images.shape == source_images.shape
    assert (images - source_images).abs().mean() > 0.01
    info = probe(out)
    assert [(track.codec, track.rate) for track in info.sound] == [("aac", 48_000)]
    assert info.duration == probe(clip).duration
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_the_result_tells_all_options_under_their_names(dreamvid, clip, tmp_path, suffix):
    out = tmp_path / f"out.{suffix}"
    assert dreamvid("video", clip, out, *ROSE, *QUICK, "--end", "0:00.05", "--seed", 9).status == 0
    made = json.loads(probe(out).metadata[METADATA_KEY])
    assert made["source"] == str(clip)
    assert set(made["options"]) == {option.name for option in options(VideoConfig)}
    given = {"steps": 1, "first_steps": 1, "cutouts": 2, "octaves": 1, "seed": 9, "end": "0.05"}
    assert VideoConfig.model_validate(made["options"]) == VideoConfig.model_validate(
        given | {"prompt": ["a red rose"]}
    )


def test_python_runs_the_package_as_the_program():
    command = [sys.executable, "-m", "dreamvid", "--version"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip().endswith(version("dreamvid"))


@pytest.mark.parametrize("command, span", [("video", ("--end", 0.1)), ("zoom", ("--seconds", 0.1))])
def test_a_film_is_watched_on_a_page(dreamvid, clip, tmp_path, command, span):
    loud = [argument for argument in QUICK if argument != "-q"]
    out = tmp_path / "out.mp4"
    result = dreamvid(command, clip, out, *ROSE, *loud, *span, "--watch", "--no-browser")
    assert result.status == 0
    assert "dreamvid: watched at http://127.0.0.1:" in result.err
    assert out.exists()


def test_prompts_and_paths_can_be_left_out_of_the_result(dreamvid, clip, picture, tmp_path):
    video, image = tmp_path / "out.mp4", tmp_path / "out.png"
    dreamvid("video", clip, video, *ROSE, *QUICK, "--end", "0.05", "--no-metadata")
    dreamvid("image", picture, image, *ROSE, *QUICK_IMAGE, "--no-metadata")
    for path in (video, image):
        content = path.read_bytes()
        assert b"red rose" not in content
        assert b"picture.png" not in content
        assert b"in.mp4" not in content
    assert METADATA_KEY not in probe(video).metadata


def test_the_same_command_gives_the_same_pixels_and_another_seed_does_not(dreamvid, clip, tmp_path):
    outs = [tmp_path / name for name in ("a.mkv", "b.mkv", "c.mkv")]
    for out, seed in zip(outs, (1, 1, 2), strict=True):
        lossless = ["--codec", "ffv1", "--end", "0.1", "--seed", seed]
        assert dreamvid("video", clip, out, *ROSE, *QUICK, *lossless).status == 0
    first, again, other = (frames_of(out)[1] for out in outs)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_an_existing_result_is_replaced_where_that_is_asked_for(dreamvid, clip, tmp_path):
    out = tmp_path / "out.mp4"
    out.write_bytes(b"old")
    told = dreamvid("video", clip, out, *ROSE, *QUICK, "--end", "0.05", "--overwrite", "--json")
    assert told.json()["frames"] == 2
    assert len(frames_of(out)[0]) == 2


def test_start_end_and_size_are_obeyed(dreamvid, clip, tmp_path):
    out = tmp_path / "out.mp4"
    asked = ["--start", "0:00.04", "--end", "0.13", "--size", "32x24"]
    assert dreamvid("video", clip, out, *ROSE, *QUICK, *asked, "--json").json()["frames"] == 3
    assert frames_of(out)[1].shape == (3, 3, 24, 32)


def test_a_file_cut_short_is_dreamed_as_far_as_it_goes_with_a_warning(dreamvid, tmp_path):
    whole = make(tmp_path / "whole.mkv", Clip(times=steady(24), size=(128, 96), sound="aac"))
    cut = tmp_path / "cut.mkv"
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) * 2 // 3])
    out = tmp_path / "out.mp4"
    told = dreamvid("video", cut, out, *ROSE, *QUICK, "--json").json()
    assert 6 < told["frames"] < 24
    assert len(told["warnings"]) == 1
    assert len(frames_of(out)[0]) == told["frames"]


def test_progress_and_summary_go_to_standard_error_unless_quiet(dreamvid, clip, tmp_path):
    loud = [part for part in QUICK if part != "-q"]
    result = dreamvid("video", clip, tmp_path / "a.mp4", *ROSE, *loud, "--end", "0.05")
    assert result.status == 0
    assert result.out == ""
    assert "dreaming on cpu with mini" in result.err
    assert f"{tmp_path / 'a.mp4'}: 2 frames in " in result.err
    silent = dreamvid("video", clip, tmp_path / "b.mp4", *ROSE, *QUICK, "--end", "0.05")
    assert silent == Result(0, "", "")


def test_a_picture_emerges_from_grey_and_a_film_shows_every_step(dreamvid, tmp_path):
    out, film = tmp_path / "out.png", tmp_path / "film.mp4"
    asked = ["--size", "48x36", "--film", film, "--json"]
    told = dreamvid("image", "grey", out, *ROSE, *QUICK_IMAGE, *asked).json()
    assert told["frames"] == 1
    assert read_image(out).shape == (3, 36, 48)
    times, images = frames_of(film)
    assert times == [Fraction(index, 24) for index in range(3 + 1)]
    away = [float((image - 0.5).abs().mean()) for image in images]
    assert away[0] < 0.01 < min(away[1:])
    assert (images[-1] - read_image(out)).abs().mean() < 0.02
    assert sorted(tmp_path.iterdir()) == [film, out]


def test_a_picture_emerges_from_noise_by_seed(dreamvid, tmp_path):
    images = []
    for name, seed in (("a.png", 1), ("b.png", 1), ("c.png", 2)):
        asked = ["--size", "48x36", "--seed", seed]
        assert dreamvid("image", "noise", tmp_path / name, *ROSE, *QUICK_IMAGE, *asked).status == 0
        images.append(read_image(tmp_path / name))
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])


def test_a_picture_is_dreamed_on_towards_texts_and_pictures(dreamvid, picture, tmp_path):
    out = tmp_path / "out.png"
    wanted = [
        "-n",
        "text::0.5",
        "--image-prompt",
        f"{picture}::2",
        "--from",
        "snow",
        "--to",
        "fire",
    ]
    assert dreamvid("image", picture, out, *wanted, *QUICK_IMAGE).status == 0
    assert read_image(out).shape == read_image(picture).shape
    assert not torch.equal(read_image(out), read_image(picture))


def test_no_steps_leave_the_picture_alone(dreamvid, picture, tmp_path):
    out = tmp_path / "out.png"
    assert dreamvid("image", picture, out, *ROSE, *QUICK_IMAGE, "--steps", 0).status == 0
    assert torch.equal(read_image(out), read_image(picture))


@pytest.mark.parametrize(
    "typed",
    [
        ["--at", "0", "a red rose", "--at", "0.1", "a: castle::2"],
        ["--at", "0 a red rose", "--at", "0.1 a: castle::2"],
    ],
)
def test_prompts_change_with_time(dreamvid, clip, tmp_path, typed):
    out = tmp_path / "out.mp4"
    told = dreamvid("video", clip, out, *typed, "--transition", "0.1s", *QUICK, "--json").json()
    assert told["similarity_after"] > told["similarity_before"]
    made = json.loads(probe(out).metadata[METADATA_KEY])["options"]
    assert made["at"] == [["0", "a red rose"], ["0.1", "a: castle::2"]]
    again = dreamvid("config", *typed).out
    assert 'at = [["0", "a red rose"], ["0.1", "a: castle::2"]]' in again


def test_prompts_over_time_in_a_file(dreamvid, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('at = [[0, "ice"], ["2.5s", "fire"]]\n', encoding="utf-8")
    shown = tomllib.loads(dreamvid("config", "--config", file).out)
    assert shown["at"] == [["0", "ice"], ["2.5s", "fire"]]


@pytest.mark.parametrize(
    "typed", [["--at", "soon", "ice"], ["--at", "3", "::2"], ["--at", "3", "-q"]]
)
def test_a_prompt_without_its_time_is_refused(dreamvid, clip, tmp_path, typed):
    told = dreamvid("video", clip, tmp_path / "out.mp4", *typed)
    assert told.status == 2
    assert "--at" in told.err
    assert told.err.count("\n") == 1


def test_a_beat_without_a_tempo_is_refused(dreamvid, clip, tmp_path):
    told = dreamvid("video", clip, tmp_path / "out.mp4", "--at", "16b", "ice", *QUICK)
    assert (told.status, list(tmp_path.iterdir())) == (2, [])
    assert told.err.startswith("dreamvid: beat 16: no tempo is known; allowed: ")


# What it tells


COMMANDS: dict[str, type[Section]] = {
    "video": VideoConfig,
    "image": ImageConfig,
    "eval": EvalConfig,
    "zoom": ZoomConfig,
    "plan": VideoConfig,
    "live": VideoConfig,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_every_option_with_its_limits_and_default(dreamvid, command):
    result = dreamvid(command, "--help-all")
    assert result.status == 0
    words = result.out.split()
    text = " ".join(words)
    for option in options(COMMANDS[command]):
        assert f"--{option.name}" in words, option.name
        if option.is_flag:
            assert f"--no-{option.name}" in words
        if option.short:
            assert option.short in words
        assert option.help in text
        if not option.is_flag and option.allowed != "a text":
            assert option.allowed in text, option.name
        if isinstance(option.default, (int, float, str)) and not option.is_flag:
            assert f"default: {option.default}" in text, option.name
    assert "--config" in words


def test_help_tells_the_commands_and_their_own_options(dreamvid):
    text = dreamvid("--help").out
    commands = (
        "video",
        "zoom",
        "live",
        "resume",
        "peek",
        "plan",
        "image",
        "eval",
        "guides",
        "config",
    )
    assert all(f" {command} " in text for command in (*commands, "config"))
    video, image = (dreamvid(command, "--help-all").out.split() for command in ("video", "image"))
    assert {"--overwrite", "--quiet", "--json", "--debug"} <= set(video) & set(image)
    assert "--film" in image


def test_no_command_shows_help(dreamvid):
    result = dreamvid()
    assert "Usage" in result.out + result.err


def test_the_version_is_told(dreamvid):
    from importlib.metadata import version

    assert dreamvid("--version") == Result(0, f"dreamvid {version('dreamvid')}\n", "")


def test_the_effective_options_are_printed_and_read_back(dreamvid, tmp_path):
    file = tmp_path / "c.toml"
    first = dreamvid("config", "--steps", 3, *ROSE, "--no-sound", "--start", "1:01", "--fps", "24")
    assert (first.status, first.err) == (0, "")
    file.write_text(first.out, encoding="utf-8")
    assert dreamvid("config", "--config", file).out == first.out
    assert config.build_config(VideoConfig, file=file).sound is False
    changed = tomllib.loads(dreamvid("config", "--config", file, "--steps", 4, "--sound").out)
    assert (changed["steps"], changed["sound"], changed["prompt"]) == (4, True, ["a red rose"])


def test_a_file_of_options_is_obeyed(dreamvid, clip, tmp_path):
    file, out = tmp_path / "c.toml", tmp_path / "out.mp4"
    file.write_text(
        'prompt = ["a red rose"]\nend = 0.05\nfirst-steps = 1\nsteps = 1\ncutouts = 1\n'
    )
    told = dreamvid("video", clip, out, "--config", file, "--end", "0.09", "-q", "--json").json()
    assert told["frames"] == 3


def test_info_tells_what_the_reader_sees(dreamvid, clip):
    seen = dreamvid("info", clip, "--json").json()
    assert (seen["width"], seen["height"], seen["frames"]) == (64, 48, 6)
    assert (seen["rate"], seen["codec"], seen["pix_fmt"]) == ("24", "h264", "yuv420p")
    assert seen["duration"] == 0.25
    assert [(track["codec"], track["rate"]) for track in seen["sound"]] == [("aac", 48_000)]
    lines = dreamvid("info", clip).out.splitlines()
    assert [line.split()[0] for line in lines] == list(seen)


def test_info_tells_of_pictures_too(dreamvid, picture):
    seen = dreamvid("info", picture.parent, "--json").json()
    alone = dreamvid("info", picture, "--json").json()
    assert (seen["container"], seen["codec"], seen["rate"]) == ("pictures", "png", "25")
    assert (seen["width"], seen["height"]) == (alone["width"], alone["height"])
    refused(
        dreamvid("info", picture, "--input-format", "nut"), 2, "--input-format 'nut' is no device"
    )


def test_guides_are_listed_with_what_is_built_in(dreamvid):
    found = {row["name"]: row for row in dreamvid("guides", "--json").json()}
    assert found["mini"]["where"] == "built in"
    assert 15 < found["mini"]["megabytes"] < 24
    assert found["hf-hub:chs20/fare4-clip"]["where"] in ("cached", "download")
    text = dreamvid("guides").out
    assert all(name in text for name in found)


def test_all_guides_are_listed(dreamvid):
    names = {row["name"] for row in dreamvid("guides", "--all", "--json").json()}
    assert {"ViT-B-32:openai", "RN50:yfcc15m"} <= names
    assert len(names) > 50


def test_cached_guides_are_told(dreamvid, monkeypatch):
    monkeypatch.setattr(
        "dreamvid.cli.guides.cached_repositories",
        lambda: {"laion/CLIP-ViT-B-32-laion2B-s34B-b79K": 606},
    )
    found = {row["name"]: row for row in dreamvid("guides", "--json").json()}
    cached = found["ViT-B-32:laion2b_s34b_b79k"]
    assert (cached["where"], cached["megabytes"]) == ("cached", 606)


# How it fails


USAGE = [
    (["--steps", "-3"], "--steps: '-3' is not allowed; allowed: a whole number from 0 to"),
    (["--steps", "few"], "--steps: 'few' is not allowed; allowed: a whole number"),
    (["--strength", "2"], "--strength: '2' is not allowed; allowed: a number from 0 to 1"),
    (["--carry", "all"], "--carry: 'all' is not allowed; allowed: frame, delta, none"),
    (["--size", "1x1"], "--size: '1x1' is not allowed; allowed: WIDTHxHEIGHT, WIDTH or source"),
    (["--size", "big"], "--size: 'big' is not allowed; allowed: WIDTHxHEIGHT, WIDTH or source"),
    (["--start", "noon"], "--start: 'noon' is not allowed; allowed: seconds up to 1e9, or h:mm:ss"),
    (["--start", "2", "--end", "1"], "--end 1 is not after --start 2; allowed: any later time"),
    (["--fps", "0"], "--fps: '0' is not allowed; allowed: frames a second from 0.001 to 1000"),
    (["-p", "x::heavy"], "--prompt: 'x::heavy' is not allowed; allowed: TEXT or TEXT::WEIGHT"),
    (["--to", "x"], "--from stands 0 times and --to 1 times"),
    (["--device", "gpu"], "--device: 'gpu' is not allowed; allowed: auto, cpu, cuda, cuda:N"),
    (["--config", "none.toml"], "configuration 'none.toml': No such file or directory"),
    (["--stepz", "3"], "No such option: --stepz"),
    (["--steps"], "Option '--steps' requires an argument"),
]


@pytest.mark.parametrize(("asked", "message"), USAGE, ids=lambda value: " ".join(value)[:20])
def test_an_option_that_is_wrong_is_told(dreamvid, clip, tmp_path, asked, message):
    refused(dreamvid("video", clip, tmp_path / "out.mp4", *ROSE, *asked), 2, message)
    assert list(tmp_path.iterdir()) == []


def test_no_prompt_is_told(dreamvid, clip, picture, tmp_path):
    message = "no prompt; give at least one of --prompt TEXT"
    refused(dreamvid("video", clip, tmp_path / "out.mp4"), 2, message)
    refused(dreamvid("image", picture, tmp_path / "out.png"), 2, message)


def test_missing_arguments_and_unknown_commands_are_told(dreamvid, clip):
    refused(dreamvid("video", clip), 2, "Missing argument 'OUT'")
    refused(dreamvid("vidoe"), 2, "No such command 'vidoe'")


@pytest.mark.parametrize("command", ["video", "image", "info"])
def test_an_input_that_cannot_be_read_is_told(dreamvid, tmp_path, command):
    empty, text = tmp_path / "empty.mp4", tmp_path / "text.mp4"
    empty.touch()
    text.write_text("no film")
    out = [] if command == "info" else [tmp_path / f"o.{'png' if command == 'image' else 'mp4'}"]
    asked = [] if command == "info" else ROSE
    no_folder = "is a folder; allowed: a file" if command == "image" else "gives no picture"
    before = sorted(tmp_path.iterdir())
    for path, message in (
        (tmp_path / "none.mp4", f"'{tmp_path / 'none.mp4'}' does not exist; allowed: "),
        (tmp_path, f"'{tmp_path}' {no_folder}"),
        (empty, f"'{empty}' is empty; allowed: a file"),
        (text, f"'{text}' cannot be read; allowed: a "),
    ):
        refused(dreamvid(command, path, *out, *asked), 1, message)
    assert sorted(tmp_path.iterdir()) == before


def test_sound_alone_is_no_video(dreamvid, tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=800)
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    message = f"'{path}' has no picture stream; allowed: a video file"
    refused(dreamvid("video", path, tmp_path / "out.mp4", *ROSE), 1, message)
    refused(dreamvid("info", path), 1, message)
    assert list(tmp_path.iterdir()) == [path]


def test_an_output_that_cannot_be_written_is_told(dreamvid, clip, tmp_path, monkeypatch):
    old, folder = tmp_path / "old.mp4", tmp_path / "folder.mp4"
    old.write_bytes(b"precious")
    folder.mkdir()
    before = sorted(tmp_path.iterdir())
    for out, message in (
        (old, f"'{old}' exists; --overwrite replaces it"),
        (folder, f"'{folder}' is a folder; allowed: the name of a file"),
        (tmp_path / "a.xyz", f"'{tmp_path / 'a.xyz'}': unknown extension '.xyz'; allowed: .mp4,"),
        (tmp_path / "a", f"'{tmp_path / 'a'}': unknown extension ''; allowed: .mp4,"),
        (tmp_path / "none/a.mp4", f"folder '{tmp_path / 'none'}' does not exist; allowed:"),
    ):
        refused(dreamvid("video", clip, out, *ROSE), 1, message)
    monkeypatch.setattr("os.access", lambda _, mode: not mode & os.W_OK)
    message = f"folder '{tmp_path}' is not writable; allowed: a writable folder"
    refused(dreamvid("video", clip, tmp_path / "a.mp4", *ROSE), 1, message)
    assert sorted(tmp_path.iterdir()) == before
    assert old.read_bytes() == b"precious"


def test_the_input_is_never_the_output(dreamvid, tmp_path):
    path = make(tmp_path / "in.mp4", Clip(times=steady(3)))
    content = path.read_bytes()
    for name in (path, tmp_path / "folder/../in.mp4"):
        (tmp_path / "folder").mkdir(exist_ok=True)
        result = dreamvid("video", path, name, *ROSE, "--overwrite")
        refused(result, 1, f"'{name}' is the input itself; allowed: any other file")
    assert path.read_bytes() == content


def test_wrong_pictures_are_told(dreamvid, picture, tmp_path):
    out, film = tmp_path / "out.png", tmp_path / "film.png"
    missing = tmp_path / "none.png"
    for arguments, status, message in (
        ([picture, tmp_path / "a.mp4"], 1, f"'{tmp_path / 'a.mp4'}': unknown extension '.mp4'"),
        ([picture, out, "--film", film], 1, f"'{film}': unknown extension '.png'; allowed: .mp4"),
        ([picture, out, "--image-prompt", f"{missing}::2"], 1, f"'{missing}' does not exist"),
        ([picture, picture, "--overwrite"], 1, f"'{picture}' is the input itself"),
    ):
        refused(dreamvid("image", *arguments, *ROSE), status, message)
    assert list(tmp_path.iterdir()) == []


def test_a_prompt_that_is_no_picture_is_told(dreamvid, picture, tmp_path):
    text = tmp_path / "text.png"
    text.write_text("no picture")
    arguments = [picture, tmp_path / "out.png", "--image-prompt", text, "-q"]
    refused(dreamvid("image", *arguments), 1, f"'{text}' cannot be read; allowed: a picture")
    assert list(tmp_path.iterdir()) == [text]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("minni", "unknown guide 'minni'; allowed: mini, MODEL:TAG, MODEL:FILE or hf-hub:ORG/NAME"),
        ("ViT-B-32", "guide 'ViT-B-32' lacks its weights; allowed: ViT-B-32:TAG"),
        ("RN50:nope", "guide 'RN50:nope': 'nope' is neither a file nor a tag of RN50; allowed: "),
        ("RN50:openai", "guide 'RN50:openai' is not cached and the hub cannot be reached; connect"),
        ("hf-hub:org/name", "guide 'hf-hub:org/name' is not cached and the hub cannot be reached"),
    ],
)
def test_a_guide_that_cannot_be_had_is_told(dreamvid, clip, tmp_path, monkeypatch, name, message):
    monkeypatch.setattr(hub, "hub_answers", lambda: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    refused(dreamvid("video", clip, tmp_path / "out.mp4", *ROSE, "-q", "-g", name), 1, message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_a_device_that_is_not_there_is_told(dreamvid, clip, tmp_path, monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    result = dreamvid("video", clip, tmp_path / "out.mp4", *ROSE, "--device", device)
    refused(result, 1, f"--device: '{device}' is not there; allowed here: auto, cpu")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (["--codec", "nosuch"], "nosuch"),
        (["--codec", "aac"], "aac"),
        (["--pix-fmt", "yuv999"], "yuv999"),
        (["--codec", "mpeg4", "--crf", "20"], "--crf 20"),
        (["--start", "99"], "99"),
        (["--flow", "raft-small", "--flow-weights", "none.pth"], "none.pth"),
    ],
)
def test_what_only_the_library_can_judge_is_told(dreamvid, clip, tmp_path, asked, named):
    result = dreamvid("video", clip, tmp_path / "out.mp4", *ROSE, "-q", *asked)
    assert result.status in (1, 2)
    refused(result, result.status, "")
    assert named in result.err
    assert "this is a bug" not in result.err
    assert list(tmp_path.iterdir()) == []


def fail_at(monkeypatch: pytest.MonkeyPatch, frame: int, error: BaseException) -> None:
    """Let the loop over time raise `error` at its `frame`-th frame."""
    count = iter(range(99))

    def descend(*arguments: Any, **options: Any) -> Tensor:
        if next(count) == frame:
            raise error
        return descent.descend(*arguments, **options)

    monkeypatch.setattr("dreamvid.film.sequence.descend", descend)


def test_ctrl_c_before_the_first_frame_leaves_nothing(dreamvid, clip, tmp_path, monkeypatch):
    fail_at(monkeypatch, 0, KeyboardInterrupt())
    result = dreamvid("video", clip, tmp_path / "out.mp4", *ROSE, *QUICK)
    refused(result, 130, "stopped; no result was written")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_an_older_result_alone(dreamvid, clip, tmp_path, monkeypatch):
    out = tmp_path / "out.mp4"
    out.write_bytes(b"old")
    fail_at(monkeypatch, 2, KeyboardInterrupt())
    assert dreamvid("video", clip, out, *ROSE, *QUICK, "--overwrite").status == 130
    assert sorted(tmp_path.iterdir()) == [out, tmp_path / "out.mp4.dreaming"]
    assert out.read_bytes() == b"old"


def signal_at(monkeypatch: pytest.MonkeyPatch, *frames: int) -> None:
    """Let the user press Ctrl-C while these frames are dreamed, as often as each is named."""
    count = iter(range(99))

    def descend(*arguments: Any, **options: Any) -> Tensor:
        for _ in range(frames.count(next(count))):
            signal.raise_signal(signal.SIGINT)
        return descent.descend(*arguments, **options)

    monkeypatch.setattr("dreamvid.film.sequence.descend", descend)


ENDLESS = ["testsrc=size=64x48:rate=25", "--input-format", "lavfi", *ROSE, *QUICK]


def test_ctrl_c_is_the_end_of_what_has_none(dreamvid, tmp_path, monkeypatch):
    signal_at(monkeypatch, 3)
    assert dreamvid("video", *ENDLESS, tmp_path / "out.mp4", "--json").json()["frames"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    times, _ = frames_of(tmp_path / "out.mp4")
    assert times == steady(3, 25)


def test_ctrl_c_before_its_first_frame_or_twice_leaves_nothing(dreamvid, tmp_path, monkeypatch):
    for frames in ((0,), (3, 3)):
        signal_at(monkeypatch, *frames)
        result = dreamvid("video", *ENDLESS, tmp_path / "out.mp4")
        refused(result, 130, "stopped; no result was written")
        assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_neither_picture_nor_film(dreamvid, picture, tmp_path, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(descent, "add_gradients", interrupt)
    out, film = tmp_path / "out.png", tmp_path / "film.mp4"
    result = dreamvid("image", picture, out, *ROSE, *QUICK_IMAGE, "--film", film)
    refused(result, 130, "stopped; no result was written")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_at_the_first_frame_leaves_nothing(dreamvid, clip, tmp_path, monkeypatch):
    fail_at(monkeypatch, 0, DreamvidError("the disk\nis full"))
    result = dreamvid("video", clip, tmp_path / "out.mp4", *ROSE, *QUICK)
    refused(result, 1, "the disk is full\n")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_halfway_tells_how_to_go_on(dreamvid, clip, tmp_path, monkeypatch):
    out = tmp_path / "out.mp4"
    fail_at(monkeypatch, 3, DreamvidError("the disk\nis full"))
    result = dreamvid("video", clip, out, *ROSE, *QUICK)
    safe = f"3 finished frames are safe, `dreamvid resume {out}` goes on\n"
    refused(result, 1, f"the disk is full; {safe}")
    assert list(tmp_path.iterdir()) == [tmp_path / "out.mp4.dreaming"]


def test_a_bug_is_owned_up_to_in_one_line(dreamvid, clip, tmp_path, monkeypatch):
    fail_at(monkeypatch, 1, RuntimeError("shapes\ndiffer"))
    result = dreamvid("video", clip, tmp_path / "out.mp4", *ROSE, *QUICK)
    refused(result, 1, "this is a bug: RuntimeError: shapes differ (--debug shows where); 1 fin")


def test_debug_shows_where_an_error_came_from(tmp_path):
    with pytest.raises(MediaError, match="does not exist"):
        run(["info", str(tmp_path / "none.mp4"), "--debug"])


def program(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own."""
    code = "from dreamvid.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True
    )


def test_the_program_itself_fails_in_one_line_and_by_its_status(tmp_path):
    missing = tmp_path / "none.mp4"
    usage = program("video", missing, tmp_path / "out.mp4", "--steps", "x")
    assert (usage.returncode, usage.stdout) == (2, "")
    assert usage.stderr.startswith("dreamvid: --steps: 'x' is not allowed; allowed: ")
    environment = program("info", missing)
    assert (environment.returncode, environment.stdout) == (1, "")
    assert environment.stderr.startswith(f"dreamvid: '{missing}' does not exist; allowed: ")
    assert usage.stderr.count("\n") == environment.stderr.count("\n") == 1


def test_the_program_itself_dreams(clip, tmp_path):
    out = tmp_path / "out.mp4"
    done = program("video", clip, out, *ROSE, *QUICK, "--end", "0.09", "--device", "cpu", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["frames"] == len(frames_of(out)[0]) == 3


def test_a_name_that_begins_with_a_dash(dreamvid, clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("-in 🍄.mp4").write_bytes(clip.read_bytes())
    assert dreamvid("video", *ROSE, *QUICK, "--", "-in 🍄.mp4", "-out's.mp4").status == 0
    assert len(frames_of(Path("./-out's.mp4"))[0]) == 6


def test_hdr_is_refused_and_leaves_nothing(dreamvid, tmp_path):
    tags = ColourTags(9, 16, 9, 1)
    source = make(tmp_path / "a.mkv", Clip(times=steady(2), pix_fmt="yuv420p10le", tags=tags))
    result = dreamvid("video", source, tmp_path / "b.mp4", *ROSE, *QUICK)
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "is HDR (PQ, colour transfer 16); allowed: SDR; convert it first" in result.err
    assert list(tmp_path.iterdir()) == [source]


def test_a_folder_of_pictures_becomes_a_film(dreamvid, picture, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("2.png", "10.png", "1.png"):
        (tmp_path / "in" / name).write_bytes(picture.read_bytes())
    out = tmp_path / "out.mp4"
    told = dreamvid("video", tmp_path / "in", out, *ROSE, *QUICK, "--rate", "12", "--json").json()
    assert told["frames"] == 3
    assert frames_of(out)[0] == steady(3, 12)
    still = tmp_path / "still.mkv"
    assert dreamvid("video", picture, still, *ROSE, *QUICK, "--seconds", "0.2").status == 0
    assert len(frames_of(still)[0]) == 5


def test_outside_the_mask_the_source_stays_exactly(dreamvid, clip, tmp_path):
    mask = torch.zeros(3, 48, 64)
    mask[..., 32:] = 1
    write_image(tmp_path / "mask.png", mask)
    lossless = ["--codec", "ffv1", "--pix-fmt", "yuv444p"]
    outs: dict[str, Tensor] = {}
    masked = ["--mask", tmp_path / "mask.png"]
    for name, given in {
        "plain": ["--strength", 0], "in": masked, "out": [*masked, "--mask-invert"]
    }.items():  # fmt: skip
        out = tmp_path / f"{name}.mkv"
        assert dreamvid("video", clip, out, *ROSE, *QUICK, *lossless, *given).status == 0
        outs[name] = frames_of(out)[1]
    for name, still, moved in (("in", slice(0, 32), slice(32, 64)),
                               ("out", slice(32, 64), slice(0, 32))):  # fmt: skip
        assert torch.equal(outs[name][..., still], outs["plain"][..., still])
        assert (outs[name] - outs["plain"])[..., moved].abs().mean() > 0.01
    refused(dreamvid("video", clip, tmp_path / "x.mp4", *ROSE, "--mask-invert"), 2, "--mask-invert")
    none = tmp_path / "none.png"
    result = dreamvid("video", clip, tmp_path / "x.mp4", *ROSE, "--mask", none)
    refused(result, 1, f"'{none}' does not exist")


def test_a_clip_is_seen_through_a_moving_camera(dreamvid, clip, tmp_path):
    still = [*ROSE, "--steps", 0, "--first-steps", 0, "--codec", "ffv1", "--pix-fmt", "yuv444p"]
    plain, seen = tmp_path / "plain.mkv", tmp_path / "seen.mkv"
    assert dreamvid("video", clip, plain, *still).status == 0
    assert dreamvid("video", clip, seen, *still, "--zoom", 3, "--rotate", 30).status == 0
    times, images = frames_of(seen)
    camera = Camera(zoom=3, rotate=30)
    for time, image, source in zip(times, images, frames_of(plain)[1], strict=True):
        assert (image - view(source, camera, Fraction(time))).abs().mean() < 0.01
    assert (images[-1] - frames_of(plain)[1][-1]).abs().mean() > 0.02


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--zoom", 0], "--zoom: '0' is not allowed"),
        (["--zoom", -1], "--zoom: '-1' is not allowed"),
        (["--centre", "2,0.5"], "--centre: "),
        (["--pan", "1"], "--pan: "),
        (["--shutter", 400], "--shutter: "),
    ],
)
def test_a_camera_that_cannot_be_is_refused(dreamvid, clip, tmp_path, given, message):
    refused(dreamvid("video", clip, tmp_path / "x.mp4", *ROSE, *given), 2, message)


def test_a_small_dream_is_delivered_on_the_full_size_source(dreamvid, clip, tmp_path):
    small = ["--size", "32", "--deliver", "source"]
    out, plain = tmp_path / "out.mkv", tmp_path / "plain.mkv"
    lossless = ["--codec", "ffv1", "--pix-fmt", "yuv444p"]
    assert dreamvid("video", clip, out, *ROSE, *QUICK, *small, *lossless).status == 0
    still = ["--strength", 0]
    assert dreamvid("video", clip, plain, *ROSE, *QUICK, *small, *lossless, *still).status == 0
    (times, dreamed), (_, source) = frames_of(out), frames_of(plain)
    assert dreamed.shape == (6, 3, 48, 64)
    assert len(times) == 6
    assert (source - frames_of(clip)[1]).abs().max() < 0.02
    assert (dreamed - source).abs().mean() > 0.01


def test_a_clip_becomes_a_folder_of_pictures(dreamvid, clip, tmp_path):
    told = dreamvid("video", clip, tmp_path, *ROSE, *QUICK, "--json").json()
    assert told["frames"] == 6
    assert told["warnings"] == [f"'{clip}': a row of pictures holds no sound; it is left out"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{k:06}.png" for k in range(1, 7)]
    refused(dreamvid("video", clip, tmp_path, *ROSE, *QUICK), 1, f"'{tmp_path / '000001.png'}' ex")


def test_alpha_that_is_lost_is_told(dreamvid, tmp_path):
    source, out = tmp_path / "a.png", tmp_path / "b.mp4"
    write_image(source, torch.rand(3, 48, 64), alpha=torch.rand(1, 48, 64))
    told = dreamvid("video", source, out, *ROSE, *QUICK, "--json").json()
    assert told["warnings"][0].startswith(f"'{out}' does not keep the alpha of '{source}'; --codec")


# Zoom


QUICK_ZOOM = ["--steps", "1", "--first-steps", "1", "--loop-steps", "2", *QUICK_IMAGE[2:]]
SHORT = ["--seconds", "0.5", "--fps", "8", "--size", "64x48"]


@pytest.mark.parametrize("way", [["--loop"], [], ["--zoom", "0.6", "--rotate", "20"]])
def test_a_picture_is_fallen_into(dreamvid, picture, tmp_path, way):
    out = tmp_path / "out.mkv"
    asked = [*SHORT, "--codec", "ffv1", *(["--zoom", "9"] if way == ["--loop"] else []), *way]
    told = dreamvid("zoom", picture, out, *ROSE, *QUICK_ZOOM, *asked, "--json").json()
    assert (told["frames"], told["loop"], told["warnings"]) == (4, way == ["--loop"], [])
    times, images = frames_of(out)
    assert times == [Fraction(index, 8) for index in range(4)]
    assert images.shape == (4, 3, 48, 64)
    assert (images[1:] - images[:-1]).abs().mean() > 0.01
    made = json.loads(probe(out).metadata[METADATA_KEY])
    assert made["source"] == str(picture)
    assert set(made["options"]) == {option.name for option in options(ZoomConfig)}
    assert ZoomConfig.model_validate(made["options"]).seconds == Fraction(1, 2)
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("blank", ["grey", "noise"])
@pytest.mark.parametrize("loop", [["--loop", "--zoom", "9"], ["--zoom", "2"]], ids=len)
def test_a_zoom_begins_from_nothing(dreamvid, tmp_path, blank, loop):
    out = tmp_path / "out.mp4"
    told = dreamvid("zoom", blank, out, *ROSE, *QUICK_ZOOM, *SHORT, *loop, "--json").json()
    assert told["frames"] == 4
    assert frames_of(out)[1].std() > 0.005


def test_a_zoom_begins_from_a_frame_of_a_video_at_its_size(dreamvid, clip, tmp_path):
    firsts = []
    for start in ("0", "0.2"):
        out = tmp_path / f"{start}.mkv"
        asked = ["--start", start, "--seconds", "0.1", "--codec", "ffv1", "--first-steps", 0]
        assert dreamvid("zoom", clip, out, *ROSE, *QUICK_ZOOM, *asked).status == 0
        firsts.append(frames_of(out)[1][0])
    wanted = frames_of(clip)[1]
    assert firsts[0].shape == (3, 48, 64)
    assert (firsts[0] - wanted[0]).abs().mean() < 0.02
    assert (firsts[1] - wanted[5]).abs().mean() < 0.02
    assert (firsts[0] - firsts[1]).abs().mean() > 0.02


def test_prompts_of_a_zoom_follow_one_another(dreamvid, picture, tmp_path):
    asked = ["--at", "0", "a red rose", "--at", "0.25", "ice", *SHORT]
    for way in ([], ["--loop", "--zoom", "9"]):
        out = tmp_path / f"{len(way)}.mp4"
        assert dreamvid("zoom", picture, out, *QUICK_ZOOM, *asked, *way).status == 0


def test_a_shutter_blurs_a_zoom_and_pictures_are_written(dreamvid, picture, tmp_path):
    films = []
    for shutter in ("0", "360"):
        folder = tmp_path / shutter
        folder.mkdir()
        asked = [*SHORT, "--zoom", "9", "--shutter", shutter]
        assert dreamvid("zoom", picture, folder, *ROSE, *QUICK_ZOOM, *asked).status == 0
        assert len(list(folder.iterdir())) == 4
        films.append(read_image(folder / "000003.png"))
    sharp, blurred = ((image[:, 1:] - image[:, :-1]).square().mean() for image in films)
    assert blurred < 0.8 * sharp


ZOOM_USAGE = [
    (["--zoom", "0"], "--zoom: '0' is not allowed; allowed: a number above 0 up to 100"),
    (["--zoom", "-1.5"], "--zoom: '-1.5' is not allowed; allowed: a number above 0"),
    (
        ["--seconds", "-2"],
        "--seconds: '-2' is not allowed; allowed: seconds up to 1e9, or h:mm:ss, above 0",
    ),
    (
        ["--seconds", "0"],
        "--seconds: '0' is not allowed; allowed: seconds up to 1e9, or h:mm:ss, above 0",
    ),
    (["--centre", "1.2,0.5"], "--centre: '1.2,0.5' is not allowed; allowed: two shares from 0"),
    (["--centre", "0.5"], "--centre: '0.5' is not allowed; allowed: two shares from 0 to 1"),
    (["--pan", "left"], "--pan: 'left' is not allowed; allowed: two numbers as X,Y"),
    (["--pan", "nan,0"], "--pan: 'nan,0' is not allowed; allowed: two numbers as X,Y"),
    (["--rotate", "9e9"], "--rotate: '9e9' is not allowed; allowed: a number from -3600 to 3600"),
    (["--ease", "bouncy"], "--ease: 'bouncy' is not allowed; allowed: linear, in, out, in-out"),
    (["--shutter", "400"], "--shutter: '400' is not allowed; allowed: a number from 0 to 360"),
    (["--fps", "0"], "--fps: '0' is not allowed; allowed: frames a second"),
    (["--loop", "--zoom", "1"], "--zoom 1 for 8 s is a factor of 1 in all; allowed with --loop"),
    (["--loop", "--pan", "0.1,0"], "--pan 0.1,0 leaves the beginning behind; allowed with --loop"),
    (["--loop", "--ease", "in"], "--ease in ends at another speed than it begins; allowed with"),
    (["--loop", "--seconds", "0.02", "--zoom", "99"], "--zoom 99 for 0.02 s is a factor"),
]


@pytest.mark.parametrize(("asked", "message"), ZOOM_USAGE, ids=lambda value: " ".join(value)[:20])
def test_an_option_of_a_zoom_that_is_wrong_is_told(dreamvid, picture, tmp_path, asked, message):
    refused(dreamvid("zoom", picture, tmp_path / "out.mp4", *ROSE, *asked), 2, message)
    assert list(tmp_path.iterdir()) == []


def test_inputs_of_a_zoom_that_are_wrong_are_told(dreamvid, picture, clip, tmp_path):
    out = tmp_path / "out.mp4"
    for source, asked, status, message in (
        ("grey", ["--size", "64x48", "--start", "1"], 2, "--start 1 is for a video, which grey"),
        ("none.png", [], 1, "'none.png' does not exist; allowed: "),
        (clip, ["--start", "9"], 1, f"'{clip}' has no frame from 9 s on"),
    ):
        refused(dreamvid("zoom", source, out, *ROSE, *asked, "-q"), status, message)
    refused(dreamvid("zoom", picture, out), 2, "no prompt; give at least one of --prompt TEXT")
    out.write_bytes(b"old")
    refused(dreamvid("zoom", picture, out, *ROSE), 1, f"'{out}' exists; --overwrite replaces it")
    assert out.read_bytes() == b"old"
