"""Teach a text tower the vectors that an image tower was trained on."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence

import model as models
import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor
from views import Concept

TEMPLATES = (
    *("{}", "{}", "{}", "{}", "a {}", "a {}", "the {}", "a picture of a {}", "a photo of a {}"),
    *("{} everywhere", "a painting of {}", "many {}", "full of {}", "a drawing of a {}"),
)
JOINED = ("{} and {}", "{} with {}", "{} {}", "{} in {}", "{} of {}", "{} made of {}")
JOINED_SHARE = 0.25
"""Of the phrases that ask for two things at once."""
KEYWORD_WEIGHT = 0.3
"""How well a keyword fits, where a name fits as 1."""
BATCH, RATE = 256, 2e-3
WARM_UP = 0.05


def fits(concepts: Sequence[Concept]) -> tuple[list[str], Tensor]:
    """All captions, and how well each fits each concept: (captions, concepts), rows of sum 1."""
    known: dict[str, dict[int, float]] = defaultdict(dict)
    for number, concept in enumerate(concepts):
        for word in concept.keywords:
            known[word][number] = KEYWORD_WEIGHT
        for name in concept.names:
            known[name][number] = 1.0
    table = torch.zeros(len(known), len(concepts))
    for row, fitting in enumerate(known.values()):
        table[row, list(fitting)] = torch.tensor(list(fitting.values()))
    return list(known), table / table.sum(1, keepdim=True)


def teach(
    model: CLIP, vectors: Tensor, concepts: Sequence[Concept], steps: int, scale: float
) -> None:
    """Fit the text tower so that a caption lies where the concepts lie that it fits.

    `vectors` are the concepts', (n, EMBEDDING) of unit length; the loss is the cross entropy of
    each caption among them all, at the `scale` at which they were learned, and one minus the cosine
    to the fitting ones' mean. The tokens' own vectors stay, so that words never seen keep their
    place among those that are.
    """
    captions, table = fits(concepts)
    tokenize = SimpleTokenizer(context_length=models.CONTEXT)
    learned = [
        parameter
        for name, parameter in model.named_parameters()
        if not name.startswith(("visual.", "token_embedding.", "logit_scale"))
    ]
    optimizer = torch.optim.AdamW(learned, lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(steps):
        done = step / steps
        rate = RATE * min(1, done / WARM_UP + 0.01) * (0.51 + 0.49 * math.cos(math.pi * done))
        for group in optimizer.param_groups:
            group["lr"] = rate
        phrases, wanted = _draw(captions, table)
        texts = models.encode_text(model, tokenize(phrases))
        entropy = -(wanted * F.log_softmax(scale * texts @ vectors.T, 1)).sum(1).mean()
        loss = entropy + (1 - (texts * F.normalize(wanted @ vectors, dim=1)).sum(1)).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        if (step + 1) % 500 == 0:
            told = {"words": step + 1, "loss": round(float(loss.detach()), 3)}
            print(json.dumps(told), flush=True)


def _draw(captions: list[str], table: Tensor) -> tuple[list[str], Tensor]:
    """BATCH phrases, and how well each fits each concept."""
    one, other = torch.randint(len(captions), (2, BATCH))
    joined = torch.rand(BATCH) < JOINED_SHARE
    pairs = zip(one.tolist(), other.tolist(), joined.tolist(), strict=True)
    phrases = [
        _pick(JOINED).format(captions[a], captions[b])
        if both
        else _pick(TEMPLATES).format(captions[a])
        for a, b, both in pairs
    ]
    return phrases, torch.where(joined[:, None], (table[one] + table[other]) / 2, table[one])


def _pick(templates: Sequence[str]) -> str:
    return templates[int(torch.randint(len(templates), ()))]
