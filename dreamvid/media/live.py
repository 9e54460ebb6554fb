"""Cameras and screens: live frames from FFmpeg's devices."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from threading import Condition, Thread
from typing import TYPE_CHECKING

from dreamvid.errors import MediaError
from dreamvid.media.interlace import TimedFrame
from dreamvid.media.reader import VideoReader
from dreamvid.types import Frame

if TYPE_CHECKING:
    import torch

PATIENCE_S = 10
"""Seconds without a picture after which a device counts as disconnected."""


class LiveReader(VideoReader):
    """Frames of the device `name`, until it ends or until `end`, for one pass.

    The newest picture is always the next frame: pictures that arrive while a frame is dreamed are
    skipped, so that a slow dream never lags behind. Times come from the device's clock, with 0 at
    the first requested frame; the first `start` seconds after it are skipped. `rate` is the
    device's frames a second; `size` and `device` are as for VideoReader. There is no sound.

    Raises MediaError where the device cannot be opened, or gives no picture for 10 seconds.
    """

    def __init__(
        self,
        name: Path,
        *,
        input_format: str,
        start: Fraction | None = None,
        end: Fraction | None = None,
        rate: Fraction | None = None,
        size: str = "source",
        device: torch.device | str = "cpu",
        on_warning: Callable[[str], None] = warnings.warn,
    ) -> None:
        options = {} if rate is None else {"framerate": str(rate)}
        super().__init__(
            name,
            size=size,
            input_format=input_format,
            options=options,
            device=device,
            on_warning=on_warning,
        )
        self._after, self._until = start or Fraction(0), end
        self.info = replace(self.info, frame_count=None, duration=None, sound=(), subtitles=())
        assert self._first is not None  # it was decoded when the device was opened
        self._newest = Newest(itertools.chain((self._first,), self._rest), str(name))

    def __iter__(self) -> Iterator[Frame]:
        begin: Fraction | None = None
        for picture in self._newest:
            begin = picture.time if begin is None else begin
            time = picture.time - begin
            if self._until is not None and time >= self._until:
                return
            if time >= self._after:
                image, alpha = self._image(picture), self._alpha(picture)
                yield Frame(image, time - self._after, picture.duration, alpha)

    def close(self) -> None:
        """Release the device; there are no more frames."""
        # A device that hangs in the middle of a picture cannot be closed from another thread.
        if not hasattr(self, "_newest") or self._newest.stop():
            super().close()


class Newest:
    """A thread that takes pictures as they arrive; iteration gives the newest one each time.

    Raises MediaError where no picture arrives for PATIENCE_S, and all errors of `pictures`.
    """

    def __init__(self, pictures: Iterator[TimedFrame], name: str) -> None:
        self._pictures, self._name = pictures, name
        self._changed = Condition()
        self._picture: TimedFrame | None = None
        self._error: Exception | None = None
        self._is_over = False
        self._thread = Thread(target=self._take, name=f"newest of {name}", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[TimedFrame]:
        while True:
            with self._changed:
                if not self._changed.wait_for(self._is_ready, PATIENCE_S):
                    raise MediaError(
                        f"'{self._name}' has given no picture for {PATIENCE_S} s; "
                        "allowed: a device that does"
                    )
                picture, self._picture = self._picture, None
            if picture is None and self._error is not None:
                raise self._error
            if picture is None:
                return
            yield picture

    def stop(self) -> bool:
        """Stop taking pictures; True if the thread, the device's only user, has ended."""
        self._is_over = True
        self._thread.join(PATIENCE_S / 5)
        return not self._thread.is_alive()

    def _is_ready(self) -> bool:
        return self._picture is not None or self._is_over

    def _take(self) -> None:
        try:
            for picture in self._pictures:
                with self._changed:
                    self._picture = picture
                    self._changed.notify()
                if self._is_over:
                    return
        except Exception as error:
            self._error = error
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify()
