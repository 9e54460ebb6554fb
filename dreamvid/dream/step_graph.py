"""A whole step as one graph, captured once for each kind of layer and replayed.

A step launches some hundreds of short operators. On a small guide the host needs longer to launch
them one by one than the device to run them. A graph replays all of them at one launch, in memory
that stays where it is. So a layer's tensors, the prompts' features and a step's random choices are
copied into static buffers before the first step of a layer; between steps only the next choices
and the rate are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor
from torch.optim import Adam

from dreamvid.config import DreamConfig
from dreamvid.dream.canvas import Layer
from dreamvid.dream.cutouts import Cutouts
from dreamvid.dream.objective import Objective
from dreamvid.dream.optimizer import create_optimizer, rate
from dreamvid.dream.terms import Term
from dreamvid.travel import to_device

HELD = 16
"""Most kinds of step that are remembered: four octaves of four kinds."""


@runtime_checkable
class Capturable(Protocol):
    """A layer or an objective whose part of a step may be captured as a graph.

    Its part asks for no value, and depends on nothing but `work_key` and the values of `buffers`.
    """

    def work_key(self) -> Hashable | None:
        """Equal for those that do the same operations, on buffers of the same shapes.

        None for one that must not be captured after all.
        """

    def buffers(self) -> Sequence[Tensor]:
        """Tensors that a step reads or changes, always in the same order."""

    def on(self, buffers: Sequence[Tensor]) -> Self:
        """The same on other buffers; the first of a layer's are its parameters."""


class Graph(Protocol):
    """A device's record of operators."""

    def capture(self, work: Callable[[], None]) -> None:
        """Record `work`, which may be called more than once. Raises RuntimeError if it cannot."""

    def replay(self) -> None:
        """Run it again, on the same memory."""


class CudaGraph:
    """A CUDA graph. Graphs that are never replayed at the same time may share a memory `pool`."""

    def __init__(self, pool: Any = None) -> None:
        self._graph, self._pool = torch.cuda.CUDAGraph(), pool

    def capture(self, work: Callable[[], None]) -> None:
        """Record `work` on a stream of its own, after it has run there once."""
        before = torch.cuda.current_stream()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(before)
        try:
            with torch.cuda.stream(stream):  # lazy initialisation must not be captured
                work()
            before.wait_stream(stream)
            with torch.cuda.graph(
                self._graph,
                pool=self._pool,
                stream=stream,
                # Other threads may decode or estimate flow on the same device meanwhile.
                capture_error_mode="thread_local",
            ):
                work()
        finally:
            torch.cuda.set_stream(before)  # a capture that fails leaves its own stream behind

    def replay(self) -> None:
        self._graph.replay()


StepWork = Callable[[Layer, Sequence[Objective], Cutouts, Adam], tuple[Tensor, Tensor]]
"""One step with the cutouts at index 0, in place → the losses (G,), and the least and the greatest
value of the guides' gradient, (2,)."""


class CapturedStep:
    """A step on static buffers, which hold copies of a layer's and its objectives' own."""

    def __init__(
        self,
        layer: Layer,
        objectives: Sequence[Objective],
        config: DreamConfig,
        cutouts: Cutouts,
        work: StepWork,
        graph: Graph,
    ) -> None:
        """Capture `work` in `graph`; raises RuntimeError where that is not possible."""
        self._work, self._graph, self._all = work, graph, cutouts
        self._layer, *self._objectives = (on_copies(part) for part in (layer, *objectives))
        noise = {size: field.clone() for size, field in cutouts.noise.items()}
        self._now = Cutouts(cutouts.windows[:1].clone(), cutouts.order[:1].clone(), noise)
        # In the type that Adam's kernel reads: on the CPU, that of a rate given as a number.
        dtype = torch.float64 if layer.parameters.device.type == "cpu" else torch.float32
        self._rate = torch.zeros((), dtype=dtype, device=layer.parameters.device)
        self._rates = self._rate[None]
        self._optimizer = create_optimizer(self._layer.parameters, config, self._rate)
        graph.capture(self._step)

    def begin(
        self,
        layer: Layer,
        objectives: Sequence[Objective],
        config: DreamConfig,
        cutouts: Cutouts,
    ) -> None:
        """Copy what a layer, its objectives and its cutouts hold; `layer` shares the parameters."""
        own, new = buffers_of(self._layer, self._objectives), buffers_of(layer, objectives)
        for buffer, value in zip(own, new, strict=True):
            buffer.copy_(value)
        for size, field in cutouts.noise.items():
            self._now.noise[size].copy_(field)
        for value in self._optimizer.state[self._layer.parameters].values():
            value.zero_()
        layer.parameters = self._layer.parameters
        rates = [rate(config, step, layer.steps) for step in range(layer.steps)]
        self._rates = to_device(torch.tensor(rates, dtype=self._rate.dtype), self._rate.device)
        self._all = cutouts

    def __call__(self, step: int, first: int) -> tuple[Tensor, Tensor]:
        """Take a layer's step whose frame has `first` steps before the layer; see `StepWork`."""
        self._now.windows.copy_(self._all.windows[first + step : first + step + 1])
        self._now.order.copy_(self._all.order[first + step : first + step + 1])
        self._rate.copy_(self._rates[step])
        self._graph.replay()
        told = self._told.clone()  # the next replay overwrites it
        return told[:-2], told[-2:]

    def _step(self) -> None:
        losses, peaks = self._work(self._layer, self._objectives, self._now, self._optimizer)
        self._told = torch.cat([losses, peaks])


