"""Prompts as guides see them: what cutouts are asked to mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from dreamvid.config import PromptConfig, TargetConfig, TimeConfig, split_scene, split_weight
from dreamvid.guide.loading import Clip, load_clip
from dreamvid.guide.tower import ImageTower, see_whole
from dreamvid.types import Mix, PromptWeights


@dataclass(frozen=True)
class Targets:
    """What prompts mean to one guide. Features are of unit length, (P, D); weights (P,)."""

    attract: Tensor
    attract_weights: Tensor
    repel: Tensor
    repel_weights: Tensor
    directions: Tensor
    """normalise(T_B − T_A)."""
    ends: Tensor
    """T_B of each direction, for reporting."""
    direction_weights: Tensor
    scenes: Tensor
    """Texts that follow one another in time, (S, D): none of them holds until `at` a moment."""

    def at(self, meaning: PromptWeights) -> Targets:
        """What holds at one moment; its mix of scenes becomes the last that attracts."""
        attract, weights = self.attract, (*meaning.prompt, *meaning.image_prompt)
        if meaning.mix is not None:
            attract = torch.cat([attract, mixed(self.scenes, meaning.mix)[None]])
            weights = (*weights, meaning.mix_weight)
        return replace(
            self,
            attract=attract,
            attract_weights=attract.new_tensor(weights),
            repel_weights=attract.new_tensor(meaning.negative),
            direction_weights=attract.new_tensor(meaning.to),
        )

    def to(self, device: torch.device) -> Targets:
        return Targets(**{name: value.to(device) for name, value in vars(self).items()})


def mixed(scenes: Tensor, mix: Mix) -> Tensor:
    """The point (D,) of unit length on the great circle between two of `scenes` (S, D).

    Spherical linear interpolation (Shoemake, 1985): the meaning turns at an even pace, where a
    straight mix would shorten and hurry in the middle.
    """
    first, second = scenes[mix.first], scenes[mix.second]
    angle = 2 * ((second - first).norm() / 2).clamp(max=1).asin()
    if angle < 1e-4:
        return first
    turned = ((1 - mix.share) * angle).sin() * first + (mix.share * angle).sin() * second
    return F.normalize(turned, dim=0)


class ClipObjective:
    """The prompts as one guide sees them; see `dreamvid.dream.objective.Objective`.

        Σ w⁺·d(E(c(I)), T⁺)  +  Σ w⁻·max(0, ⟨E(c(I)), T⁻⟩)  −  Σ w·⟨E(c(I)) − E(c(S)), N⟩

    averaged over cutouts c: d is the spherical distance, N a direction's normalised difference.
    Negatives repel by plain cosine, as a spherical force would grow the further they are, and
    only until unrelated: pushed on to its opposite, a negative undoes what the prompts attain.
    Directions use the difference's projection, whose gradient, unlike its cosine's, is finite at
    I = S.
    """

    def __init__(self, tower: ImageTower, targets: Targets) -> None:
        self.tower = tower
        self.targets = targets
        self.size = tower.size
        self.compares = len(targets.directions) > 0

    def at(self, meaning: PromptWeights) -> ClipObjective:
        """The same guide at a moment where `meaning` holds. Quick: no text is encoded anew."""
        return ClipObjective(self.tower, self.targets.at(meaning))

    def __call__(self, cutouts: Tensor, source_cutouts: Tensor | None) -> Tensor:
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
        """K whole images (3, H, W) as the guide sees them, in one pass: (K, D), of unit length."""
        return see_whole(self.tower, images)

    def similarity(self, image: Tensor) -> Tensor:
        """Weighted mean cosine of the whole image (3, H, W) to what attracts; a scalar.

        Where nothing attracts, minus that to the negatives.
        """
        return self.similarities([image])[0]

    def similarities(self, images: Sequence[Tensor]) -> Tensor:
        """Those of K images, seen in one pass: (K,)."""
        return self.agreement(self.embed(images))

    def agreement(self, features: Tensor) -> Tensor:
        """The similarity of images by their features (K, D), as `embed` gives them: (K,)."""
        targets = self.targets
        wanted = torch.cat([targets.attract, targets.ends])
        weights = torch.cat([targets.attract_weights, targets.direction_weights])
        if not len(wanted):
            wanted, weights = -targets.repel, targets.repel_weights
        return features @ wanted.T @ weights / weights.sum().clamp(min=1e-6)


def spherical_distance(cosine: Tensor) -> Tensor:
    """`2·asin(‖u−v‖/2)²` of unit vectors from their cosine: half the squared angle between them.

    Finite in value and gradient for all cosines; at ±1 the gradient is cut to 0.
    """
    return torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6)).square() / 2


def create_objective(
    clip: Clip, prompts: PromptConfig, images: Sequence[Tensor] = ()
) -> ClipObjective:
    """What `prompts` mean to `clip`; `images` are the pictures of its image prompts, in order.

    The text tower is not kept: with `clip` gone, it is freed.
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
    """The prompts of `config` as each of its guides sees them; `images` as in `create_objective`.

    `on_warning` is told, in one line, of a prompt that is too long for a guide. Raises GuideError
    where a guide cannot be had.
    """
    objectives = []
    for guide in config.guide:
        clip = load_clip(guide, device, config.precision)
        for text in _texts(config):
            if not clip.reads_all(text):
                on_warning(f"guide '{guide}' has no room for the end of '{text}'")
        objectives.append(create_objective(clip, config, images))
        del clip  # two would not fit everywhere
    return objectives


def _texts(prompts: PromptConfig) -> list[str]:
    """All that a text tower is asked for."""
    scenes = prompts.at if isinstance(prompts, TimeConfig) else []
    weighted = [*prompts.prompt, *prompts.negative, *prompts.to]
    return [*_split(weighted)[0], *prompts.from_, *(split_scene(text)[0] for _, text in scenes)]


def _split(weighted: Sequence[str]) -> tuple[list[str], list[float]]:
    pairs = [split_weight(text) for text in weighted]
    return [text for text, _ in pairs], [weight for _, weight in pairs]
