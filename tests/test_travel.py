"""Tensors between host and device, and between threads, with stand-ins for CUDA's streams."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from dreamvid.config import VideoConfig
from dreamvid.dream.places import Placed
from dreamvid.film.areas import Part
from dreamvid.film.delivery import Delivery
from dreamvid.film.inbetween import FlowField, FlowFields
from dreamvid.film.prefetch import Prefetch
from dreamvid.film.sequence import FrameSettings, constant_settings, dream_frames
from dreamvid.guide.microbatch import Microbatches, MicrobatchSize
from dreamvid.guide.objective import ClipObjective, Targets
from dreamvid.journal.behind import Behind
from dreamvid.travel import (
    CudaSideStream,
    SideStream,
    empty_on_host,
    side_stream,
    tensors_in,
    to_device,
    to_host,
    used_here,
)
from dreamvid.types import Frame
from tests.fakes import KnownFlow, TowardsColour

CPU = torch.device("cpu")
CUDA = torch.device("cuda:1")


class FakeStreams:
    """CUDA's streams: knows what was asked of them, in order, and each thread's current one."""

    def __init__(self) -> None:
        self.log: list[tuple[str, ...]] = []
        self.recorded: list[tuple[Tensor, str]] = []
        self._local = threading.local()

    @property
    def current(self) -> FakeStream:
        return getattr(self._local, "stream", None) or FakeStream(self, "default")

    def create(self, device: torch.device, priority: int = 0) -> FakeStream:
        return FakeStream(self, "side")

    @contextmanager
    def entered(self, stream: FakeStream) -> Iterator[None]:
        before = self.current
        self._local.stream = stream
        self.log.append(("enter", stream.name))
        try:
            yield
        finally:
            self._local.stream = before
            self.log.append(("leave", stream.name))


@dataclass
class FakeStream:
    """One stream."""

    owner: FakeStreams
    name: str

    def wait_stream(self, other: FakeStream) -> None:
        self.owner.log.append((self.name, "waits for", other.name))

    def record_event(self) -> str:
        event = f"event {sum(entry[1] == 'records' for entry in self.owner.log)}"
        self.owner.log.append((self.name, "records", event))
        return event

    def wait_event(self, event: str) -> None:
        self.owner.log.append((self.name, "waits for", event))

    def synchronize(self) -> None:
        self.owner.log.append((self.name, "is waited for"))


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> FakeStreams:
    fake = FakeStreams()
    monkeypatch.setattr(torch.cuda, "Stream", fake.create)
    monkeypatch.setattr(torch.cuda, "stream", fake.entered)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: fake.current)
    monkeypatch.setattr("dreamvid.travel._is_cuda", lambda device: True)

    def record(tensor: Tensor, stream: FakeStream) -> None:
        fake.recorded.append((tensor, stream.name))

    monkeypatch.setattr(Tensor, "record_stream", record)
    monkeypatch.setattr(Tensor, "is_pinned", lambda tensor: True)
    return fake


def made(streams: FakeStreams, count: int, error: Exception | None = None) -> Iterator[Tensor]:
    """Tensors, whose making is noted with the stream on which it happens."""
    try:
        for number in range(count):
            streams.log.append((streams.current.name, "makes", str(number)))
            yield torch.tensor(number)
        if error is not None:
            raise error
    finally:
        streams.log.append((streams.current.name, "closes"))


def test_an_item_is_used_after_its_event_and_recorded_on_the_users_stream(streams):
    with Prefetch(made(streams, 3), 1, CudaSideStream(CUDA)) as ahead:
        for item in ahead:
            streams.log.append((streams.current.name, "uses", str(int(item))))
    log = streams.log
    for number in range(3):
        event = f"event {number}"
        places = [
            log.index(entry)
            for entry in [
                ("side", "makes", str(number)),
                ("side", "records", event),
                ("default", "waits for", event),
                ("default", "uses", str(number)),
            ]
        ]
        assert places == sorted(places)
    assert [(int(tensor), stream) for tensor, stream in streams.recorded] == [
        (number, "default") for number in range(3)
    ]


def test_the_makers_stream_begins_after_the_users_and_the_user_goes_on_after_it(streams):
    with Prefetch(made(streams, 2), 1, CudaSideStream(CUDA)) as ahead:
        next(ahead)
    assert streams.log[:2] == [("side", "waits for", "default"), ("enter", "side")]
    assert streams.log[-3:] == [
        ("side", "closes"),
        ("leave", "side"),
        ("default", "waits for", "side"),
    ]


def test_an_error_leaves_the_stream_and_comes_after_the_items_before_it(streams):
    with Prefetch(made(streams, 1, KeyError("no")), 2, CudaSideStream(CUDA)) as ahead:
        assert int(next(ahead)) == 0
        with pytest.raises(KeyError, match="no"):
            next(ahead)
    assert ("leave", "side") in streams.log
    assert streams.current.name == "default"


def test_work_behind_comes_after_what_was_asked_before_it_and_is_done_before_the_next(streams):
    def work(number: int) -> None:
        streams.log.append((streams.current.name, "works", str(number)))
        if number:
            raise KeyError(number)

    behind = Behind(2)
    behind.do(partial(work, 0), CUDA)
    behind.do(partial(work, 1), CUDA)
    assert str(behind.close()) == "1"
    marks = [entry for entry in streams.log if entry[0] == "default"]
    assert marks == [("default", "records", f"event {number}") for number in range(2)]
    assert [entry for entry in streams.log if entry not in marks] == [
        each
        for number in range(2)
        for each in [
            ("enter", "side"),
            ("side", "waits for", f"event {number}"),
            ("side", "works", str(number)),
            ("side", "is waited for"),
            ("leave", "side"),
        ]
    ]


def test_nothing_is_asked_of_streams_that_are_not_there():
    assert type(side_stream(CPU)) is type(side_stream(None)) is SideStream
    with Prefetch(iter([torch.ones(2)]), 1, side_stream(CPU)) as ahead:
        assert [int(item.sum()) for item in ahead] == [2]
    item = [torch.ones(2)]
    assert used_here(item) is item


class Tower(torch.nn.Module):
    """An image tower as far as an objective looks at it before it is asked."""

    size = 8


def test_every_tensor_of_an_item_is_found():
    tensors = [torch.full((1,), float(number)) for number in range(20)]
    image = torch.zeros(3, 4, 4)
    directions = torch.zeros(1, 1)
    targets = Targets(**dict(zip(Targets.__annotations__, tensors[:8], strict=True)))
    targets = replace(targets, directions=directions, scenes=tensors[4])
    guide = Microbatches(ClipObjective(cast(Any, Tower()), targets), MicrobatchSize())
    settings = FrameSettings(
        VideoConfig(prompt=["ice"]),
        [guide],
        mask=tensors[7],
        region=tensors[8],
        parts=[Part(None, [guide], 1.0, tensors[9])],
        places=[Placed([guide], tensors[10])],
    )
    flows = [FlowField(*tensors[11:13]), FlowField(*tensors[13:15])]
    frame = Frame(image, Fraction(1, 3), alpha=tensors[15])
    item = (settings, {"flow": FlowFields(flows[:1], flows[1:]), "name": "x"}, [frame, None])
    found = {id(tensor) for tensor in tensors_in((item, deque([*tensors[16:]]), Tower, b"bytes"))}
    assert found == {id(tensor) for tensor in [*tensors, image, directions]}


def film() -> list[Frame]:
    """Five frames that grow brighter, 24 a second."""
    return [
        Frame(torch.full((3, 16, 24), 0.2 + 0.1 * number), Fraction(number, 24))
        for number in range(5)
    ]


def dreams(ahead: int, device: torch.device | None) -> tuple[list[Frame], Sequence[Frame]]:
    """What a film of two sizes is dreamed to, and its full frames."""
    config = VideoConfig(prompt=["ice"], steps=2, first_steps=2, cutouts=2, every=2, cuts=False)
    delivery, full = Delivery((12, 18)), film()
    found = dream_frames(
        delivery.prepare(full),
        constant_settings([TowardsColour((0.9, 0.1, 0.1))], config),
        flow=KnownFlow(1),
        is_cut=lambda now, before: False,
        ahead=ahead,
        device=device,
    )
    return [delivery.finish(each.frame, each.source) for each in found], full


def test_a_film_is_the_same_beside_and_in_turn_and_all_that_it_uses_is_recorded(streams):
    in_turn, _ = dreams(0, None)
    streams.recorded.clear()
    beside, full = dreams(1, CUDA)
    for one, other in zip(in_turn, beside, strict=True):
        assert torch.equal(one.image, other.image)
    recorded = {id(tensor) for tensor, stream in streams.recorded if stream == "default"}
    assert {id(frame.image) for frame in full} <= recorded
    kinds = {tuple(tensor.shape) for tensor, _ in streams.recorded}
    assert {(3, 12, 18), (2, 12, 18), (1, 12, 18)} <= kinds  # frames, flow and its trust


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done with pinned memory, where every device counts as CUDA."""
    log: list[str] = []
    empty, is_pinned = torch.empty, set[int]()

    def create(*shape: int, dtype: torch.dtype, pin_memory: bool) -> Tensor:
        tensor = empty(*shape, dtype=dtype)
        if pin_memory:
            is_pinned.add(id(tensor))
        log.append("pinned" if pin_memory else "not pinned")
        return tensor

    def pin(tensor: Tensor) -> Tensor:
        return create(*tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor)

    def send(tensor: Tensor, device: torch.device, non_blocking: bool = False) -> Tensor:
        assert id(tensor) in is_pinned
        log.append("sent without waiting" if non_blocking else "sent")
        return tensor

    def copy(tensor: Tensor, other: Tensor, non_blocking: bool = False) -> Tensor:
        if non_blocking:
            log.append("fetched without waiting")
        return copy_(tensor, other)

    class Current:
        def synchronize(self) -> None:
            log.append("waited for the stream")

    copy_ = Tensor.copy_
    monkeypatch.setattr("dreamvid.travel._is_cuda", lambda device: True)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Current())
    monkeypatch.setattr(torch, "empty", create)
    for name, stand_in in {
        "is_pinned": lambda tensor: id(tensor) in is_pinned,
        "pin_memory": pin,
        "to": send,
        "copy_": copy,
    }.items():
        monkeypatch.setattr(Tensor, name, stand_in)
    return log


def test_what_goes_to_cuda_goes_through_pinned_memory_and_nobody_waits(pinned):
    assert to_device(torch.arange(3), CUDA).tolist() == [0, 1, 2]
    assert pinned == ["pinned", "sent without waiting"]
    pinned.clear()
    to_device(empty_on_host((2, 2), torch.uint8, CUDA), CUDA)
    assert pinned == ["pinned", "sent without waiting"]


def test_what_comes_from_cuda_is_complete(pinned):
    assert to_host(torch.arange(3)).tolist() == [0, 1, 2]
    assert pinned == ["pinned", "fetched without waiting", "waited for the stream"]


def test_on_the_cpu_nothing_is_pinned_or_copied():
    tensor = torch.arange(3)
    assert to_device(tensor, "cpu") is tensor
    assert to_host(tensor) is tensor
    assert not empty_on_host((2,), torch.uint8).is_pinned()
