"""Captions, and where they come to lie."""

from __future__ import annotations

import model as models
import torch
import words
from open_clip.tokenizer import SimpleTokenizer
from torch.nn import functional as F
from views import Concept

MOONS = [
    Concept(["full moon", "moon"], ["night"]),
    Concept(["crescent moon", "moon"], ["night", "banana"]),
    Concept(["banana"], []),
]


def test_a_caption_fits_what_it_names_more_than_what_it_recalls():
    captions, table = words.fits(MOONS)
    rows = dict(zip(captions, table.tolist(), strict=True))
    assert rows["full moon"] == [1, 0, 0]
    assert rows["moon"] == rows["night"] == [0.5, 0.5, 0]
    torch.testing.assert_close(torch.tensor(rows["banana"]), torch.tensor([0, 0.3, 1]) / 1.3)


def test_taught_captions_lie_where_their_concepts_do(prepared):
    torch.manual_seed(0)
    model = models.create("rn24", 32, prepared / "data.npz")
    vectors = F.normalize(torch.randn(3, models.EMBEDDING), dim=1)
    things = [Concept([name], []) for name in ("tree", "sea", "owl")]
    words.teach(model, vectors, things, steps=150, scale=16)
    tokenize = SimpleTokenizer(context_length=models.CONTEXT)
    with torch.no_grad():
        texts = models.encode_text(model, tokenize(["tree", "a picture of an owl", "tree and owl"]))
    tree, owl, both = (texts @ vectors.T).tolist()
    assert tree[0] > 0.8 > 0.3 > max(tree[1:])
    assert owl[2] > 0.8 > 0.3 > max(owl[:2])
    assert min(both[0], both[2]) > 0.5 > 0.3 > both[1]
