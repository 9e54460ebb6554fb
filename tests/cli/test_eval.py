"""`dreamvid eval`: what it reads from a result, what it tells, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from dreamvid.config import WriteConfig
from dreamvid.evaluation.figures import FIGURES
from dreamvid.film.recipe import METADATA_KEY
from dreamvid.guide.names import BUILT_IN
from dreamvid.media import VideoReader, VideoWriter, read_image
from tests.cli.conftest import refused
from tests.conftest import JUDGE
from tests.media.clips import Clip, make, steady, uneven

UNTOUCHED = ["-p", "a red rose", "--steps", "0", "--first-steps", "0", "-q"]
BY_THE_JUDGE = ["--judge", f"local-dir:{JUDGE}"]

Made = Callable[..., Path]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames of 64×48 at 24 a second."""
    return make(tmp_path_factory.mktemp("in") / "in.mp4", Clip(times=steady(12)))


@pytest.fixture
def made(clip: Path, tmp_path: Path) -> Made:
    """Makes a result of the clip: a little brighter, with `options` in its metadata."""

    def build(name: str = "out.mkv", shift: float = 0.1, **options: Any) -> Path:
        end = Fraction(options["end"]) if "end" in options else None
        recipe = {METADATA_KEY: json.dumps({"options": options})} if options else {}
        path = tmp_path / name
        with (
            VideoReader(clip, size=options.get("size", "source"), end=end) as reader,
            VideoWriter(path, reader.info, WriteConfig(codec="ffv1"), metadata=recipe) as writer,
        ):
            for frame in reader:
                writer.write(frame.with_image((frame.image + shift).clamp(0, 1)))
        return path

    return build


# What it tells


def test_a_dream_is_measured_by_what_its_metadata_tell(dreamvid, clip, tmp_path):
    out = tmp_path / "out.mp4"
    asked = ["--start", "0.1", "--end", "0.3", "--size", "48", "-n", "text"]
    asked += ["-p", "a red rose", "--steps", "2", "--first-steps", "2", "--octaves", "1", "-q"]
    assert dreamvid("video", clip, out, *asked).status == 0
    told = dreamvid("eval", clip, out, *BY_THE_JUDGE, "--json", "-q").json()
    conditions = ["source", "result", "width", "height", "flow", "judge", "prompts"]
    assert list(told) == [*conditions, *FIGURES, "warnings"]
    assert (told["source"], told["result"], told["flow"]) == (str(clip), str(out), "dis")
    assert (told["width"], told["height"]) == (48, 36)
    assert told["prompts"]["prompt"] == ["a red rose"]
    assert told["prompts"]["negative"] == ["text"]
    assert (told["frames"], told["cuts"], told["warnings"]) == (5, 0, [])
    assert told["strength"] > 0.02
    assert told["dream_warp_error"] > 0
    assert told["judge_gain"] == pytest.approx(told["judge_after"] - told["judge_before"], abs=1e-4)
    assert told["judge_gain"] != 0


def test_a_clip_is_its_own_perfect_result(dreamvid, clip):
    told = dreamvid("eval", clip, clip, "--json", "-q").json()
    assert (told["frames"], told["strength"], told["tof"], told["ssim"]) == (12, 0, 0, 1)
    assert (told["judge"], told["judge_gain"]) == (None, None)


def test_without_a_judge_it_says_so_and_tells_the_rest(dreamvid, clip, made):
    result = dreamvid("eval", clip, made())
    assert "dreamvid: no --judge, so no gain" in result.err
    lines = {line.split()[0]: line for line in result.out.splitlines()}
    assert list(lines) == list(FIGURES)
    assert float(lines["strength"].split()[1]) == pytest.approx(0.1, abs=0.01)
    assert lines["judge_gain"].split()[1] == "–"
    assert "8 frames back" in lines["trust_8"]


