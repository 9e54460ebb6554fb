"""The promise of the journal for every film: killed anywhere, it goes on to the same result."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import dreamvid
from dreamvid.errors import JournalError
from dreamvid.journal import folder_of, read_checkpoint, read_mark, read_state
from dreamvid.journal.record import from_bytes
from dreamvid.media import VideoReader, read_image, write_image
from dreamvid.media.image_sequence import find_images, is_pattern
from dreamvid.zooms.loop import LoopCheckpoint
from tests.dreamer import LOSSLESS, OPTIONS, Dreamer, Fault, refused
from tests.media.clips import Clip, make, picture, steady

FRAMES = 6
RUN = ["-q", "--json"]
_SHORT = ["-p", "red", "--octaves", "2", "--cutouts", "2"]
ZOOM = [*_SHORT, "--seconds", "0.25", "--steps", "2", "--first-steps", "3", "--size", "64x48"]
LOOP = [*ZOOM, "--loop", "--zoom", "60", "--loop-steps", "8", "--octave-scale", "1.4"]


@dataclass(frozen=True)
class Kind:
    """One kind of film: its command, the name of its result, and its options."""

    command: str
    name: str
    options: list[str]

    @property
    def is_lossless(self) -> bool:
        return "ffv1" in self.options or self.name.endswith((".png", ".gif"))

    def arguments(self, source: Path, out: Path) -> list[object]:
        if self.command == "image":
            return ["image", source, out.with_name("still.png"), *self.options, "--film", out, *RUN]
        return [self.command, source, out, *self.options, *RUN]


KINDS = {
    "video": Kind("video", "out.mkv", [*OPTIONS, *LOSSLESS]),
    "zoom": Kind("zoom", "out.mkv", [*ZOOM, *LOSSLESS, "--zoom", "0.5"]),
    "zoom as mp4": Kind("zoom", "out.mp4", [*ZOOM, "--shutter", "180", "--rotate", "30"]),
    "loop": Kind("zoom", "out.mkv", [*LOOP, *LOSSLESS]),
    "pictures": Kind("video", "%05d.png", OPTIONS),
    "GIF": Kind("video", "out.gif", OPTIONS),
    "steps": Kind("image", "film.mkv", [*_SHORT, "--steps", "8"]),
}


@dataclass(frozen=True)
class Scene:
    """A kind of film, its source, and what a run that nothing disturbs makes of it."""

    kind: Kind
    source: Path
    whole: Path
    summary: Any

    def arguments(self, out: Path) -> list[object]:
        return self.kind.arguments(self.source, out)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    folder = tmp_path_factory.mktemp("in")
    clip = make(folder / "in.mp4", Clip(times=steady(FRAMES)))
    write_image(folder / "in.png", picture(3))
    made = {}
    for number, (name, kind) in enumerate(KINDS.items()):
        (folder / str(number)).mkdir()
        whole = folder / str(number) / kind.name
        source = clip if kind.command == "video" else folder / "in.png"
        summary = Dreamer(whole.parent, *kind.arguments(source, whole)).summary()
        (whole.parent / "log").unlink()
        made[name] = Scene(kind, source, whole, summary)
    return made


@pytest.fixture(params=KINDS)
def scene(request: pytest.FixtureRequest, scenes: dict[str, Scene]) -> Scene:
    return scenes[request.param]


def images_of(path: Path) -> torch.Tensor:
    """(N, 3, H, W)"""
    if is_pattern(path):
        return torch.stack([read_image(file) for file in find_images(path)])
    with VideoReader(path) as reader:
        return torch.stack([frame.image for frame in reader])


def same(scene: Scene, out: Path, told: Any) -> None:
    """Digest and summary, and each byte of each file; nothing else lies there."""
    for field in ("digest", "frames", "similarity_before", "similarity_after", "loop"):
        assert told.get(field) == scene.summary.get(field), field
    assert torch.equal(images_of(out), images_of(scene.whole))
    names = [sorted(path.name for path in each.parent.iterdir()) for each in (scene.whole, out)]
    assert names[0] == names[1]
    if scene.kind.name.endswith(("png", "gif")):
        for name in names[0]:
            assert (out.parent / name).read_bytes() == (scene.whole.parent / name).read_bytes()


@pytest.fixture
def out(scene: Scene, tmp_path: Path) -> Path:
    """Where the result goes, in a folder of its own."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / scene.kind.name


