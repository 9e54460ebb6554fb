"""How tensors travel: between the host and a device, and between threads that share a device.

The host copies to and from CUDA without waiting only through pinned memory, which cannot be swapped
out. Torch reuses its own pinned memory only after the copies from it are done, so a host tensor may
be dropped as soon as its copy is asked for; it must only not be written to again.

CUDA runs what is asked of one stream in order, and of two streams side by side. Torch hands the
memory of a dropped tensor to the next one of the same stream. So a tensor that another stream reads
must be waited for there, and must be recorded there, or it is overwritten too early.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

T = TypeVar("T")


def empty_on_host(
    shape: Sequence[int], dtype: torch.dtype, device: torch.device | str = "cpu"
) -> Tensor:
    """An uninitialised tensor on the host, pinned where it travels to or from CUDA."""
    import torch

    return torch.empty(*shape, dtype=dtype, pin_memory=_is_cuda(device))


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """A tensor on `device`. From the host to CUDA nobody waits, and `tensor` must not change."""
    if tensor.device.type != "cpu" or not _is_cuda(device):
        return tensor.to(device)
    pinned = tensor if tensor.is_pinned() else tensor.pin_memory()
    return pinned.to(device, non_blocking=True)


def to_host(tensor: Tensor) -> Tensor:
    """A tensor on the host, complete. From CUDA it waits for the current stream, no other one."""
    import torch

    if not _is_cuda(tensor.device):
        return tensor.cpu()
    pinned = empty_on_host(tensor.shape, tensor.dtype, tensor.device)
    pinned.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(tensor.device).synchronize()
    return pinned


class SideStream:
    """The order between a thread and another one that works for it, ahead or behind.

    Ahead, it makes items: `begin`, then `mark` each within `entered`, and `hand_over`; then `end`.
    Behind, it works on what has been made: `mark_here`, then `after` that mark. Where a device has
    no streams, there is nothing to order.
    """

    def begin(self) -> None:
        """Let all that the maker asks for come after what the calling thread has asked for."""

    def mark_here(self) -> Any:
        """A mark behind all that the calling thread has asked for."""

    def after(self, mark: Any) -> AbstractContextManager[object]:
        """Within, what the calling thread asks for goes this way, after `mark`.

        All of it is done at the end, so that what it reads may be dropped.
        """
        return nullcontext()

    def entered(self) -> AbstractContextManager[object]:
        """Within, what the calling thread, the maker, asks for goes this way."""
        return nullcontext()

    def mark(self) -> Any:
        """A mark behind all that the maker has asked for."""

    def hand_over(self, item: T, mark: Any) -> T:
        """An item for the calling thread, whose work from now on comes after `mark`."""
        return item

    def end(self) -> None:
        """Let all that the calling thread asks for come after what the maker has asked for."""


class CudaSideStream(SideStream):
    """A stream of the maker's own on a CUDA device.

    What the maker reads of the other thread's tensors must be there at `begin` and stay until
    `end`.
    """

    def __init__(self, device: torch.device) -> None:
        import torch

        self._device = device
        # Its short work first: someone on the host waits for it, as for the grey frames of flow.
        self._stream: torch.cuda.Stream = torch.cuda.Stream(device, priority=-1)  # type: ignore[no-untyped-call]

    @property
    def _current(self) -> torch.cuda.Stream:
        import torch

        return torch.cuda.current_stream(self._device)

    def begin(self) -> None:
        self._stream.wait_stream(self._current)

    def mark_here(self) -> torch.cuda.Event:
        event: torch.cuda.Event = self._current.record_event()
        return event

    @contextmanager
    def after(self, mark: torch.cuda.Event) -> Iterator[None]:
        with self.entered():
            self._stream.wait_event(mark)
            try:
                yield
            finally:
                self._stream.synchronize()

    def entered(self) -> AbstractContextManager[object]:
        import torch

        return torch.cuda.stream(self._stream)

    def mark(self) -> torch.cuda.Event:
        event: torch.cuda.Event = self._stream.record_event()
        return event

    def hand_over(self, item: T, mark: torch.cuda.Event) -> T:
        self._current.wait_event(mark)
        return used_here(item)

    def end(self) -> None:
        self._current.wait_stream(self._stream)


def side_stream(device: torch.device | None) -> SideStream:
    """The order between two threads that work on `device`, if any."""
    return CudaSideStream(device) if device is not None and _is_cuda(device) else SideStream()


def used_here(item: T) -> T:
    """An item whose tensors were made on any stream, and are used on the current one."""
    import torch

    for tensor in tensors_in(item):
        if _is_cuda(tensor.device):
            tensor.record_stream(torch.cuda.current_stream(tensor.device))
    return item


def tensors_in(item: object) -> Iterator[Tensor]:
    """The tensors in an item: in its fields, elements or values, or else its `buffers`."""
    from torch import Tensor

    if isinstance(item, str | bytes | type):
        return
    if isinstance(item, Tensor):
        yield item
    elif is_dataclass(item):
        for field in fields(item):
            yield from tensors_in(getattr(item, field.name))
    elif isinstance(item, Mapping):
        for value in item.values():
            yield from tensors_in(value)
    elif isinstance(item, Sequence):
        for element in item:
            yield from tensors_in(element)
    elif callable(buffers := getattr(item, "buffers", None)):
        yield from buffers()


def _is_cuda(device: torch.device | str) -> bool:
    import torch

    return torch.device(device).type == "cuda"