def test_prompts_given_stand_for_those_of_the_metadata(dreamvid, clip, made):
    out = made(prompt=["a dog"], negative=["text"])
    told = dreamvid("eval", clip, out, *BY_THE_JUDGE, "-p", "a cat", "--json", "-q").json()
    assert (told["prompts"]["prompt"], told["prompts"]["negative"]) == (["a cat"], [])


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ({"times": uneven(8), "time_base": Fraction(1, 600)}, []),
        ({"times": steady(8), "rotation": 90}, []),
        ({"times": steady(8)}, ["--fps", "10"]),
        ({"times": steady(8)}, ["--start", "0.05", "--end", "0.25", "--fps", "10"]),
        ({"times": steady(8)}, ["--size", "32x32"]),  # another shape, on purpose
        ({"times": steady(8), "size": (128, 96)}, ["--size", "64", "--deliver", "source"]),
        ({"times": steady(8), "aspect": Fraction(4, 3)}, ["--size", "64"]),
    ],
)
def test_the_source_is_read_as_for_the_result(dreamvid, tmp_path, source, options):
    clip, out = make(tmp_path / "in.mp4", Clip(**source)), tmp_path / "out.mkv"
    lossless = ["--codec", "ffv1", "--pix-fmt", "bgr0"]
    assert dreamvid("video", clip, out, *UNTOUCHED, *lossless, *options).status == 0
    told = dreamvid("eval", clip, out, "--json", "-q").json()
    with VideoReader(out) as reader:
        assert told["frames"] == len(list(reader))
    assert told["warnings"] == []
    assert told["strength"] < 0.002


def test_it_can_measure_at_a_smaller_size(dreamvid, clip, made):
    for size, (width, height) in {"32": (32, 24), "32x32": (32, 32)}.items():
        told = dreamvid("eval", clip, made(f"{width}{height}.mkv"), "--size", size, "--json", "-q")
        assert (told.json()["width"], told.json()["height"]) == (width, height)


def test_the_source_is_seen_through_the_camera_of_the_result(dreamvid, clip, tmp_path):
    out = tmp_path / "out.mkv"
    camera = ["--zoom", "1.5", "--rotate", "20", "--codec", "ffv1"]
    assert dreamvid("video", clip, out, *UNTOUCHED, *camera).status == 0
    assert dreamvid("eval", clip, out, "--json", "-q").json()["strength"] < 0.01


def test_a_zoom_has_no_source_to_be_measured_against(dreamvid, clip, made):
    out = made(loop=False)
    refused(dreamvid("eval", clip, out, "-q"), 2, f"'{out}' was made by `dreamvid zoom`")


def test_pictures_are_a_source_too(dreamvid, tmp_path):
    clip, frames, out = make(tmp_path / "in.mp4", Clip(times=steady(6))), tmp_path / "frames", None
    frames.mkdir()
    assert dreamvid("video", clip, frames, *UNTOUCHED).status == 0
    out = tmp_path / "out.mkv"
    lossless = ["--codec", "ffv1", "--pix-fmt", "bgr0"]
    assert dreamvid("video", frames, out, *UNTOUCHED, *lossless, "--rate", "12").status == 0
    told = dreamvid("eval", frames, out, "--json", "-q").json()
    assert (told["frames"], told["strength"], told["warnings"]) == (6, 0, [])


def test_a_plot_and_a_sheet_are_written(dreamvid, clip, made, tmp_path):
    plot, sheet = tmp_path / "plot.png", tmp_path / "sheet.png"
    drawn = ["--plot", plot, "--sheet", sheet, "-q"]
    out = made(prompt=["a red rose"])
    assert dreamvid("eval", clip, out, *BY_THE_JUDGE, *drawn).status == 0
    assert read_image(plot).shape[2] == 1100
    contacts = read_image(sheet)
    assert contacts.shape == (3, 2 * 48, 6 * 64)
    above, below = contacts[:, :48], contacts[:, 48:]
    assert float((below - above).mean()) == pytest.approx(0.1, abs=0.02)
    again = dreamvid("eval", clip, out, *drawn)
    refused(again, 1, f"'{plot}' exists; --overwrite replaces it")
    assert dreamvid("eval", clip, out, *drawn, "--overwrite").status == 0
    assert read_image(plot).shape[1] < 1200  # a panel less, without a judge
    assert torch.equal(read_image(sheet), contacts)


# What it refuses, and what it warns of


