"""Steps of key frames that follow another: more for new ground, new strength and a new text."""

from __future__ import annotations

import math

from dreamvid.config import SequenceConfig

STRIKE = 0.25
"""Least rise of the strength, as a share of the new one, that counts as a strike: a beat. Also
least share of a change from one text to the next."""

TURN = 4
"""Steps that are not held back over a whole change from one text to the next, over `first_steps`:
the first half of them still serves the old text, and the few of each frame begin anew."""


def rise_of(strength: float, before: float | None) -> float:
    """The share of `strength`, in [0, 1], that is new since a frame of strength `before`."""
    return 0.0 if before is None or strength <= before else 1 - before / strength


def turn_of(changes: float, before: float) -> float:
    """The share of a change from one text to the next, in [0, 1], that comes with a frame."""
    return min(abs(changes - before), 1.0)


def step_budget(config: SequenceConfig, *, rise: float, turn: float = 0, unknown: float = 0) -> int:
    """Gradient steps of a key frame that follows another in its shot.

    `rise` is the share of its strength that is new, and gets as many of `first_steps`; `unknown`,
    in [0, 1], is the share of the picture that cannot be trusted. A `turn` (`turn_of`) takes as
    many of `first_steps`, but among the others.
    """
    if not config.steps:
        return 0
    steps = config.steps + round(min(rise + config.catch_up * unknown, 1) * config.first_steps)
    return max(steps, math.ceil(turn * config.first_steps))


def freed_by(turn: float, steps: int, config: SequenceConfig) -> float:
    """The share of `steps`, in [0, 1], that nothing holds back since the text changes."""
    return min(TURN * turn * config.first_steps / steps, 1.0) if steps else 0.0
