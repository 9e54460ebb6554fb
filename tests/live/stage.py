"""A session that is played in a thread while a test looks at it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from threading import Thread
from typing import Any

from dreamvid.config import VideoConfig
from dreamvid.events import ignore
from dreamvid.film.job import Parts
from dreamvid.film.report import Reporter
from dreamvid.live.job import LiveJob
from dreamvid.live.opening import open_session
from dreamvid.live.session import Session, Shown
from tests.fakes import KnownFlow, TowardsColour
from tests.media.clips import Clip, make, steady

QUICK: dict[str, Any] = {"steps": 1, "first_steps": 2, "cutouts": 2, "catch_up": 0}
RED = (1.0, 0.0, 0.0)


def short_clip(folder: Path, frames: int = 12) -> Path:
    """Frames of 64×48, 24 a second, whose motion no test looks at."""
    return make(folder / "clip.mp4", Clip(steady(frames), last=Fraction(1, 24)))


@contextmanager
def played(source: Path, folder: Path, **options: Any) -> Iterator[Session]:
    """The session of `source`, towards red, in a thread; it has shown a frame."""
    job = LiveJob.prepare(
        source,
        VideoConfig(**(QUICK | {"prompt": ["red", "blue"]} | options)),
        folder=folder,
        parts=Parts([TowardsColour(RED)], KnownFlow(0)),
    )
    errors: list[BaseException] = []
    with open_session(job, Reporter(ignore)) as session:

        def run() -> None:
            try:
                for _ in session:
                    pass
            except BaseException as error:
                errors.append(error)

        thread = Thread(target=run)
        thread.start()
        try:
            until(lambda: session.newest is not None or bool(errors))
            yield session
        finally:
            session.stop()
            thread.join()
    assert errors == []


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something holds. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.005)


def newest(session: Session, beyond: int = -1) -> Shown:
    """The newest frame, once it has an index above `beyond`."""
    until(lambda: session.newest is not None and session.newest.index > beyond)
    assert session.newest is not None
    return session.newest
