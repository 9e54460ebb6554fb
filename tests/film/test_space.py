"""Camera moves in three dimensions over whole films, with depth and without."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import dreamvid as library
from dreamvid.config import VideoConfig, ZoomConfig
from dreamvid.errors import ConfigError
from dreamvid.events import Event, FrameDone
from dreamvid.film.listening import create_schedule
from dreamvid.film.view import create_camera
from dreamvid.media import VideoReader, write_image
from dreamvid.motion.camera import Camera, view
from tests.cli.conftest import dreamvid, refused  # noqa: F401 (a fixture)
from tests.fakes import TowardsColour
from tests.motion.scenes import texture

GREY = [TowardsColour((0.5, 0.5, 0.5))]
STILL: dict[str, Any] = {
    **{"prompt": "ice", "objectives": GREY, "steps": 0, "first_steps": 0},
    **{"seconds": Fraction(1, 5), "codec": "ffv1", "pix_fmt": "bgr0", "fov": 90},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture, and depths of it: one that is near in the middle, and pictures of a film."""
    folder = tmp_path_factory.mktemp("space")
    write_image(folder / "in.png", texture(80, 120))
    near = torch.zeros(3, 80, 120)
    near[:, 20:60, 40:80] = 1
    write_image(folder / "near.png", near)
    (folder / "depths").mkdir()
    for number in range(5):
        write_image(folder / "depths" / f"{number}.png", torch.full((3, 80, 120), number / 4))
    return folder


def film(folder: Path, name: str, **options: Any) -> Tensor:
    """The frames (N, 3, H, W) of a film of the picture that is seen through a camera."""
    library.dream_video(folder / "in.png", folder / name, **(STILL | options))
    with VideoReader(folder / name) as reader:
        return torch.stack([frame.image for frame in reader])


def camera_of(config: VideoConfig | ZoomConfig, rate: int = 25, frames: int = 50) -> Camera:
    schedule = create_schedule(config, Fraction(rate), frames, None)
    return create_camera(config, Fraction(frames, rate), schedule)  # type: ignore[arg-type]


def test_a_row_of_deforums_key_frames_moves_the_camera():
    config = VideoConfig(set_=["translation_z=0:(0), 2:(20)", "rotation_3d_y=0:(t*0.5)"], fov=90)
    space = camera_of(config).space
    assert space is not None
    moves = [space.move_at(step) for step in range(4)]
    assert [move.translation[2] for move in moves] == [0, 10, 20, 20]
    assert [move.rotation[1] for move in moves] == [0, 0.5, 1, 1.5]
    assert {move.fov for move in moves} == {90}
    assert camera_of(VideoConfig(translation_x=3, zoom=1.1)).space is not None
    assert camera_of(VideoConfig(zoom=1.1)).space is None


def test_zoom_angle_and_pan_count_by_the_frame_where_asked():
    plain = camera_of(VideoConfig(zoom=1.02**25, rotate=50, pan=(0.5, 0)))
    frame = camera_of(VideoConfig(zoom=1.02, rotate=2, pan=(0.02, 0), per_frame=True))
    turned = camera_of(VideoConfig(zoom=1.02**25, angle=-2, pan=(0.5, 0)))
    over_time = camera_of(
        VideoConfig(set_=["zoom=0:(1.02)", "angle=0:(-2)"], pan=(0.02, 0), per_frame=True)
    )
    point = plain.back(Fraction(1), Fraction(0), 80, 120)(10 + 20j)
    for camera in (frame, turned, over_time):
        assert camera.back(Fraction(1), Fraction(0), 80, 120)(10 + 20j) == pytest.approx(point)


def test_a_film_is_seen_from_where_the_camera_is(folder):
    picture = library.read_image(folder / "in.png")
    shown = film(folder, "flat.mkv", translation_x=10, rotation_3d_z=1.0)
    camera = camera_of(VideoConfig(translation_x=10, rotation_3d_z=1.0, fov=90))
    for number, frame in enumerate(shown):
        wanted = view(picture, camera, Fraction(number, 25))
        torch.testing.assert_close(frame, wanted, atol=3 / 255, rtol=0)
    assert (shown[4] - picture).abs().mean() > 0.05


def test_what_is_near_passes_what_is_far(folder):
    picture = library.read_image(folder / "in.png")
    shown = film(folder, "deep.mkv", translation_x=10, depth=str(folder / "near.png"))
    last = shown[4]  # 40/200 of 40 pixels: 8 near, 2 far
    torch.testing.assert_close(
        last[:, 25:55, 34:70], picture[:, 25:55, 42:78], atol=4 / 255, rtol=0
    )
    torch.testing.assert_close(last[:, 3:14, 4:90], picture[:, 3:14, 6:92], atol=4 / 255, rtol=0)


