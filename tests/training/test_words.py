"""Captions, and where they come to lie."""

from __future__ import annotations

import model as models
import pytest
import torch
import words
from open_clip.tokenizer import SimpleTokenizer
from torch.nn import functional as F
from views import Concept, Views

MOONS = [
    Concept(["full moon", "moon"], ["night"]),
    Concept(["crescent moon", "moon"], ["night", "banana"]),
    Concept(["banana"], []),
]


def test_a_caption_fits_what_it_names_more_than_what_it_recalls():
    captions, table = words.fits(MOONS, torch.tensor([1, 1, 1]))
    rows = dict(zip(captions, table.tolist(), strict=True))
    assert rows["full moon"] == [1, 0, 0]
    assert rows["moon"] == rows["night"] == [0.5, 0.5, 0]
    torch.testing.assert_close(torch.tensor(rows["banana"]), torch.tensor([0, 0.3, 1]) / 1.3)
    _, table = words.fits(MOONS, torch.tensor([3, 1, 1]))
    assert table[captions.index("moon")].tolist() == pytest.approx([0.75, 0.25, 0], abs=1e-3)


def test_taught_captions_lie_where_their_concepts_do(prepared):
    torch.manual_seed(0)
    model = models.create("resnet10t", 32, prepared / "data.npz")
    views = Views(prepared, ("fluent",))
    views.concepts = [Concept([name], []) for name in ("tree", "sea", "owl")]
    views.weights = torch.ones(3)
    vectors = F.normalize(torch.randn(3, models.EMBEDDING), dim=1)
    style = F.normalize(torch.randn(models.EMBEDDING), dim=0)
    words.teach(model, vectors, style, views, steps=120, scale=16)
    tokenize = SimpleTokenizer(context_length=models.CONTEXT)
    with torch.no_grad():
        texts = models.encode_text(model, tokenize(["tree", "an owl", "tree and owl"]))
    tree, owl, both = (texts @ vectors.T).tolist()
    assert tree[0] > 0.6 > 0.3 > max(tree[1:])
    assert owl[2] > 0.6 > 0.3 > max(owl[:2])
    assert min(both[0], both[2]) > 0.5 > 0.3 > both[1]


def test_words_never_seen_move_as_those_alike_to_them():
    torch.manual_seed(0)
    before, turn = torch.randn(60, 4), torch.linalg.qr(torch.randn(4, 4))[0]
    seen = torch.arange(50)
    after = before.clone()
    after[seen] = before[seen] @ turn + 0.01 * torch.randn(50, 4)
    moved = words.spread(before, after, seen)
    assert torch.equal(moved[seen], after[seen])
    alike = F.cosine_similarity(moved[50:], before[50:] @ turn)
    assert alike.min() > 0.999
    assert F.cosine_similarity(before[50:], before[50:] @ turn).min() < 0.5


def test_the_norm_that_tells_learned_rows_lies_between():
    rows = torch.randn(400, 8)
    rows = F.normalize(rows, dim=1) * torch.linspace(0.4, 0.6, 400)[:, None]
    seen = torch.arange(0, 400, 4)
    rows[seen] *= 4
    told = words.learned_norm(rows, seen)
    unseen = torch.ones(400, dtype=torch.bool)
    unseen[seen] = False
    assert rows[unseen].norm(dim=1).max() < told < rows[seen].norm(dim=1).min()