def killed(folder: Path, arguments: list[object], fault: Fault) -> bool:
    """Whether the run was killed rather than done before."""
    status = Dreamer(folder, *arguments, fault=fault).wait()
    assert status in (0, -signal.SIGKILL)
    return status != 0


@pytest.mark.slow
def test_killed_before_each_write_to_the_disk_it_goes_on_to_the_same_result(scene, out, tmp_path):
    """Each run comes one or two writes further than the one before, up to the end."""
    arguments, writes, kills = [*scene.arguments(out), "--resume"], 0, 0
    while killed(tmp_path, arguments, Fault("power cut", writes)):
        kills, writes = kills + 1, (writes + 1) % 8
        assert kills < 60
    assert kills > 5
    is_left = folder_of(out).exists()
    told = Dreamer(tmp_path, "resume", out, *RUN).summary() if is_left else scene.summary
    same(scene, out, told)


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 6])
def test_killed_within_a_step_it_is_resumed_by_the_command(scene, out, tmp_path, step):
    assert killed(tmp_path, scene.arguments(out), Fault("kill", step))
    if read_state(out) or read_checkpoint(out):
        told = Dreamer(tmp_path, "resume", out, *RUN).summary()
    else:
        refused(Dreamer(tmp_path, "resume", out), "holds no finished frame; allowed: the OUT of")
        told = Dreamer(tmp_path, *scene.arguments(out)).summary()
    same(scene, out, told)


@pytest.mark.parametrize("asked", [[], ["--resume"]], ids=str)
def test_killed_before_its_first_frame_it_is_not_in_the_way(scene, out, tmp_path, asked):
    for fault in (Fault("kill", 0), Fault("power cut", 0), Fault("power cut", 1)):
        assert killed(tmp_path, scene.arguments(out), fault)
        assert read_state(out) is None
    assert not out.exists()
    with pytest.raises(JournalError, match="holds no finished frame; allowed: the OUT of a"):
        dreamvid.peek(out)
    same(scene, out, Dreamer(tmp_path, *scene.arguments(out), *asked).summary())


def test_a_peek_shows_what_is_finished(scene, out, tmp_path):
    wanted, seen = images_of(scene.whole), set()
    to = tmp_path / ("peek%d.png" if is_pattern(out) else f"peek{out.suffix}")
    for writes in (8, 5, 5, 5):
        if not killed(tmp_path, [*scene.arguments(out), "--resume"], Fault("power cut", writes)):
            break
        state = read_state(out)
        if state is None or read_mark(out):
            continue
        assert dreamvid.peek(out, to, overwrite=True).frames == state.frames
        images = images_of(to)
        assert len(images) == state.frames
        if scene.kind.is_lossless:  # others depend on the frames that follow
            assert torch.equal(images, wanted[: state.frames])
        seen.add(state.frames)
    assert seen


# Where two runs differ, and what is damaged


def test_a_loop_that_shows_no_frame_yet_begins_anew_with_other_options(scenes, tmp_path):
    scene, out = scenes["loop"], tmp_path / "out.mkv"
    assert killed(tmp_path, scene.arguments(out), Fault("kill", 12))
    begun = read_checkpoint(out)
    assert begun is not None
    assert from_bytes(LoopCheckpoint, begun.carry).steps == 6
    more = Dreamer(tmp_path, *scene.arguments(out), "--tv", "3").summary()
    straight = Dreamer(tmp_path, *scene.arguments(tmp_path / "a.mkv"), "--tv", "3").summary()
    assert more["digest"] == straight["digest"] != scene.summary["digest"]


def test_a_damaged_checkpoint_costs_time_alone(scenes, tmp_path):
    scene, out = scenes["loop"], tmp_path / "out.mkv"
    assert killed(tmp_path, scene.arguments(out), Fault("power cut", 22))
    assert read_state(out) is not None
    path = folder_of(out) / "checkpoint"
    path.write_bytes(path.read_bytes()[:-1])
    told = Dreamer(tmp_path, "resume", out, *RUN).summary()
    assert told["digest"] == scene.summary["digest"]
    assert torch.equal(images_of(out), images_of(scene.whole))


