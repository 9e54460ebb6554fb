"""Results made again from their metadata: the same frames, and one changed option alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dreamvid
from dreamvid.config import VideoConfig
from dreamvid.errors import ConfigError, MediaError
from dreamvid.film.recipe import read_recipe
from dreamvid.media import VideoReader, read_image, write_image
from tests.cli.conftest import dreamvid as command  # noqa: F401 (a fixture)
from tests.media.clips import Clip, make, picture, steady

DREAM: dict[str, Any] = {"prompt": "a rose", "cutouts": 2, "octaves": 1, "seed": 5}
FILM = DREAM | {"steps": 1, "first_steps": 2, "codec": "ffv1"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip, a picture, and a result of each command."""
    folder = tmp_path_factory.mktemp("made")
    clip = make(folder / "in.mp4", Clip(steady(3), sound="aac"))
    write_image(folder / "in.png", picture(3))
    dreamvid.dream_video(clip, folder / "video.mkv", **FILM, set=["tv=bass"])
    dreamvid.zoom(folder / "in.png", folder / "zoom.mkv", **FILM, seconds=0.1, rotate=30)
    for name in ("image.png", "image.jpg"):
        dreamvid.dream_image(folder / "in.png", folder / name, **DREAM, steps=2)
    return folder


def digest_of(result: Path, new: Path, **options: Any) -> str | None:
    return dreamvid.rerun(result, new, **options).digest


@pytest.mark.parametrize("name", ["video.mkv", "zoom.mkv"])
def test_a_film_is_made_again(made, tmp_path, name):
    first = digest_of(made / name, tmp_path / "1.mkv")
    assert first == digest_of(tmp_path / "1.mkv", tmp_path / "2.mkv", source=made / source_of(name))
    assert frames_equal(tmp_path / "1.mkv", made / name)
    changed = digest_of(made / name, tmp_path / "3.mkv", seed=6)
    assert changed != first
    ours, theirs = (read_recipe(path).options for path in (tmp_path / "3.mkv", made / name))
    assert {key for key in ours if ours[key] != theirs[key]} == {"seed"}


def frames_equal(one: Path, other: Path) -> bool:
    with VideoReader(one) as first, VideoReader(other) as second:
        pairs = list(zip(first, second, strict=True))
    return all(bool((a.image == b.image).all()) and a.time == b.time for a, b in pairs)


def source_of(name: str) -> str:
    return "in.mp4" if name.startswith("video") else "in.png"


@pytest.mark.parametrize("name", ["image.png", "image.jpg"])
def test_a_picture_is_made_again(made, tmp_path, name):
    new = tmp_path / name
    dreamvid.rerun(made / name, new)
    assert (read_image(new) == read_image(made / name)).all()


def test_by_the_command_line_with_options_on_top(made, tmp_path, command):  # noqa: F811
    new = tmp_path / "new.mkv"
    told = command(
        "rerun", made / "video.mkv", new, "--seed", "6", "-p", "a castle", "--json", "-q"
    )
    assert told.json()["output"] == str(new)
    recipe = read_recipe(new)
    assert (recipe.options["seed"], recipe.options["prompt"]) == (6, ["a castle"])
    assert recipe.options["set"] == ["tv=bass"]


def test_a_result_is_a_configuration(made, tmp_path, command):  # noqa: F811
    new = tmp_path / "new.mkv"
    command("video", made / "in.mp4", new, "--config", made / "video.mkv", "-q")
    assert frames_equal(new, made / "video.mkv")
    shared = read_recipe(made / "zoom.mkv").config(VideoConfig)
    assert (shared.seed, shared.rotate, shared.prompt) == (5, 30, ["a rose"])


def test_what_does_not_tell_how_it_was_made_is_refused(made, tmp_path):
    for name in ("in.mp4", "in.png"):
        with pytest.raises(
            ConfigError, match=rf"{name}' does not tell how it was made; allowed: r"
        ):
            dreamvid.rerun(made / name, tmp_path / "new.mkv")
    with pytest.raises(MediaError, match="does not exist"):
        dreamvid.rerun(made / "gone.mkv", tmp_path / "new.mkv")


def test_a_source_that_is_gone_is_asked_for(made, tmp_path):
    result = tmp_path / "alone.mkv"
    result.write_bytes((made / "video.mkv").read_bytes())
    recipe = read_recipe(result)
    (made / "in.mp4").rename(made / "moved.mp4")
    try:
        with pytest.raises(ConfigError, match=r"in\.mp4', of which '.*' was made, is not there"):
            dreamvid.rerun(result, tmp_path / "new.mkv")
    finally:
        (made / "moved.mp4").rename(made / "in.mp4")
    assert recipe.source == str(made / "in.mp4")


def test_options_of_another_version_are_named(made, tmp_path):
    broken = tmp_path / "broken.png"
    facts = json.loads(json.dumps(read_recipe(made / "image.png").__dict__))
    facts["options"]["optimizer"] = "momentum"
    write_image(broken, picture(1), metadata={"dreamvid": json.dumps(facts)})
    with pytest.raises(ConfigError, match=r"a result of dreamvid .*: unknown option 'optimizer'"):
        dreamvid.rerun(broken, tmp_path / "new.png")
