"""The device that computes, and the precision of its numbers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dreamvid.config import DEVICES, check_device_name
from dreamvid.errors import ConfigError, DeviceError

if TYPE_CHECKING:
    import torch


def torch_environment() -> dict[str, str]:
    """Environment variables to set before torch is loaded, which reads them once.

    OpenMP's idle threads spin for milliseconds by default, which beside another busy program makes
    a step many times slower. If they do not spin at all, each of a step's hundreds of short
    operations must wake them up, which takes a fifth of its time. So they spin for a thousand
    turns, some microseconds: GNU OpenMP's own number where threads outnumber processors. A
    variable that is set already keeps its value, and the other one stays unset.
    """
    waiting = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}
    return {} if waiting.keys() & os.environ.keys() else waiting


def choose_device(name: str) -> torch.device:
    """The device of that name; for auto, the fastest present: CUDA, then MPS, then the CPU.

    Raises ConfigError if no device has such a name, DeviceError if that one is not present.
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


def choose_precision(name: str, device: torch.device, is_convolutional: bool) -> torch.dtype:
    """The precision of a guide on `device`: that of `name`; for auto, the faster of two.

    The hardware alone decides, never a measured time: a resumed run must choose the same. CPUs with
    products of bfloat16 but no tiles of them run convolutions in it 1.7 times as fast, and
    transformers at 0.7 of the speed.
    """
    import torch

    if name != "auto":
        return torch.bfloat16 if name == "bfloat16" else torch.float32
    if device.type == "cuda":
        with torch.cuda.device(device):  # the question below is about the current card
            is_faster = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        has_tiles, has_products = _bfloat16_units()
        is_faster = has_tiles or (has_products and is_convolutional)
    else:
        is_faster = False
    return torch.bfloat16 if is_faster else torch.float32


def _bfloat16_units() -> tuple[bool, bool]:
    """Whether the CPU multiplies tiles of bfloat16 (AMX), and vectors of it (AVX512-BF16).

    Torch has no public names for these questions; where it drops the private ones, both answers
    are False, and the guide computes in float32.
    """
    import torch

    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False, False
    return _cpu_has("_is_amx_tile_supported"), _cpu_has("_is_avx512_bf16_supported")


def _cpu_has(question: str) -> bool:
    import torch

    ask = getattr(torch.cpu, question, None)
    return bool(ask()) if ask is not None else False
