"""Prompts in areas of the picture: as they are typed, and in whole results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import dreamvid as library
from dreamvid.config import Area, ImageConfig, VideoConfig, ZoomConfig, split_area
from dreamvid.errors import ConfigError, MediaError
from dreamvid.events import Event, FrameDone
from dreamvid.film.areas import Part, masks_of, parts_of, union
from dreamvid.film.delivery import outline
from dreamvid.film.recipe import read_recipe
from dreamvid.live.job import LiveJob
from dreamvid.media import VideoReader, write_image
from dreamvid.types import Mix, PromptWeights
from tests.cli.conftest import dreamvid, refused  # noqa: F401 (a fixture)
from tests.fakes import TowardsColour
from tests.guide.test_finding import HEIGHT, WIDTH, strawberry
from tests.media.clips import Clip, make, steady

QUICK: dict[str, Any] = {"steps": 2, "first_steps": 4, "cutouts": 4, "strength": 0.3, "lr": 0.1}
BLUE = [TowardsColour((0.0, 0.0, 1.0))]


@pytest.mark.parametrize(
    ("typed", "text", "area"),
    [
        ("fire", "fire", None),
        ("me@home: 8 o'clock", "me@home: 8 o'clock", None),
        ("fire@@left.png", "fire", Area("file", "left.png")),
        ("fire @@ where: a lake", "fire", Area("where", "a lake")),
        ("ice@@where-not:sky", "ice", Area("where-not", "sky")),
        ("ice@@rest", "ice", Area("rest")),
        ("a@@b@@rest", "a@@b", Area("rest")),
        ("ice@@C:/masks/a b.png", "ice", Area("file", "C:/masks/a b.png")),
    ],
)
def test_an_area_stands_behind_a_double_sign(typed, text, area):
    assert split_area(typed) == (text, area)
    assert VideoConfig(prompt=[f"{typed}::2"]).areas == [area]
    if area is not None:
        assert split_area(f"{text}@@{area}") == (text, area)


def test_each_area_has_its_prompts_and_all_negatives():
    left, right = Area("file", "left.png"), Area("where", "sky")
    prompts = PromptWeights(
        prompt=(1.0, 2.0, 0.5, 0.25),
        image_prompt=(3.0,),
        negative=(1.0,),
        mix=Mix(0, 1, 0.5),
        mix_weight=4.0,
    )
    asked: list[PromptWeights] = []

    def at(weights: PromptWeights) -> list[TowardsColour]:
        asked.append(weights)
        return []

    parts = parts_of([left, None, right, left], prompts, at)
    assert [(part.area, part.weight) for part in parts] == [(None, 9.0), (left, 1.25), (right, 0.5)]
    assert [each.prompt for each in asked] == [(1, 0, 0, 0.25), (0, 0, 0.5, 0), (0, 2, 0, 0)]
    assert [each.image_prompt for each in asked] == [(0,), (0,), (3,)]
    assert [each.mix is None for each in asked] == [True, True, False]
    assert {each.negative for each in asked} == {(1.0,)}
    assert parts_of([None], PromptWeights(prompt=(1.0,)), at) == []
    alone = parts_of([left], PromptWeights(prompt=(1.0,), negative=(1.0,)), at)
    assert [part.area for part in alone] == [left]


def test_the_rest_is_what_no_other_area_takes():
    mask, found = torch.rand(1, 8, 12), torch.rand(1, 4, 6)
    parts = [
        Part(area, [], 1.0, mask if area == Area("file", "a.png") else None)
        for area in (Area("rest"), Area("file", "a.png"), Area("where", "sky"))
    ]
    rest, first, second = masks_of(parts, [found])
    assert first is mask
    assert second is found
    both = union([mask, found])
    assert both is not None
    assert rest is not None
    assert both.shape == mask.shape
    torch.testing.assert_close(rest, 1 - both)
    everywhere = union([rest, both])
    torch.testing.assert_close(everywhere, torch.ones(1, 8, 12))
    assert union([mask, None]) is None


def halves(path: Path, size: tuple[int, int] = (64, 96)) -> Path:
    """A mask file that is white on the left."""
    mask = torch.zeros(3, *size)
    mask[..., : size[1] // 2] = 1
    write_image(path, mask)
    return path


def frames(path: Path) -> Tensor:
    with VideoReader(path) as reader:
        return torch.stack([frame.image for frame in reader])


LOSSLESS: dict[str, Any] = {"codec": "ffv1", "pix_fmt": "bgr0"}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip, a mask of its left half, and a film that is dreamed by them."""
    folder = tmp_path_factory.mktemp("areas")
    make(folder / "in.mkv", Clip(times=steady(5), size=(96, 64)))
    dream(folder, "film.mkv")
    return folder


def dream(folder: Path, name: str, **options: Any) -> None:
    mask = folder / "left.png"
    if not mask.exists():
        halves(mask)
    given = {"prompt": [f"fire@@{mask}", f"ice@@{mask}::0.5"], "every": 2} | options
    library.dream_video(folder / "in.mkv", folder / name, **(QUICK | LOSSLESS | given))


def test_a_film_is_dreamed_in_its_areas_alone(film):
    source, dreamed = frames(film / "in.mkv"), frames(film / "film.mkv")
    change = (dreamed - source).abs()
    assert change[..., 48:].max() < 0.02  # a step of 8 bits and the way there and back
    assert change[..., :48].mean() > 0.05


