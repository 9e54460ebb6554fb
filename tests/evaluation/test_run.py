"""Files measured by the library: figures back, events told, nothing printed and nothing left."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path

import pytest

from dreamvid.config import EvalConfig, WriteConfig
from dreamvid.errors import ConfigError, MediaError
from dreamvid.evaluation.figures import FIGURES
from dreamvid.evaluation.run import evaluate, evaluate_loop
from dreamvid.events import Event, Message, Progress, Warned
from dreamvid.media import VideoReader, VideoWriter, read_image
from tests.media.clips import Clip, make, steady

FRAMES = 4


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four frames of 64×48 at 24 a second."""
    return make(tmp_path_factory.mktemp("in") / "in.mp4", Clip(times=steady(FRAMES)))


@pytest.fixture(scope="module")
def brighter(clip: Path) -> Path:
    """The first three frames of the clip, brighter by 0.1."""
    path = clip.with_name("out.mkv")
    with (
        VideoReader(clip, end=Fraction(3, 24)) as reader,
        VideoWriter(path, reader.info, WriteConfig(codec="ffv1")) as writer,
    ):
        for frame in reader:
            writer.write(frame.with_image((frame.image + 0.1).clamp(0, 1)))
    return path


def test_figures_conditions_and_series_come_back_and_nothing_is_printed(clip, brighter, capsys):
    events: list[Event] = []
    threads = threading.enumerate()
    result = evaluate(clip, brighter, listener=events.append)
    assert threading.enumerate() == threads
    assert capsys.readouterr() == ("", "")
    assert list(result.figures) == list(FIGURES)
    assert result.figures["frames"] == 3
    assert result.figures["strength"] == pytest.approx(0.1, abs=0.01)
    assert result.figures["judge_gain"] is None
    assert {len(values) for values in result.series.values()} == {3}
    assert (result.conditions["source"], result.conditions["width"]) == (str(clip), 64)


def test_messages_progress_and_warnings_are_told_in_order(clip, brighter):
    events: list[Event] = []
    result = evaluate(str(clip), str(brighter), listener=events.append)
    assert isinstance(events[0], Message)
    assert "no --judge" in events[0].text
    progress = [event for event in events if isinstance(event, Progress)]
    assert [(event.stage, event.done) for event in progress] == [
        ("measuring", done) for done in range(4)
    ]
    assert {event.total for event in progress} == {3}
    assert isinstance(events[-1], Warned)
    assert result.warnings == (events[-1].text,)
    assert "the source goes on where the result ends" in events[-1].text


def test_options_override_the_configuration(clip, brighter):
    config = EvalConfig(size="32", flow="farneback")
    result = evaluate(clip, brighter, config=config, size="48", end=Fraction(2, 24))
    assert (result.conditions["width"], result.conditions["flow"]) == (48, "farneback")
    assert result.figures["frames"] == 2


def test_pictures_are_written_and_replaced_only_when_asked(clip, brighter, tmp_path):
    plot, sheet = tmp_path / "plot.png", tmp_path / "sheet.png"
    evaluate(clip, brighter, plot=plot, sheet=sheet)
    assert read_image(plot).shape[2] == 1100
    assert read_image(sheet).shape == (3, 2 * 48, 3 * 64)
    with pytest.raises(MediaError, match="--overwrite replaces it"):
        evaluate(clip, brighter, plot=plot)
    sheet.write_bytes(b"old")
    evaluate(clip, brighter, sheet=sheet, overwrite=True)
    assert read_image(sheet).shape == (3, 2 * 48, 3 * 64)


def test_what_is_wrong_is_found_before_anything_is_told(clip, brighter, tmp_path):
    events: list[Event] = []
    with pytest.raises(ConfigError, match="--flow: 'magic' is not allowed"):
        evaluate(clip, brighter, listener=events.append, flow="magic")
    with pytest.raises(ConfigError, match="unknown option 'steps'"):
        evaluate(clip, brighter, listener=events.append, steps=3)
    with pytest.raises(MediaError, match="does not exist"):
        evaluate(clip, tmp_path / "none.mp4", listener=events.append)
    with pytest.raises(ConfigError, match="no prompt"):
        evaluate(clip, brighter, listener=events.append, judge="mini")
    assert events == []


def test_a_listener_that_raises_ends_the_run_and_leaves_no_thread(clip, brighter):
    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.done == 1:
            raise KeyboardInterrupt

    threads = threading.enumerate()
    with pytest.raises(KeyboardInterrupt):
        evaluate(clip, brighter, listener=stop)
    assert threading.enumerate() == threads


def test_a_film_is_measured_as_a_loop(clip, capsys):
    events: list[Event] = []
    threads = threading.enumerate()
    measure = evaluate_loop(clip, listener=events.append, flow="farneback")
    assert threading.enumerate() == threads
    assert capsys.readouterr() == ("", "")
    assert measure.frames == FRAMES
    assert measure.seconds == pytest.approx(FRAMES / 24, rel=1e-3)
    assert events == [Progress("measuring", done, FRAMES) for done in range(FRAMES + 1)]


def test_a_loop_has_two_frames(brighter, tmp_path):
    one = make(tmp_path / "one.mp4", Clip(times=steady(1), last=Fraction(1, 24)))
    with pytest.raises(MediaError, match=r"one\.mp4' cannot be measured: a loop has two frames"):
        evaluate_loop(one)
    with pytest.raises(ConfigError, match="--flow: 'magic' is not allowed"):
        evaluate_loop(brighter, flow="magic")