def test_the_guide_that_dreamed_it_is_no_judge(dreamvid, clip, made):
    out = made(prompt=["a red rose"], guide=["mini"])
    for name in ("mini", f"local-dir:{BUILT_IN['mini']}"):
        refused(dreamvid("eval", clip, out, "--judge", name), 2, f"--judge: '{name}' dreamed this")
    told = dreamvid("eval", clip, out, "--judge", "mini", "--force", "--json", "-q").json()
    assert told["judge_gain"] is not None


def test_a_judge_wants_prompts_and_says_where_it_cannot_tell_who_dreamed(dreamvid, clip, made):
    out = made()
    refused(dreamvid("eval", clip, out, *BY_THE_JUDGE), 2, "no prompt; give at least one of")
    told = dreamvid("eval", clip, out, *BY_THE_JUDGE, "-p", "a rose", "--json", "-q").json()
    assert told["warnings"] == [
        "the result does not tell which guide dreamed it; the judge must be another"
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["{clip}", "{folder}/none.mp4"], 1, "'{folder}/none.mp4' does not exist"),
        (["{folder}/none.mp4", "{clip}"], 1, "'{folder}/none.mp4' does not exist"),
        (["{clip}", "{folder}/text.mp4"], 1, "'{folder}/text.mp4' cannot be read"),
        (["{clip}", "-"], 2, "'-' cannot be measured"),
        (["{clip}"], 2, "RESULT is missing; allowed without it: --loop"),
        (["{clip}", "{clip}", "--judge", "nobody"], 1, "unknown guide 'nobody'"),
        (["{clip}", "{clip}", "--flow", "magic"], 2, "--flow: 'magic' is not allowed"),
        (["{clip}", "{clip}", "--start", "9"], 1, "'{clip}' has no frame from 9 s on"),
        (
            ["{clip}", "{clip}", "--plot", "{folder}/p.svg"],
            1,
            "'{folder}/p.svg': unknown extension",
        ),
        (["{clip}", "{clip}", "--sheet", "{folder}/no/s.png"], 1, "folder '{folder}/no' does not"),
        (
            ["{clip}", "{clip}", "--plot", "{folder}/a.png", "--sheet", "{folder}/a.png"],
            2,
            "--plot and --sheet are both",
        ),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_line(
    dreamvid, clip, tmp_path, arguments, status, message
):
    (tmp_path / "text.mp4").write_text("no film")
    names = {"clip": clip, "folder": tmp_path}
    result = dreamvid("eval", *(argument.format(**names) for argument in arguments), "-q")
    refused(result, status, message.format(**names))
    assert [path.name for path in tmp_path.iterdir()] == ["text.mp4"]


def test_another_shape_is_another_film(dreamvid, clip, made):
    out = made(size="48x48")
    assert dreamvid("eval", clip, out, "-q").status == 0  # its metadata tell that it was asked for
    strange = make(out.with_name("wide.mp4"), Clip(times=steady(12), size=(96, 48)))
    result = dreamvid("eval", strange, made("other.mkv"), "-q")
    refused(result, 1, f"the result is 64x48, and '{strange}' of 96x48 has another shape; allowed")


def test_frames_are_matched_by_their_times(dreamvid, clip, made):
    out = made(end="0.25")
    told = dreamvid("eval", clip, out, "--end", "5", "--json", "-q").json()
    assert told["frames"] == 6
    assert told["warnings"] == [
        "frames are matched by their times: 0 of the source's and 0 of the result's have no "
        "partner; the source goes on where the result ends"
    ]
    strange = dreamvid("eval", clip, out, "--start", "0.02", "--end", "0.24", "-q")
    refused(strange, 1, "no frame of the result is shown at the time of one of the source; --start")


@pytest.mark.parametrize(
    "told", ["not JSON", "[]", '{"options": 3}', "{}", '{"options": {"steps": -1}}']
)
def test_metadata_that_tell_nothing_are_passed_over(dreamvid, clip, tmp_path, told):
    out = tmp_path / "out.mkv"
    with (
        VideoReader(clip) as reader,
        VideoWriter(out, reader.info, WriteConfig(), metadata={METADATA_KEY: told}) as writer,
    ):
        for frame in reader:
            writer.write(frame)
    assert dreamvid("eval", clip, out, "--json", "-q").json()["frames"] == 12
