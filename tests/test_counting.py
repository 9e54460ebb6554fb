"""Counts of a step: exact for operators known by hand, and the limits that the package keeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from functools import cache

import pytest
import roofline
import torch
from counting import (
    CASES,
    H100,
    Card,
    Case,
    Count,
    HostWaitError,
    StepCounter,
    count_step,
    flash_attention_on_meta,
    guide_on_meta,
)
from counting import total as total_of
from journeys import Journey, crossed, journeys, whole
from torch import Tensor
from torch.nn import functional as F

from dreamvid.config import VideoConfig
from dreamvid.guide.objective import ClipObjective
from dreamvid.journal import Journal, Run
from dreamvid.journal.behind import Behind
from dreamvid.media.probing import VideoInfo
from dreamvid.types import Frame

HD_VALUES = 3 * 1080 * 1920


@cache
def guide(name: str) -> ClipObjective:
    return guide_on_meta(name)


@cache
def counts_of(case: Case) -> dict[str, Count]:
    return count_step(case, guide(case.guide))


def on_meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(*shape, device="meta", dtype=dtype)


def counted(work: Callable[[], object], card: Card = H100) -> Count:
    """The count of `work` as one part."""
    counter = StepCounter(card)
    with counter, counter.part("work"):
        work()
    return counter.counts["work"]


def test_a_product_is_two_operations_for_each_pair():
    one, other = on_meta(3, 5), on_meta(5, 7)
    found = counted(lambda: one @ other)
    assert (found.operators, found.product_flops, found.flops) == (1, 2 * 3 * 5 * 7, 2 * 3 * 5 * 7)
    assert (found.bytes, found.largest) == (4 * (15 + 35 + 21), 4 * 21)


def test_a_sum_over_lines_is_two_operations_for_each_entry_and_value():
    lines, entries, starts = on_meta(10, 6), on_meta(8, dtype=torch.long), on_meta(4)
    weights = on_meta(8)
    found = counted(
        lambda: F.embedding_bag(
            entries, lines, starts.long(), mode="sum", per_sample_weights=weights
        )
    )
    assert found.flops == 2 * 8 * 6
    assert found.product_flops == 0


def test_views_cost_nothing_and_what_is_repeated_is_read_once():
    image = on_meta(4, 1)
    found = counted(lambda: image.expand(4, 9).mT + 1)
    assert (found.operators, found.flops, found.bytes) == (1, 36, 4 * 4 + 4 * 36)


def test_an_operator_takes_the_longer_of_its_two_times():
    card = Card(bfloat16=1e4, float32=1e3, bandwidth=1e3)
    square = on_meta(10, 10)
    assert counted(lambda: square @ square, card).seconds == pytest.approx(2000 / 1e3)
    assert counted(lambda: square + square, card).seconds == pytest.approx(1200 / 1e3)
    rounded = on_meta(10, 10, dtype=torch.bfloat16)
    assert counted(lambda: rounded @ rounded, card).seconds == pytest.approx(600 / 1e3)


@pytest.mark.parametrize(
    "work",
    [
        lambda image: image.sum().item(),
        lambda image: bool(image.isfinite().all()),
        lambda image: image.nonzero(),
        lambda image: image.masked_select(image > 0),
        lambda image: image[image > 0],
        lambda image: image.unique(),
        lambda image: torch.repeat_interleave(image.long()),
        lambda image: image.long().bincount(),
    ],
)
def test_what_asks_for_values_is_an_error(work):
    with pytest.raises(HostWaitError, match="waits for the device"):
        counted(lambda: work(on_meta(6)))


@pytest.mark.parametrize(
    "work",
    [
        lambda image: image + torch.ones(6),
        lambda image: image.cpu(),
        lambda image: torch.ones(6).to("meta"),
        lambda image: image * torch.tensor(2.0, device="meta"),
        lambda image: image.new_tensor([1.0, 2.0]),
    ],
)
def test_what_moves_a_tensor_is_an_error(work):
    with pytest.raises(HostWaitError, match="moves a tensor"):
        counted(lambda: work(on_meta(6)))


@pytest.mark.parametrize("case", [case for case in CASES if case.cutouts == 16], ids=str)
def test_a_step_waits_for_nothing_and_has_these_parts(case):
    counts = counts_of(case)
    assert set(counts) == {"cutouts", "tower", "terms", "update"}
    # Forward and backward pass of all layers but the first; a transformer has the same in each.
    assert counts["tower"].product_flops > 0.9 * total_of(counts.values()).product_flops


@pytest.mark.parametrize(
    ("width", "height", "cutouts", "most"),
    [(640, 360, 16, 0.02), (1920, 1080, 16, 0.10), (3840, 2160, 64, 0.15)],
)
@pytest.mark.parametrize("name", ["mini", "ViT-B-32", "ViT-L-14"])
def test_cutouts_are_a_small_share_of_a_steps_operations(name, width, height, cutouts, most):
    counts = counts_of(Case(name, width, height, cutouts))
    assert counts["cutouts"].flops <= most * total_of(counts.values()).flops


@pytest.mark.parametrize(
    ("width", "height", "cutouts", "megabytes"), [(1920, 1080, 16, 64), (3840, 2160, 64, 400)]
)
@pytest.mark.parametrize("name", ["mini", "ViT-B-32", "ViT-L-14"])
def test_the_largest_tensor_outside_the_tower(name, width, height, cutouts, megabytes):
    counts = counts_of(Case(name, width, height, cutouts))
    largest = max(count.largest for part, count in counts.items() if part != "tower")
    assert largest <= megabytes * 1e6


def test_ten_steps_of_a_small_transformer_take_a_card_ten_milliseconds_at_least():
    whole = total_of(counts_of(Case("ViT-B-32", 640, 360, 16)).values())
    assert 10 * whole.seconds <= 0.010


@pytest.mark.parametrize("name", ["mini", "ViT-B-32"])
def test_a_step_does_not_grow_beyond_what_the_guide_sees(name):
    hd, four_k = (
        counts_of(Case(name, width, height, 16)) for width, height in ((1920, 1080), (3840, 2160))
    )
    assert total_of(four_k.values()).bytes == pytest.approx(total_of(hd.values()).bytes, rel=0.01)


def test_attention_is_counted_as_one_kernel():
    queries = on_meta(2, 3, 5, 8, dtype=torch.bfloat16)
    with flash_attention_on_meta():
        found = counted(lambda: F.scaled_dot_product_attention(queries, queries, queries))
    assert found.operators == 1
    assert found.flops == 2 * (2 * 2 * 3 * 5 * 5 * 8)
    assert found.largest < 2 * 3 * 5 * 5 * 4 + 2 * queries.nbytes  # no matrix of all pairs


def test_operators_do_not_depend_on_the_size():
    found = [counts_of(case) for case in CASES if case.guide == "mini"]
    assert len({total_of(counts.values()).operators for counts in found}) == 1


def test_what_crosses_the_border_is_counted_once_each_way():
    def there_and_back() -> None:
        there = torch.ones(3, 5).to("meta")
        (there + 1).byte().cpu()

    assert crossed(there_and_back) == Journey(up=3 * 5 * 4, down=3 * 5)
    assert crossed(lambda: torch.ones(3).double()) == Journey()


@pytest.mark.parametrize(("pix_fmt", "size"), [("yuv420p", 1), ("yuv420p10le", 2)])
def test_pixels_travel_as_code_values(pix_fmt, size):
    parts = journeys(pix_fmt)
    assert parts["reading"] == Journey(up=size * HD_VALUES)
    assert parts["delivery"] == Journey(down=size * HD_VALUES)


def test_what_travels_for_a_frame_beside_its_pixels():
    parts = journeys("yuv420p")
    assert parts["flow"] == Journey(up=2 * 2 * 540 * 960 * 4, down=4 * 540 * 960)
    assert parts["cuts"].down <= 0.3e6
    assert parts["carry"].down == pytest.approx(2 * 4 * HD_VALUES / 8, rel=1e-3)
    assert parts["choices"].up <= 10e6
    assert whole(parts).up <= 25e6
    assert whole(parts).down <= 15e6


@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "%03d.png"])
def test_of_a_frame_without_a_carry_the_journal_asks_for_what_the_encoder_takes(
    monkeypatch, tmp_path, name
):
    """Its digest, too, is of that: 8 bits a value, before chroma is halved."""
    monkeypatch.setattr(Behind, "do", lambda self, work, device=None: work())
    run = Run.of({}, VideoConfig(prompt=["ice"]), {})
    frame = Frame(on_meta(3, 48, 64), Fraction(0), Fraction(1, 24))
    with Journal(tmp_path / name, run, VideoInfo(64, 48, Fraction(24))) as journal:
        moved = crossed(lambda: journal.write(frame))
        assert len(journal.state.digest) == 64
    assert moved == Journey(down=3 * 48 * 64)


def test_the_roofline_tells_the_same_in_json(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["roofline.py", "--json", "--guides", "mini", "--steps", "3"])
    roofline.main()
    everything = json.loads(capsys.readouterr().out)
    assert everything["travels"]["1920x1080 yuv420p"]["reading"] == {"up": HD_VALUES, "down": 0}
    told = everything["mini 640x360 x16"]
    assert told["all"]["operators"] == sum(part["operators"] for part in told["parts"].values())
    assert told["frame_ms"] == pytest.approx(3 * told["step_ms"])
    assert told["launch_ms"] == pytest.approx(0.005 * told["all"]["operators"])
