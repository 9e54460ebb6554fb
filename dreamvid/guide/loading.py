"""Guides by their names: CLIP models, loaded by open_clip, and why one cannot be had."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dreamvid.device import choose_precision
from dreamvid.errors import GuideError
from dreamvid.guide.folding import fold_batch_norms
from dreamvid.guide.names import GuideName, parse_guide
from dreamvid.guide.tower import ImageTower, see_whole

HUB_PATIENCE_S = 5.0


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
        return see_whole(self.tower, images) if images else self.embed_texts([])


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
    tower = ImageTower(fold_batch_norms(model.visual), model.visual.preprocess_cfg, dtype).to(
        device
    )
    return Clip(text, model, tokenizer, tower)


def _is_convolutional(visual: nn.Module) -> bool:
    """Whether most of what it multiplies by are convolutions: a ResNet, no ViT or ConvNeXt."""
    kinds = [type(module) for module in visual.modules()]
    return kinds.count(nn.Conv2d) > kinds.count(nn.Linear)


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