def test_the_depth_may_be_a_film_and_its_far_end_is_an_option(folder):
    shown = film(folder, "films.mkv", translation_x=10, depth=str(folder / "depths"))
    picture = library.read_image(folder / "in.png")
    same = film(folder, "near.mkv", translation_x=10, depth_far=1, depth=str(folder / "depths"))
    # The last picture of the depth is white, as near as a flat scene; with 1, all are.
    assert torch.equal(shown[4], same[4])
    torch.testing.assert_close(same[2][:, :, 4:100], picture[:, :, 8:104], atol=4 / 255, rtol=0)
    assert (shown[2] - same[2]).abs().mean() > 0.01


def test_a_dream_with_depth_and_a_mask_goes_on_where_it_stopped(folder):
    options: dict[str, Any] = {
        **{"translation_x": 5, "depth": str(folder / "near.png"), "steps": 2, "first_steps": 3},
        **{"mask": str(folder / "near.png"), "cutouts": 2, "strength": 0.3},
    }
    whole = film(folder, "whole.mkv", **options)

    def stop(event: Event) -> None:
        if isinstance(event, FrameDone) and event.index == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        film(folder, "part.mkv", listener=stop, **options)
    assert torch.equal(film(folder, "part.mkv", resume=True, **options), whole)
    still = film(folder, "undreamed.mkv", **(options | {"steps": 0, "first_steps": 0}))
    change = (whole - still).abs()
    assert change[0, :, 22:58, 42:78].mean() > 0.02
    assert change[4, :, :, 85:].max() < 0.01  # the mask goes with the card


def test_a_zoom_flies_through_space_and_goes_on_where_it_stopped(folder):
    def fly(name: str, **options: Any) -> Tensor:
        given: dict[str, Any] = {
            **{"objectives": GREY, "steps": 1, "first_steps": 1, "seconds": 0.5, "fps": 10},
            **{"translation_z": 10, "rotation_3d_y": 1.0, "zoom": 1.0, "cutouts": 2},
            **{"codec": "ffv1", "pix_fmt": "bgr0", "prompt": "ice", "strength": 0.05},
        }
        library.zoom(folder / "in.png", folder / name, **(given | options))
        with VideoReader(folder / name) as reader:
            return torch.stack([frame.image for frame in reader])

    def stop(event: Event) -> None:
        if isinstance(event, FrameDone) and event.index == 2:
            raise KeyboardInterrupt

    whole = fly("fly.mkv")
    with pytest.raises(KeyboardInterrupt):
        fly("stopped.mkv", listener=stop)
    assert torch.equal(fly("stopped.mkv", resume=True), whole)
    camera = camera_of(ZoomConfig(translation_z=10, rotation_3d_y=1.0, zoom=1.0), rate=10, frames=5)
    wanted = view(whole[0], camera, Fraction(3, 10))[:, 20:60, 20:100]
    shown = whole[3][:, 20:60, 20:100]
    unmoved = (shown - whole[0][:, 20:60, 20:100]).abs().mean()
    assert (shown - wanted).abs().mean() < unmoved / 2


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--translation-z", "200"], 2, "--translation-z: '200' is not allowed; allowed: a number"),
        (["--set", "fov=0"], 2, "--set fov: '0.0' is not allowed; allowed: a number from 1 to 170"),
        (["--depth", "in.png"], 2, "--depth: the camera does not move in space; allowed with"),
        (["--depth", "none.png", "--translation-x", "1"], 1, "'none.png' does not exist"),
        (
            ["--depth", "in.png", "--translation-x", "1", "--shutter", "180"],
            2,
            "--shutter 180: a scene with --depth is not blurred; allowed with --depth: 0",
        ),
    ],
)
def test_a_mistake_is_told_in_a_line(
    dreamvid,  # noqa: F811
    tmp_path,
    monkeypatch,
    arguments,
    status,
    message,
):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "in.png", texture(64, 64))
    refused(dreamvid("video", "in.png", "o.mkv", "-p", "ice", *arguments), status, message)


def test_a_loop_stays_flat():
    for option in ({"translation_x": 1.0}, {"angle": 1.0}, {"per_frame": True}):
        with pytest.raises(ValueError, match=r": a loop joins itself only under zoom and rotate;"):
            ZoomConfig(loop=True, **option)
    with pytest.raises(ConfigError, match=r"^--set translation-x: a loop is one picture"):
        library.zoom("grey", "o.mp4", loop=True, prompt="x", set_=["translation_x=t"], size="64x64")
