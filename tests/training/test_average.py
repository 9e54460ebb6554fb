"""Weights between those of two guides."""

from __future__ import annotations

import torch
from average import average, described


def test_weights_lie_a_share_of_the_way_and_keep_their_precision():
    before = {"visual.weight": torch.tensor([0.0, 2.0]).half(), "count": torch.tensor(3)}
    after = {"visual.weight": torch.tensor([1.0, -2.0]).half(), "count": torch.tensor(7)}
    between = average(before, after, 0.25, 0.5)
    assert between["visual.weight"].tolist() == [0.25, 1.0]
    assert between["visual.weight"].dtype == torch.float16
    assert between["count"].item() == 7


def test_words_may_lie_elsewhere():
    before, after = {"token": torch.tensor([0.0])}, {"token": torch.tensor([1.0])}
    assert average(before, after, 0.25, 0.5)["token"].tolist() == [0.5]


def test_the_norm_of_learned_words_lies_between_too():
    before = {"vocabulary_cfg": {"language": "English", "learned_norm": 1.0}}
    after = {"model_cfg": {}, "vocabulary_cfg": {"language": "English", "learned_norm": 0.8}}
    vocabulary = {"language": "English", "learned_norm": 0.9}
    assert described(before, after, 0.5) == {"model_cfg": {}, "vocabulary_cfg": vocabulary}
