"""Calls in a thread of their own: the order, the bound, the errors and the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from unittest.mock import patch

import pytest

from dreamvid.journal.behind import Behind

pytestmark = pytest.mark.usefixtures("no_thread_is_left")
PATIENCE_S = 10


@pytest.fixture
def behind() -> Iterator[Behind]:
    behind = Behind(2)
    yield behind
    behind.close()


def failing() -> None:
    raise OSError("the disk is full")


def test_calls_are_made_in_order_in_one_other_thread(behind):
    made: list[int] = []
    threads: set[int] = set()

    def note(number: int) -> None:
        made.append(number)
        threads.add(threading.get_ident())

    for number in range(20):
        behind.do(partial(note, number))
    behind.wait()
    assert made == list(range(20))
    assert len(threads) == 1
    assert threads.isdisjoint({threading.get_ident()})


def test_no_more_are_in_hand_than_allowed(behind):
    may_end, third_is_in = threading.Event(), threading.Event()

    def add_a_third() -> None:
        behind.do(lambda: None)
        third_is_in.set()

    behind.do(lambda: may_end.wait(PATIENCE_S))
    behind.do(lambda: None)
    waiting = threading.Thread(target=add_a_third)
    waiting.start()
    assert not third_is_in.wait(0.05)
    may_end.set()
    assert third_is_in.wait(PATIENCE_S)
    waiting.join()


@pytest.mark.parametrize("next_call", [lambda each: each.do(failing), lambda each: each.wait()])
def test_an_error_is_raised_once_and_nothing_is_done_after_it(next_call):
    made: list[int] = []
    may_fail = threading.Event()

    def fail_late() -> None:
        may_fail.wait(PATIENCE_S)
        failing()

    behind = Behind(2)
    behind.do(fail_late)
    behind.do(lambda: made.append(1))
    may_fail.set()
    with pytest.raises(OSError, match="the disk is full"):
        next_call(behind)
    assert behind.close() is None
    assert not made


def test_closing_makes_what_is_in_hand_and_gives_the_error_that_nobody_has_seen():
    made: list[int] = []
    may_go_on = threading.Event()
    behind = Behind(2)
    behind.do(lambda: made.append(int(may_go_on.wait(PATIENCE_S))))
    behind.do(failing)
    may_go_on.set()
    assert isinstance(behind.close(), OSError)
    assert made == [1]
    assert behind.close() is None


def test_closed_before_anything_was_asked_for_there_is_no_thread():
    assert Behind(1).close() is None


def test_an_interruption_of_the_closing_comes_when_all_is_done():
    made: list[int] = []
    may_go_on = threading.Event()
    behind = Behind(2)
    behind.do(lambda: made.append(int(may_go_on.wait(PATIENCE_S))))
    wait_for, is_first = threading.Condition.wait_for, iter([True])

    def interrupted(*arguments: object) -> object:
        if threading.current_thread() is threading.main_thread() and next(is_first, False):
            may_go_on.set()
            raise KeyboardInterrupt
        return wait_for(*arguments)  # type: ignore[arg-type]

    with (
        patch.object(threading.Condition, "wait_for", interrupted),
        pytest.raises(KeyboardInterrupt),
    ):
        behind.close()
    assert made == [1]