class StepGraphs:
    """The captured steps of a film. A kind of step is captured when it begins a second time."""

    def __init__(self, create_graph: Callable[[], Graph]) -> None:
        self._create_graph = create_graph
        self._held: dict[Hashable, CapturedStep | None] = {}
        self._may_capture = True

    def begin(
        self,
        layer: Layer,
        objectives: Sequence[Objective],
        terms: Sequence[Term],
        config: DreamConfig,
        cutouts: Cutouts,
        work: StepWork,
    ) -> CapturedStep | None:
        """The captured step, ready for `layer`; None where its steps are to be taken one by one.

        `terms` must be those of the options, which do the same work for the same weights. Where
        capturing fails once, for lack of memory among others, nothing is captured any more.
        """
        key = key_of(layer, objectives, terms, config, cutouts)
        if key is None or not self._may_capture:
            return None
        is_known = key in self._held
        captured = self._held.pop(key, None)
        if is_known and captured is None:
            captured = self._try_to_capture(layer, objectives, config, cutouts, work)
        self._held[key] = captured
        if len(self._held) > HELD:
            del self._held[next(iter(self._held))]  # the one that was used least recently
        if captured is not None:
            captured.begin(layer, objectives, config, cutouts)
        return captured

    def _try_to_capture(
        self,
        layer: Layer,
        objectives: Sequence[Objective],
        config: DreamConfig,
        cutouts: Cutouts,
        work: StepWork,
    ) -> CapturedStep | None:
        try:
            return CapturedStep(layer, objectives, config, cutouts, work, self._create_graph())
        except RuntimeError:  # among others torch.OutOfMemoryError
            self._may_capture = False
            self._held.clear()
            return None


def step_graphs(device: torch.device) -> StepGraphs | None:
    """Captured steps for a film on `device`; None where there are no graphs."""
    if device.type != "cuda":
        return None
    with torch.cuda.device(device):
        pool = torch.cuda.graph_pool_handle()
    return StepGraphs(lambda: CudaGraph(pool))


def on_copies(part: Any) -> Any:
    """A layer or an objective on copies of its buffers."""
    return part.on([buffer.clone() for buffer in part.buffers()])


def buffers_of(layer: Layer, objectives: Sequence[Objective]) -> list[Tensor]:
    """All tensors that differ between two steps of one kind, cutouts aside."""
    parts = [part for part in (layer, *objectives) if isinstance(part, Capturable)]
    return [buffer for part in parts for buffer in part.buffers()]


def key_of(
    layer: Layer,
    objectives: Sequence[Objective],
    terms: Sequence[Term],
    config: DreamConfig,
    cutouts: Cutouts,
) -> Hashable | None:
    """What decides a step's operations; None where they are not known to stay the same."""
    parts = [layer, *objectives]
    keys = [part.work_key() if isinstance(part, Capturable) else None for part in parts]
    if None in keys:
        return None
    return (
        *keys,
        *(buffer.shape for buffer in buffers_of(layer, objectives)),
        *terms,
        config.normalize_gradient,
        cutouts.windows.shape[1:],
    )
