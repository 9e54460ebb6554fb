"""Teach a text tower the vectors that an image tower was trained on."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Sequence

import model as models
import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor
from views import DRAWN, PHOTOGRAPHED, Concept, Views

TEMPLATES = (
    *("{}", "{}", "{}", "{}", "a {}", "a {}", "the {}", "a picture of a {}", "a photo of a {}"),
    *("{} everywhere", "a painting of {}", "many {}", "full of {}", "a drawing of a {}"),
)
STYLED = {
    PHOTOGRAPHED: ("a photograph of a {}", "photograph of {}", "{}, photograph"),
    DRAWN: ("a cartoon of a {}", "an emoji of a {}", "{}, clip art"),
}
"""Phrases that ask for a style, where there are photographs beside the drawings."""
STYLED_SHARE = 0.08
"""Of the captions, for each style."""
STYLE_PULL = 0.3
"""How far a phrase lies towards its style, where the concept's vector has the length 1."""
JOINED = ("{} and {}", "{} with {}", "{} {}", "{} in {}", "{} of {}", "{} made of {}")
JOINED_SHARE = 0.25
"""Of the phrases that ask for two things at once."""
KIND_SHARE = 0.1
"""Of the captions of a thing of which there are kinds: those that name one of them."""
KEYWORD_WEIGHT = 0.3
"""How well a keyword fits, where a name fits as 1."""
BATCH, RATE, TOKEN_RATE = 256, 2e-3, 1e-2
WARM_UP = 0.05


def fits(concepts: Sequence[Concept], weights: Tensor) -> tuple[list[str], Tensor]:
    """All captions, and how well each fits each concept: (captions, concepts), rows of sum 1.

    Of two concepts of one name, the one that is spoken of more often (`weights`) fits better.
    """
    known: dict[str, dict[int, float]] = defaultdict(dict)
    for number, concept in enumerate(concepts):
        for word in concept.keywords:
            known[word][number] = KEYWORD_WEIGHT
        for name in concept.names:
            known[name][number] = 1.0
    for number, concept in enumerate(concepts):
        for kind in concept.kinds:
            known[kind][number] = 1.0
    table = torch.zeros(len(known), len(concepts))
    for row, fitting in enumerate(known.values()):
        table[row, list(fitting)] = torch.tensor(list(fitting.values()))
    table *= weights.float() + 1e-3
    return list(known), table / table.sum(1, keepdim=True)


def teach(
    model: CLIP, vectors: Tensor, style: Tensor, views: Views, steps: int, scale: float
) -> float:
    """Fit the text tower so that a caption lies where the concepts lie that it fits.

    `vectors` are the concepts', (n, EMBEDDING) of unit length, `style` points from what is drawn to
    what is photographed, (EMBEDDING,) of unit length; the loss is the cross entropy of
    each caption among them all, at the `scale` at which they were learned, and one minus the cosine
    to the fitting ones' mean. Returns the norm that tells a token's row that was learned.
    """
    phrases = Phrases(views)
    tokens = model.token_embedding.weight
    before = tokens.detach().clone()
    others = [
        parameter
        for name, parameter in model.named_parameters()
        if not name.startswith(("visual.", "token_embedding.", "logit_scale"))
    ]
    groups = [{"params": others, "peak": RATE}, {"params": [tokens], "peak": TOKEN_RATE}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0, fused=True)
    for step in range(steps):
        done = step / steps
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate_at(done, WARM_UP)
        written, wanted, styles = phrases.draw()
        texts = models.encode_text(model, written)
        entropy = -(wanted * F.log_softmax(scale * texts @ vectors.T, 1)).sum(1).mean()
        aim = F.normalize(wanted @ vectors, dim=1) + STYLE_PULL * styles[:, None] * style
        loss = entropy + (1 - (texts * F.normalize(aim, dim=1)).sum(1)).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([*others, tokens], 1.0)
        optimizer.step()
        if (step + 1) % 500 == 0:
            told = {"words": step + 1, "loss": round(float(loss.detach()), 3)}
            print(json.dumps(told), flush=True)
    with torch.no_grad():
        seen = phrases.tokens_seen()
        if steps:
            tokens.copy_(spread(before, tokens, seen))
        return learned_norm(tokens, seen)


