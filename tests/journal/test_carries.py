"""What a run goes on from: a carry now and then, sketches between, to the same bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import dreamvid
import dreamvid.journal.carries
from dreamvid.errors import DreamvidError, JournalError
from dreamvid.events import Event, FrameDone, Listener
from dreamvid.film.report import Summary
from dreamvid.journal import folder_of, read_state
from dreamvid.journal.state import seal, unseal
from dreamvid.media import write_image
from tests.fakes import TowardsColour
from tests.media.clips import Clip, make, picture, steady

FRAMES, DONE, EVERY = 8, 7, 4
"""Frames of a film, those finished when it is stopped, and those from carry to carry."""
SIZE = (224, 160)
"""Large enough to be dreamed at a smaller size."""
OPTIONS: dict[str, Any] = {
    **{"prompt": "red", "steps": 1, "first_steps": 2, "cutouts": 2, "codec": "ffv1"},
}
KINDS: dict[str, dict[str, Any]] = {
    "video": {"flow": "farneback", "sound": False},
    "every third": {"flow": "farneback", "sound": False, "every": 3},
    "zoom": {"seconds": Fraction(FRAMES, 24), "fps": 24, "zoom": 3, "size": "224x160"},
}


@pytest.fixture(scope="module", autouse=True)
def few_frames() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(dreamvid.journal.carries, "CARRY_FRAMES", EVERY)
        yield


@dataclass(frozen=True)
class Scene:
    """A film that can be made, stopped and resumed."""

    kind: str
    source: Path

    def make(
        self, out: Path, listener: Listener = lambda event: None, **options: Any
    ) -> tuple[Summary, int]:
        """Its summary, and how often the guide was asked."""
        guide = TowardsColour((1.0, 0.0, 0.0))
        function = dreamvid.zoom if self.kind == "zoom" else dreamvid.dream_video
        given = OPTIONS | KINDS[self.kind] | options
        summary = function(self.source, out, objectives=[guide], listener=listener, **given)
        return summary, guide.calls


def stopping(frames: int) -> Listener:
    """A listener that stops a film after so many frames."""

    def listen(event: Event) -> None:
        if isinstance(event, FrameDone) and event.index == frames - 1:
            raise DreamvidError("stopped")

    return listen


@pytest.fixture(scope="module", params=KINDS)
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("in")
    if request.param == "zoom":
        write_image(folder / "in.png", picture(3, *SIZE))
        return Scene("zoom", folder / "in.png")
    return Scene(request.param, make(folder / "in.mp4", Clip(times=steady(FRAMES), size=SIZE)))


@pytest.fixture(scope="module")
def whole(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> tuple[str | None, int]:
    """The digest of a film that nothing disturbs, and how often its guide was asked."""
    summary, calls = scene.make(tmp_path_factory.mktemp("whole") / "out.mkv")
    return summary.digest, calls


@pytest.fixture
def out(scene: Scene, tmp_path: Path) -> Path:
    """The result of a film that was stopped."""
    path = tmp_path / "out.mkv"
    with pytest.raises(DreamvidError, match="stopped"):
        scene.make(path, stopping(DONE))
    state = read_state(path)
    assert state is not None
    assert state.frames == DONE
    return path


def files(out: Path, suffix: str) -> list[Path]:
    return sorted(folder_of(out).glob(f"*.{suffix}"))


def test_it_goes_on_from_sketches_without_asking_the_guide_again(scene, whole, out):
    assert files(out, "sketch")
    digest, calls = whole
    told, asked = scene.make(out, resume=True)
    assert told.digest == digest
    assert asked < calls / 2
    assert not folder_of(out).exists()


def test_what_is_kept_is_small(scene, out):
    (first, *_), pixels = files(out, "carry"), 3 * SIZE[0] * SIZE[1]
    assert all(path.stat().st_size < 0.75 * 4 * pixels for path in files(out, "sketch"))
    assert len(files(out, "carry")) <= 2
    if scene.kind != "zoom":
        assert first.stat().st_size < 4 * pixels + 1000
    assert all(path.stat().st_size < 20_000 for path in folder_of(out).glob("state.?"))


def harmed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "suffixes"), [(harmed, ["sketch"]), (Path.unlink, ["carry", "sketch"])]
)
def test_what_is_damaged_or_gone_is_made_again(scene, whole, out, harm, suffixes):
    for suffix in suffixes:
        for path in files(out, suffix):
            harm(path)
    assert scene.make(out, resume=True)[0].digest == whole[0]


def test_the_carry_before_serves_where_the_last_is_damaged(scene, whole, out):
    *earlier, last = files(out, "carry")
    assert earlier
    harmed(last)
    told, asked = scene.make(out, resume=True)
    assert told.digest == whole[0]
    assert asked < whole[1]


@pytest.mark.parametrize("scene", ["video"], indirect=True)
def test_a_picture_that_force_accepts_begins_a_dream_of_its_own(scene, out, tmp_path):
    other = make(tmp_path / "in.mp4", Clip(times=steady(FRAMES), size=SIZE, shots=[FRAMES]))
    moved = Scene(scene.kind, other)
    with pytest.raises(JournalError, match="is not what it was; allowed"):
        moved.make(out, resume=True)
    told, asked = moved.make(out, resume=True, force=True)
    assert told.frames == FRAMES
    assert asked > 2  # the sketches, too, are of the other picture


def test_a_journal_of_another_format_is_told_in_one_line(scene, out):
    for path in folder_of(out).glob("state.?"):
        content = unseal(path.read_bytes())
        older = content.replace(b'"format": 6', b'"format": 5')
        assert older != content
        path.write_bytes(b"".join(seal(older)))
    with pytest.raises(
        JournalError, match="the journal is of format 5, of another version"
    ) as told:
        scene.make(out, resume=True)
    assert "\n" not in str(told.value)
