"""What a guide sees: the ranks and words of pictures that it knows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import dreamvid
from dreamvid.dream.octaves import resize
from dreamvid.errors import DreamvidError
from dreamvid.evaluation.score import Scores
from dreamvid.guide.loading import Clip
from dreamvid.guide.names import BUILT_IN
from dreamvid.guide.words import word_list
from dreamvid.media import write_image
from tests.cli.conftest import dreamvid as command  # noqa: F401 (a fixture)
from tests.media.clips import Clip as Film
from tests.media.clips import make, steady

NAMES = [
    *("octopus", "castle", "rose", "mushroom", "lion", "butterfly", "strawberry", "ladybug"),
    *("school bus", "daisy", "jellyfish", "volcano", "moon", "fire", "rainbow", "snowflake"),
    *("tiger", "pizza", "guitar", "eye", "skull", "palm tree", "whale", "dragon"),
]


@pytest.fixture(scope="module")
def card() -> list[Tensor]:
    """The twenty-four dreams of the guide's own page, eight in a row."""
    sheet = dreamvid.read_image(BUILT_IN["mini"] / "dreams.jpg")
    rows = [row.chunk(8, 2) for row in sheet.chunk(3, 1)]
    return [picture for row in rows for picture in row]


@pytest.fixture(scope="module")
def pictures(card: list[Tensor], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("card")
    paths = [folder / f"{name}.png" for name in NAMES]
    for path, picture in zip(paths, card, strict=True):
        write_image(path, picture)
    return paths


@pytest.fixture(scope="module")
def scores(pictures: list[Path]) -> Scores:
    return dreamvid.score(pictures, prompt=NAMES, words=3)


def test_the_dreams_of_the_card_are_ranked_as_by_the_guide(
    mini: Clip, card: list[Tensor], pictures: list[Path], scores: Scores
) -> None:
    expected = mini.embed_images(card) @ mini.embed_texts(NAMES).T
    found = {each.picture: each for each in scores.pictures}
    seen = torch.tensor([found[str(path)].similarities for path in pictures])
    torch.testing.assert_close(seen, expected, rtol=0, atol=0.01)  # written in eight bits
    assert seen.argmax(0).tolist() == expected.argmax(0).tolist()
    assert (seen.argmax(0) == torch.arange(24)).sum() >= 22
    totals = [each.score for each in scores.pictures]
    assert totals == sorted(totals, key=lambda score: -(score or 0))


def test_a_strawberry_is_named_and_most_of_the_others(scores: Scores) -> None:
    named = {Path(each.picture).stem: [word for word, _ in each.words] for each in scores.pictures}
    assert "strawberry" in named["strawberry"]
    known = set(word_list())
    hits = [name in words for name, words in named.items() if name in known]
    assert sum(hits) >= 0.6 * len(hits)


@pytest.mark.parametrize("name", ["lion", "mushroom", "pizza"])
def test_words_for_what_one_picture_has_more_of_than_another(tmp_path, card, name):
    """A thing before a rose, and the rose alone."""
    with_it, without = tmp_path / "with.png", tmp_path / "without.png"
    rose = card[NAMES.index("rose")]
    both = rose.clone()
    both[:, 30:110, 30:110] = resize(card[NAMES.index(name)], (80, 80))
    write_image(with_it, both)
    write_image(without, rose)
    (found,) = dreamvid.score([with_it], words=3, less=str(without)).pictures
    assert found.words[0][0] == name
    assert (found.score, found.time, found.similarities) == (None, None, ())


def test_weights_negatives_pictures_and_directions_count(pictures):
    lion, rose = (str(pictures[NAMES.index(name)]) for name in ("lion", "rose"))
    prompts = {"prompt": ["lion::3"], "negative": ["rose"], "image_prompt": [rose]}
    config = dreamvid.ScoreConfig.model_validate(prompts)
    found = dreamvid.score([rose, lion], config=config, from_=["rose"], to=["lion::2"])
    assert found.prompts == ("lion", rose, "not rose", "rose -> lion")
    assert [Path(each.picture).stem for each in found.pictures] == ["lion", "rose"]
    for each in found.pictures:
        one, own, negative, direction = each.similarities
        assert each.score == pytest.approx((3 * one + own - negative + 2 * direction) / 7, abs=2e-4)
    assert found.pictures[1].similarities[1] == pytest.approx(1, abs=1e-3)


def test_frames_of_a_film_and_a_folder(tmp_path, pictures, command):  # noqa: F811
    clip = make(tmp_path / "in.mp4", Film(steady(6)))
    folder = pictures[0].parent
    result = command("score", clip, folder, "-p", "strawberry", "--fps", "8", "--json", "-q").json()
    assert result["prompts"] == ["strawberry"]
    times = [each["time"] for each in result["pictures"] if each["picture"] == str(clip)]
    assert sorted(times) == [0, 0.125]
    totals = [each["score"] for each in result["pictures"]]
    assert totals == sorted(totals, reverse=True)
    assert len(result["pictures"]) == 26


def test_the_table(pictures, command):  # noqa: F811
    shown = command("score", *pictures[:3], "-p", "castle", "-p", "rose", "--words", "2", "-q")
    head, *rows = shown.out.splitlines()
    assert head.split() == ["score", "castle", "rose"]
    assert len(rows) == 3
    assert any(row.startswith(str(pictures[1])) and "castle" in row[60:] for row in rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no prompt; give at least one of --prompt TEXT"),
        ({"prompt": "a", "less": "x.png"}, "--less is given without --words"),
        ({"words": 3, "less": "none.png"}, "'none.png' does not exist"),
        ({"words": 101}, "--words: '101' is not allowed; allowed: a whole number from 0 to 100"),
        ({"prompt": "a", "image_prompt": "none.png"}, "'none.png' does not exist"),
    ],
)
def test_what_is_wrong_is_one_line(options, message, pictures):
    with pytest.raises(DreamvidError, match="^" + message.replace("(", r"\(")):
        dreamvid.score(pictures[:1], **options)


def test_words_are_words():
    words = word_list()
    assert len(words) == len(set(words)) > 800
    assert {"hat", "cap", "strawberry", "palm tree"} <= set(words)
