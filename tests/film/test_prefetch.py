"""An iterator in a thread of its own: the order, the bound, the errors and the end."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from dreamvid.film.prefetch import Prefetch

pytestmark = pytest.mark.usefixtures("no_thread_is_left")
PATIENCE_S = 10


class Maker:
    """Counts to `count`; knows what it has made, where, and whether it was closed."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.made: list[int] = []
        self.threads: set[int] = set()
        self._count, self._error = count, error
        self._changed = threading.Condition()

    def __iter__(self) -> Iterator[int]:
        try:
            for number in range(self._count):
                self._note(number)
                yield number
            if self._error is not None:
                raise self._error
        finally:
            self._note(-1)

    def _note(self, number: int) -> None:
        with self._changed:
            self.made.append(number)
            self.threads.add(threading.get_ident())
            self._changed.notify_all()

    def wait_for(self, *made: int) -> None:
        """Until just these have been made; -1 for the end."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.made == list(made), PATIENCE_S)


class Gate:
    """Items that come when it is opened."""

    def __init__(self) -> None:
        self.opened, self.reached, self.is_left = threading.Event(), threading.Event(), False

    def __iter__(self) -> Iterator[int]:
        self.reached.set()
        assert self.opened.wait(PATIENCE_S)
        try:
            yield 0
        finally:
            self.is_left = True


@contextmanager
def interrupted(do: Callable[[], None], after_s: float = 0.05) -> Iterator[None]:
    """Call `do` in a signal's handler and raise KeyboardInterrupt there."""

    def handle(number: int, frame: FrameType | None) -> None:
        do()
        raise KeyboardInterrupt

    assert sys.platform != "win32"
    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, after_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


on_posix = pytest.mark.skipif(sys.platform == "win32", reason="no timer there sends a signal")


@pytest.mark.parametrize("depth", [1, 2, 7])
@pytest.mark.parametrize("items", [[], [1], "abcdef", range(100), (n * n for n in range(9))])
def test_the_items_come_in_order(items, depth):
    items = list(items)
    with Prefetch(items, depth) as ahead:
        assert list(ahead) == items
        assert list(ahead) == []


@pytest.mark.parametrize("depth", [0, -1])
def test_no_room_is_no_choice(depth):
    with pytest.raises(ValueError, match=rf"depth {depth} is not allowed; allowed: 1 or more"):
        Prefetch([], depth)


def test_all_is_made_in_one_other_thread_its_end_included():
    maker = Maker(5)
    with Prefetch(maker) as ahead:
        assert list(ahead) == [0, 1, 2, 3, 4]
    assert maker.made[-1] == -1
    assert len(maker.threads) == 1
    assert threading.get_ident() not in maker.threads


@pytest.mark.parametrize("depth", [1, 3])
def test_no_more_is_made_than_there_is_room(depth):
    maker = Maker(20)
    with Prefetch(maker, depth) as ahead:
        assert maker.made == []
        for taken in ahead:
            expected = range(min(taken + 1 + depth, 20))
            maker.wait_for(*expected, *([-1] if taken + depth >= 20 else []))


def test_an_error_comes_after_the_items_before_it_and_says_where_it_arose():
    error = RuntimeError("broken")
    with Prefetch(Maker(2, error), 5) as ahead:
        assert [next(ahead), next(ahead)] == [0, 1]
        with pytest.raises(RuntimeError) as caught:
            next(ahead)
        assert list(ahead) == []
    assert caught.value is error
    assert "raise self._error" in "".join(traceback.format_tb(error.__traceback__))


def test_what_cannot_be_iterated_is_told_where_it_is_used():
    nothing: Any = None
    with Prefetch(nothing) as ahead, pytest.raises(TypeError, match="not iterable"):
        next(ahead)


def test_an_error_where_the_items_are_used_ends_their_making():
    maker = Maker(20)
    with pytest.raises(ZeroDivisionError), Prefetch(maker) as ahead:
        for taken in ahead:
            1 / (2 - taken)
    assert maker.made[-1] == -1
    assert len(maker.made) <= 5


def test_an_error_that_nobody_takes_any_more_is_dropped():
    maker = Maker(1, RuntimeError("broken"))
    with Prefetch(maker, 5) as ahead:
        next(ahead)
        maker.wait_for(0, -1)
    assert list(ahead) == []


def test_closed_before_anything_was_asked_for_nothing_is_made():
    maker = Maker(3)
    with Prefetch(maker) as ahead:
        pass
    assert list(ahead) == []
    assert maker.made == []


def test_closing_waits_for_what_is_being_made():
    gate = Gate()
    with Prefetch(gate) as ahead:
        taker = threading.Thread(target=lambda: list(ahead))
        taker.start()
        assert gate.reached.wait(PATIENCE_S)
        threading.Timer(0.05, gate.opened.set).start()
    assert gate.is_left
    taker.join(PATIENCE_S)
    ahead.close()


def test_closed_while_it_waits_for_room_it_makes_no_more():
    maker = Maker(20)
    with Prefetch(maker) as ahead:
        next(ahead)
        maker.wait_for(0, 1)
    assert maker.made == [0, 1, -1]


@on_posix
def test_an_interruption_ends_the_wait_for_an_item():
    gate = Gate()
    with interrupted(gate.opened.set), pytest.raises(KeyboardInterrupt), Prefetch(gate) as ahead:
        next(ahead)
    assert gate.is_left


@on_posix
def test_an_interruption_of_the_closing_comes_when_all_is_closed():
    gate = Gate()
    with Prefetch(gate) as ahead:
        taker = threading.Thread(target=lambda: list(ahead))
        taker.start()
        assert gate.reached.wait(PATIENCE_S)
        later = threading.Timer(0.1, gate.opened.set)
        with interrupted(later.start), pytest.raises(KeyboardInterrupt):
            ahead.close()
        assert gate.is_left
        later.join(PATIENCE_S)
    taker.join(PATIENCE_S)


def test_what_was_taken_is_not_held():
    class Item:
        pass

    with Prefetch((Item() for _ in range(3)), 1) as ahead:
        alive = [weakref.ref(item) for item in ahead]
    gc.collect()
    assert [ref() for ref in alive] == [None] * 3


def test_an_item_is_let_go_of_while_the_next_is_made():
    class Item:
        pass

    last_is_asked_for, go_on = threading.Event(), threading.Event()

    def items() -> Iterator[Item]:
        yield Item()
        last_is_asked_for.set()
        assert go_on.wait(PATIENCE_S)

    with Prefetch(items()) as ahead:
        seen = weakref.ref(next(ahead))
        assert last_is_asked_for.wait(PATIENCE_S)
        assert seen() is None
        go_on.set()
