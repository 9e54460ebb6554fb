"""Masks from words by a CLIPSeg (Lüddecke and Ecker, 2022), from a folder of `transformers`.

Unlike a guide it was trained to say what is where. Its map, the share in [0, 1] to which each pixel
is what a text names, is made to a mask as what a guide sees is: followed along the motion, soft
about the threshold, and sharpened to the picture's edges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dreamvid.dream.octaves import resize
from dreamvid.errors import GuideError
from dreamvid.guide.finding import TURNS, MaskFinder, Wanted, size_seen
from dreamvid.guide.loading import first_line, quiet_libraries

SURE = 3.5
"""Threshold that a share of 1 reaches: the usual one, 1.75, is then a share of one half."""


@dataclass(frozen=True, eq=False)
class ClipSegFinder(MaskFinder):
    """Finds words as a CLIPSeg sees them, in shares from 0 to `SURE`."""

    model: Any
    image_processor: Any

    @classmethod
    def load(
        cls,
        folder: str,
        words: Sequence[tuple[Sequence[str], Sequence[str]]],
        threshold: float,
        device: torch.device,
    ) -> ClipSegFinder:
        """The finder of a folder; nothing is downloaded.

        `words` are the wanted and the unwanted ones of what is to be dreamed, and of each area.
        Raises GuideError.
        """
        named = f"--where-model '{folder}'"
        try:
            model, processor, missing = _load(folder)
        except Exception as error:  # transformers raises all kinds
            raise GuideError(f"{named} cannot be loaded: {first_line(error)}") from error
        if missing:
            raise GuideError(f"{named} cannot be loaded: its weights lack {min(missing)}")
        model = model.float().to(device).eval()
        known = [
            Wanted(*(_embed(model, processor.tokenizer, texts) for texts in each)) for each in words
        ]
        return cls(known, threshold, model, processor.image_processor)

    @torch.no_grad()
    def look(self, image: Tensor, before: Tensor | None = None, turn: int = 0) -> Tensor:
        """Its map of the whole image; with `before` a part of that, as large as a guide's turn."""
        seen = self._maps(image)
        return seen if before is None else seen / TURNS + (1 - 1 / TURNS) * before

    def _maps(self, image: Tensor) -> Tensor:
        words = [side for each in self.wanted for side in (each.wanted, each.unwanted)]
        texts = torch.cat(words)
        shown = self.image_processor(images=image, do_rescale=False, return_tensors="pt")
        pixels = shown["pixel_values"].to(image).expand(len(texts), -1, -1, -1)
        logits = self.model(pixel_values=pixels, conditional_embeddings=texts).logits
        shares = resize(logits.sigmoid(), size_seen(image))  # (P + Q + …, h, w)
        none = torch.zeros_like(shares[0])
        each = torch.split(shares, [len(side) for side in words])
        near = [SURE * side.amax(0) if len(side) else none for side in each]
        return torch.stack([*near, torch.ones_like(none)])


def _load(folder: str) -> tuple[Any, Any, set[str]]:
    """The model, its processor, and the names of the weights that are not there."""
    from transformers import CLIPSegForImageSegmentation, CLIPSegProcessor

    with quiet_libraries(), _without_bars():
        model, told = CLIPSegForImageSegmentation.from_pretrained(
            folder, local_files_only=True, output_loading_info=True
        )
        processor = CLIPSegProcessor.from_pretrained(folder, local_files_only=True)
    return model, processor, set(told["missing_keys"])


@contextmanager
def _without_bars() -> Iterator[None]:
    """Show no progress of `transformers` within the block."""
    from transformers.utils import logging

    were_shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if were_shown:
            logging.enable_progress_bar()


@torch.no_grad()
def _embed(model: Any, tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """What the model is asked for by texts, (P, D); the end of a long one is cut off."""
    if not texts:
        return torch.zeros(0, model.config.projection_dim, device=model.device)
    longest = model.config.text_config.max_position_embeddings
    tokens = tokenizer(
        list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt"
    ).to(model.device)
    embedded: Tensor = model.get_conditional_embeddings(
        len(texts), tokens["input_ids"], tokens["attention_mask"]
    )
    return embedded
