"""The settings of each frame: a schedule's numbers, and its prompts as the guides see them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from dreamvid.config import (
    Area,
    CommandConfig,
    ImageConfig,
    PromptConfig,
    VideoConfig,
)
from dreamvid.control.schedule import Schedule
from dreamvid.dream.canvas import Canvas
from dreamvid.dream.objective import Objective
from dreamvid.dream.octaves import resize
from dreamvid.dream.terms import Term
from dreamvid.film.areas import parts_of, with_files
from dreamvid.film.sequence import FrameSettings, SettingsAt
from dreamvid.guide.clipseg import ClipSegFinder
from dreamvid.guide.finding import MaskFinder, WordFinder
from dreamvid.guide.loading import load_clip
from dreamvid.guide.microbatch import Microbatches, MicrobatchSize
from dreamvid.guide.objective import (
    ClipObjective,
    FilmObjective,
    as_film_objective,
    create_objectives,
)
from dreamvid.media.still import read_weighted
from dreamvid.types import Frame, PromptWeights

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dreamvid.film.report import Reporter


def load_objectives(
    config: CommandConfig,
    device: torch.device,
    reporter: Reporter,
    own: Sequence[Objective] | None = None,
) -> Sequence[FilmObjective]:
    """One objective per guide, with the text and picture prompts; `own` instead, where given.

    Raises GuideError, MediaError.
    """
    if own is not None:
        return [as_film_objective(each) for each in own]
    images = read_weighted(config.image_prompt)
    objectives = create_objectives(config, device, images, reporter.warn)
    reporter.say(f"dreaming on {device} with {', '.join(config.guide)}")
    return objectives


def scheduled_settings(
    schedule: Schedule[VideoConfig],
    objectives: Sequence[FilmObjective],
    canvas: Canvas | None = None,
    terms: Sequence[Term] | None = None,
) -> SettingsAt:
    """Settings for `dream_frames` that follow `schedule`, by each frame's own time.

    `canvas` and `terms` are the same for all frames; None means those of the options.
    """

    def settings_at(frame: Frame, index: int) -> FrameSettings:
        setting = schedule(frame.time, index, frame.duration)

        def at(prompts: PromptWeights) -> list[FilmObjective]:
            return [objective.at(prompts) for objective in objectives]

        parts = parts_of(setting.config.areas, setting.prompts, at)
        return FrameSettings(
            setting.config,
            at(setting.prompts),
            canvas,
            terms,
            changes=setting.prompts.changes,
            parts=parts,
        )

    return settings_at


def load_finder(
    config: VideoConfig | ImageConfig,
    objectives: Sequence[FilmObjective],
    device: torch.device,
) -> MaskFinder | None:
    """The finder of --where, --where-not and areas from words, if any.

    By --where-model, or else by the first guide; it shares the image tower of the first of
    `objectives`. Raises GuideError.
    """
    if not config.has_words:
        return None
    areas = words_of(config)
    if config.where_model is not None:
        words = [(config.where, config.where_not), *areas]
        return ClipSegFinder.load(config.where_model, words, config.where_threshold, device)
    clip = load_clip(config.guide[0], device, config.precision)
    first = objectives[0]
    tower = first.tower if isinstance(first, ClipObjective) else None
    wanted, unwanted, threshold = config.where, config.where_not, config.where_threshold
    return WordFinder.of(clip, wanted, unwanted, threshold, tower, areas)


def words_of(config: PromptConfig) -> list[tuple[list[str], list[str]]]:
    """The wanted and the unwanted words of each area that has some, in the order of `parts_of`."""
    areas = [area for area in dict.fromkeys(config.areas) if area is not None]
    return [
        ([area.name], []) if area.kind == "where" else ([], [area.name])
        for area in areas
        if area.is_of_words
    ]


def with_finder(settings_at: SettingsAt, finder: MaskFinder, steers: bool) -> SettingsAt:
    """The same settings, with masks from words at each frame's own threshold.

    Where it `steers`, they also say where to dream.
    """

    def found(frame: Frame, index: int) -> FrameSettings:
        settings = settings_at(frame, index)
        assert isinstance(settings.config, VideoConfig)
        here = finder.at(settings.config.where_threshold)
        return replace(settings, finder=here, finder_steers=steers)

    return found


def without_steps(settings_at: SettingsAt) -> SettingsAt:
    """The same settings, but nothing is dreamed."""

    def idle(frame: Frame, index: int) -> FrameSettings:
        settings = settings_at(frame, index)
        none = {"steps": 0, "first_steps": 0}
        return replace(settings, config=settings.config.model_copy(update=none))

    return idle


def with_masks(
    settings_at: SettingsAt, mask_at: Callable[[Fraction], Tensor], steers: bool
) -> SettingsAt:
    """The same settings, under the mask (1, H, W) of each frame's time; called in that order.

    Where it `steers`, it also says where to dream.
    """

    def masked(frame: Frame, index: int) -> FrameSettings:
        mask = mask_at(frame.time).to(frame.image)
        region = resize(mask, frame.image.shape[1:]) if steers else None
        return replace(settings_at(frame, index), mask=mask, region=region)

    return masked


def with_areas(settings_at: SettingsAt, mask_at: Callable[[Area, Fraction], Tensor]) -> SettingsAt:
    """The same settings, with the masks (1, H, W) of areas from files at each frame's time.

    `mask_at` is called in the order of time.
    """

    def placed(frame: Frame, index: int) -> FrameSettings:
        settings = settings_at(frame, index)

        def mask_of(area: Area) -> Tensor:
            return mask_at(area, frame.time).to(frame.image)

        return replace(settings, parts=with_files(settings.parts, mask_of))

    return placed


def with_microbatches(settings_at: SettingsAt, on_limited: Callable[[int], None]) -> SettingsAt:
    """The same settings, each guide shown as many cutouts at once as the memory holds.

    `on_limited` is called with each smaller number.
    """
    sizes: defaultdict[int, MicrobatchSize] = defaultdict(lambda: MicrobatchSize(on_limited))

    def microbatched(frame: Frame, index: int) -> FrameSettings:
        settings = settings_at(frame, index)

        def limited(objectives: Sequence[Objective]) -> list[Microbatches]:
            return [Microbatches(each, sizes[place]) for place, each in enumerate(objectives)]

        parts = [replace(part, objectives=limited(part.objectives)) for part in settings.parts]
        return replace(settings, objectives=limited(settings.objectives), parts=parts)

    return microbatched


def mean_similarities(
    objectives: Sequence[FilmObjective | Microbatches], images: Sequence[Tensor]
) -> list[float]:
    """The similarity of images (3, H, W) to the prompts, the mean over all objectives."""
    by_guide = [objective.similarities(images).tolist() for objective in objectives]
    return [sum(each) / len(objectives) for each in zip(*by_guide, strict=True)]
