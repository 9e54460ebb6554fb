"""Weights between those of two guides."""

from __future__ import annotations

import torch
from average import average


def test_weights_lie_a_share_of_the_way_and_keep_their_precision():
    before = {"weight": torch.tensor([0.0, 2.0]).half(), "count": torch.tensor(3)}
    after = {"weight": torch.tensor([1.0, -2.0]).half(), "count": torch.tensor(7)}
    between = average(before, after, 0.25)
    assert between["weight"].tolist() == [0.25, 1.0]
    assert between["weight"].dtype == torch.float16
    assert between["count"].item() == 7
