"""The models: ordinary CLIPs of open_clip, small."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from safetensors.torch import save_file
from torch import Tensor

SIDE = 64
"""Of what the image tower sees, in pixels."""
EMBEDDING = 256
CONTEXT = 32
"""Tokens of a prompt, at most."""
VOCABULARY = 49408
MEAN, STD = (0.481, 0.458, 0.408), (0.269, 0.261, 0.276)


VISION = ("resnet10t", "cs3darknet_focus_s")
"""Image towers, as timm names them; their pooling takes views of any side."""


def config(vision: str, text_width: int) -> dict[str, Any]:
    """As open_clip's folder format has it."""
    return {
        "embed_dim": EMBEDDING,
        "vision_cfg": {
            **{"image_size": SIDE, "patch_size": None, "timm_model_name": vision},
            **{"timm_pool": "avg", "timm_proj": "linear"},
        },
        "text_cfg": {
            "context_length": CONTEXT,
            "vocab_size": VOCABULARY,
            "width": text_width,
            "heads": text_width // 32,
            "layers": 2,
        },
    }


def create(vision: str, text_width: int, vectors: Path) -> CLIP:
    """A model whose words begin where GloVe has them, so that unseen ones mean something, too."""
    cfg = config(vision, text_width)
    model = CLIP(EMBEDDING, cfg["vision_cfg"], cfg["text_cfg"], quick_gelu=False)
    data = np.load(vectors)
    glove = torch.from_numpy(data["vectors"])
    glove = glove - glove.mean(0)
    principal = torch.linalg.svd(glove, full_matrices=False)[2][:text_width]
    rows = F.normalize(glove @ principal.T, dim=1)
    with torch.no_grad():
        model.token_embedding.weight.normal_(std=text_width**-0.5)
        model.token_embedding.weight[torch.from_numpy(data["tokens"])] = rows
    return model


def encode_text(model: CLIP, tokens: Tensor) -> Tensor:
    """As the model's own, without the empty places behind the longest one: unit vectors."""
    length = int(tokens.argmax(1).max()) + 1
    tokens = tokens[:, :length]
    x = model.token_embedding(tokens) + model.positional_embedding[:length]
    x = model.transformer(x, attn_mask=model.attn_mask[:length, :length])
    x = model.ln_final(x)[torch.arange(len(x)), tokens.argmax(1)]
    return F.normalize(x @ model.text_projection, dim=-1)


def encode_images(visual: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """What an image tower makes of (n, 3, SIDE, SIDE) in [0, 1]: unit vectors."""
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (MEAN, STD))
    x = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
    return F.normalize(visual(x).float(), dim=-1)


def save(
    state: dict[str, Tensor], vision: str, text_width: int, learned_norm: float, folder: Path
) -> None:
    """In open_clip's folder format, in half precision.

    A token's row of at least `learned_norm` is one that training has moved.
    """
    folder.mkdir(parents=True, exist_ok=True)
    halves = {
        name: value.half().contiguous() if value.is_floating_point() else value
        for name, value in state.items()
        if name != "attn_mask"
    }
    save_file(halves, folder / "open_clip_model.safetensors")
    facts = {
        "model_cfg": config(vision, text_width),
        "preprocess_cfg": {
            **{"mean": MEAN, "std": STD, "size": (SIDE, SIDE)},
            **{"interpolation": "bilinear", "resize_mode": "squash"},
        },
        "vocabulary_cfg": {"language": "English", "learned_norm": learned_norm},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(facts, indent=2) + "\n")
