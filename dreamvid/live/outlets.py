"""Where played frames go: a pipe, a file, a take. Each has a thread of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from typing import Generic, TypeVar

from dreamvid.media.closing import Closes

Item = TypeVar("Item")

ROOM = 24
"""Frames that wait for a slow outlet; more are left out."""


class Outlet(Closes, Generic[Item]):
    """A thread that hands items to `write`, so that nobody waits for a slow file or pipe.

    Up to `room` items wait; further ones are left out, and counted. An error there is kept:
    `offer` and `close` raise it. `close` ends after what waits.
    """

    def __init__(self, write: Callable[[Item], None], name: str, room: int = ROOM) -> None:
        self._write, self._room = write, room
        self._waiting: deque[Item] = deque()
        self._changed = Condition()
        self._error: Exception | None = None
        self._is_over = False
        self.left_out = 0
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def offer(self, item: Item) -> bool:
        """Hand an item over; whether there was room for it. Raises what writing has raised."""
        if self._error is not None:
            raise self._error
        with self._changed:
            if len(self._waiting) >= self._room:
                self.left_out += 1
                return False
            self._waiting.append(item)
            self._changed.notify_all()
            return True

    def close(self) -> None:
        """End when all that waits is written. Raises what writing has raised."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting or self._is_over)
                    if not self._waiting:
                        return
                    item = self._waiting.popleft()
                self._write(item)
        except Exception as error:
            self._error = error