def learned_norm(tokens: Tensor, seen: Tensor) -> float:
    """Half way between the rows that are rarely shorter, the seen ones, and those rarely longer."""
    is_seen = torch.zeros(len(tokens), dtype=torch.bool)
    is_seen[seen] = True
    norms = tokens.norm(dim=1)
    shortest, longest = norms[is_seen].quantile(0.05), norms[~is_seen].quantile(0.99)
    return round(float(shortest + longest) / 2, 3)


def rate_at(done: float, warm_up: float) -> float:
    """A share of the greatest rate: up in a line, down by half a cosine."""
    return min(1, done / warm_up + 0.01) * (0.51 + 0.49 * math.cos(math.pi * done))


def spread(before: Tensor, after: Tensor, seen: Tensor) -> Tensor:
    """The tokens' vectors, (vocabulary, width), those never seen moved as those that were.

    By the linear map that carries the seen ones from where they were to where they are, least
    squares with a ridge, so that a word never seen keeps its place among those alike to it.
    """
    x, y = before[seen], after[seen]
    ridge = x.square().sum() / len(before[0]) * torch.eye(len(before[0]))
    moved: Tensor = before @ torch.linalg.solve(x.T @ x + 0.1 * ridge, x.T @ y)
    moved[seen] = y
    return moved


class Phrases:
    """Draws captions, as tokens, and what they fit."""

    def __init__(self, views: Views) -> None:
        self._concepts, self._weights = views.concepts, views.weights
        self._styled = STYLED_SHARE if views.has_photographs else 0.0
        captions, self._table = fits(views.concepts, views.weights)
        self._rows = {caption: row for row, caption in enumerate(captions)}
        self._tokenize = SimpleTokenizer(context_length=models.CONTEXT)

    def tokens_seen(self) -> Tensor:
        """The numbers of all tokens of all captions."""
        return torch.tensor(sorted(set(self._tokenize(list(self._rows)).flatten().tolist())))

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, how well each phrase fits each concept, and the style that it asks for.

        (BATCH, CONTEXT), (BATCH, concepts), and (BATCH,) of PHOTOGRAPHED, DRAWN or 0.
        """
        both = torch.multinomial(self._weights, 2 * BATCH, replacement=True).view(2, -1)
        ones, others = ([self._caption(n) for n in numbers] for numbers in both.tolist())
        joined = torch.rand(BATCH) < JOINED_SHARE
        chance = torch.rand(BATCH)
        styles = torch.where(chance < self._styled, PHOTOGRAPHED, 0.0)
        styles = torch.where(chance > 1 - self._styled, DRAWN, styles)
        styles = torch.where(joined, 0.0, styles)
        written = [
            _with_articles(
                _pick(JOINED if two else STYLED.get(style, TEMPLATES)).format(one, other)
            )
            for one, other, two, style in zip(
                ones, others, joined.tolist(), styles.tolist(), strict=True
            )
        ]
        first, second = (self._table[[self._rows[c] for c in cs]] for cs in (ones, others))
        wanted = torch.where(joined[:, None], (first + second) / 2, first)
        return self._tokenize(written), wanted, styles

    def _caption(self, number: int) -> str:
        """A name, mostly."""
        concept = self._concepts[number]
        if concept.kinds and float(torch.rand(())) < KIND_SHARE:
            return _pick(concept.kinds)
        is_keyword = concept.keywords and float(torch.rand(())) < KEYWORD_WEIGHT
        return _pick(concept.keywords if is_keyword else concept.names)


def _with_articles(phrase: str) -> str:
    return re.sub(r"\ba (?=[aeiou])", "an ", phrase)


def _pick(choices: Sequence[str]) -> str:
    return choices[int(torch.randint(len(choices), ()))]
