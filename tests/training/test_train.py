"""The training: what it changes, what it keeps, and that stopping it changes nothing."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
import torch
import train
from model import EMBEDDING, encode_images, encode_text
from torch import nn
from torch.nn import functional as F

from dreamvid.guide.loading import load_clip


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch):
    monkeypatch.setattr(nn.Module, "compile", lambda self: None)


def given(folder: Path, out: Path, **changes: object) -> argparse.Namespace:
    few = {"steps": 4, "word_steps": 3, "batch": 6, "sides": [32, 64], "vision": "resnet10t"}
    ramp = {
        "ramp": (0.0, 0.5),
        "radius": 1.0,
        "rate": 1e-3,
        "simple": (0.6, 0.3),
        "faint": (0, 0.4),
    }
    usual = {"text_width": 32, "seed": 0, "left_out": ["fluent"], "every": 2, "begin": None}
    usual["photographic"] = 0.5
    return argparse.Namespace(folder=folder, out=out, **{**few, **ramp, **usual, **changes})


def run(options: argparse.Namespace, steps: int) -> train.Training:
    training = train.Training(options)
    training.model.train()
    while training.step < steps:
        training.advance()
    return training


def weights(training: train.Training) -> dict[str, torch.Tensor]:
    found = {"vectors": training.tower.vectors.data, "style": training.tower.style.data}
    return {**training.model.state_dict(), **found}


def test_stopped_and_gone_on_with_is_as_in_one_go(prepared, tmp_path):
    whole = run(given(prepared, tmp_path / "whole"), 4)
    run(given(prepared, tmp_path / "halves"), 2).save()
    torch.manual_seed(9)
    rest = run(given(prepared, tmp_path / "halves"), 4)
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(rest)[name], value, rtol=0, atol=0, msg=name)


def test_a_training_may_begin_where_another_ended(prepared, tmp_path):
    run(given(prepared, tmp_path / "first"), 2).save()
    first = weights(run(given(prepared, tmp_path / "first"), 2))
    second = train.Training(given(prepared, tmp_path / "second", begin=tmp_path / "first", seed=1))
    assert second.step == 0
    for name, value in weights(second).items():
        is_tower = name.startswith("visual.") or name in ("vectors", "style")
        assert not is_tower or torch.equal(value, first[name]), name
    assert not torch.equal(second.model.text_projection, first["text_projection"])


def test_words_are_taught_once_the_pictures_are_known(prepared, tmp_path):
    training = train.Training(given(prepared, tmp_path))
    begun = {name: value.clone() for name, value in weights(training).items()}
    while training.step < 2:
        training.advance()
    seen = {name: value.clone() for name, value in weights(training).items()}
    training.finish()
    for name, value in weights(training).items():
        is_tower = name.startswith("visual.") or name in ("vectors", "style")
        assert is_tower or torch.equal(seen[name], begun[name]), name
        assert not is_tower or torch.equal(value, seen[name]), name
    assert not torch.equal(seen["visual.head.proj.weight"], begun["visual.head.proj.weight"])
    assert not torch.equal(training.model.text_projection, begun["text_projection"])


def test_a_finished_training_is_a_guide(prepared, tmp_path):
    training = run(given(prepared, tmp_path / "out"), 2)
    training.save()
    training.finish()
    clip = load_clip(f"local-dir:{tmp_path / 'out'}", torch.device("cpu"))
    pictures = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    training.model.eval()
    with torch.no_grad():
        expected = encode_images(training.model.visual, pictures)
        texts = encode_text(training.model, clip.tokenizer(["ball", "a red box"]))
    # Half precision keeps three digits.
    torch.testing.assert_close(clip.embed_images(list(pictures)), expected, rtol=0, atol=4e-3)
    torch.testing.assert_close(clip.embed_texts(["ball", "a red box"]), texts, rtol=0, atol=4e-3)
    assert json.loads((tmp_path / "out" / "training.json").read_text())["radius"] == 1.0


def test_it_measures_by_those_left_out_that_there_are(prepared, tmp_path, monkeypatch, capsys):
    few = ("--steps", "1", "--word-steps", "0", "--batch", "6", "--text-width", "32")
    monkeypatch.setattr("sys.argv", ["train.py", str(prepared), str(tmp_path / "out"), *few])
    train.main()
    told = json.loads(capsys.readouterr().out)
    ((first, five),) = told["left out, first and among five"]
    assert 0 <= first <= five == 1


class Sum(nn.Module):
    """An embedding of which every pixel changes one place."""

    def forward(self, images):
        flat = images.flatten(1)
        return F.pad(flat, (0, EMBEDDING - flat.shape[1]), value=0.1)


def test_the_worst_lies_within_the_radius_and_is_worse():
    torch.manual_seed(0)
    tower = train.Tower(Sum(), 5)
    images, labels = 0.2 + 0.6 * torch.rand(20, 3, 4, 4), torch.randint(5, (20,))
    radius = torch.linspace(0.1, 0.3, 20)
    moved = train.worst_within(tower, images, labels, radius)
    far = (moved - images).flatten(1).norm(dim=1)
    assert (far <= radius + 1e-6).all() and (far > 0.7 * radius).all()
    assert moved.min() >= 0 and moved.max() <= 1 and not moved.requires_grad
    before, after = (
        F.cross_entropy(tower(x)[0], labels, reduction="none").detach() for x in (images, moved)
    )
    assert (after > before).all()
    assert all(parameter.requires_grad for parameter in tower.parameters())
