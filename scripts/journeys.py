"""Counts of what travels between host and device for one frame, outside its steps.

The parts of the program run on meta tensors, which stand for a device's. Each tensor that goes
there from the host counts as up; each that comes back counts as down, and is made of zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from typing import Any

import torch
from counting import META, aten, bytes_of, tensors
from torch.utils._python_dispatch import TorchDispatchMode

from dreamvid.config import VideoConfig
from dreamvid.dream.cutouts import draw_cutouts
from dreamvid.dream.descent import frame_generator
from dreamvid.film.keeping import KeptCarry
from dreamvid.film.sequence import Carry
from dreamvid.journal.carries import CARRY_FRAMES
from dreamvid.journal.record import to_bytes
from dreamvid.media.colour import ColourTags, Converter
from dreamvid.motion.flow import create_flow
from dreamvid.motion.shots import create_cut_detector

HD = (1080, 1920)
TAGS = ColourTags(1, 1, 1, 1)


@dataclass
class Journey:
    """Bytes that one part of the work on a frame moves."""

    up: float = 0
    """From the host to the device."""
    down: float = 0
    """From the device to the host."""


class Border(TorchDispatchMode):
    """Counts what crosses between the host and meta tensors."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.crossed = Journey()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func._overloadpacket is not aten._to_copy or kwargs.get("device") is None:
            return func(*args, **kwargs)
        (tensor,), target = tensors(args), torch.device(kwargs["device"])
        if tensor.device == META and target.type == "cpu":
            self.crossed.down += bytes_of(tensor)
            return torch.zeros(tensor.shape, dtype=kwargs.get("dtype") or tensor.dtype)
        if tensor.device.type == "cpu" and target == META:
            self.crossed.up += bytes_of(tensor)
        return func(*args, **kwargs)


@cache
def journeys(pix_fmt: str, guide_size: int = 224, size: tuple[int, int] = HD) -> dict[str, Journey]:
    """What each part moves for a frame of (height, width), read and delivered in `pix_fmt`.

    One part a row: reading, cuts, flow by DIS, the cutouts' random choices for a guide of this
    input size, delivery, and what the journal carries, by its share of a frame. The digest is
    of what is delivered, and moves nothing.
    """
    picture = Converter("h264").to_frame(torch.zeros(3, *size), pix_fmt, TAGS)
    image, config = torch.empty(3, *size, device=META), VideoConfig(prompt=["ice"])
    carry = Carry(0, Fraction(0), image, image, image[:, 0, 0])
    flow = create_flow("dis", META, max_side=config.flow_size, calm=True)
    is_cut, converter = create_cut_detector(config.cut_threshold), Converter("h264", device=META)
    generator = frame_generator(0, 0)
    choose = partial(draw_cutouts, config, config.steps, size, {guide_size}, generator, META)
    choose()  # the noise travels once for a whole film
    parts: dict[str, Callable[[], object]] = {
        "reading": lambda: converter.to_tensor(picture),
        "cuts": lambda: is_cut(image, image),
        "flow": lambda: flow(image, image),
        "choices": choose,
        "delivery": lambda: converter.to_frame(image, pix_fmt, TAGS),
        "carry": lambda: to_bytes(KeptCarry.of(carry)),
    }
    found = {name: crossed(work) for name, work in parts.items()}
    carried = found["carry"]
    found["carry"] = Journey(carried.up / CARRY_FRAMES, carried.down / CARRY_FRAMES)
    return found


def crossed(work: Callable[[], Any]) -> Journey:
    """What crosses between host and device while `work` is done."""
    border = Border()
    with border:
        work()
    return border.crossed


def whole(parts: Mapping[str, Journey]) -> Journey:
    """The sum of all parts."""
    up, down = (sum(getattr(each, way) for each in parts.values()) for way in ("up", "down"))
    return Journey(up, down)
