"""Counts of a dream step by part, on meta tensors: exact without a device and without computing.

A step that asks for a value, makes a tensor whose shape depends on values, or reads a tensor of
another device raises an error here: on a GPU it would wait for the device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from unittest.mock import patch

import open_clip
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from dreamvid.config import DreamConfig
from dreamvid.dream.cutouts import Banded
from dreamvid.dream.descent import GradientCheck, descend
from dreamvid.guide.folding import fold_batch_norms
from dreamvid.guide.loading import quiet_libraries
from dreamvid.guide.names import parse_guide
from dreamvid.guide.objective import ClipObjective, Targets
from dreamvid.guide.tower import ImageTower

META = torch.device("meta")
aten = torch.ops.aten
PARTS = {
    "dreamvid.dream.descent.take_step": "update",
    "dreamvid.dream.descent.guide_gradient": "tower",
    "dreamvid.dream.objective._show": "cutouts",
    "dreamvid.dream.objective.unit_rms": "update",
    "dreamvid.dream.descent.add_gradients": "terms",
}
"""Function → the part of a step that its operators belong to, unless it calls one below."""
ADAM = 12
"""Floating-point operations of Adam for each value."""


@dataclass
class Count:
    """What one part of a step does."""

    operators: int = 0
    """Operators that run on the device: each at least one launch, views not counted."""
    product_flops: float = 0
    """Floating-point operations of matrix products and convolutions, in any precision."""
    flops: float = 0
    """Floating-point operations of all operators: beside products one for each value, at least."""
    bytes: int = 0
    """Bytes read and written, each tensor once an operator."""
    largest: int = 0
    """Bytes of the largest tensor that is made."""
    seconds: float = 0
    """The least time on a card, the sum of `Card.seconds`: nothing is fused."""


@dataclass(frozen=True)
class Card:
    """The rates of a card, in operations and bytes a second; by default those of an H100."""

    bfloat16: float = 790e12
    float32: float = 60e12
    bandwidth: float = 3e12

    def seconds(self, flops: float, is_bfloat16_product: bool, size: int) -> float:
        """The least time of an operator that does so many operations on `size` bytes."""
        rate = self.bfloat16 if is_bfloat16_product else self.float32
        return max(flops / rate, size / self.bandwidth)


H100 = Card()


class HostWaitError(RuntimeError):
    """An operator inside a step would make the host wait for the device, or move a tensor."""


class StepCounter(TorchDispatchMode):
    """Counts the operators within `part`, by part; outside all parts it counts nothing."""

    def __init__(self, card: Card = H100) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.card = card
        self.counts: dict[str, Count] = {}
        self._parts: list[str] = []

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """All operators within belong to the part `name`."""
        self._parts.append(name)
        try:
            with NoHostTensors():
                yield
        finally:
            self._parts.pop()

    def within(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, as the part `name`."""

        def run(*args: Any, **options: Any) -> Any:
            with self.part(name):
                return function(*args, **options)

        return run

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._parts:
            check_no_wait(func, args, kwargs)
        has_no_kernel = func is aten._fused_adam_.tensor_lr  # on meta; it returns nothing
        result = None if has_no_kernel else func(*args, **kwargs)
        if self._parts and launches(func):
            self._add(func, args, kwargs, result)
        return result

    def _add(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        read, made = tensors((args, kwargs)), tensors(result)
        is_product = func._overloadpacket in flop_registry
        flops = float(flops_of(func, args, kwargs, result, read + made))
        size = sum(map(bytes_of, read + made))
        count = self.counts.setdefault(self._parts[-1], Count())
        count.operators += 1
        count.product_flops += flops if is_product else 0
        count.flops += flops
        count.bytes += size
        count.largest = max([count.largest, *map(bytes_of, made)])
        is_bfloat16 = is_product and read[0].dtype == torch.bfloat16
        count.seconds += self.card.seconds(flops, is_bfloat16, size)


class NoHostTensors(TorchFunctionMode):
    """Raises HostWaitError where a tensor is made of numbers that Python holds."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in (torch.tensor, torch.as_tensor, Tensor.new_tensor):
            raise HostWaitError(f"{func.__name__} moves a tensor from the host")
        return func(*args, **(kwargs or {}))


def launches(func: Any) -> bool:
    """Whether an operator runs on the device: a view does not, nor does an allocation."""
    is_idle = func.is_view or func._overloadpacket in (
        aten._unsafe_view,
        aten.empty,
        aten.empty_like,
        aten.new_empty,
    )
    return func.namespace == "aten" and not is_idle


def check_no_wait(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise HostWaitError where an operator needs values, or tensors of another device."""
    if shape_depends_on_values(func, args, kwargs):
        raise HostWaitError(f"{func} waits for the device")
    devices = {each.device.type for each in tensors((args, kwargs))}
    devices |= {torch.device(kwargs[name]).type for name in ("device",) if kwargs.get(name)}
    if devices - {"meta"}:
        raise HostWaitError(f"{func} moves a tensor between {', '.join(sorted(devices))}")


def shape_depends_on_values(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether an operator reads values on the host, to return them or to make a shape of them."""
    if func is aten.index.Tensor:  # a mask selects as many as it has ones
        return any(each is not None and each.dtype == torch.bool for each in args[1])
    if kwargs.get("output_size") is not None:  # of repeat_interleave, whose size is then known
        return False
    waits = {torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output}
    return bool(waits & set(func.tags)) or func._overloadpacket in (aten.bincount, aten.equal)


def flops_of(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, seen: list[Tensor]
) -> int:
    """Floating-point operations of one operator; a copy has none."""
    packet = func._overloadpacket
    if packet in flop_registry:
        return int(flop_registry[packet](*args, **kwargs, out_val=result))
    if packet is aten._embedding_bag_forward_only:
        return 2 * int(args[1].numel() * args[0].shape[1])
    if packet is aten._fused_adam_:
        return ADAM * sum(int(each.numel()) for each in args[0])
    is_copy = packet in (aten.copy_, aten.clone, aten._to_copy, aten.cat, aten.stack)
    return 0 if is_copy else max((each.numel() for each in seen), default=0)


def tensors(tree: Any) -> list[Tensor]:
    """The tensors among arguments or results."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def bytes_of(tensor: Tensor) -> int:
    """Size of a tensor in bytes; what is repeated by a stride of 0 counts once."""
    sides = [
        side
        for side, stride in zip(tensor.shape, tensor.stride(), strict=True)
        if stride or not side
    ]
    return math.prod(sides) * tensor.element_size()


@dataclass(frozen=True)
class Case:
    """One guide at one size of frame, and its number of cutouts."""

    guide: str
    width: int
    height: int
    cutouts: int

    def __str__(self) -> str:
        return f"{self.guide} {self.width}x{self.height} x{self.cutouts}"


CASES = tuple(
    Case(guide, width, height, cutouts)
    for guide in ("mini", "ViT-B-32", "ViT-L-14")
    for width, height in ((640, 360), (1920, 1080), (3840, 2160))
    for cutouts in (16, 64)
)


class InBfloat16(nn.Module):
    """A module that computes in bfloat16 throughout, as on a card; autocast knows no meta."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.to(torch.bfloat16)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.module(images.to(torch.bfloat16))
        return features


def guide_on_meta(name: str) -> ClipObjective:
    """The objective of one prompt and one negative, by a guide without weights."""
    model_name = parse_guide(name).model if name == "mini" else name
    with quiet_libraries(), torch.device("meta"):  # they warn that weights are random
        model = open_clip.create_model(model_name, device="meta", load_weights=False)
    visual = InBfloat16(fold_batch_norms(model.visual))
    tower = ImageTower(visual, model.visual.preprocess_cfg).to(META)
    width = tower(torch.empty(1, 3, tower.size, tower.size, device=META)).shape[1]
    one, none = torch.empty(1, width, device=META), torch.empty(0, width, device=META)
    return ClipObjective(
        tower, Targets(one, one[:, 0], one, one[:, 0], none, none, none[:, 0], none)
    )


def count_step(case: Case, objective: ClipObjective, card: Card = H100) -> dict[str, Count]:
    """The counts by part of one step of `case` in its finest octave, all losses on.

    It is the second step, since the first also creates the optimizer's state.
    """
    config = DreamConfig(octaves=1, steps=2, steady=1.0, hold=0.9, cutouts=case.cutouts)
    image = torch.empty(3, case.height, case.width, device=META)
    counter = StepCounter(card)
    with counter, ExitStack() as patches:
        for target, part in PARTS.items():
            module, _, name = target.rpartition(".")
            function = getattr(import_module(module), name)
            patches.enter_context(patch(target, counter.within(part, function)))
        backward = staticmethod(counter.within("cutouts", Banded.backward))
        patches.enter_context(patch.object(Banded, "backward", backward))
        patches.enter_context(fused_adam_on_meta())
        patches.enter_context(flash_attention_on_meta())
        patches.enter_context(patch.object(GradientCheck, "finish"))  # which reads, once a frame
        descend(
            image,
            [objective],
            config,
            start=image.clone(),
            trust=image[:1].clone(),
            mean_colour=image[:, 0, 0].clone(),
            on_step=lambda step: None if step.index else counter.counts.clear(),
        )
    return counter.counts


def fused_adam_on_meta() -> Any:
    """Torch's optimizer refuses to fuse on meta, where its kernel counts as well as any."""
    return patch("torch.optim.optimizer._get_fused_kernels_supported_devices", lambda: ["meta"])


def flash_attention_on_meta() -> Any:
    """On meta torch takes attention apart; on a card, in bfloat16, it is one fused kernel."""

    def attend(queries: Tensor, keys: Tensor, values: Tensor, *_: Any) -> Tensor:
        attended: Tensor = aten._scaled_dot_product_flash_attention(queries, keys, values)[0]
        return attended

    return patch("torch.nn.functional.scaled_dot_product_attention", attend)


def total(counts: Iterable[Count]) -> Count:
    """The sum of counts, and the largest tensor of all."""
    summed = Count()
    for count in counts:
        for name, value in vars(count).items():
            both = getattr(summed, name), value
            setattr(summed, name, max(both) if name == "largest" else sum(both))
    return summed
