"""Guides: CLIP models that say how well a picture agrees with a text. All go through open_clip."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dreamvid.config import PromptConfig, TargetConfig, TimeConfig, split_scene, split_weight
from dreamvid.device import choose_precision
from dreamvid.dream.cutouts import cut
from dreamvid.dream.frozen import freeze, lower
from dreamvid.dream.losses import spherical_distance
from dreamvid.dream.names import GuideName, parse_guide
from dreamvid.dream.replay import CudaRecording, Replayed
from dreamvid.errors import GuideError
from dreamvid.types import Meaning, Mix

HUB_PATIENCE_S = 5.0


class ImageTower(nn.Module):
    """A guide's image side: (N, 3, size, size) R'G'B' in [0, 1] → (N, D) of unit length.

    Owns its normalisation and input size; frozen; autocasts to `dtype`, where that is not float32.
    """

    def __init__(
        self,
        visual: nn.Module,
        preprocess: dict[str, Any],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """`visual` and its `preprocess_cfg`, as open_clip has them. Raises GuideError."""
        super().__init__()
        size = preprocess["size"]
        sides = {size} if isinstance(size, int) else set(size)
        if len(sides) != 1:
            raise GuideError(f"the guide's input is {size}; only square ones can be used")
        self.size: int = sides.pop()
        self.dtype = dtype
        self.visual = visual.to(memory_format=torch.channels_last)
        mean, std = (torch.tensor(preprocess[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", 1 / std)
        self.register_buffer("shift", -mean / std)
        self.eval().requires_grad_(False)
        if dtype != torch.float32:
            lower(self.visual, dtype)
        self._replayed = Replayed(self._see, CudaRecording)

    def forward(self, images: Tensor) -> Tensor:
        normalised = torch.addcmul(self.shift, images, self.scale)
        normalised = normalised.contiguous(memory_format=torch.channels_last)
        see = self._replayed if images.is_cuda else self._see
        unit: Tensor = F.normalize(see(normalised).to(images.dtype), dim=-1)
        return unit

    def _see(self, normalised: Tensor) -> Tensor:
        """Features (N, D) of any length and precision."""
        with self._lowered(normalised.device.type):
            features = self.visual(normalised)
        if isinstance(features, tuple):  # CoCa: pooled features and tokens
            features = features[0]
        pooled: Tensor = features
        return pooled

    def _lowered(self, device_type: str) -> AbstractContextManager[object]:
        if self.dtype == torch.float32:
            return nullcontext()
        # A cache of rounded weights would outlive the graph that is being recorded.
        return torch.autocast(device_type, self.dtype, cache_enabled=False)


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

    def at(self, meaning: Meaning) -> Targets:
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
    """The prompts as one guide sees them; see `dreamvid.dream.optimise.Objective`.

        Σ w⁺·d(E(cut(I)), T⁺)  +  Σ w⁻·max(0, ⟨E(cut(I)), T⁻⟩)  −  Σ w·⟨E(cut(I)) − E(cut(S)), N⟩

    averaged over cutouts: d is the spherical distance, N a direction's normalised difference.
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

    def at(self, meaning: Meaning) -> ClipObjective:
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
        return _see_whole(self.tower, images)

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


def _see_whole(tower: ImageTower, images: Sequence[Tensor]) -> Tensor:
    """The features (K, D) of K whole pictures (3, H, W), on any device."""
    shown = [cut(image, _whole(image), tower.size) for image in images]
    features: Tensor = tower(torch.cat(shown).to(tower.scale.device))
    return features


def _whole(image: Tensor) -> Tensor:
    """The one window (1, 4) that shows all of `image`, reflected at its longer sides."""
    height, width = image.shape[1:]
    half = max(height, width) / 2
    reach = torch.tensor([half / width, half / height], device=image.device)
    return torch.cat([0.5 - reach, 0.5 + reach])[None]


