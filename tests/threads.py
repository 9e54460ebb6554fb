"""Two threads that ask one object at the same time."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

Given = TypeVar("Given")
Value = TypeVar("Value")

SWITCH_INTERVAL = 1e-6
"""Seconds after which Python changes threads: one evaluation is interrupted many times."""


def ask_from_two_threads(
    ask: Callable[[Given], Value], inputs: Sequence[Given], rounds: int
) -> list[dict[Given, Value]]:
    """What two threads get for all `inputs`, in an order of their own each round."""
    barrier = Barrier(2)

    def ask_all(seed: int) -> list[dict[Given, Value]]:
        order, found = random.Random(seed), []
        for _ in range(rounds):
            shuffled = order.sample(inputs, len(inputs))
            barrier.wait()
            found.append({given: ask(given) for given in shuffled})
        return found

    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        with ThreadPoolExecutor(2) as pool:
            return [found for each in pool.map(ask_all, (1, 2)) for found in each]
    finally:
        sys.setswitchinterval(usual)
