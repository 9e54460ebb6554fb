"""The words that a guide has learned, where the folder of its weights says how to tell them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

_ENGLISH = "a an the of and or in on at with by for from to"
_OTHERS = "der die das ein eine un une uno una le la les l el los las il lo i gli de di du des"
FILLERS = frozenset(f"{_ENGLISH} {_OTHERS}".split())
"""Words that name nothing, of the languages that use the same letters."""


@dataclass(frozen=True)
class Vocabulary:
    """What a guide's `vocabulary_cfg` tells of the words that it was trained on."""

    language: str
    learned_norm: float
    """The least norm of a token's embedding that training has moved."""

    @classmethod
    def of(cls, config_file: Path) -> Vocabulary | None:
        """The facts in a guide's config file; None where it has none."""
        facts = json.loads(config_file.read_text(encoding="utf-8")).get("vocabulary_cfg")
        return None if facts is None else cls(facts["language"], facts["learned_norm"])

    def knows(self, text: str, tokenizer: Any, embedding: nn.Embedding) -> bool:
        """Whether a word of `text` was learned, or there is none to learn.

        A word counts as learned where each of its tokens is.
        """
        norms: Tensor = embedding.weight.detach().float().norm(dim=1)
        words = [word for word in _words(text, tokenizer) if word[0] not in FILLERS]
        found = (bool((norms[tokens] >= self.learned_norm).all()) for _, tokens in words)
        return not words or any(found)


def _words(text: str, tokenizer: Any) -> Iterator[tuple[str, Tensor]]:
    """Each word of `text`, in lower case, and its tokens."""
    word: list[int] = []
    for token in tokenizer.encode(text):
        word.append(token)
        if tokenizer.decoder[token].endswith("</w>"):
            yield tokenizer.decode(word).strip(), torch.tensor(word)
            word = []
