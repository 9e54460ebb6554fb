"""CLIP models loaded by open_clip, and error messages for those that cannot be loaded."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dreamvid.device import choose_precision
from dreamvid.errors import GuideError
from dreamvid.guide.folding import fold_batch_norms
from dreamvid.guide.hub import HubUnreachableError, hub_files, require_hub
from dreamvid.guide.names import GuideName, parse_guide
from dreamvid.guide.tower import ImageTower, see_whole
from dreamvid.guide.vocabulary import Vocabulary

CONFIG_FILE = "open_clip_config.json"
WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
"""open_clip's names for the weights in a repository of the hub, the preferred one first."""
LIBRARIES = frozenset({"open_clip", "timm", "huggingface_hub", "transformers"})
"""Packages whose log adds nothing to the message of a GuideError."""


@dataclass(frozen=True)
class Clip:
    """A loaded guide, both towers."""

    name: str
    model: nn.Module
    tokenizer: Any
    tower: ImageTower
    vocabulary: Vocabulary | None = None
    """What is known of the words that it learned; None for nothing."""

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Features (P, D) of unit length; (0, D) for no texts."""
        device = self.tower.scale.device
        features = self.model.encode_text(self.tokenizer(list(texts) or [""]).to(device))  # type: ignore[operator]
        unit: Tensor = F.normalize(features.float(), dim=-1)[: len(texts)]
        return unit

    def reads_all(self, text: str) -> bool:
        """Whether the whole of `text` fits the text tower; tokenizers cut the rest silently."""
        return not text or not torch.equal(self.tokenizer([text]), self.tokenizer([text[:-1]]))

    def knows(self, text: str) -> bool:
        """Whether it has learned a word of `text`, as far as that is known."""
        embedding: Any = self.model.token_embedding if self.vocabulary else None
        return self.vocabulary is None or self.vocabulary.knows(text, self.tokenizer, embedding)

    @torch.no_grad()
    def embed_images(self, images: Sequence[Tensor]) -> Tensor:
        """Features (P, D) of unit length of P whole pictures (3, H, W) in [0, 1]."""
        return see_whole(self.tower, images) if images else self.embed_texts([])


_kept: dict[tuple[str, torch.device, str], Clip] | None = None
"""Guides that were loaded within `keeping_guides`; None outside of it."""


@contextmanager
def keeping_guides() -> Iterator[None]:
    """Keep every guide that is loaded within the block, for when it is asked for again."""
    global _kept
    _kept = {}
    try:
        yield
    finally:
        _kept = None


def load_clip(text: str, device: torch.device, precision: str = "float32") -> Clip:
    """Load the guide with this name, and download its weights where they are not cached.

    `precision` is the precision of its image tower, as in `GuideConfig`.

    Raises GuideError, one line, where the guide does not exist or its weights are not available.
    """
    if _kept is None:
        return _load_both(text, device, precision)
    key = text, device, precision
    if key not in _kept:
        _kept[key] = _load_both(text, device, precision)
    return _kept[key]


def _load_both(text: str, device: torch.device, precision: str) -> Clip:
    """Load both towers."""
    name = parse_guide(text)
    import open_clip

    _check_tag(name, open_clip)
    with quiet_libraries():
        try:
            model, tokenizer = _load(name, device, open_clip)
            vocabulary = _vocabulary_of(name)
        except ImportError as error:
            raise GuideError(
                f"guide '{text}' needs a package that is not installed: pip install {error.name}"
            ) from error
        except Exception as error:  # open_clip and the hub raise all kinds
            raise GuideError(_why_not(name, error)) from error
    dtype = choose_precision(precision, device, _is_convolutional(model.visual))
    tower = ImageTower(fold_batch_norms(model.visual), model.visual.preprocess_cfg, dtype).to(
        device
    )
    return Clip(text, model, tokenizer, tower, vocabulary)


def _load(name: GuideName, device: torch.device, open_clip: Any) -> tuple[Any, Any]:
    """The model and its tokenizer."""
    local = _with_files(name, open_clip)
    text_config: dict[str, Any] = open_clip.get_model_config(local.model).get("text_cfg", {})
    tag_config = open_clip.get_pretrained_cfg(name.model, name.pretrained or "")
    model = open_clip.create_model(
        local.model,
        pretrained=local.pretrained,
        device=device,
        # open_clip takes these two from the tag, but knows only the tag's file here.
        force_quick_gelu=bool(tag_config.get("quick_gelu", False)),
        force_preprocess_cfg=tag_config,
        require_pretrained=True,
        **_text_tower_override(text_config),
    )
    is_folder = name.model.startswith("local-dir:")
    tokenizer_name = None if is_folder else text_config.get("hf_tokenizer_name")
    if tokenizer_name:
        return model, _hub_tokenizer(tokenizer_name, text_config)
    return model, open_clip.get_tokenizer(local.model)


def _vocabulary_of(name: GuideName) -> Vocabulary | None:
    """What the folder of a guide tells of its words."""
    folder = name.model.removeprefix("local-dir:")
    return None if folder == name.model else Vocabulary.of(Path(folder) / CONFIG_FILE)


def _with_files(name: GuideName, open_clip: Any) -> GuideName:
    """The same guide, named by files on this machine; they are downloaded where not cached."""
    if name.is_local:
        return name
    if name.pretrained is None:
        repository = name.model.removeprefix("hf-hub:")
        config, _ = hub_files(repository, [CONFIG_FILE], WEIGHT_FILES)
        return replace(name, model=f"local-dir:{config.parent}")
    address = open_clip.get_pretrained_cfg(name.model, name.pretrained)["hf_hub"]
    repository, _, file = address.rpartition("/")
    candidates = (Path(file).with_suffix(".safetensors").name, file) if file else WEIGHT_FILES
    (weights,) = hub_files(repository, candidates)
    return replace(name, pretrained=str(weights))


def _text_tower_override(text_config: dict[str, Any]) -> dict[str, Any]:
    """Arguments that make a text tower of `transformers` read its config from a cached file."""
    if "hf_model_name" not in text_config:
        return {}
    (config,) = hub_files(text_config["hf_model_name"], ["config.json"])
    folder = {"hf_model_name": str(config.parent), "hf_model_pretrained": False}
    return {"text_cfg": text_config | folder}


def _hub_tokenizer(name: str, text_config: dict[str, Any]) -> Any:
    """A tokenizer of `transformers`, from cached files if possible.

    `transformers` itself looks for its files, because only it knows which ones it needs. The
    result is that of `open_clip.get_tokenizer`, which would ask the hub for the model's config.
    """
    from open_clip.tokenizer import HFTokenizer

    options = {
        "context_length": text_config.get("context_length", 77),
        "tokenizer_mode": text_config.get("tokenizer_mode"),
        **text_config.get("tokenizer_kwargs", {}),
    }
    try:
        return HFTokenizer(name, local_files_only=True, **options)
    except OSError:
        require_hub()
        return HFTokenizer(name, **options)


def _is_convolutional(visual: nn.Module) -> bool:
    """Whether most layers with weights are convolutions: a ResNet, no ViT or ConvNeXt."""
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


def _why_not(name: GuideName, error: Exception) -> str:
    if isinstance(error, HubUnreachableError):
        return (
            f"guide '{name.text}' is not cached and the hub cannot be reached; "
            "connect to the internet, name a file (MODEL:FILE) or use --guide mini"
        )
    if name.is_local:
        # torch's own message advises to load the file unsafely.
        unknown = isinstance(error, UnpicklingError)
        reason = "this is no file of weights" if unknown else first_line(error)
        return f"guide '{name.text}' cannot be loaded: {reason}"
    return (
        f"guide '{name.text}' is not available: {first_line(error)}; --guide mini needs no download"
    )


def first_line(error: Exception) -> str:
    """The reason that an error tells, fit for the end of a message."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):
        return "its owner must grant access first, on the hub's page of the model"
    if isinstance(error, RepositoryNotFoundError):
        return "the hub has no such repository, or it is private"
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".:")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Drop what `LIBRARIES` log in this thread: a GuideError says what is wrong, in one line.

    Other threads and other packages log as before. open_clip logs to the root logger, which
    therefore needs a filter by the caller's file.
    """
    thread = threading.get_ident()

    def passes(record: logging.LogRecord) -> bool:
        is_theirs = not LIBRARIES.isdisjoint(Path(record.pathname).parts)
        return record.thread != thread or not is_theirs

    # A filter sees only the records of its own logger, not those of its child loggers.
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in LIBRARIES]
    loggers = [logging.root, *map(logging.getLogger, names)]
    for logger in loggers:
        logger.addFilter(passes)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(passes)
