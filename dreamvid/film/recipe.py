"""The recipe of a result: its metadata, and everything that decides its pixels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamvid.config import (
    COMMANDS,
    CommandConfig,
    MaskConfig,
    ScheduledConfig,
    checked,
    command_of,
    config_from,
    split_weight,
)
from dreamvid.config.loading import Config
from dreamvid.errors import ConfigError, shown
from dreamvid.film.blank import blank_name
from dreamvid.guide.names import parse_guide

if TYPE_CHECKING:
    import torch

    from dreamvid.film.job import Job
    from dreamvid.journal import Run

METADATA_KEY = "dreamvid"
"""Key under which a result's metadata hold the options that made it, as JSON."""


def metadata(config: CommandConfig, source: str) -> dict[str, str]:
    """Metadata that say how a result was made; empty where `config` switches them off."""
    if not config.metadata:
        return {}
    made = {
        "version": version("dreamvid"),
        "command": command_of(config),
        "source": source,
        "options": config.model_dump(mode="json", by_alias=True),
    }
    text = json.dumps(made, ensure_ascii=False)
    # A name that is not UTF-8 holds surrogates, which FFmpeg takes only as JSON's escapes.
    return {METADATA_KEY: text.encode("utf-8", "backslashreplace").decode()}


@dataclass(frozen=True)
class Recipe:
    """How a result was made, as its metadata tell it."""

    command: str
    """Name of the command."""
    source: str
    """IN, as it was typed."""
    version: str
    """Version of dreamvid."""
    options: Mapping[str, Any]
    """The value of each option, by its name."""

    def config(self, model: type[Config]) -> Config:
        """Its options, as far as `model` has them. Raises ConfigError where one is not allowed."""
        return config_from(model, self.options, f"a result of dreamvid {self.version}")


def parse_recipe(text: str) -> Recipe:
    """The recipe in a result's metadata. Raises ValueError where it is none."""
    recipe = checked(Recipe, json.loads(text))
    if recipe.command not in COMMANDS:
        raise ValueError(f"of an unknown command: {recipe.command}")
    return recipe


def read_recipe(result: Path) -> Recipe:
    """How the film or picture `result` was made.

    Raises MediaError where it cannot be read, ConfigError where its metadata do not tell.
    """
    from dreamvid.media.files import check_input
    from dreamvid.media.probing import probe
    from dreamvid.media.profiles import read_texts
    from dreamvid.media.still import IMAGE_SUFFIXES

    check_input(result)
    is_picture = result.suffix.lower() in IMAGE_SUFFIXES
    texts = read_texts(result) if is_picture else probe(result).metadata
    try:
        return parse_recipe(texts[METADATA_KEY])
    except (KeyError, ValueError, RecursionError):
        raise ConfigError(
            f"'{shown(result)}' does not tell how it was made; allowed: results of dreamvid that "
            "have their metadata"
        ) from None


def find_source(recipe: Recipe, result: Path) -> str:
    """The IN of a result: as it was typed, from this folder or from that of the result.

    Raises ConfigError where it is in neither.
    """
    from dreamvid.media.image_sequence import names_images

    for folder in (Path(), result.parent):
        path = folder / recipe.source
        if blank_name(recipe.source) or path.exists() or names_images(path):
            return recipe.source if folder == Path() else str(path)
    raise ConfigError(
        f"'{recipe.source}', of which '{result}' was made, is not there; allowed: --source FILE"
    )


def describe_run(job: Job, device: torch.device | None, picture: Path | None = None) -> Run:
    """The identity of a run: its input files, its options, and the machine that computes it.

    Without a `device`, the machine is left out: several may share the work. `picture` is written
    beside the film, where given.
    """
    import torch

    from dreamvid.journal import FileMark, Run
    from dreamvid.media.source import Source

    source = job.source
    blank = FileMark.of_blank(job.source_name)
    marks = {"the source": FileMark.of(source.path, source.files) if source else blank}
    for name, path in _other_inputs(job.config):
        marks[name] = FileMark.of(path, Source.find(path).files)
    machine = {} if device is None else {"the device": str(device)}
    if isinstance(job.config, MaskConfig) and job.config.where_model is not None:
        folder = Path(job.config.where_model)
        files = sorted(path for path in folder.iterdir() if path.is_file())
        marks["--where-model"] = FileMark.of(folder, files)
        machine["transformers"] = version("transformers")
    if device is not None and device.type == "cpu":
        machine["torch's number of threads"] = str(torch.get_num_threads())
    return Run.of(marks, job.config, machine, picture)


def _other_inputs(
    config: CommandConfig,
) -> Iterator[tuple[str, Path]]:
    """Yield the files that options name, each with its option and number."""
    for option in ("mask", "depth", "flow_weights"):
        path = getattr(config, option, None)
        if path is not None:
            yield f"--{option.replace('_', '-')}", Path(path)
    for number, area in enumerate(config.areas, 1):
        if area is not None and area.is_of_file:
            yield f"the area of --prompt {number}", Path(area.name)
    if isinstance(config, ScheduledConfig):
        for number, file in enumerate(config.music_files, 1):
            is_sound = file == config.sound_file
            yield "--music" if is_sound else f"--music {number}", Path(file.path)
    for number, text in enumerate(config.image_prompt, 1):
        yield f"--image-prompt {number}", Path(split_weight(text)[0])
    for number, text in enumerate(config.guide, 1):
        weights = parse_guide(text).pretrained
        if weights is not None and Path(weights).is_file():
            yield f"--guide {number}", Path(weights)
