"""Objectives for whole films, and the objective of a CLIP model and prompts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from dreamvid.config import (
    PromptConfig,
    TargetConfig,
    TimeConfig,
    split_area,
    split_scene,
    split_weight,
)
from dreamvid.dream.cutouts import crop, whole_window
from dreamvid.dream.objective import Objective
from dreamvid.guide.loading import Clip, load_clip
from dreamvid.guide.tower import ImageTower, see_whole
from dreamvid.types import Mix, PromptWeights


class FilmObjective(Objective, Protocol):
    """A judge of cutouts that can guide a whole film: any differentiable one, CLIP or not.

    `size`, `compares` and the loss are those of `Objective`; dreaming one image needs no more. The
    two methods below let prompts change with time, and let progress be reported. A judge without
    prompts that inherits from this class need only define `similarities`.
    """

    def at(self, prompt_weights: PromptWeights) -> FilmObjective:
        """The objective at one moment; called for every frame, so it must be quick.

        The default is the objective itself at all times.
        """
        return self

    def similarities(self, images: Sequence[Tensor]) -> Tensor:
        """Scores (K,) of K whole images (3, H, W), for reports: on any scale, higher is better.

        Images are in [0, 1] and may differ in size. No gradient is needed.
        """
        raise NotImplementedError


class Unprompted(FilmObjective):
    """A plain `Objective` that guides a film: the same at all times.

    The score of an image is minus the loss of the whole image. An objective that compares gets
    the image itself as its source.
    """

    def __init__(self, objective: Objective) -> None:
        self.size, self.compares = objective.size, objective.compares
        self._objective = objective

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        return self._objective(cutouts, source_cutouts)

    @torch.no_grad()
    def similarities(self, images: Sequence[Tensor]) -> Tensor:
        shown = [crop(image, whole_window(image), self.size) for image in images]
        return torch.stack([-self(each, each if self.compares else None) for each in shown])


def as_film_objective(objective: Objective) -> FilmObjective:
    """The objective itself if it can guide a film, otherwise a wrapper that can."""
    can_guide = hasattr(objective, "at") and hasattr(objective, "similarities")
    return cast("FilmObjective", objective) if can_guide else Unprompted(objective)


@dataclass(frozen=True)
class Targets:
    """Prompts as features of one guide, of unit length (P, D), and their weights (P,)."""

    attract: Tensor
    attract_weights: Tensor
    repel: Tensor
    repel_weights: Tensor
    directions: Tensor
    """Unit vectors normalise(T_B − T_A), one for each direction."""
    ends: Tensor
    """T_B of each direction; similarities are measured to these features."""
    direction_weights: Tensor
    scenes: Tensor
    """Texts that follow one another in time, (S, D); unused until `at` mixes two of them."""

    def at(self, prompt_weights: PromptWeights) -> Targets:
        """The targets at one moment; the mix of scenes becomes the last attracting one."""
        attract, weights = self.attract, (*prompt_weights.prompt, *prompt_weights.image_prompt)
        if prompt_weights.mix is not None:
            attract = torch.cat([attract, mixed(self.scenes, prompt_weights.mix)[None]])
            weights = (*weights, prompt_weights.mix_weight)
        return replace(
            self,
            attract=attract,
            attract_weights=attract.new_tensor(weights),
            repel_weights=attract.new_tensor(prompt_weights.negative),
            direction_weights=attract.new_tensor(prompt_weights.to),
        )

    def to(self, device: torch.device) -> Targets:
        return Targets(**{name: value.to(device) for name, value in vars(self).items()})


def mixed(scenes: Tensor, mix: Mix) -> Tensor:
    """The point (D,) of unit length on the great circle between two of `scenes` (S, D).

    Spherical linear interpolation (Shoemake, 1985): the angle grows in proportion to the share,
    where linear interpolation would change fastest in the middle.
    """
    first, second = scenes[mix.first], scenes[mix.second]
    angle = 2 * ((second - first).norm() / 2).clamp(max=1).asin()
    if angle < 1e-4:
        return first
    turned = ((1 - mix.share) * angle).sin() * first + (mix.share * angle).sin() * second
    return F.normalize(turned, dim=0)


class ClipObjective(FilmObjective):
    """The loss of cutouts with respect to the prompts, by one CLIP model.

        Σ w⁺·d(E(c(I)), T⁺)  +  Σ w⁻·max(0, ⟨E(c(I)), T⁻⟩)  −  Σ w·⟨E(c(I)) − E(c(S)), N⟩

    averaged over cutouts c of the image I and its source S: E is the image tower, T a text's or a
    picture's features, d the spherical distance, N = normalise(T_B − T_A) a direction.
    Negatives repel by plain cosine, because the spherical distance's force grows with distance, and
    only while the cosine is positive: an image pushed to the opposite of a negative loses what the
    prompts attained. Directions use the projection onto N, whose gradient, unlike that of the
    difference's cosine, is finite at I = S.
    """

    def __init__(self, tower: ImageTower, targets: Targets) -> None:
        self.tower = tower
        self.targets = targets
        self.size = tower.size
        self.compares = len(targets.directions) > 0

    def at(self, prompt_weights: PromptWeights) -> ClipObjective:
        """The same guide with the prompts' weights at one moment; no text is encoded again."""
        return ClipObjective(self.tower, self.targets.at(prompt_weights))

    def work_key(self) -> Hashable:
        """Equal for objectives of one tower: this and `buffers` let a step be captured."""
        return type(self), id(self.tower)

    def buffers(self) -> Sequence[Tensor]:
        """The tensors in which two moments of a film differ."""
        return list(vars(self.targets).values())

    def on(self, buffers: Sequence[Tensor]) -> ClipObjective:
        """The same guide with targets in these tensors."""
        return ClipObjective(self.tower, Targets(*buffers))

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
        """The loss, a scalar; `source_cutouts` (the same windows) are needed for directions."""
        targets = self.targets
        features: Tensor = self.tower(cutouts)  # (N, D)
        attraction = spherical_distance(features @ targets.attract.T) @ targets.attract_weights
        repulsion = (features @ targets.repel.T).clamp(min=0) @ targets.repel_weights
        loss = (attraction + repulsion).mean()
        if source_cutouts is not None:
            with torch.no_grad():
                before = self.tower(source_cutouts)
            progress = (features - before) @ targets.directions.T @ targets.direction_weights
            loss = loss - progress.mean()
        return loss

    @torch.no_grad()
    def embed(self, images: Sequence[Tensor]) -> Tensor:
        """Features (K, D) of unit length of K whole images (3, H, W), in one pass."""
        return see_whole(self.tower, images)

    def similarity(self, image: Tensor) -> Tensor:
        """Weighted mean cosine of the whole image (3, H, W) to the attracting prompts; a scalar.

        Without attracting prompts, minus the mean cosine to the negatives.
        """
        return self.similarities([image])[0]

    def similarities(self, images: Sequence[Tensor]) -> Tensor:
        """The similarity of each of K images (3, H, W), in one pass: (K,)."""
        return self.agreement(self.embed(images))

    def agreement(self, features: Tensor) -> Tensor:
        """The similarity (K,) of images from their features (K, D), as `embed` gives them."""
        targets = self.targets
        wanted = torch.cat([targets.attract, targets.ends])
        weights = torch.cat([targets.attract_weights, targets.direction_weights])
        if not len(wanted):
            wanted, weights = -targets.repel, targets.repel_weights
        return features @ wanted.T @ weights / weights.sum().clamp(min=1e-6)


