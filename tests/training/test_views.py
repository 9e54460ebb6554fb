"""What a training is shown."""

from __future__ import annotations

import json

import numpy as np
import torch
from torch import Tensor
from views import PATTERNS, Views

from tests.training.conftest import SHAPES


def test_views_are_pictures_with_what_they_show(prepared):
    torch.manual_seed(0)
    views = Views(prepared)
    images, labels, presence, styles = views.draw(64, 32, simple=0.5, faint=0.4)
    assert images.shape == (64, 3, 32, 32) and labels.shape == (64,)
    assert images.min() >= 0 and images.max() <= 1
    assert presence.shape == (64,) and 0.15 <= presence.min() < 1 and presence.max() == 1
    assert styles.shape == (64,) and not styles.any()
    shown = {views.concepts[n].names[0] for n in labels.tolist()}
    assert set(SHAPES) < shown
    ball = views.concepts[views.numbers["ball"]]
    assert ball.names == ["ball", "ball thing"] and ball.keywords == ["toy", "red"]
    assert {f"{name} pattern" for name in PATTERNS} < set(views.numbers)


def test_photographs_fill_their_views_and_have_a_style(prepared):
    torch.manual_seed(0)
    facts = json.loads((prepared / "captions.json").read_text())
    box = facts["pictures"][3]
    box |= {"vendor": "photographs", "is_whole": True}
    facts["kinds"] = {"box": ["crate"]}
    (prepared / "captions.json").write_text(json.dumps(facts))
    data = dict(np.load(prepared / "data.npz"))
    data["rgba"][3] = (30, 30, 220, 255)
    np.savez(prepared / "data.npz", **data)
    views = Views(prepared, photographic=0.5)
    assert views.concepts[views.numbers["box"]].kinds == ["crate"]
    _, _, _, styles = views.draw(64, 32, simple=0.2, faint=0)
    assert set(styles.tolist()) == {-1, 0, 1}
    plain = Views(prepared)
    shown, styles = plain.show(torch.tensor([3] * 20), 32, 0, torch.ones(20))
    torch.testing.assert_close(shown[:, 2], torch.full_like(shown[:, 2], 220 / 255))
    assert (styles == 1).all()


def test_a_simple_view_shows_the_thing_in_its_middle(prepared):
    torch.manual_seed(0)
    views = Views(prepared)
    box = torch.tensor([3] * 40)
    middle = views.show(box, 32, 1.0, torch.ones(40))[0][:, :, 12:20, 12:20].mean((2, 3))
    torch.testing.assert_close(middle, torch.tensor([[30, 30, 220]]).expand(40, 3) / 255)
    corner = views.show(box, 32, 1.0, torch.ones(40))[0][:, :, 0, 0]
    assert 10 < (corner == 1).all(1).sum() < 40


def test_what_is_left_out_is_never_drawn(prepared, monkeypatch):
    torch.manual_seed(0)
    seen: set[int] = set()

    def show(self: Views, picked: Tensor, side: int, simple: float, presence: Tensor) -> object:
        seen.update(picked.tolist())
        return torch.zeros(len(picked), 3, side, side), torch.zeros(len(picked))

    monkeypatch.setattr(Views, "show", show)
    Views(prepared, ("one",)).draw(200, 8, simple=0, faint=0.4)
    assert seen == {1, 2, 4, 5, 7, 8}


def test_the_vendor_left_out_is_measured_by_name(prepared):
    shown, right, named = Views(prepared, ("fluent",)).left_out(32)
    assert shown.shape == (3, 3, 32, 32)
    assert right.tolist() == [0, 1, 2] and named.tolist() == [0, 1, 2]
    assert (shown[:, :, 0, 0] == 1).all()
    middle = shown[:, :, 16, 16]
    assert middle.argmax(1).tolist() == [0, 2, 1]


def test_a_sky_is_what_is_above_the_horizon_and_grounds_what_is_below(prepared):
    torch.manual_seed(0)
    data = dict(np.load(prepared / "data.npz"))
    data["scenes"][:, :80], data["scenes"][:, 80:] = (90, 140, 230), (50, 120, 30)
    np.savez(prepared / "data.npz", **data)
    facts = json.loads((prepared / "captions.json").read_text()) | {"scenes": ["park", "city"]}
    (prepared / "captions.json").write_text(json.dumps(facts))
    views = Views(prepared)
    labels, crops = torch.tensor(views._crop_labels), views._crops.float()
    for part, colour in (("sky", (90, 140, 230)), ("grass", (50, 120, 30))):
        shown = crops[labels == views.numbers[f"{part} part"]]
        assert len(shown) == 1024
        expected = torch.tensor(colour).float()
        torch.testing.assert_close(shown, expected.view(1, 3, 1, 1).expand_as(shown))
    plain = [views._plain(32) for _ in range(60)]
    assert {views.numbers["sky part"], views.numbers["grass part"]} < {label for _, label in plain}
    assert all(
        image.shape == (3, 32, 32) and 0 <= image.min() <= image.max() <= 1 for image, _ in plain
    )


def test_many_photographs_of_a_thing_are_shown_more_often_than_few_but_not_as_much(prepared):
    facts = json.loads((prepared / "captions.json").read_text())
    for number in (0, 1, 2, 3, 6):
        facts["pictures"][number] |= {"vendor": "photographs", "is_whole": number == 6}
    facts["pictures"][2]["concept"] = "ball"
    for number in (4, 5, 7, 8):
        facts["pictures"][number]["vendor"] = "fluent"
    (prepared / "captions.json").write_text(json.dumps(facts))
    views = Views(prepared, ("fluent",))
    balls, box, whole_kite = (float(views.weights[views.numbers[n]]) for n in SHAPES)
    assert np.isclose(balls, box * 3**0.5)
    assert np.isclose(whole_kite, box * 0.8)
