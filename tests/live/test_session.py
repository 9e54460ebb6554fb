"""A session as a whole: what is shown, and the files that it leaves."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

import dreamvid
from dreamvid.config import VideoConfig, build_config, split_assignment
from dreamvid.errors import ConfigError, MediaError
from dreamvid.events import Event, Message, Progress, ignore
from dreamvid.film.job import Parts
from dreamvid.film.report import Reporter
from dreamvid.live.job import LiveJob
from dreamvid.live.opening import open_session
from dreamvid.live.performance import play
from dreamvid.live.session import Session, Shown
from dreamvid.media.reader import VideoReader
from dreamvid.media.still import read_image, write_image
from tests.cli.conftest import Command
from tests.cli.conftest import dreamvid as dreamvid_command  # noqa: F401 (a fixture)
from tests.fakes import KnownFlow, TowardsColour
from tests.live.stage import QUICK, RED, newest, played, short_clip, until

PARTS: dict[str, Any] = {"objectives": [TowardsColour(RED)], "flow": KnownFlow(0)}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return short_clip(tmp_path)


def redness(image: torch.Tensor) -> float:
    return float(image[0].mean() - image[1].mean())


def test_what_is_shown_grows_towards_the_prompt_within_the_strength(clip, tmp_path):
    with played(clip, tmp_path, strength=0.2, lr=0.2) as session:
        until(lambda: session.figures.dreams > 5)
        shown = session.newest
        assert shown is not None
        assert redness(shown.frame.image) > redness(shown.source.image) + 0.02
        off = (shown.frame.image - shown.source.image).square().mean().sqrt()
        assert float(off) <= 0.2 + 1e-5
        session.bus.set("strength", 0.01, session.now())
        shown = newest(session, shown.index + 1)
        off = (shown.frame.image - shown.source.image).square().mean().sqrt()
        assert float(off) <= 0.01 + 1e-5


def recorded_last(session: Session, name: str) -> float:
    """The value of a number on the last frame of the take."""
    assert session._recording is not None
    return session._recording._take._rows.get(name, [0.0])[-1]


def test_a_take_rendered_twice_is_one_film_and_has_the_numbers_that_were_played(tmp_path):
    clip = short_clip(tmp_path, 24)
    seen: list[Shown] = []
    changes = [("strength", 0.05 * k) for k in range(1, 6)]
    changes += [("prompt2", 0.2 * k) for k in range(1, 5)]

    with played(clip, tmp_path, set_=["tv=4 + sin(t)"]) as session:
        session.watchers.append(lambda shown: seen.append(shown) if session.is_recording else None)
        session.record(True)
        until(lambda: session.is_recording)
        for name, value in changes:
            session.bus.set(name, value, session.now(), 0.05)
            newest(session, newest(session).index + 2)
        session.bus.cross(session.bus.add_prompt("green"), session.now(), 0.1)
        # A slow machine may leave out the frame on which it was first so.
        until(lambda: recorded_last(session, "prompt3") > 0.9)
        session.record(False)
        until(lambda: not session.is_recording)
    take, source = tmp_path / "take-001.toml", tmp_path / "take-001.source.mkv"
    config = build_config(VideoConfig, file=take)
    names = {split_assignment(each)[0] for each in config.set_}
    assert names == {"strength", "prompt1", "prompt2", "prompt3", "tv"}
    with VideoReader(source) as frames, VideoReader(tmp_path / "take-001.mp4") as film:
        recorded = [frame.image for frame in frames]
        assert len(list(film)) == len(recorded) <= len(seen)
    summaries = []
    for number in range(2):
        told: list[dreamvid.FrameDone] = []

        def note(event: Event, told: list[dreamvid.FrameDone] = told) -> None:
            if isinstance(event, dreamvid.FrameDone):
                told.append(event)

        summary = dreamvid.dream_video(
            source,
            tmp_path / f"film-{number}.mkv",
            config=config.model_copy(update={"cutouts": 1}),
            listener=note,
            codec="ffv1",
            **PARTS,
        )
        assert len(told) == len(recorded)
        summaries.append(summary)
    assert summaries[0].digest == summaries[1].digest
    assert summaries[0].digest is not None


def test_a_performance_in_one_call_leaves_a_film(clip, tmp_path):
    told: list[Event] = []
    out = tmp_path / "out.mkv"
    given = QUICK | PARTS | {"codec": "ffv1", "listener": told.append}
    result = play(clip, out=out, duration=0.6, folder=tmp_path, record=True, **given)
    with VideoReader(out) as film:
        times = [frame.time for frame in film]
    assert 0 < len(times) <= result.frames
    assert times == sorted(set(times))
    assert result.seconds >= 0.4
    assert any(isinstance(event, Progress) and event.stage == "playing" for event in told)
    lines = [event.text for event in told if isinstance(event, Message)]
    assert any(line.startswith("take-001: ") for line in lines)
    names = {path.name for path in tmp_path.iterdir()}
    takes = {"take-001.mp4", "take-001.source.mkv", "take-001.toml"}
    assert names == {"clip.mp4", "out.mkv", *takes}


def test_an_interrupt_ends_it_and_the_film_is_whole(clip, tmp_path):
    def interrupting(event: Event) -> None:
        if isinstance(event, Progress) and event.done > 2:
            raise KeyboardInterrupt

    out = tmp_path / "out.mp4"
    result = play(clip, out=out, listener=interrupting, **QUICK, **PARTS)
    assert result.frames > 2
    with VideoReader(out) as film:
        assert len(list(film)) > 1


def test_a_picture_with_a_camera_move_is_played(tmp_path):
    picture = torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0))
    write_image(tmp_path / "photo.png", picture)
    with played(tmp_path / "photo.png", tmp_path, zoom=1.2, strength=0) as session:
        first, moving = read_image(tmp_path / "photo.png"), newest(session, 10)
        assert not torch.allclose(first, moving.source.image, atol=0.02)
        session.bus.set("zoom", 1.0, session.now())
        stands = newest(session, moving.index + 1)
        later = newest(session, stands.index)
        assert torch.equal(stands.source.image, later.source.image)


@pytest.mark.parametrize("deliver", ["dreamed", "source"])
def test_sizes_and_masks_are_those_of_video(clip, tmp_path, deliver):
    mask = torch.zeros(3, 48, 64)
    mask[:, :, 32:] = 1
    write_image(tmp_path / "mask.png", mask)
    options = {"size": "32x24", "deliver": deliver, "mask": str(tmp_path / "mask.png")}
    with played(clip, tmp_path, strength=0.5, lr=0.5, **options) as session:
        until(lambda: session.figures.dreams > 2)
        shown = session.newest
        assert shown is not None
        wide = 64 if deliver == "source" else 32
        assert shown.frame.image.shape == (3, wide * 3 // 4, wide)
        off = (shown.frame.image - shown.source.image).abs()
        assert float(off[:, :, : wide // 2 - 2].max()) == 0
        assert float(off[:, :, wide // 2 + 2 :].max()) > 0


def test_sound_repeats_with_its_file(tmp_path):
    from tests.media.clips import Clip, make, steady

    clip = make(tmp_path / "loud.mp4", Clip(steady(12), sound="aac"))
    job = LiveJob.prepare(
        clip,
        VideoConfig(**QUICK, prompt=["a"], set_=["strength=0.1 + 0.1*rms", "tv=t"]),
        parts=Parts([TowardsColour(RED)], KnownFlow(0)),
    )
    with open_session(job, Reporter(ignore)) as session:
        values = [shown.setting.values["tv"] for shown in islice(session, 20)]
    assert max(values) < 0.55


def test_stills_have_names_of_their_own(clip, tmp_path):
    with played(clip, tmp_path) as session:
        paths = [session.save_still() for _ in range(2)]
    assert [path.name for path in paths] == ["still-001.png", "still-002.png"]
    assert read_image(paths[0]).shape == (3, 48, 64)


def test_a_take_that_cannot_be_is_told_and_playing_goes_on(clip, tmp_path):
    with played(clip, tmp_path, at=[("0", "a"), ("1", "b")]) as session:
        session.record(True)
        until(lambda: bool(session.lines))
        assert session.lines == (
            "record: a take holds no --at; allowed: -p for each text, and crossing over",
        )
        newest(session, newest(session).index)
        assert not session.is_recording


def test_what_is_wrong_is_told_before_anything_is_played(clip, tmp_path):
    with pytest.raises(ConfigError, match=r"--folder '.*nowhere' is no folder"):
        play(clip, folder=tmp_path / "nowhere", prompt=["a"])
    with pytest.raises(MediaError, match=r"exists; --overwrite"):
        play(clip, out=short_clip(tmp_path / "..", 2).rename(tmp_path / "b.mp4"), prompt=["a"])
    with pytest.raises(ConfigError, match="no prompt"):
        play(clip)
    with pytest.raises(MediaError, match="does not exist"):
        play(tmp_path / "nothing.mp4", prompt=["a"])


def test_the_command_plays_and_tells(
    dreamvid_command: Command,  # noqa: F811
    clip: Path,
    tmp_path: Path,
) -> None:
    arguments = ("live", clip, "-p", "red", "--no-page", "--duration", 0.3, "--folder", tmp_path)
    quick = ("--steps", 1, "--first-steps", 1, "--cutouts", 1)
    result = dreamvid_command(*arguments, *quick, "--json", "--quiet")
    assert result.status == 0, result.err
    assert json.loads(result.out)["frames"] > 0


def test_a_session_is_seen_from_other_threads(clip, tmp_path):
    with played(clip, tmp_path) as session:
        until(lambda: session.figures.dreams > 1)
        figures = session.figures
        assert figures.shown > 0
        assert figures.rate > 1
        assert figures.delay_ms >= 0
        assert session.elapsed() >= 0
        assert isinstance(session, Session)


@pytest.mark.parametrize("options", [{"where": ["sky"]}, {"where_not": ["face"]}, {"split": 10}])
def test_what_has_no_meaning_while_it_is_played_is_refused(tmp_path, options):
    name = next(iter(options)).replace("_", "-")
    with pytest.raises(ConfigError, match=f"--{name} is not for what is played; allowed in `drea"):
        play(short_clip(tmp_path), prompt=["a"], **options)
