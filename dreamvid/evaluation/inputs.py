"""Inputs of an evaluation: checked before anything heavy is loaded, then opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dreamvid.config import (
    EvalConfig,
    PromptConfig,
    ReadConfig,
    VideoConfig,
    build_config,
    split_assignment,
    split_weight,
)
from dreamvid.errors import ConfigError, MediaError
from dreamvid.evaluation.provenance import guides_of, has_dreamed, read_recipe
from dreamvid.events import Listener, Message, Warned
from dreamvid.guide.names import parse_guide
from dreamvid.media.files import check_input, check_output, is_pipe
from dreamvid.media.probing import VideoInfo, probe
from dreamvid.media.source import OnWarning, Source
from dreamvid.media.still import IMAGE_SUFFIXES, read_weighted
from dreamvid.plot import PLOT_SUFFIXES

if TYPE_CHECKING:
    import torch

    from dreamvid.guide.objective import ClipObjective
    from dreamvid.media.reader import FrameReader
    from dreamvid.types import Frame


CAMERA_RATES = ("zoom", "rotate")
"""Options of the camera that may change from frame to frame."""


@dataclass(frozen=True)
class Outputs:
    """The pictures that an evaluation writes, each of which may be None."""

    sheet: Path | None
    plot: Path | None
    overwrite: bool

    def check(self, source: Path) -> None:
        """Raise MediaError or ConfigError where one cannot be written."""
        for path, suffixes in ((self.plot, PLOT_SUFFIXES), (self.sheet, IMAGE_SUFFIXES)):
            if path is not None:
                check_output(path, source, self.overwrite, suffixes)
        if self.plot is not None and self.plot == self.sheet:
            raise ConfigError(f"--plot and --sheet are both '{self.plot}'; allowed: two files")


@dataclass(frozen=True)
class Inputs:
    """A result, its source, and the options and prompts by which they are compared."""

    source: Source
    result: Path
    info: VideoInfo
    """The result's header."""
    recipe: VideoConfig | None
    """The options that made the result; None where they are unknown."""
    config: EvalConfig

    @classmethod
    def find(cls, source: Path, result: Path, config: EvalConfig, outputs: Outputs) -> Self:
        """Check both files and the outputs, without decoding more than a picture.

        Raises ConfigError or MediaError where one of them cannot be used.
        """
        for path in (source, result):
            if is_pipe(path):
                raise ConfigError(
                    f"'{path}' cannot be measured; allowed: files, which can be read twice"
                )
        found = Source.find(source)
        outputs.check(source)
        info = probe(result)
        return cls(found, result, info, read_recipe(result, info), config)

    @property
    def prompts(self) -> PromptConfig:
        """The prompts that were given, or else those of the recipe."""
        given = any(getattr(self.config, name) for name in PromptConfig.model_fields)
        return self.config if given or self.recipe is None else self.recipe

    def check_judge(self, force: bool) -> None:
        """Raise ConfigError, GuideError or MediaError where the judge cannot be used.

        A guide may judge what it dreamed itself only with `force`.
        """
        judge = self.config.judge
        if judge is None:
            return
        parse_guide(judge)
        if has_dreamed(judge, self.recipe) and not force:
            raise ConfigError(
                f"--judge: '{judge}' dreamed this result and would praise it; allowed: another "
                "model, or --force"
            )
        self.prompts.require_prompt()
        for weighted in self.prompts.image_prompt:
            check_input(Path(split_weight(weighted)[0]))

    def load_judge(self, device: torch.device, listener: Listener) -> ClipObjective | None:
        """The judge with its prompts; None, and a message, where none was named."""
        from dreamvid.guide.loading import load_clip
        from dreamvid.guide.objective import create_objective

        if self.config.judge is None:
            listener(Message("no --judge, so no gain: what the dream means is not measured"))
            return None
        if not guides_of(self.recipe):
            listener(
                Warned("the result does not tell which guide dreamed it; the judge must be another")
            )
        images = read_weighted(self.prompts.image_prompt)
        return create_objective(load_clip(self.config.judge, device), self.prompts, images)

    def open_source(
        self, result: VideoInfo, on_warning: OnWarning, device: torch.device
    ) -> FrameReader:
        """Open the source at the size of `result`; its span as given, or else as in the recipe.

        Raises MediaError where the two differ in shape and no size of that shape was asked for.
        """
        reading = self._reading()
        reader = self.source.open(on_warning, device, **reading)
        if (reader.info.width, reader.info.height) == (result.width, result.height):
            return reader
        reader.close()
        if "x" not in self.config.size and (self.recipe is None or "x" not in self.recipe.size):
            _check_shape(self.source.path, reader.info, result)
        size = f"{result.width}x{result.height}"
        return self.source.open(on_warning, device, **reading, size=size)

    def view(self, sources: FrameReader, listener: Listener) -> Iterator[Frame]:
        """The source's frames through the moving camera of the recipe, if it has one."""
        from dreamvid.film.listening import schedule_of
        from dreamvid.film.view import CameraView

        if self.recipe is None:
            return iter(sources)
        # Only the camera matters here, so that sound is analysed only where the camera follows it.
        course = [each for each in self.recipe.set_ if split_assignment(each)[0] in CAMERA_RATES]
        filmed = self.recipe.model_copy(update={"set_": course, "at": []})
        schedule, _ = schedule_of(filmed, self.source, sources, listener)
        return map(CameraView.of(filmed, sources, schedule).frame, sources)

    def _reading(self) -> dict[str, Any]:
        """The options by which the source is read, by field of `ReadConfig`."""
        span = ("start", "end", "fps")
        names = (*span, "rate", "seconds") if self.source.kind == "pictures" else span
        recipe, config = self.recipe, self.config
        told = {} if recipe is None else {name: getattr(recipe, name) for name in names}
        given = {name: getattr(config, name) for name in span}
        told |= {name: value for name, value in given.items() if value is not None}
        reading = build_config(ReadConfig, given=told)
        return {name: getattr(reading, name) for name in told}


def _check_shape(path: Path, source: VideoInfo, result: VideoInfo) -> None:
    """Raise MediaError where the shapes differ by more than a height rounded to an even number."""
    shape = source.height / (source.width * source.sample_aspect_ratio)
    expected = result.width * result.sample_aspect_ratio * shape
    if abs(expected - result.height) > 2:
        raise MediaError(
            f"the result is {result.width}x{result.height}, and '{path}' of {source.width}x"
            f"{source.height} has another shape; allowed: the source of this result"
        )
