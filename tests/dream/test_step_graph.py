"""Captured steps against steps taken one by one, with a stand-in for the graph: the same bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Self

import pytest
import torch
from counting import META, StepCounter, fused_adam_on_meta, guide_on_meta
from torch import Tensor

from dreamvid.config import DreamConfig, PromptConfig
from dreamvid.dream import step_graph
from dreamvid.dream.descent import GradientCheck, descend, frame_generator
from dreamvid.dream.objective import Objective
from dreamvid.dream.step_graph import CapturedStep, StepGraphs
from dreamvid.dream.terms import terms_of
from dreamvid.guide.loading import Clip
from dreamvid.guide.microbatch import Microbatches, MicrobatchSize
from dreamvid.guide.objective import create_objective
from tests.fakes import TowardsColour

SIZE = 54, 72


class Recorded:
    """A graph that calls its work again; it stands in for one that replays the same memory."""

    captures = 0

    def __init__(self, error: RuntimeError | None = None) -> None:
        self.error = error

    def capture(self, work: Callable[[], None]) -> None:
        Recorded.captures += 1
        if self.error is not None:
            raise self.error
        self.work = work
        for _ in range(2):  # once to warm up, as on a GPU
            work()

    def replay(self) -> None:
        self.work()


@pytest.fixture(autouse=True)
def none_captured_yet() -> None:
    Recorded.captures = 0


class Towards(TowardsColour):
    """An objective whose colour may change from frame to frame under a graph."""

    def work_key(self) -> str:
        return "towards a colour"

    def buffers(self) -> Sequence[Tensor]:
        return [self.colour]

    def on(self, buffers: Sequence[Tensor]) -> Self:
        twin = copy(self)
        (twin.colour,) = buffers
        return twin


class Never(Towards):
    """An objective that decides for itself that it is not to be captured."""

    def work_key(self) -> Any:
        return None


def noise(frame: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(frame))


def options(**changes: Any) -> DreamConfig:
    plain = {
        "canvas": "octaves",
        "steps": 5,
        "octaves": 2,
        "octave_scale": 1.5,
        "cutouts": 4,
        "hold": 0.9,
        "steady": 1,
    }
    return DreamConfig.model_validate(plain | changes)


def dream_film(
    objectives: Sequence[Objective], graphs: StepGraphs | None, frames: int = 4, **changes: Any
) -> list[Tensor]:
    """Frames of noise, all of them different, each with a warm start that differs from it."""
    dreams = []
    for frame in range(frames):
        source = noise(frame, 3, *SIZE)
        dreams.append(
            descend(
                source,
                [objectives[frame % len(objectives)]],
                options(**changes),
                generator=frame_generator(0, frame),
                start=source + 0.05 * noise(frame + 100, 3, *SIZE),
                trust=noise(frame + 200, 1, *SIZE),
                mean_colour=0.1 * noise(frame + 300, 3),
                steps=5 + frame % 2,
                graphs=graphs,
            )
        )
    return dreams


def same(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    return all(torch.equal(*pair) for pair in zip(one, other, strict=True))


COLOURS = [Towards((1.0, 0.0, 0.0)), Towards((0.0, 1.0, 0.5)), Towards((0.2, 0.2, 1.0))]


def test_replayed_steps_give_the_same_bits_for_other_frames_colours_and_numbers_of_steps():
    assert same(dream_film(COLOURS, StepGraphs(Recorded)), dream_film(COLOURS, None))
    assert Recorded.captures == 2  # one for each octave, in the second frame


@pytest.mark.parametrize("canvas", ["pyramid", "spectrum"])
def test_canvases_of_all_scales_are_replayed_too(canvas):
    options = {"canvas": canvas, "colour_correlation": 0.5, "frames": 3}
    assert same(
        dream_film(COLOURS, StepGraphs(Recorded), **options), dream_film(COLOURS, None, **options)
    )
    assert Recorded.captures == 1


def test_a_clips_prompts_may_change_under_a_graph(mini: Clip) -> None:
    whole = [
        create_objective(mini, PromptConfig(prompt=[text], negative=["fog"]))
        for text in ("a red rose", "the sea")
    ]
    limit = MicrobatchSize()
    limit.limit = 3
    objectives = [Microbatches(each, limit) for each in whole]
    expected = dream_film(objectives, None, frames=3)
    assert same(dream_film(objectives, StepGraphs(Recorded), frames=3), expected)
    assert Recorded.captures == 2


def test_what_a_frame_holds_is_never_overwritten():
    """The finest octave's source is the film's own frame, which is carried on."""
    graphs = StepGraphs(Recorded)
    for frame in range(4):
        source, kept = noise(frame, 3, *SIZE), noise(frame, 3, *SIZE)
        dream = descend(source, COLOURS[:1], options(), graphs=graphs)
        dreamed = dream.clone()
        descend(noise(9, 3, *SIZE), COLOURS[1:2], options(), graphs=graphs)
        assert torch.equal(source, kept)
        assert torch.equal(dream, dreamed)
    assert COLOURS[0].colour.flatten().tolist() == [1, 0, 0]


def test_each_step_tells_its_own_image_and_loss():
    def told(graphs: StepGraphs | None) -> list[Tensor]:
        seen: list[Tensor] = []
        for _ in range(2):
            descend(
                noise(0, 3, *SIZE),
                [COLOURS[0]],
                options(),
                on_step=lambda step: seen.extend((step.image, step.loss)),
                graphs=graphs,
            )
        return seen

    assert same(told(StepGraphs(Recorded)), told(None))


@pytest.mark.parametrize(
    "objective",
    [
        TowardsColour((1.0, 0.0, 0.0)),  # whose inside is not known
        Never((1.0, 0.0, 0.0)),
    ],
)
def test_what_is_not_known_to_repeat_is_not_captured(objective):
    found = dream_film([objective], StepGraphs(Recorded))
    assert same(found, dream_film([objective], None))
    assert Recorded.captures == 0


def test_terms_of_ones_own_are_not_captured():
    graphs, config = StepGraphs(Recorded), options()
    for _ in range(3):
        source = noise(0, 3, *SIZE)
        descend(source, COLOURS[:1], config, terms=terms_of(config), graphs=graphs)
    assert Recorded.captures == 0


def test_a_strength_that_changes_from_frame_to_frame_is_not_captured():
    graphs = StepGraphs(Recorded)
    for strength in (0.1, 0.2, 0.3):
        dream_film(COLOURS, graphs, frames=1, strength=strength)
    assert Recorded.captures == 0


@pytest.mark.parametrize("error", [RuntimeError("capture"), torch.OutOfMemoryError("no room")])
def test_where_capturing_fails_steps_are_taken_one_by_one(error):
    graphs = StepGraphs(lambda: Recorded(error))
    assert same(dream_film(COLOURS, graphs), dream_film(COLOURS, None))
    assert Recorded.captures == 1


def test_the_kind_that_was_used_least_recently_is_dropped(monkeypatch):
    monkeypatch.setattr(step_graph, "HELD", 2)
    graphs = StepGraphs(Recorded)
    for strength in (0.1, 0.1, 0.1, 0.2, 0.2, 0.1):  # one octave each
        dream_film(COLOURS, graphs, frames=1, octaves=1, strength=strength)
    assert Recorded.captures == 2
    dream_film(COLOURS, graphs, frames=2, octaves=1, strength=0.3)
    dream_film(COLOURS, graphs, frames=2, octaves=1, strength=0.2)
    assert Recorded.captures == 4


def test_operators_launched_outside_graphs_in_a_step(monkeypatch):
    monkeypatch.setattr(GradientCheck, "finish", lambda self: None)  # which reads, once a frame
    counter, objective = StepCounter(), guide_on_meta("mini")
    call, replays = CapturedStep.__call__, 0

    class Launched(Recorded):
        def replay(self) -> None:
            nonlocal replays
            replays += 1

    monkeypatch.setattr(CapturedStep, "__call__", counter.within("outside", call))
    graphs, image = StepGraphs(Launched), torch.empty(3, 180, 320, device=META)
    with counter, fused_adam_on_meta():
        for _ in range(2):
            descend(image, [objective], DreamConfig(octaves=1, steps=4), graphs=graphs)
    assert replays == 4
    assert counter.counts["outside"].operators + replays <= 5 * replays


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_graph_replays_its_work():
    value = torch.zeros(3, device="cuda")
    graph = step_graph.CudaGraph()

    def add() -> None:
        value.add_(1)

    graph.capture(add)
    value.zero_()
    for _ in range(3):
        graph.replay()
    assert value.tolist() == [3, 3, 3]
