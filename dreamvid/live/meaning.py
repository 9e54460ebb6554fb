"""What the prompts mean to the guides, also those that are added while it is played."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dreamvid.config import VideoConfig, split_weight
from dreamvid.control.schedule import Setting
from dreamvid.dream.objective import Objective
from dreamvid.film.sequence import FrameSettings
from dreamvid.guide.loading import load_clip
from dreamvid.guide.objective import FilmObjective, as_film_objective, create_objective
from dreamvid.media.still import read_weighted

if TYPE_CHECKING:
    import torch

    from dreamvid.film.job import Parts


class Meaning:
    """The objectives of `config`, which keep up with its texts; both towers of guides stay loaded.

    `parts` are the caller's own, in place of those that the options name. `on_warning` is called
    with one line for each text that is too long for a guide. Raises GuideError, MediaError.
    """

    def __init__(
        self,
        config: VideoConfig,
        device: torch.device,
        parts: Parts,
        on_warning: Callable[[str], None],
    ) -> None:
        self._parts, self._warn = parts, on_warning
        self._own = [as_film_objective(each) for each in parts.objectives or ()]
        names = [] if self._own else config.guide
        self._clips = [load_clip(name, device, config.precision) for name in names]
        paths = [] if self._own else config.image_prompt
        self._images = read_weighted(paths)
        self._texts: Sequence[str] | None = None
        self._objectives: Sequence[FilmObjective] = self._own

    def at(self, setting: Setting[VideoConfig], texts: VideoConfig) -> FrameSettings:
        """The settings of a frame, whose prompts are those of `texts`; new ones are encoded."""
        if self._clips and texts.prompt != self._texts:
            self._read(texts)
        then: list[Objective] = [each.at(setting.prompts) for each in self._objectives]
        own, changes = self._parts, setting.prompts.changes
        return FrameSettings(setting.config, then, own.canvas, own.terms, changes)

    def _read(self, texts: VideoConfig) -> None:
        known = set(self._texts or ())
        for clip in self._clips:
            for text in (split_weight(each)[0] for each in texts.prompt if each not in known):
                if not clip.reads_all(text):
                    self._warn(f"guide '{clip.name}' has no room for the end of '{text}'")
        self._objectives = [create_objective(clip, texts, self._images) for clip in self._clips]
        self._texts = texts.prompt
