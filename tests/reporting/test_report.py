"""Pages about results of all commands: complete, escaped, and never in the way of another file."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import av
import pytest

import dreamvid
from dreamvid.config import VideoConfig, WriteConfig
from dreamvid.errors import ConfigError, MediaError
from dreamvid.events import Message, Progress, Warned
from dreamvid.film.recipe import read_recipe
from dreamvid.journal import Run
from dreamvid.media import VideoReader, VideoWriter
from dreamvid.media.files import STANDARD
from dreamvid.reporting.facts import NOT_KNOWN
from tests.reporting.conftest import HOSTILE, QUICK


class Reader(HTMLParser):
    """Collects the tags with their attributes, and all text outside of script and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.text, self.page = "", page
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, Any]]:
        return [attrs for name, attrs in self.tags if name == tag]


def page_of(result: Path, page: Path, **options: Any) -> Reader:
    dreamvid.report(result, page, **options)
    return Reader(page.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def video_page(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return page_of(made / "video.mp4", tmp_path_factory.mktemp("page") / "video.html")


def test_nothing_is_loaded_and_nothing_may_be(video_page):
    policy = next(tag for tag in video_page.all("meta") if "http-equiv" in tag)["content"]
    assert policy.startswith("default-src 'none';")
    written = re.sub(r'(base64,|data-film=")[^"]*', "", video_page.page)
    assert "://" not in written
    assert "url(" not in written
    for tag, attrs in video_page.tags:
        for name in ("src", "href", "srcset", "poster"):
            assert attrs.get(name, "data:").startswith("data:"), tag
        assert not {name for name in attrs if name.startswith("on")}


def test_a_hostile_prompt_is_text(video_page):
    assert len(video_page.all("script")) == 1
    assert video_page.text.count(HOSTILE) == 3  # in the title, the heading and the list


def test_the_source_stands_above_the_result_in_one_film_with_its_sound(video_page, tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(base64.b64decode(video_page.all("video")[0]["data-film"]))
    with av.open(str(film)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 6
    assert frames[0].shape == (2 * 64, 96, 3)
    source, result = frames[-1][:64].astype(float), frames[-1][64:].astype(float)
    assert 0.02 < (source - result).__pow__(2).mean() ** 0.5 / 255 < 0.3


def test_what_it_tells_of_a_clip(video_page):
    text = video_page.text
    for part in ("away from", "In the eyes of the guide", "Comes off what moves", "strength"):
        assert part in text
    assert "--set" in text
    assert "strength=0.1+0.1*t" in text
    assert "dreamvid rerun video.mp4 video-again.mp4" in text
    assert NOT_KNOWN in text
    images = [tag for tag in video_page.all("img") if tag["src"].startswith("data:image/jpeg")]
    assert len(images) == 2 * 6
    assert len(video_page.all("svg")) >= 6


def test_a_zoom_and_a_picture_have_pages_too(made, tmp_path):
    zoom = page_of(made / "zoom.mp4", tmp_path / "zoom.html")
    assert "Factor by which the picture grows" in zoom.text
    assert "Join" not in zoom.text  # it is no loop
    image = page_of(made / "image.png", tmp_path / "image.html")
    assert not image.all("video")
    assert next(tag for tag in image.all("img") if tag.get("id") == "footage")
    assert "Structure kept" in image.text


def test_figures_events_and_a_judge(made, tmp_path):
    events: list[Any] = []
    judge = f"local-dir:{Path(__file__).parents[1] / 'judge'}"
    told = dreamvid.report(
        made / "video.mp4", tmp_path / "a.html", judge=judge, listener=events.append
    )
    assert told.figures["judge_gain"] is not None
    assert told.figures["strength"] == pytest.approx(0.12, abs=0.05)
    assert told.size == (tmp_path / "a.html").stat().st_size
    assert [event.done for event in events if isinstance(event, Progress)] == list(range(7))
    assert isinstance(events[-1], Message)
    with pytest.raises(ConfigError, match=r"--judge: 'mini' dreamed '.*' and would praise it"):
        dreamvid.report(made / "video.mp4", tmp_path / "b.html", judge="mini")
    assert not (tmp_path / "b.html").exists()


def test_a_page_is_not_replaced_unasked_and_says_what_is_missing(made, tmp_path):
    page = tmp_path / "a.html"
    page.write_bytes(b"old")
    with pytest.raises(MediaError, match="--overwrite replaces it"):
        dreamvid.report(made / "image.png", page)
    assert page.read_bytes() == b"old"
    with pytest.raises(MediaError, match=r"unknown extension '\.pdf'; allowed: \.html"):
        dreamvid.report(made / "image.png", tmp_path / "a.pdf")
    with pytest.raises(ConfigError, match="does not tell how it was made"):
        dreamvid.report(made / "in.mp4", tmp_path / "b.html")
    lonely = shutil.copy(made / "video.mp4", tmp_path / "video.mp4")
    gone = made / "in.mp4"
    gone.rename(made / "moved.mp4")
    try:
        with pytest.raises(ConfigError, match="is not there; allowed: --source FILE"):
            dreamvid.report(lonely)
        assert dreamvid.report(lonely, source=made / "moved.mp4").output == str(
            tmp_path / "video.html"
        )
    finally:
        (made / "moved.mp4").rename(gone)


def test_a_run_writes_its_page_and_tells_what_only_it_knows(made, tmp_path):
    out = tmp_path / "dream.mp4"
    summary = dreamvid.dream_video(
        made / "in.mp4", out, prompt="ice", report=True, end="0.25", **QUICK
    )
    page = Reader((tmp_path / "dream.html").read_text(encoding="utf-8"))
    assert str(summary.digest) in page.text
    assert "left as they began" in page.text
    assert NOT_KNOWN not in page.text
    with pytest.raises(MediaError, match=r"dream\.html' exists"):
        dreamvid.dream_video(made / "in.mp4", tmp_path / "dream.mov", prompt="ice", report=True)
    assert not (tmp_path / "dream.mov").exists()
    again = tmp_path / "again.mp4"
    dreamvid.rerun(out, again)
    assert (tmp_path / "again.html").exists()
    dreamvid.rerun(out, tmp_path / "third.mp4", report=False)
    assert not (tmp_path / "third.html").exists()


@pytest.mark.parametrize(
    ("source", "out", "what"),
    [
        ("in.mp4", str(STANDARD), "'-' has no page"),
        ("in.mp4", "%03d.png", "has no page; allowed: a v"),
    ],
)
def test_what_has_no_page_is_refused_before_anything_is_made(
    made, tmp_path, monkeypatch, source, out, what
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"--report: .*{what}"):
        dreamvid.dream_video(made / source, out, prompt="ice", report=True)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_read_again_has_no_page(tmp_path):
    with pytest.raises(ConfigError, match="--report: 'testsrc2' cannot be read again; allowed: a"):
        dreamvid.dream_video(
            "testsrc2", tmp_path / "a.mp4", prompt="ice", input_format="lavfi", report=True
        )
    with pytest.raises(ConfigError, match="--report: a tensor has no page; allowed: files"):
        dreamvid.dream_image("grey", prompt="ice", report=True)


def test_a_stopped_run_keeps_its_page(made, tmp_path):
    out = tmp_path / "dream.mp4"

    def stop(event: object) -> None:
        if isinstance(event, dreamvid.FrameDone) and event.index == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dreamvid.dream_video(
            made / "in.mp4", out, prompt="ice", report=True, listener=stop, **QUICK
        )
    assert not (tmp_path / "dream.html").exists()
    dreamvid.resume(out)
    assert (tmp_path / "dream.html").exists()


def test_a_film_put_together_from_shots_has_its_page(made, tmp_path):
    out = tmp_path / "dream.mp4"
    given = {**QUICK, "prompt": "ice", "end": "0.25", "report": True}
    dreamvid.dream_video(made / "in.mp4", out, shots=[1], **given)
    assert not (tmp_path / "dream.html").exists()
    dreamvid.join(out)
    assert (tmp_path / "dream.html").exists()


def test_a_page_may_be_asked_for_when_a_run_goes_on():
    begun, now = (
        Run.of({}, VideoConfig(prompt=["ice"], report=wanted), {}) for wanted in (False, True)
    )
    assert now.differences(begun) == now.fixed_differences(begun) == []


def test_music_that_is_gone_is_warned_of(made, tmp_path):
    facts = dict(read_recipe(made / "video.mp4").__dict__)
    facts["options"] = {**facts["options"], "music": ["gone.wav"]}
    out = tmp_path / "a.mp4"
    with (
        VideoReader(made / "video.mp4") as reader,
        VideoWriter(
            out, reader.info, WriteConfig(), metadata={"dreamvid": json.dumps(facts)}
        ) as writer,
    ):
        for frame in reader:
            writer.write(frame)
    events: list[Any] = []
    page = page_of(out, tmp_path / "a.html", listener=events.append)
    assert "what changed over time is not known: 'gone.wav' does not exist" in html.unescape(
        page.text
    )
    assert any(isinstance(event, Warned) and "gone.wav" in event.text for event in events)
