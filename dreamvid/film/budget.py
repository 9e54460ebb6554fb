"""Steps of key frames that follow another: more for new ground, and for strength that is new."""

from __future__ import annotations

from dreamvid.config import SequenceConfig

STRIKE = 0.25
"""Least rise of the strength, as a share of the new one, that counts as a strike: a beat."""


def rise_of(strength: float, before: float | None) -> float:
    """The share of `strength`, in [0, 1], that is new since a frame of strength `before`."""
    return 0.0 if before is None or strength <= before else 1 - before / strength


def step_budget(config: SequenceConfig, *, rise: float, unknown: float = 0) -> int:
    """Gradient steps of a key frame that follows another in its shot.

    `rise` is the share of its strength that is new, and gets as many of `first_steps`; `unknown`,
    in [0, 1], is the share of the picture that cannot be trusted.
    """
    if not config.steps:
        return 0
    return config.steps + round(min(rise + config.catch_up * unknown, 1) * config.first_steps)