@dataclass(frozen=True)
class Clip:
    """A loaded guide, both towers."""

    name: str
    model: nn.Module
    tokenizer: Any
    tower: ImageTower

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """(P, D) of unit length; (0, D) for no texts."""
        device = self.tower.scale.device
        features = self.model.encode_text(self.tokenizer(list(texts) or [""]).to(device))  # type: ignore[operator]
        unit: Tensor = F.normalize(features.float(), dim=-1)[: len(texts)]
        return unit

    def reads_all(self, text: str) -> bool:
        """Whether it has room for all of `text`: what is too long, tokenizers cut in silence."""
        return not text or not torch.equal(self.tokenizer([text]), self.tokenizer([text[:-1]]))

    @torch.no_grad()
    def embed_images(self, images: Sequence[Tensor]) -> Tensor:
        """(P, D) of unit length for P whole pictures (3, H, W)."""
        return _see_whole(self.tower, images) if images else self.embed_texts([])


def load_clip(text: str, device: torch.device, precision: str = "float32") -> Clip:
    """Load the guide of this name, downloading its weights where they are not cached.

    `precision` is that of its image tower, as in `GuideConfig`.

    Raises GuideError, one line, where it does not exist or its weights cannot be had.
    """
    name = parse_guide(text)
    with _quiet():
        import open_clip
    _check_tag(name, open_clip)
    offline = not name.is_local and not _hub_answers()
    with _quiet(), _hub_mode(offline):
        try:
            model = open_clip.create_model(
                name.model,
                pretrained=name.pretrained,
                device=device,
                force_quick_gelu=_wants_quick_gelu(name, open_clip),
                require_pretrained=True,
            )
            tokenizer = open_clip.get_tokenizer(name.model)
        except ImportError as error:
            raise GuideError(
                f"guide '{text}' needs a package that is not installed: pip install {error.name}"
            ) from error
        except Exception as error:  # open_clip and the hub raise all kinds
            raise GuideError(_why_not(name, offline, error)) from error
    dtype = choose_precision(precision, device, _is_convolutional(model.visual))
    tower = ImageTower(freeze(model.visual), model.visual.preprocess_cfg, dtype).to(device)
    return Clip(text, model, tokenizer, tower)


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


def _is_convolutional(visual: nn.Module) -> bool:
    """Whether most of what it multiplies by are convolutions: a ResNet, no ViT or ConvNeXt."""
    kinds = [type(module) for module in visual.modules()]
    return kinds.count(nn.Conv2d) > kinds.count(nn.Linear)


def _split(weighted: Sequence[str]) -> tuple[list[str], list[float]]:
    pairs = [split_weight(text) for text in weighted]
    return [text for text, _ in pairs], [weight for _, weight in pairs]


def _check_tag(name: GuideName, open_clip: Any) -> None:
    if name.pretrained is None or Path(name.pretrained).is_file():
        return
    tags = open_clip.list_pretrained_tags_by_model(name.model)
    if name.pretrained not in tags:
        raise GuideError(
            f"guide '{name.text}': '{name.pretrained}' is neither a file nor a tag of "
            f"{name.model}; allowed: {', '.join(tags) or 'a file (it has no tags)'}"
        )


def _wants_quick_gelu(name: GuideName, open_clip: Any) -> bool:
    """Whether the tag was trained with QuickGELU: open_clip only warns of a mismatch."""
    config = open_clip.get_pretrained_cfg(name.model, name.pretrained or "")
    return bool(config.get("quick_gelu", False))


def _why_not(name: GuideName, offline: bool, error: Exception) -> str:
    if name.is_local:
        # torch's own words advise to load it unsafely
        unknown = isinstance(error, UnpicklingError)
        reason = "this is no file of weights" if unknown else _first_line(error)
        return f"guide '{name.text}' cannot be loaded: {reason}"
    if offline:
        return (
            f"guide '{name.text}' is not cached and the hub cannot be reached; "
            "connect to the internet, name a file (MODEL:FILE) or use --guide mini"
        )
    return (
        f"guide '{name.text}' cannot be had: {_first_line(error)}; --guide mini needs no download"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".:")


def _hub_answers() -> bool:
    """Whether the hub can be reached: asked once, where its client retries for a minute."""
    from huggingface_hub import constants

    if constants.is_offline_mode():
        return False
    request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=HUB_PATIENCE_S).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@contextmanager
def _hub_mode(offline: bool) -> Iterator[None]:
    """Let the hub's client look into its cache alone, where `offline`."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or offline
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep open_clip from logging and warning: what is wrong is told by GuideError."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