def test_a_stopped_film_goes_on_and_its_result_tells_the_areas(film):
    def stop(event: Event) -> None:
        if isinstance(event, FrameDone) and event.index == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dream(film, "again.mkv", listener=stop)
    dream(film, "again.mkv", resume=True)
    assert torch.equal(frames(film / "again.mkv"), frames(film / "film.mkv"))
    recipe = read_recipe(film / "again.mkv")
    assert recipe.config(VideoConfig).areas == [Area("file", str(film / "left.png"))] * 2


def test_a_changed_mask_is_noticed_when_a_film_goes_on(film):
    def stop(event: Event) -> None:
        if isinstance(event, FrameDone):
            raise KeyboardInterrupt

    mask = halves(film / "other.png")
    given = {"prompt": [f"fire@@{mask}"]}
    with pytest.raises(KeyboardInterrupt):
        dream(film, "changed.mkv", listener=stop, **given)
    write_image(mask, torch.ones(3, 64, 96), overwrite=True)
    with pytest.raises(library.DreamvidError, match=r"the area of --prompt 1"):
        dream(film, "changed.mkv", resume=True, **given)


def test_two_areas_two_prompts_and_a_mask(tmp_path, judge):
    """A judge that had no part in it finds each prompt where it is asked for."""
    source = torch.full((3, 96, 160), 0.5)
    mask = halves(tmp_path / "left.png", (96, 160))
    prompts = ["a strawberry", "a lion"]
    picture = library.dream_image(
        source, prompt=[f"{prompts[0]}@@{mask}", f"{prompts[1]}@@rest"], steps=30
    )
    sides = [picture[..., :80], picture[..., 80:]]
    nearness = judge.embed_images(sides) @ judge.embed_texts(prompts).T
    assert nearness[0, 0] > nearness[0, 1]
    assert nearness[1, 1] > nearness[1, 0]
    both = library.dream_image(source, prompt=f"ice@@{mask}", mask=str(mask), **image_options())
    none = library.dream_image(
        source, prompt=f"ice@@{mask}", mask=str(mask), mask_invert=True, **image_options()
    )
    assert (both - source).abs().mean() > 0.01
    assert torch.equal(none, source)


def image_options() -> dict[str, Any]:
    return {"steps": 2, "cutouts": 2, "objectives": BLUE}


def test_a_word_tells_an_area(tmp_path):
    image, truth = strawberry()
    write_image(tmp_path / "in.png", image)
    dream = library.dream_image(
        tmp_path / "in.png", prompt="ice@@where:a strawberry", **image_options()
    )
    change = (dream - library.read_image(tmp_path / "in.png")).square().sum(0)
    assert float(change[~truth].sum() / change.sum()) <= 0.1
    assert float(change[truth].mean()) > 0.003
    film = {"seconds": 0.1, "prompt": ["ice@@where:a strawberry", "fire@@rest"], "show_mask": True}
    library.dream_video(tmp_path / "in.png", tmp_path / "%d.png", **(QUICK | film))
    shown = library.read_image(tmp_path / "2.png")
    bluer = shown[2] - shown[0] - image[2] + image[0]
    assert bluer[~truth].mean() > bluer[truth].mean() + 0.2


def test_areas_are_shown_in_colours_of_their_own():
    source = torch.full((3, 4, 6), 0.5)
    left = (torch.arange(6) < 3).float().expand(1, 4, 6)
    shown = outline(source, None, [left, None, 1 - left])
    assert shown[0, 0, 0] > 0.6 > shown[2, 0, 0]
    assert shown[2, 0, 5] > 0.6 > shown[0, 0, 5]
    assert torch.equal(outline(source, None, [None]), source)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["-p", "fire@@"], 2, "--prompt: 'fire@@' is not allowed; allowed: TEXT or TEXT::WEIGHT"),
        (["-p", "@@rest"], 2, "--prompt: '@@rest' is not allowed; allowed: TEXT or"),
        (["-p", "a@@where: "], 2, "--prompt: 'a@@where: ' is not allowed; allowed: TEXT or"),
        (["-p", "a", "-n", "b@@c.png"], 2, "--negative: 'b@@c.png' is not allowed; allowed: TEXT"),
        (["-p", "fire@@none.png"], 1, "'none.png' does not exist"),
    ],
)
def test_a_mistake_is_told_in_a_line(dreamvid, tmp_path, arguments, status, message):  # noqa: F811
    write_image(tmp_path / "in.png", torch.rand(3, 64, 64))
    for command, out in (("image", "o.png"), ("video", "o.mkv")):
        typed = [command, tmp_path / "in.png", tmp_path / out, *arguments]
        refused(dreamvid(*typed), status, message)


def test_a_zoom_and_what_is_played_have_no_areas(tmp_path):
    with pytest.raises(ValueError, match=r"--prompt TEXT@@AREA: a zoom leaves every area behind"):
        ZoomConfig(prompt=["fire@@left.png"])
    assert ImageConfig(prompt=["fire@@left.png"], show_mask=True).has_mask
    clip = tmp_path / "in.mp4"
    with pytest.raises(ConfigError, match=r"^--prompt TEXT@@AREA is not for what is played"):
        LiveJob.prepare(clip, VideoConfig(prompt=["fire@@left.png"]))
    with pytest.raises(MediaError, match=r"does not exist"):
        library.dream_image(torch.rand(3, 32, 32), prompt="fire@@none.png")
    assert (HEIGHT, WIDTH) == (180, 320)
