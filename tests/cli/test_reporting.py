"""`dreamvid report` and `dreamvid compare` as they are typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import dreamvid as library
from dreamvid.media import write_image
from tests.cli.conftest import refused
from tests.media.clips import picture

QUICK: dict[str, Any] = {"prompt": "a rose", "cutouts": 2, "octaves": 1, "steps": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two pictures that differ in their seed."""
    folder = tmp_path_factory.mktemp("made")
    write_image(folder / "in.png", picture(3))
    for name, seed in (("a.png", 0), ("b.png", 5)):
        library.dream_image(folder / "in.png", folder / name, seed=seed, **QUICK)
    return folder


def test_a_page_is_written_beside_the_result_or_where_it_is_wanted(dreamvid, made, tmp_path):
    told = dreamvid("report", made / "a.png", tmp_path / "page.html", "--json", "-q").json()
    assert told["output"] == str(tmp_path / "page.html")
    assert told["figures"]["ssim"] is not None
    result = dreamvid("report", made / "a.png")
    assert (result.status, result.out) == (0, "")
    assert f"{made / 'a.html'}: 0.0 MB" in result.err
    refused(dreamvid("report", made / "a.png", "-q"), 1, f"'{made / 'a.html'}' exists; --overwrite")
    assert dreamvid("report", made / "a.png", "-q", "--overwrite").status == 0


def test_an_option_asks_for_the_page_of_a_picture(dreamvid, made, tmp_path):
    quick = ["-p", "ice", "--steps", "0", "-q"]
    dreamvid("image", made / "in.png", tmp_path / "c.png", *quick, "--report")
    assert (tmp_path / "c.html").exists()
    dreamvid("rerun", tmp_path / "c.png", tmp_path / "d.png", "-q")
    assert (tmp_path / "d.html").exists()
    again = dreamvid("image", made / "in.png", tmp_path / "c.jpg", *quick, "--report")
    refused(again, 1, f"'{tmp_path / 'c.html'}' exists; --overwrite replaces it")


def test_a_table_tells_what_differs(dreamvid, made, tmp_path):
    shown = dreamvid("compare", made / "a.png", made / "b.png", "-o", tmp_path / "ab.png", "-q")
    assert shown.status == 0, shown.err
    rows = [line.split() for line in shown.out.splitlines()]
    assert rows[:2] == [["a", "b"], ["--seed", "0", "5"]]
    assert [row[0] for row in rows[2:]] == ["strength", "ssim", "sharpness"]
    assert (tmp_path / "ab.png").exists()
    told = dreamvid("compare", made / "a.png", made / "b.png", "--json", "-q").json()
    assert [each["options"] for each in told["results"]] == [{"seed": "0"}, {"seed": "5"}]
    assert "judge_gain" in told["results"][0]["figures"]


def test_one_alone_is_compared_with_nothing(dreamvid, made):
    refused(dreamvid("compare", made / "a.png"), 2, "1 result is compared with nothing; allowed")


def test_what_is_played_has_no_page(dreamvid, made):
    played = dreamvid("live", made / "in.png", "-p", "ice", "--report", "--no-browser")
    refused(played, 2, "--report is not for what is played; allowed in `dreamvid video`")
