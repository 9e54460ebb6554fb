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


def test_little_memory_is_told_once():
    told: list[Event] = []
    reporter = Reporter(told.append)
    for count in (8, 4):
        reporter.note_microbatch(count)
    assert len(told) == 1
    assert "now sees 8 cutouts at once" in reporter.warnings[0]
