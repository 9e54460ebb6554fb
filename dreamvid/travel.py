"""How tensors travel: between the host and a device, and between threads that share a device.

The host copies to and from CUDA without waiting only through pinned memory, which cannot be swapped
out. Torch reuses its own pinned memory only after the copies from it are done, so a host tensor may
be dropped as soon as its copy is asked for; it must only not be written to again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def empty_on_host(
    shape: Sequence[int], dtype: torch.dtype, device: torch.device | str = "cpu"
) -> Tensor:
    """An uninitialised tensor on the host, pinned where it travels to or from CUDA."""
    import torch

    return torch.empty(*shape, dtype=dtype, pin_memory=torch.device(device).type == "cuda")


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """A tensor on `device`. From the host to CUDA nobody waits, and `tensor` must not change."""
    import torch

    if tensor.device.type != "cpu" or torch.device(device).type != "cuda":
        return tensor.to(device)
    pinned = tensor if tensor.is_pinned() else tensor.pin_memory()
    return pinned.to(device, non_blocking=True)


def to_host(tensor: Tensor) -> Tensor:
    """A tensor on the host, complete. From CUDA it waits for the current stream, no other one."""
    import torch

    if tensor.device.type != "cuda":
        return tensor.cpu()
    pinned = empty_on_host(tensor.shape, tensor.dtype, tensor.device)
    pinned.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(tensor.device).synchronize()
    return pinned
