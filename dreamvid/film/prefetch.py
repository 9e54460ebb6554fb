"""Work done ahead: an iterator that runs in a thread of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from threading import Condition, Thread, current_thread
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from dreamvid.travel import SideStream

T = TypeVar("T")

_LOOK_UP_S = 0.5
"""Longest single wait: on Windows no signal interrupts a wait."""


class Prefetch(Generic[T]):
    """The `items`, in order, each made in another thread while those before it are in use.

    At most `depth` of them are made beyond the one taken last. Work begins when the first item is
    requested, and all of it, the closing of `items` included, happens in that one thread. An
    exception there is raised here, with its traceback, after the items before it. Use it under
    `with`: on leaving, the item in work is finished, and nothing of `items` runs on. What `items`
    ask of a device goes by `stream`, and so does not wait for what the user of the items asks.
    """

    def __init__(
        self, items: Iterable[T], depth: int = 1, stream: SideStream | None = None
    ) -> None:
        if depth < 1:
            raise ValueError(f"depth {depth} is not allowed; allowed: 1 or more")
        self._items, self._depth = items, depth
        self._stream = SideStream() if stream is None else stream
        self._made: deque[tuple[T, Any]] = deque()
        self._error: BaseException | None = None
        self._is_over = False
        self._is_closed = False
        self._changed = Condition()
        self._thread = Thread(target=self._run, name="prefetch", daemon=True)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if self._thread.ident is None and not self._is_closed:
            self._stream.begin()
            self._thread.start()
        with self._changed:
            while not self._changed.wait_for(self._is_ready, _LOOK_UP_S):
                pass
            if self._made:
                item, mark = self._made.popleft()
                self._changed.notify_all()
                return self._stream.hand_over(item, mark)
            error, self._error = self._error, None
        if error is None or self._is_closed:
            raise StopIteration
        raise error

    @property
    def has_next(self) -> bool:
        """Whether the next item is made already."""
        return bool(self._made)

    def close(self) -> None:
        """Stop after the item in work, and wait for it; items not taken are dropped.

        Even an interruption waits, since the caller may next close what the thread uses.
        """
        with self._changed:
            self._is_closed = True
            self._made.clear()
            self._changed.notify_all()
        if self._thread.ident is None or self._thread is current_thread():
            return  # the garbage collector may call this in the thread itself
        interruption: BaseException | None = None
        while not self._is_over:  # not a join: an interrupted one marks the thread as ended
            try:
                with self._changed:
                    self._changed.wait_for(lambda: self._is_over, _LOOK_UP_S)
            except BaseException as error:
                interruption = error
        self._thread.join()
        self._stream.end()
        if interruption is not None:
            raise interruption

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _is_ready(self) -> bool:
        return bool(self._made) or self._is_over or self._is_closed

    def _has_room(self) -> bool:
        return len(self._made) < self._depth or self._is_closed

    # In the thread

    def _run(self) -> None:
        try:
            with self._stream.entered():
                items = iter(self._items)
                try:
                    self._make(items)
                finally:
                    if hasattr(items, "close"):
                        items.close()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def _make(self, items: Iterator[T]) -> None:
        for item in items:
            mark = self._stream.mark()
            with self._changed:
                self._made.append((item, mark))
                del item  # free its memory as soon as the consumer is done with it
                self._changed.notify_all()
                self._changed.wait_for(self._has_room)
                if self._is_closed:
                    return
