"""Whole results by one call each: what they take, tell, leave behind and go on with."""

from __future__ import annotations

import signal
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from torch import Tensor

import dreamvid
from dreamvid.config import VideoConfig
from dreamvid.dream.canvas import Task, octaves
from dreamvid.dream.terms import Scene
from dreamvid.errors import ConfigError, JournalError
from dreamvid.events import Event, Finished, FrameDone, Progress, StepDone
from dreamvid.film.clip import read_ahead
from dreamvid.journal import folder_of
from dreamvid.journal.shot import chained_digest
from dreamvid.media import VideoReader
from dreamvid.media.marks import picture_digest
from dreamvid.media.source import Source
from dreamvid.motion.flow import OpticalFlow, create_flow
from tests.fakes import KnownFlow, TowardsColour
from tests.media.clips import Clip, make, steady

RED = (1.0, 0.0, 0.0)
FRAMES = 4
QUICK: dict[str, Any] = {
    "steps": 1,
    "first_steps": 2,
    "octaves": 1,
    "cutouts": 2,
    "catch_up": 0,
    "codec": "ffv1",
}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Four frames of 64×48 with sound."""
    return make(tmp_path / "clip.mp4", Clip(steady(FRAMES), sound="aac"))


def dreamed(source: Path, out: Path, **changes: Any) -> dreamvid.Summary:
    given = QUICK | {"objectives": [TowardsColour(RED)], "flow": KnownFlow(0)} | changes
    return dreamvid.dream_video(source, out, **given)


def test_a_film_is_one_call(clip, tmp_path, capfd):
    told: list[Event] = []
    threads, handler = threading.active_count(), signal.getsignal(signal.SIGINT)
    summary = dreamed(clip, tmp_path / "out.mkv", strength=0.4, listener=told.append)
    assert (threading.active_count(), signal.getsignal(signal.SIGINT)) == (threads, handler)
    assert capfd.readouterr() == ("", "")
    assert (summary.frames, summary.warnings, summary.guide) == (FRAMES, (), ())
    assert summary.similarity_after > summary.similarity_before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "out.mkv"]
    with VideoReader(tmp_path / "out.mkv") as result:
        assert len(list(result)) == FRAMES
        assert len(result.info.sound) == 1
    assert told[-1] == Finished(summary)
    frames = [event for event in told if isinstance(event, FrameDone)]
    assert [event.index for event in frames] == list(range(FRAMES))
    assert [event.frame.time for event in frames] == steady(FRAMES)
    steps = [event for event in told if isinstance(event, StepDone)]
    assert len(steps) == QUICK["first_steps"] + (FRAMES - 1) * QUICK["steps"]
    done = [
        event.done for event in told if isinstance(event, Progress) and event.stage == "dreaming"
    ]
    assert done == list(range(FRAMES + 1))


def test_options_are_keywords_on_top_of_a_configuration(clip, tmp_path):
    config = VideoConfig(steps=0, first_steps=0, codec="ffv1", end="1/12")
    told: dict[str, Any] = {
        "config": config,
        "set": "strength=0.1",
        "prompt": "red",
        "negative": ["blue", "green"],
    }
    outlook = dreamvid.plan(clip, timing=False, **told)
    assert (outlook.config.prompt, outlook.config.negative) == (["red"], ["blue", "green"])
    assert outlook.curves == {"strength": [0.1, 0.1]}
    varied = VideoConfig(set_=["strength=0.1", "tv=2"], end="1/12")
    outlook = dreamvid.plan(clip, timing=False, config=varied, prompt="red", strength=0.3)
    assert (outlook.config.strength, outlook.curves) == (0.3, {"tv": [2, 2]})
    with pytest.raises(ConfigError, match="unknown option 'stepz'; allowed: angle, at, attack"):
        dreamvid.dream_video(clip, tmp_path / "out.mkv", stepz=3)
    with pytest.raises(ConfigError, match="--strength: '2' is not allowed; allowed: a number from"):
        dreamvid.dream_video(clip, tmp_path / "out.mkv", prompt="red", strength=2)
    with pytest.raises(ConfigError, match="no prompt"):
        dreamvid.dream_video(clip, tmp_path / "out.mkv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4"]


@pytest.mark.parametrize("name", ["out.mkv", "%d.png"])
def test_the_digest_is_of_the_pictures_that_a_lossless_file_holds(clip, tmp_path, name):
    digest = dreamed(clip, tmp_path / name).digest
    paths = sorted(tmp_path.glob("*.png")) or [tmp_path / name]
    assert digest == chained_digest([each for path in paths for each in digests_in(path)])


def digests_in(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [picture_digest(frame) for frame in container.decode(video=0)]


class StopAt:
    """A listener that ends the run after so many frames."""

    def __init__(self, frames: int) -> None:
        self.frames = frames

    def __call__(self, event: Event) -> None:
        if isinstance(event, FrameDone) and event.index + 1 == self.frames:
            raise KeyboardInterrupt


def test_a_listener_stops_a_film_that_goes_on_as_if_it_had_not(clip, tmp_path, monkeypatch):
    whole = dreamed(clip, tmp_path / "whole.mkv")
    out = tmp_path / "out.mkv"
    with pytest.raises(KeyboardInterrupt):
        dreamed(clip, out, listener=StopAt(2))
    seen = dreamvid.peek(out)
    assert (seen.output, seen.frames) == (tmp_path / "out.peek.mkv", 2)
    assert dreamed(clip, out, resume=True).digest == whole.digest
    assert not folder_of(out).exists()
    with pytest.raises(JournalError, match="does not exist; allowed: the OUT of a film"):
        dreamvid.resume(out)


@pytest.mark.parametrize("kind", [StepDone, Progress, FrameDone])
def test_a_listener_ends_a_source_without_an_end(tmp_path, kind):
    out, told = tmp_path / "out.mkv", list[Event]()

    def stop(event: Event) -> None:
        told.append(event)
        done = sum(isinstance(each, FrameDone) for each in told)
        if isinstance(event, kind) and done == 3:
            raise KeyboardInterrupt

    given = {"input_format": "lavfi", "listener": stop}
    summary = dreamed(Path("testsrc=size=64x48:rate=25"), out, **given)
    with VideoReader(out) as result:
        assert len(list(result)) == summary.frames
    assert summary.frames == (4 if kind is Progress else 3)


def test_an_interrupt_before_the_first_frame_leaves_nothing(tmp_path):
    def stop(event: Event) -> None:
        if isinstance(event, StepDone):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dreamed(
            Path("testsrc=size=64x48:rate=25"),
            tmp_path / "out.mkv",
            input_format="lavfi",
            listener=stop,
        )
    assert list(tmp_path.iterdir()) == []


def counted(task: Task) -> Any:
    """A stranger's canvas: octaves, whose images are counted."""
    seen.append(task.steps)
    return octaves(task)


