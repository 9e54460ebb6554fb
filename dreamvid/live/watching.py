"""A film that is being made, seen on the page while it is made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dreamvid.errors import ConfigError, shown
from dreamvid.events import Event, Finished, FrameDone, Listener, Message, Progress, Warned
from dreamvid.live.commands import Argument
from dreamvid.live.server import LOCAL, STATUS_S, Pair, serve
from dreamvid.live.session import LINES


@contextmanager
def watched(
    listener: Listener,
    name: str,
    *,
    host: str = LOCAL,
    port: int = 0,
    on_ready: Callable[[str], None] = lambda address: None,
) -> Iterator[Listener]:
    """A listener that shows events on a page, and hands them on to `listener`.

    `name` tells on the page what is made; `on_ready` is called with the page's address. Raises
    ConfigError where it cannot be served, or a part is missing.
    """
    film = Film(name)

    def both(event: Event) -> None:
        film.see(event)
        listener(event)

    with serve(film, host, port, "without --watch") as address:
        on_ready(address)
        yield both
        time.sleep(2 * STATUS_S)  # each page is told the end


class Film:
    """The newest frame and the figures of a film that is being made; to be watched only."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._clock = name, clock
        self._newest: FrameDone | None = None
        self._wakes: list[Callable[[], None]] = []
        self._lines: tuple[str, ...] = ()
        self._progress = self._begun = Progress("", 0, None)
        self._begun_at = self._done_at = clock()
        self._is_whole = False

    def see(self, event: Event) -> None:
        """Take an event of the film."""
        if isinstance(event, FrameDone):
            self._newest = event
            for wake in self._wakes:
                wake()
        elif isinstance(event, Progress):
            self._progress, self._done_at = event, self._clock()
            if event.stage != self._begun.stage:
                self._begun, self._begun_at = event, self._done_at
        elif isinstance(event, Message | Warned):
            self._lines = (*self._lines[-LINES + 1 :], event.text)
        elif isinstance(event, Finished):
            self._is_whole = True

    @property
    def newest(self) -> Pair | None:
        done = self._newest
        return None if done is None else Pair(done.index, done.frame.image, done.source)

    def watch(self, wake: Callable[[], None]) -> None:
        self._wakes.append(wake)

    def greeting(self) -> dict[str, Any]:
        return {"source": self._name, "presets": []}

    def status(self) -> dict[str, Any]:
        progress, newest = self._progress, self._newest
        made = progress.done - self._begun.done
        each_s = (self._done_at - self._begun_at) / made if made > 0 else None
        left_s = None
        if each_s is not None and progress.total is not None:
            since = self._clock() - self._done_at
            left_s = max(0.0, each_s * (progress.total - progress.done) - since)
        return {
            "film": {
                "is_whole": self._is_whole,
                "stage": progress.stage,
                "done": progress.done,
                "total": progress.total,
                "each_s": each_s,
                "left_s": left_s,
                "before": None if newest is None else newest.similarity_before,
                "after": None if newest is None else newest.similarity_after,
            },
            "lines": self._lines,
        }

    def addresses(self) -> str:
        return "A film that is being made is watched only."

    def do(self, name: str, given: Sequence[Argument]) -> None:
        raise ConfigError(f"{shown(name)}: a film that is being made is watched only")
