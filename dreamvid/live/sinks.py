"""Other programs that are given what is played: by a virtual camera, and by NDI in the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dreamvid.errors import ConfigError, shown
from dreamvid.film.view import USUAL_RATE
from dreamvid.live.outlets import Outlet
from dreamvid.live.session import Session, Shown

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Levels = NDArray[np.uint8]
    """(H, W, 3), R'G'B'."""

ANY = "any"
"""Stands for the first virtual camera."""
ROOM = 2
"""Frames that wait; the newest are the ones that count."""


@dataclass(frozen=True)
class Camera:
    """A virtual camera, which other programs take for a real one: `device`, or any."""

    device: str = ANY

    @contextmanager
    def __call__(self, session: Session) -> Iterator[str]:
        """Send the frames of `session`; the device's name. Raises ConfigError where it cannot."""
        try:
            import pyvirtualcam
        except ImportError:
            raise _missing("--camera", "pyvirtualcam", "camera") from None
        info = session.info
        rate = float(info.rate or USUAL_RATE)
        device = None if self.device == ANY else self.device
        try:
            camera = pyvirtualcam.Camera(info.width, info.height, rate, device=device)
        except RuntimeError as error:
            reason = shown(error).rstrip(".")
            raise ConfigError(
                f"--camera {self.device}: {reason}; allowed: a virtual camera of this system"
            ) from None
        with camera, _sending(session, f"camera {camera.device}", camera.send):
            yield str(camera.device)


@dataclass(frozen=True)
class Ndi:
    """An NDI source in the network, under this name."""

    name: str

    @contextmanager
    def __call__(self, session: Session) -> Iterator[str]:
        """Send the frames of `session`; the source's name. Raises ConfigError where it cannot."""
        try:
            from cyndilib.sender import Sender
            from cyndilib.video_frame import VideoSendFrame
            from cyndilib.wrapper import FourCC
        except ImportError:
            raise _missing("--ndi", "cyndilib", "ndi") from None
        info = session.info
        frame = VideoSendFrame()
        frame.set_resolution(info.width, info.height)
        frame.set_frame_rate(info.rate or USUAL_RATE)
        frame.set_fourcc(FourCC.RGBX)
        sender = Sender(self.name, clock_video=False)
        sender.set_video_frame(frame)

        def send(levels: Levels) -> None:
            padded = np.full((*levels.shape[:2], 4), 255, np.uint8)
            padded[..., :3] = levels
            sender.write_video(padded.reshape(-1))

        with sender, _sending(session, f"NDI {self.name}", send):
            yield self.name


@contextmanager
def _sending(session: Session, name: str, send: Callable[[Levels], object]) -> Iterator[None]:
    """Hand the frames to `send` in a thread of its own.

    Where that fails, it is told in one line, no more is sent, and the show goes on.
    """
    has_failed = False

    def write(image: Tensor) -> None:
        nonlocal has_failed
        if has_failed:
            return
        try:
            send(_levels(image))
        except Exception as error:  # whatever a driver raises
            has_failed = True
            session.tell(f"{name}: {shown(error)}; no more is sent there")

    with Outlet(write, name, ROOM) as outlet:

        def offer(frame: Shown) -> None:
            outlet.offer(frame.frame.image)

        session.watchers.append(offer)
        session.tell(f"{name} is open")
        yield


def _levels(image: Tensor) -> Levels:
    """(3, H, W) in [0, 1] as levels."""
    levels = (image.clamp(0, 1) * 255).round().byte()
    array: Levels = levels.permute(1, 2, 0).contiguous().cpu().numpy()
    return array


def _missing(option: str, package: str, extra: str) -> ConfigError:
    return ConfigError(
        f"{option} needs {package}, which is not installed: pip install 'dreamvid[{extra}]'; "
        f"allowed: without {option}"
    )