class Darkness:
    """A stranger's term: the mean brightness, by autograd."""

    def __call__(self, image: Tensor, scene: Scene) -> Tensor:
        return 1000 * image.mean()


seen: list[int] = []


def test_a_strangers_parts_dream_a_film(clip, tmp_path):
    seen.clear()
    bright, dark = (
        dreamed(clip, tmp_path / name, canvas=counted, terms=terms)
        for name, terms in (("a.mkv", []), ("b.mkv", [Darkness()]))
    )
    assert seen == 2 * [QUICK["first_steps"], *[QUICK["steps"]] * (FRAMES - 1)]
    assert bright.frames == dark.frames == FRAMES
    means = []
    for name in ("a.mkv", "b.mkv"):
        with VideoReader(tmp_path / name) as result:
            means.append(float(torch.stack([frame.image for frame in result]).mean()))
    assert means[1] < means[0] - 0.01


@pytest.mark.parametrize("name", ["dis", "farneback"])
def test_a_film_is_dreamed_along_calm_flow(clip, tmp_path, monkeypatch, name):
    made: list[OpticalFlow] = []

    def spied(*given: Any, **more: Any) -> OpticalFlow:
        made.append(create_flow(*given, **more))
        return made[-1]

    monkeypatch.setattr("dreamvid.film.clip.create_flow", spied)
    dreamed(clip, tmp_path / "out.mkv", flow=name, flow_size=200)
    assert [(flow.is_calm, flow.max_side) for flow in made] == [(True, 200)]


def test_a_picture_from_a_tensor_to_a_tensor():
    grey = torch.full((3, 24, 32), 0.5)
    given: dict[str, Any] = {"octaves": 1, "cutouts": 2, "steps": 3, "strength": 0.2}
    dream = dreamvid.dream_image(grey, objectives=[TowardsColour(RED)], **given)
    assert dream.shape == grey.shape
    assert dream[0].mean() > 0.5 > dream[1].mean()
    assert torch.equal(grey, torch.full((3, 24, 32), 0.5))
    small = dreamvid.dream_image(grey, objectives=[TowardsColour(RED)], size="16x16", **given)
    assert small.shape == (3, 16, 16)
    with pytest.raises(ValueError, match="floating-point"):
        dreamvid.dream_image(torch.zeros(3, 8, 8, dtype=torch.uint8), prompt="red")


def test_a_zoom_by_ones_own_objective(tmp_path):
    told: list[Event] = []
    summary = dreamvid.zoom(
        "grey",
        tmp_path / "out.mkv",
        objectives=[TowardsColour(RED)],
        size="48x32",
        seconds=Fraction(1, 8),
        first_steps=2,
        steps=1,
        cutouts=2,
        octaves=1,
        listener=told.append,
    )
    assert (summary.frames, summary.loop) == (3, False)
    assert [event.index for event in told if isinstance(event, FrameDone)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("size", "every", "ahead"),
    [((640, 360), 1, 1), ((640, 360), 50, 1), ((3840, 2160), 2, 1), ((3840, 2160), 4, 0)],
)
def test_a_stored_clip_is_read_ahead_as_far_as_memory_goes(tmp_path, size, every, ahead):
    source = tmp_path / "in.mp4"
    source.write_bytes(b"film")
    config = VideoConfig(prompt=["a red rose"], every=every)
    assert read_ahead(Source.find(source, config), config, size[0] * size[1]) == ahead


@pytest.mark.parametrize(
    ("source", "input_format"), [("-", "matroska"), ("/dev/video0", "v4l2"), ("testsrc", "lavfi")]
)
def test_a_pipe_and_a_device_are_not_read_ahead(source, input_format):
    config = VideoConfig(prompt=["a red rose"], input_format=input_format)
    assert read_ahead(Source.find(Path(source), config), config, 64 * 48) == 0