def spherical_distance(cosine: Tensor) -> Tensor:
    """`2·asin(‖u−v‖/2)²` of unit vectors u, v from their cosine: half their squared angle.

    Value and gradient are finite for all cosines; at ±1 the gradient is 0.
    """
    return torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6)).square() / 2


def create_objective(
    clip: Clip, prompts: PromptConfig, images: Sequence[Tensor] = ()
) -> ClipObjective:
    """The objective that `prompts` make with `clip`.

    `images` (3, H, W) are the pictures of the image prompts, in order. The objective keeps the
    image tower alone: once `clip` is dropped, the text tower is freed.
    """
    texts, weights = _split(prompts.prompt)
    _, image_weights = _split(prompts.image_prompt)
    negatives, negative_weights = _split(prompts.negative)
    ends, end_weights = _split(prompts.to)
    scenes = prompts.at if isinstance(prompts, TimeConfig) else []
    to = clip.embed_texts(ends)
    targets = Targets(
        attract=torch.cat([clip.embed_texts(texts), clip.embed_images(images)]),
        attract_weights=torch.tensor([*weights, *image_weights]),
        repel=clip.embed_texts(negatives),
        repel_weights=torch.tensor(negative_weights),
        directions=F.normalize(to - clip.embed_texts(prompts.from_), dim=-1),
        ends=to,
        direction_weights=torch.tensor(end_weights),
        scenes=clip.embed_texts([split_scene(text)[0] for _, text in scenes]),
    )
    return ClipObjective(clip.tower, targets.to(clip.tower.scale.device))


def create_objectives(
    config: TargetConfig,
    device: torch.device,
    images: Sequence[Tensor] = (),
    on_warning: Callable[[str], None] = lambda message: None,
) -> list[ClipObjective]:
    """The objective of each guide of `config`; `images` as in `create_objective`.

    `on_warning` is called with one line for each prompt that is too long for a guide, or of which
    it has learned no word. Raises GuideError where a guide is not available.
    """
    objectives = []
    for guide in config.guide:
        clip = load_clip(guide, device, config.precision)
        for text in _texts(config):
            if not clip.reads_all(text):
                on_warning(f"guide '{guide}' has no room for the end of '{text}'")
            if clip.vocabulary is not None and not clip.knows(text):
                on_warning(
                    f"guide '{guide}' has learned no word of '{text}'; it knows "
                    f"{clip.vocabulary.language} words for things that one can see"
                )
        objectives.append(create_objective(clip, config, images))
        del clip  # before the next one is loaded: the memory may not hold two
    return objectives


def _texts(prompts: PromptConfig) -> list[str]:
    """All texts that a text tower encodes."""
    scenes = prompts.at if isinstance(prompts, TimeConfig) else []
    weighted = [*prompts.prompt, *prompts.negative, *prompts.to]
    return [*_split(weighted)[0], *prompts.from_, *(split_scene(text)[0] for _, text in scenes)]


def _split(weighted: Sequence[str]) -> tuple[list[str], list[float]]:
    """Texts, without their areas, and weights."""
    pairs = [split_weight(text) for text in weighted]
    return [split_area(text)[0] for text, _ in pairs], [weight for _, weight in pairs]
