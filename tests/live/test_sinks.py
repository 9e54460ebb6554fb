"""Virtual camera and NDI: what is sent, and where it cannot be. Their packages are fakes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

from dreamvid.errors import ConfigError
from dreamvid.live.session import Session
from dreamvid.live.sinks import Camera, Ndi
from tests.live.stage import newest, played, short_clip, until


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("sinks")
    with played(short_clip(folder), folder) as opened:
        yield opened


class Device:
    """What both packages have in common: frames are sent until it is closed."""

    opened: ClassVar[list[Any]] = []
    fails = False

    def __init__(self) -> None:
        self.sent: list[np.ndarray[Any, Any]] = []
        self.is_open = True
        Device.opened.append(self)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self.is_open = False

    def send(self, levels: Any) -> None:
        assert self.is_open
        if self.fails:
            raise RuntimeError("it was pulled out")
        self.sent.append(levels)


class FakeCamera(Device):
    def __init__(self, width: int, height: int, fps: float, *, device: str | None) -> None:
        if device == "/dev/video9":
            raise RuntimeError("'v4l2loopback' backend: it\ndoes not exist.")
        self.format, self.device = (width, height, fps), device or "/dev/video0"
        super().__init__()


class FakeFrame:
    def set_resolution(self, width: int, height: int) -> None:
        self.size = width, height

    def set_frame_rate(self, rate: Fraction) -> None:
        self.rate = rate

    def set_fourcc(self, fourcc: str) -> None:
        self.fourcc = fourcc


class FakeSender(Device):
    def __init__(self, name: str, *, clock_video: bool) -> None:
        self.name, self.clocks = name, clock_video
        super().__init__()

    def set_video_frame(self, frame: FakeFrame) -> None:
        self.frame = frame

    write_video = Device.send


def module(name: str, **content: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(content)
    return made


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The devices that are opened."""
    made = [
        module("pyvirtualcam", Camera=FakeCamera),
        module("cyndilib"),
        module("cyndilib.sender", Sender=FakeSender),
        module("cyndilib.video_frame", VideoSendFrame=FakeFrame),
        module("cyndilib.wrapper", FourCC=type("FourCC", (), {"RGBX": "RGBX"})),
    ]
    for each in made:
        monkeypatch.setitem(sys.modules, each.__name__, each)
    monkeypatch.setattr(Device, "opened", [])
    return Device.opened


def is_of_the_clip(levels: np.ndarray[Any, Any], session: Session) -> bool:
    """Whether a picture has the mean brightness of what is shown."""
    shown = float(newest(session).frame.image.mean()) * 255
    return abs(float(levels.mean()) - shown) < 30


@pytest.mark.parametrize(("name", "device"), [("any", "/dev/video0"), ("/dev/video2",) * 2])
def test_a_virtual_camera_gets_each_frame(session, devices, name, device):
    with Camera(name)(session) as opened:
        (camera,) = devices
        until(lambda: len(camera.sent) > 2)
        assert f"camera {device} is open" in session.lines
    assert opened == device
    assert camera.format == (64, 48, 24.0)
    assert not camera.is_open
    levels = camera.sent[-1]
    assert (levels.shape, levels.dtype) == ((48, 64, 3), np.uint8)
    assert is_of_the_clip(levels, session)


def test_ndi_gets_each_frame(session, devices):
    with Ndi("stage")(session) as name:
        (sender,) = devices
        until(lambda: len(sender.sent) > 2)
    assert (name, sender.name, sender.clocks) == ("stage", "stage", False)
    assert (sender.frame.size, sender.frame.rate, sender.frame.fourcc) == ((64, 48), 24, "RGBX")
    assert not sender.is_open
    levels = sender.sent[-1].reshape(48, 64, 4)
    assert (levels[..., 3] == 255).all()
    assert is_of_the_clip(levels[..., :3], session)


def test_a_device_that_fails_is_told_once_and_the_show_goes_on(session, devices):
    with Camera()(session):
        (camera,) = devices
        until(lambda: len(camera.sent) > 0)
        camera.fails = True
        line = "camera /dev/video0: it was pulled out; no more is sent there"
        until(lambda: line in session.lines)
        newest(session, newest(session).index + 4)
    assert session.lines.count(line) == 1


def test_a_device_that_is_not_there_is_told(session, devices):
    with (
        pytest.raises(ConfigError, match=r"--camera /dev/video9: .* it does not exist; allowed"),
        Camera("/dev/video9")(session),
    ):
        pass


@pytest.mark.parametrize(
    ("sink", "package", "extra"),
    [(Camera(), "pyvirtualcam", "camera"), (Ndi("x"), "cyndilib.sender", "ndi")],
)
def test_a_missing_part_is_told(session, devices, monkeypatch, sink, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    with (
        pytest.raises(ConfigError, match=rf"pip install 'dreamvid\[{extra}\]'; allowed: without"),
        sink(session),
    ):
        pass
