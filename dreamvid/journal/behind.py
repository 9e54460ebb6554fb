"""Work done behind: calls that a thread of their own makes, one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any

from dreamvid.travel import SideStream, side_stream

if TYPE_CHECKING:
    import torch

Work = Callable[[], None]

_LOOK_UP_S = 0.5
"""Longest single wait: on Windows no signal interrupts a wait."""


class Behind:
    """Calls made in another thread, in order, at most `depth` of them in hand.

    Where one raises, those after it are not made, and its exception is raised by the next `do` or
    `wait`, once. The thread begins with the first call; `close` ends it, and must be called.
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._in_hand: deque[tuple[Work, Any]] = deque()
        self._stream = SideStream()
        self._error: BaseException | None = None
        self._has_failed = False
        self._is_closed, self._is_over = False, False
        self._changed = Condition()
        self._thread: Thread | None = None

    def do(self, work: Work, device: torch.device | None = None) -> None:
        """Let `work` be called soon; waits where as many calls as allowed are in hand.

        What it reads on a CUDA `device`, the first call's for all, is read by a stream of its own,
        which does not wait for what is asked after this call.
        """
        if self._thread is None:
            self._stream = side_stream(device)
            self._thread = Thread(target=self._run, name="journal", daemon=True)
            self._thread.start()
        with self._changed:
            while not self._changed.wait_for(self._has_room, _LOOK_UP_S):
                pass
            self._raise()
            self._in_hand.append((work, self._stream.mark_here()))
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait until every call is made."""
        with self._changed:
            while not self._changed.wait_for(self._is_idle, _LOOK_UP_S):
                pass
            self._raise()

    def close(self) -> BaseException | None:
        """Make the calls in hand and end the thread; the exception of a call, if not raised yet.

        Even an interruption waits, since the caller may next close what the thread uses.
        """
        interruption: BaseException | None = None
        while not self._has_ended():  # not a join: an interrupted one marks the thread as ended
            try:
                with self._changed:
                    self._is_closed = True
                    self._changed.notify_all()
                    self._changed.wait_for(self._has_ended, _LOOK_UP_S)
            except BaseException as error:
                interruption = error
        if self._is_over and self._thread is not None:
            self._thread.join()
        if interruption is not None:
            raise interruption
        failed, self._error = self._error, None
        return failed

    def _has_room(self) -> bool:
        return len(self._in_hand) < self._depth

    def _is_idle(self) -> bool:
        return not self._in_hand

    def _has_ended(self) -> bool:
        return self._is_over or self._thread is None or self._thread.ident is None

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
        if self._has_failed:
            raise RuntimeError("nothing is done after a call that failed")

    # In the thread

    def _run(self) -> None:
        while (found := self._next()) is not None:
            is_done = self._try(*found)
            del found  # free its memory before the next wait
            with self._changed:
                if is_done:
                    self._in_hand.popleft()
                else:
                    self._in_hand.clear()
                self._changed.notify_all()

    def _next(self) -> tuple[Work, Any] | None:
        """The next call and its mark; it stays in hand until it is made. None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._in_hand or self._is_closed)
            if self._in_hand:
                return self._in_hand[0]
            self._is_over = True
            self._changed.notify_all()
            return None

    def _try(self, work: Work, mark: Any) -> bool:
        """Make a call; False where it raised an exception, which is kept."""
        try:
            with self._stream.after(mark):
                work()
        except BaseException as error:
            self._error, self._has_failed = error, True
        return not self._has_failed
