"""Progress in a notebook."""

from __future__ import annotations

import io
import sys

from dreamvid.events import Progress, Warned, ignore
from dreamvid.notebook import ProgressBars, usual_listener


def test_a_bar_for_each_stage():
    shown = io.StringIO()
    bars = ProgressBars(file=shown, mininterval=0)
    for event in (
        Progress("dreaming", 1, 3),
        Warned("the sound is silent"),
        Progress("dreaming", 2, 3, "similarity 0.1"),
        Progress("dreaming", 3, 3),
        Progress("joining", 0, None),
    ):
        bars(event)
    text = shown.getvalue()
    assert "dreaming: 100%" in text and "3/3" in text
    assert "dreamvid: warning: the sound is silent" in text
    assert "similarity 0.1" in text
    assert "joining: 0" in text


def test_nothing_is_printed_outside_a_notebook(monkeypatch):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    assert usual_listener() is ignore
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert isinstance(usual_listener(), ProgressBars)
