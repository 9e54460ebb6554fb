"""Sums over runs, and what a summary says of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dreamvid.errors import JournalError
from dreamvid.events import Event, Finished, Progress, Warned
from dreamvid.film.report import Reporter, Tally

TALLY: dict[str, Any] = {
    "frames": 2,
    "before": 0.2,
    "after": 1.0,
    "shots": 1,
    "retried": [0.5],
    "kept": [],
    "strikes": 0,
    "reached": 0.0,
}


def test_a_tally_is_read_back():
    assert Tally.from_json(json.loads(json.dumps(TALLY))).to_json() == TALLY
    assert Tally.from_json(None) == Tally()


@pytest.mark.parametrize(
    "facts", [{"__class__": 3}, {"summary": 1}, {"frames": "many"}, {"retried": 3}, {"kept": ["x"]}]
)
def test_a_tally_of_somebody_else_is_refused(facts):
    with pytest.raises(JournalError, match="is of another kind; allowed: the same command"):
        Tally.from_json(TALLY | facts)


def test_a_summary_counts_over_all_runs():
    told: list[Event] = []
    reporter = Reporter(told.append)
    reporter.go_on(Tally.from_json(TALLY))
    reporter.progress("dreaming", 4)
    reporter.count(0.1, 0.5)
    reporter.warn("the sound is silent")
    summary = reporter.finish(None, digest="abc", guide=["mini"])
    assert (summary.frames, summary.similarity_before) == (3, 0.1)
    assert summary.similarity_after == 0.5
    assert summary.warnings == ("the sound is silent",)
    assert told[1:] == [
        Progress("dreaming", 2, 4),
        Warned("the sound is silent"),
        Finished(summary),
    ]
    printed = summary.to_json()
    assert (printed["retried"], printed["guide"]) == ([0.5], ["mini"])
    assert not {"kept", "loop", "device"} & printed.keys()


@pytest.mark.parametrize(("reached", "told"), [(0.9, 0), (0.5, 1)])
def test_a_strength_that_is_not_reached_is_told(reached, told):
    reporter = Reporter(lambda event: None)
    reporter.go_on(Tally.from_json(TALLY | {"strikes": 2, "reached": 2 * reached}))
    reporter.note_strikes()
    assert len(reporter.warnings) == told
    assert all(
        "on 2 frames, where the dream reaches 50% of it" in each for each in reporter.warnings
    )
    printed = reporter.finish(None).to_json()
    assert (printed["strikes"], printed["strength_reached"]) == (2, reached)


def test_without_strikes_nothing_is_told():
    reporter = Reporter(lambda event: None)
    reporter.note_strikes()
    assert reporter.warnings == []
    assert not {"strikes", "strength_reached"} & reporter.finish(None).to_json().keys()


def test_little_memory_is_told_once():
    told: list[Event] = []
    reporter = Reporter(told.append)
    for count in (8, 4):
        reporter.note_microbatch(count)
    assert len(told) == 1
    assert "now sees 8 cutouts at once" in reporter.warnings[0]
