"""A take: what was played, as options that `dreamvid video` renders again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dreamvid.config import VideoConfig, split_weight, to_toml, varying
from dreamvid.control.schedule import LONGEST
from dreamvid.errors import ConfigError

_IN_THE_PICTURE = ("zoom", "rotate", "pan", "pan_x", "pan_y", "centre", "ease", "shutter")
"""Options of the camera, which the source of a take shows already."""
_OF_THE_SOURCE = ("start", "end", "fps", "rate", "seconds", "input_format", "size", "deliver")
_OF_THE_SOUND = ("music", "music_start", "bpm")
_OF_THE_FILE = ("codec", "crf", "pix_fmt", "output_format")
_DIGITS = 6


class Take:
    """The value of each number at each frame of a take.

    Raises ConfigError for options that it could not render again.
    """

    def __init__(self, config: VideoConfig) -> None:
        if config.at:
            raise ConfigError("a take holds no --at; allowed: -p for each text, and crossing over")
        if config.mask is not None:
            raise ConfigError("a take holds no --mask; allowed: --mask where it is rendered")
        self.frames = 0
        self._rows: dict[str, list[float]] = {}

    def add(self, values: Mapping[str, float]) -> None:
        """Add a frame, on which the numbers had these values."""
        for name, value in values.items():
            row = self._rows.setdefault(name, [0.0] * self.frames)
            row.append(float(f"{value:.{_DIGITS}g}"))
        self.frames += 1

    def config(self, config: VideoConfig) -> VideoConfig:
        """Options that render the take on its source; `config` are those at its end."""
        fields = varying(VideoConfig)
        plain: dict[str, Any] = {}
        sets = []
        for name, row in self._rows.items():
            if name.replace("-", "_") in _IN_THE_PICTURE:
                continue
            if len(set(row)) > 1:
                sets.append(f"{name}={keyframes(row)}")
            elif name in fields:
                plain[fields[name]] = row[0]
            elif row[0] != _weight(config, name):
                sets.append(f"{name}={row[0]:g}")
        left_out = {*_IN_THE_PICTURE, *_OF_THE_SOURCE, *_OF_THE_SOUND, *_OF_THE_FILE, "set_"}
        kept = {
            name: getattr(config, name) for name in config.model_fields_set if name not in left_out
        }
        plain = {name: value for name, value in plain.items() if name not in left_out}
        if "steps" in plain:
            plain["steps"] = round(plain["steps"])
        return VideoConfig(**(kept | plain | {"set_": sets}))

    def to_toml(self, config: VideoConfig) -> str:
        """The same as a file for `dreamvid video --config`."""
        return to_toml(self.config(config))


def _weight(config: VideoConfig, name: str) -> float:
    """The weight that the option of a numbered prompt states."""
    option = name.rstrip("0123456789")
    texts = getattr(config, option.replace("-", "_"))
    return split_weight(texts[int(name[len(option) :]) - 1])[1]


def keyframes(row: Sequence[float]) -> str:
    """Key frames, counted in frames, of a row of values: those that are on no line between others.

    The values are exact, unless the row is longer than an option may be: then as near as it can.
    """
    values = np.asarray(row, np.float64)
    near = 0.0
    span = float(np.ptp(values)) or 1.0
    while True:
        keys = _corners(values, near + 1e-9 * span)
        text = ", ".join(f"{key}:({values[key]:.{_DIGITS}g})" for key in keys)
        if len(text) <= LONGEST:
            return text
        near = max(2 * near, 1e-4 * span)


def _corners(values: NDArray[np.float64], near: float) -> list[int]:
    """Indices between which straight lines are within `near` of all values.

    The algorithm of Ramer (1972), Douglas and Peucker (1973).
    """
    last = len(values) - 1
    kept = {0, last}
    waiting = [(0, last)]
    while waiting:
        begin, end = waiting.pop()
        if end - begin < 2:
            continue
        line = np.linspace(values[begin], values[end], end - begin + 1)
        off = np.abs(values[begin : end + 1] - line)
        furthest = int(off.argmax())
        if off[furthest] > near:
            kept.add(begin + furthest)
            waiting += [(begin, begin + furthest), (begin + furthest, end)]
    return sorted(kept)
