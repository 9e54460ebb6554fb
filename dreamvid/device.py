"""Where to compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dreamvid.config import DEVICES, check_device_name
from dreamvid.errors import ConfigError, DeviceError

if TYPE_CHECKING:
    import torch


def choose_device(name: str) -> torch.device:
    """The device of that name; for auto, the best there is.

    Raises ConfigError for what is no device's name, DeviceError for one that is not there.
    """
    import torch

    try:
        check_device_name(name)
    except ValueError:
        raise ConfigError(f"--device: '{name}' is not allowed; allowed: {DEVICES}") from None
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cards else "mps" if has_mps else "cpu")
    kind, _, index = name.partition(":")
    if (kind == "cuda" and int(index or 0) >= cards) or (kind == "mps" and not has_mps):
        numbered = [f"cuda:{card}" for card in range(cards)]
        there = ["auto", "cpu", *numbered, *(["mps"] if has_mps else [])]
        raise DeviceError(f"--device: '{name}' is not there; allowed here: {', '.join(there)}")
    return torch.device(name)
