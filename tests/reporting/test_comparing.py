"""Results side by side: each in its place at its time, with what differs, and measured alike."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import dreamvid
from dreamvid.errors import ConfigError, MediaError
from dreamvid.events import Progress
from dreamvid.media import VideoReader, read_image
from dreamvid.media.probing import probe
from dreamvid.reporting.beside import Named, side_by_side
from tests.media.clips import Clip, index_of, make, picture, steady

LABEL = 20


def shown(film: Path, index: int, column: int, width: int = 64) -> int:
    """Which picture stands in a column of a row, at the frame of that index."""
    with VideoReader(film) as reader:
        frame = list(reader)[index]
    left = column * width
    return index_of(frame.image[:, LABEL : LABEL + 48, left : left + width])


def test_films_stand_beside_one_another_at_the_times_of_the_first(tmp_path):
    first = make(tmp_path / "a.mp4", Clip(steady(6, 12), sound="aac"))
    slow = make(tmp_path / "b.mp4", Clip(steady(3, 6)))
    fast = make(tmp_path / "c.mp4", Clip(steady(12, 24)))
    out = tmp_path / "out.mp4"
    events: list[Any] = []
    films = [Named(path, path.stem) for path in (first, slow, fast)]
    side_by_side(films, out, listener=events.append)
    info = probe(out)
    assert (info.width, info.height) == (3 * 64, 48 + LABEL)
    assert (info.rate, info.frame_count, len(info.sound)) == (Fraction(12), 6, 1)
    assert [[shown(out, index, column) for column in range(3)] for index in (0, 1, 2, 5)] == [
        *([0, 0, 0], [1, 0, 2], [2, 1, 4], [5, 2, 10])
    ]
    assert [event for event in events if not isinstance(event, Progress)] == []


def test_all_end_with_the_shortest_and_that_is_told(tmp_path):
    long = make(tmp_path / "long.mp4", Clip(steady(10, 12)))
    short = make(tmp_path / "short.mp4", Clip(steady(4, 12)))
    out, sheet = tmp_path / "out.mp4", tmp_path / "sheet.png"
    events: list[Any] = []
    films = [Named(long, "long", "hold 0.5"), Named(short, "short")]
    side_by_side(films, out, sheet=sheet, listener=events.append)
    assert probe(out).frame_count == 4
    assert "all end with 'short', at 0.33 s" in events[-1].text
    assert read_image(sheet).shape == (3, 2 * (48 + LABEL + 16), 4 * 64)


def test_another_shape_gets_black_bars_and_a_picture_stands_still(tmp_path):
    from dreamvid.media import write_image

    film = make(tmp_path / "a.mp4", Clip(steady(2, 12)))
    write_image(tmp_path / "square.png", picture(3, 32, 32) * 0 + 1)
    out = tmp_path / "out.mp4"
    side_by_side([Named(film, "a"), Named(tmp_path / "square.png", "square")], out)
    with VideoReader(out) as reader:
        frames = [frame.image[:, LABEL : LABEL + 48, 64:128] for frame in reader]
    for image in frames:
        assert image[:, :, 10:54].mean() > 0.95
        assert image[:, :, :6].mean() < 0.05


def test_results_are_compared_by_their_options_and_figures(made, tmp_path):
    out, sheet = tmp_path / "both.png", tmp_path / "sheet.png"
    told = dreamvid.compare([made / "image.png", made / "other.png"], out, sheet=sheet)
    first, second = told.results
    assert (first.name, second.name) == ("image", "other")
    assert (first.options, second.options) == ({"seed": "0"}, {"seed": "5"})
    assert 0.01 < (first.figures["strength"] or 0) < 0.3
    assert first.figures["ssim"] != second.figures["ssim"]
    assert read_image(out).shape[2] == 2 * 64
    assert told.to_json()["results"][1]["options"] == {"seed": "5"}
    assert told.output == str(out)


def test_films_and_zooms_are_measured_each_in_its_way(made, tmp_path):
    told = dreamvid.compare([made / "video.mp4", made / "zoom.mp4", made / "in.mp4"])
    video, zoom, source = told.results
    assert video.figures["relative_dream_warp_error"] is not None
    assert zoom.figures["zoom"] is not None
    assert source.figures == {}
    assert "prompt" in video.options
    assert "loop" not in video.options
    assert any(
        "'in.mp4' does not tell how it was made" in text.replace(str(made) + "/", "")
        for text in told.warnings
    )
    assert (told.output, told.sheet) == (None, None)


@pytest.mark.parametrize(
    ("results", "options", "error", "message"),
    [
        (["image.png"], {}, ConfigError, "1 result is compared with nothing; allowed: two"),
        (["image.png", "none.png"], {}, MediaError, "none.png' does not exist"),
        (
            ["image.png", "video.mp4"],
            {"out": "x.png"},
            ConfigError,
            "--out 'x.png' is a picture, and",
        ),
        (["image.png", "other.png"], {"out": "x.mp4"}, MediaError, "unknown extension '.mp4'"),
        (["image.png", "other.png"], {"columns": 0}, ConfigError, "--columns: 0 is not allowed"),
        (["image.png", "other.png"], {"out": "x.png", "sheet": "x.png"}, ConfigError, "two f"),
        (["image.png", "other.png"], {"judge": "mini"}, ConfigError, "dreamed"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    made, tmp_path, monkeypatch, results, options, error, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        dreamvid.compare([made / name for name in results], **options)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_not_replaced_unasked(made, tmp_path):
    out = tmp_path / "x.png"
    out.write_bytes(b"old")
    with pytest.raises(MediaError, match="--overwrite replaces it"):
        dreamvid.compare([made / "image.png", made / "other.png"], out)
    assert out.read_bytes() == b"old"
    dreamvid.compare([made / "image.png", made / "other.png"], out, overwrite=True)
    assert read_image(out).shape[0] == 3