def test_another_command_is_another_run(scenes, tmp_path):
    out = tmp_path / "out.mkv"
    assert killed(tmp_path, scenes["zoom"].arguments(out), Fault("power cut", 6))
    run = Dreamer(tmp_path, *scenes["video"].arguments(out)[:-1], "--resume")
    refused(run, "what cannot change midway has: the command is video, was zoom; allowed")
    run = Dreamer(tmp_path, "zoom", "grey", *scenes["zoom"].arguments(out)[2:-1], "--resume")
    refused(run, "the source 'grey' is not what it was; allowed: what was, or --force")


def test_a_zoom_from_nothing_goes_on(tmp_path):
    out, straight = tmp_path / "out.mkv", tmp_path / "straight.mkv"
    arguments: list[object] = ["zoom", "noise", out, *ZOOM, *LOSSLESS, *RUN]
    assert killed(tmp_path, arguments, Fault("power cut", 6))
    told = Dreamer(tmp_path, "resume", out, *RUN).summary()
    arguments[2] = straight
    assert told["digest"] == Dreamer(tmp_path, *arguments).summary()["digest"]


def test_a_damaged_picture_is_named(scenes, tmp_path):
    scene, out = scenes["pictures"], tmp_path / "%05d.png"
    assert killed(tmp_path, scene.arguments(out), Fault("power cut", 10))
    path = folder_of(out) / "000000.segment"
    path.write_bytes(path.read_bytes()[:-1])
    refused(Dreamer(tmp_path, "resume", out, "-q"), "000000.segment' does not fit its hash; ")
    assert find_images_of(tmp_path) == []


def find_images_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.png"))


def test_pictures_that_appear_meanwhile_are_not_replaced(scenes, tmp_path):
    scene, out = scenes["pictures"], tmp_path / "%05d.png"
    assert killed(tmp_path, scene.arguments(out), Fault("power cut", 10))
    (tmp_path / "00004.png").write_bytes(b"precious")
    refused(Dreamer(tmp_path, "resume", out, "-q"), "00004.png' exists; --overwrite replaces it")
    assert find_images_of(tmp_path) == ["00004.png"]
    assert (tmp_path / "00004.png").read_bytes() == b"precious"
    (tmp_path / "00004.png").unlink()
    (tmp_path / "log").unlink()
    told = Dreamer(tmp_path, "resume", out, *RUN).summary()
    (tmp_path / "log").unlink()
    same(scene, out, told)


def test_pictures_in_a_folder_are_resumed_and_looked_at_by_its_name(scenes, tmp_path):
    scene, folder = scenes["pictures"], tmp_path / "out"
    folder.mkdir()
    assert killed(tmp_path, scene.arguments(folder), Fault("power cut", 10))
    assert find_images_of(folder) == []
    peeked = dreamvid.peek(folder, tmp_path / "%d.png")
    assert len(find_images_of(tmp_path)) == peeked.frames > 0
    refused(Dreamer(tmp_path, "peek", folder, tmp_path / "%d.jpg"), "allowed: names with '.png'")
    told = Dreamer(tmp_path, "resume", folder, *RUN).summary()
    assert told["digest"] == scene.summary["digest"]
    assert find_images_of(folder) == [f"{number:06}.png" for number in range(1, FRAMES + 1)]


def test_a_picture_beside_the_film_that_appears_meanwhile_is_not_replaced(scenes, tmp_path):
    scene, out = scenes["steps"], tmp_path / "film.mkv"
    assert killed(tmp_path, scene.arguments(out), Fault("kill", 3))
    (tmp_path / "still.png").write_bytes(b"precious")
    refused(Dreamer(tmp_path, "resume", out, "-q"), "still.png' exists; --overwrite replaces it")
    assert (tmp_path / "still.png").read_bytes() == b"precious"


def test_an_image_without_a_film_cannot_be_resumed(scenes, tmp_path):
    arguments = ["image", scenes["steps"].source, tmp_path / "out.png", "-p", "red", "--resume"]
    message = "--resume is given without --film; allowed with --film FILE"
    refused(Dreamer(tmp_path, *arguments), message, status=2)
