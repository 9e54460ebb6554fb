"""The page itself: what was found, filled into one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamvid.evaluation.curves import curve_panels, cuts_of
from dreamvid.film.blank import blank_name
from dreamvid.film.outlook import outlook_panels
from dreamvid.plot import Line, Panel
from dreamvid.reporting.charts import Chart, Tick, draw, ticks
from dreamvid.reporting.facts import (
    choices,
    facts_of,
    outcomes,
    prompts_of,
    rerun_command,
    titles_of,
)
from dreamvid.reporting.footage import Meaning
from dreamvid.reporting.run import Findings, Subject
from dreamvid.reporting.words import first_figures, other_figures, signed

if TYPE_CHECKING:
    from jinja2 import Template

FOLDER = Path(__file__).parent / "template"


@dataclass(frozen=True)
class Charts:
    """Charts over one span of time, and the times below them."""

    charts: tuple[Chart, ...]
    ticks: tuple[Tick, ...]


def render(subject: Subject, findings: Findings, warnings: Sequence[str]) -> bytes:
    """The page about a result, as UTF-8. All that comes from outside is escaped."""
    config, course, meaning = subject.config, findings.course, findings.meaning
    span = (0.0, max(findings.shown.seconds, 1e-3))
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    text = _template().render(
        origin="" if blank_name(subject.source) else Path(subject.recipe.source).name,
        titles=titles_of(config, subject.result),
        name=subject.result.name,
        shown=findings.shown,
        data=base64.b64encode(findings.shown.data).decode(),
        moments=[_moment(moment) for moment in findings.shown.moments],
        rise=_rise(meaning),
        course=None if course is None else _charts(outlook_panels(course), span, course.beats),
        measures=_measures(findings, span),
        first=first_figures(findings.figures),
        others=other_figures(findings.figures),
        measured_at=findings.measured_at,
        measuring=subject.measuring,
        prompts=prompts_of(config),
        choices=choices(subject.recipe),
        facts=list(
            facts_of(subject.recipe, config, subject.result, findings.about, subject.summary)
        ),
        outcomes=[] if subject.is_picture else list(outcomes(subject.summary)),
        warnings=list(dict.fromkeys([*_warned(subject), *warnings])),
        command=rerun_command(subject.result),
        style=(FOLDER / "style.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    # Names that are not UTF-8 hold surrogates.
    return text.encode("utf-8", "backslashreplace")


def _warned(subject: Subject) -> Sequence[str]:
    return () if subject.summary is None else subject.summary.warnings


@cache
def _template() -> Template:
    """The page's template, which escapes all that is filled in."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html")


def _moment(moment: Any) -> dict[str, Any]:
    """A moment, its pictures as base64."""
    source = None if moment.source is None else base64.b64encode(moment.source).decode()
    result = base64.b64encode(moment.result).decode()
    return {"time": moment.time, "source": source, "result": result}


def _charts(
    panels: Sequence[Panel], span: tuple[float, float], marks: Sequence[float]
) -> Charts | None:
    """The charts of panels, with lines at the marks; None without panels."""
    if not panels:
        return None
    return Charts(tuple(draw(panel, span, marks) for panel in panels), tuple(ticks(span)))


def _measures(findings: Findings, span: tuple[float, float]) -> Charts | None:
    """The charts of what was measured over time; None for a picture."""
    panels: list[Panel] = []
    marks: Sequence[float] = ()
    meaning = findings.meaning
    if meaning is not None and len(meaning.times) > 1:
        lines = [Line("dream", meaning.times, meaning.after)]
        if meaning.before:
            lines.append(Line("source", meaning.times, meaning.before, faint=True))
        panels.append(Panel("similarity to the prompts, as the guide sees it", lines))
    if findings.series and len(findings.series["time"]) > 1:
        panels += curve_panels(findings.series)
        marks = cuts_of(findings.series)
    return _charts(panels, span, marks)


def _rise(meaning: Meaning | None) -> str:
    """Where the similarity to the prompts rose, in words; empty where it is not known."""
    if meaning is None or not meaning.after:
        return ""
    after = meaning.after
    mean = sum(after) / len(after)
    if not meaning.before:
        best = max(range(len(after)), key=after.__getitem__)
        return (
            f"In the eyes of the guide its similarity to the prompts is {signed(mean)} on average, "
            f"and highest at {meaning.times[best]:.2f} s, {signed(after[best])}."
        )
    before = sum(meaning.before) / len(after)
    words = (
        f"In the eyes of the guide that dreamed it, its similarity to the prompts rose from "
        f"{signed(before)} to {signed(mean)}"
    )
    if len(after) == 1:
        return f"{words}."
    gains = [late - early for early, late in zip(meaning.before, after, strict=True)]
    most, least = (choose(range(len(gains)), key=gains.__getitem__) for choose in (max, min))
    return (
        f"{words} on average: most at {meaning.times[most]:.2f} s, by {signed(gains[most])}, and "
        f"least at {meaning.times[least]:.2f} s, by {signed(gains[least])}. "
        f"It rose on {sum(gain > 0 for gain in gains)} of {len(gains)} frames looked at."
    )
