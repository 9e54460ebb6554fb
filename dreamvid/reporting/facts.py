"""What a result was made of, as rows of a page: prompts, options, versions, what became of it."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dreamvid.config import (
    COMMANDS,
    CommandConfig,
    options,
    split_scene,
    split_weight,
)
from dreamvid.film.recipe import Recipe
from dreamvid.film.report import Summary
from dreamvid.media.files import media_errors

_TOLD_ELSEWHERE = {
    *("prompt", "negative", "image-prompt", "from", "to", "at", "guide", "seed"),
    *("report", "metadata"),
}
_KINDS = {"prompt": "towards", "negative": "away from", "image_prompt": "towards the picture"}
NOT_KNOWN = "not known: a finished file does not hold it; --report tells it, on the run itself"
_MOST_TIMES, _MOST_TITLES = 24, 5


@dataclass(frozen=True)
class Prompt:
    """One prompt, with the part that it plays."""

    part: str
    text: str
    weight: str = ""


@dataclass(frozen=True)
class Choice:
    """An option that differs from its default."""

    name: str
    value: str
    default: str
    help: str


@dataclass(frozen=True)
class Fact:
    """Something worth knowing about a result, in a line."""

    name: str
    value: str
    is_code: bool = False


def prompts_of(config: CommandConfig) -> list[Prompt]:
    """All prompts, in the order of the options."""
    found = [
        Prompt(part, text, "" if weight == 1 else f"{weight:g}")
        for field, part in _KINDS.items()
        for text, weight in map(split_weight, getattr(config, field))
    ]
    for begin, end in zip(config.from_, config.to, strict=True):
        text, weight = split_weight(end)
        found.append(Prompt("from, to", f"{begin} → {text}", "" if weight == 1 else f"{weight:g}"))
    for time, scene in getattr(config, "at", ()):
        text, course = split_scene(scene)
        found.append(Prompt(f"at {time}", text, "" if str(course) == "1" else str(course)))
    return found


def titles_of(config: CommandConfig, result: Path) -> list[str]:
    """The prompts that attract, at most `_MOST_TITLES`; the file's name where there are none."""
    scenes = [split_scene(scene)[0] for _, scene in getattr(config, "at", ())]
    texts = [split_weight(text)[0] for text in [*config.prompt, *config.to]]
    titles = list(dict.fromkeys([*texts, *scenes])) or [result.name]
    return titles if len(titles) <= _MOST_TITLES else [*titles[:_MOST_TITLES], "…"]


def choices(recipe: Recipe) -> list[Choice]:
    """The options of a recipe that differ from their defaults, apart from what is told elsewhere.

    Defaults are those of this version.
    """
    usual = _usual(recipe)
    return [
        Choice(option.name, _shown(value), _shown(usual[option.name]), option.help)
        for option in options(COMMANDS[recipe.command])
        if option.name not in _TOLD_ELSEWHERE
        and (value := recipe.options.get(option.name, usual[option.name])) != usual[option.name]
    ]


def differences(recipes: Sequence[Recipe]) -> list[dict[str, str]]:
    """For each recipe, the options that somebody has chosen, and in which they are not all alike.

    An option that a command does not have is left out for its results.
    """
    names = dict.fromkeys(name for recipe in recipes for name in recipe.options)
    chosen = [
        name
        for name in names
        if name not in ("report", "metadata")
        and any(recipe.options.get(name) != _usual(recipe).get(name) for recipe in recipes)
        and any(recipe.options.get(name) != recipes[0].options.get(name) for recipe in recipes)
    ]
    return [
        {name: _shown(recipe.options[name]) for name in chosen if name in recipe.options}
        for recipe in recipes
    ]


def _usual(recipe: Recipe) -> dict[str, Any]:
    """The defaults of the command that made a result, by option."""
    return COMMANDS[recipe.command]().model_dump(mode="json", by_alias=True)


def _shown(value: Any) -> str:
    """The value of an option as text."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def facts_of(
    recipe: Recipe,
    config: CommandConfig,
    result: Path,
    about: Mapping[str, str],
    summary: Summary | None,
) -> Iterator[Fact]:
    """What is known of a result and of the run that made it; `about` describes its file."""
    yield Fact("made by", f"dreamvid {recipe.version}, {recipe.command}")
    yield Fact("source", Path(recipe.source).name)  # a page is sent about, a folder is not
    yield Fact("result", result.name)
    yield from (Fact(name, value) for name, value in about.items())
    yield Fact("guide", ", ".join(config.guide))
    yield Fact("seed", str(config.seed))
    if summary is None:
        yield Fact("time it took", NOT_KNOWN)
    else:
        each = f", {summary.seconds_per_frame:.2f} s a frame" if summary.frames > 1 else ""
        yield Fact("time it took", f"{duration(summary.seconds)}{each}, on {summary.device}")
    if summary is not None and summary.digest is not None:
        yield Fact("digest of its frames", summary.digest, is_code=True)
    with media_errors(f"'{result}' cannot be read"), result.open("rb") as file:
        yield Fact("SHA-256 of the file", hashlib.file_digest(file, "sha256").hexdigest(), True)


def outcomes(summary: Summary | None) -> Iterator[Fact]:
    """Which frames were dreamed otherwise than planned."""
    if summary is None:
        yield Fact("retried or kept frames", NOT_KNOWN)
        return
    yield Fact("dreamed at half the step", _times(summary.retried))
    yield Fact("left as they began", _times(summary.kept))
    if summary.strength_reached is not None:
        yield Fact(
            "strength reached on the beat",
            f"{summary.strength_reached:.0%} on average, over {summary.strikes} frames on which "
            "it rises at once",
        )


def _times(times: Sequence[float]) -> str:
    """How many frames, and when."""
    if not times:
        return "none"
    named = ", ".join(f"{time:g}" for time in times[:_MOST_TIMES])
    return f"{len(times)}: at {named}{', …' if len(times) > _MOST_TIMES else ''} s"


def duration(seconds: float) -> str:
    """A length of time, as `1 h 02 min` or `3.2 s`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def rerun_command(result: Path) -> str:
    """The command that makes a result again, for a shell."""
    again = result.with_stem(f"{result.stem}-again")
    return shlex.join(["dreamvid", "rerun", _operand(result), _operand(again)])


def _operand(path: Path) -> str:
    """A path that is taken for no option."""
    return f"./{path.name}" if path.name.startswith("-") else path.name
