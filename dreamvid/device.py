"""Where to compute."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dreamvid.errors import ConfigError, DeviceError

if TYPE_CHECKING:
    import torch

ALLOWED = "auto, cpu, cuda, cuda:N or mps"


def check_device(name: str) -> None:
    """Raise ConfigError where `name` cannot name a device; loads nothing."""
    if re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name) is None:
        raise ConfigError(f"--device: '{name}' is not allowed; allowed: {ALLOWED}")


def choose_device(name: str) -> torch.device:
    """The device of that name; for auto, the best there is.

    Raises ConfigError for what is no device's name, DeviceError for one that is not there.
    """
    import torch

    check_device(name)
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cards else "mps" if has_mps else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= cards:
        there = ["auto", "cpu", *(f"cuda:{index}" for index in range(cards))]
        raise DeviceError(f"--device: '{name}' is not there; allowed here: {', '.join(there)}")
    if device.type == "mps" and not has_mps:
        raise DeviceError("--device: 'mps' is not there; allowed here: auto, cpu")
    return device
