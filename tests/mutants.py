"""Damage at random: bytes that are cut, flipped and exchanged, and facts that are replaced."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

HEAD = 600
"""Bytes at the beginning of a file in which its header lies."""
ODD: Sequence[Any] = (
    *(None, True, -1, 0, 3, 10**30, -(2**62), 1e308, -0.5),
    *("", "x", "-1", "1/0", "nan", "1e999", "/", "../../x", "\u0000", "é" * 3000),
    *([], {}, [[]], {"x": {"y": []}}, ["a"] * 50),
)
"""Values that stand where others are expected."""


def damaged(data: bytes, dice: Random, others: Sequence[bytes] = ()) -> bytes:
    """The bytes cut short, with bits flipped, or with a piece of another file in them."""
    changed = bytearray(data)
    damage = dice.choice(("cut", "flip", "flip", "head", *(["splice"] if others else [])))
    if damage == "cut":
        del changed[dice.randrange(1, len(changed)) :]
    elif damage == "splice":
        other = dice.choice(others)
        begin, size = dice.randrange(len(other)), dice.randint(1, len(other) // 2)
        at = dice.randrange(len(changed))
        changed[at : at + dice.choice((0, size))] = other[begin : begin + size]
    else:
        reach = len(changed) if damage == "flip" else min(len(changed), HEAD)
        for _ in range(dice.choice((1, 3, 10, 100))):
            changed[dice.randrange(reach)] ^= 1 << dice.randrange(8)
    return bytes(changed)


def altered(facts: Any, dice: Random) -> Any:
    """A JSON object in which one value, at any depth, is another, missing, or one too many."""
    changed = copy.deepcopy(facts)
    holder, key = dice.choice(list(_places(changed)))
    deed = dice.choice(("replace", "replace", "remove", "add"))
    if deed == "remove":
        del holder[key]
    elif deed == "add" and isinstance(holder, dict):
        holder[f"{key}x"] = dice.choice(ODD)
    elif deed == "add":
        holder.append(dice.choice(ODD))
    else:
        holder[key] = dice.choice(ODD)
    return changed


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each value inside another: its holder, and its key there."""
    inside = enumerate(value) if isinstance(value, list) else value.items()
    for key, held in inside:
        yield value, key
        if isinstance(held, list | dict):
            yield from _places(held)
