"""Guides: how they are named and loaded, and what dreams by them mean to a second model."""

from __future__ import annotations

import gc
import json
import math
import socket
import time
import urllib.error
import urllib.request
import weakref
from collections.abc import Sequence
from dataclasses import replace
from email.message import Message
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from dreamvid.config import DreamConfig, PromptConfig, VideoConfig
from dreamvid.dream.descent import descend, frame_generator
from dreamvid.errors import GuideError
from dreamvid.guide import loading
from dreamvid.guide.loading import Clip, _is_convolutional, load_clip
from dreamvid.guide.names import BUILT_IN, GuideName, model_names, parse_guide
from dreamvid.guide.objective import (
    ClipObjective,
    create_objective,
    create_objectives,
    mixed,
    spherical_distance,
)
from dreamvid.guide.tower import ImageTower
from dreamvid.types import Mix, PromptWeights
from tests.conftest import CPU, JUDGE
from tests.motion.scenes import texture

MINI_WEIGHTS = BUILT_IN["mini"] / "open_clip_model.safetensors"
SMALL = "ViT-S-32-alt"
"""The smallest of open_clip's architectures."""
ROSE = "a red rose"
BERRY = "a strawberry"


def error_of(name: str) -> str:
    with pytest.raises(GuideError) as raised:
        load_clip(name, CPU)
    text = str(raised.value)
    assert "\n" not in text
    assert name in text
    return text


def prompts(**given: list[str]) -> PromptConfig:
    return PromptConfig.model_validate(given)


# Names


@pytest.mark.parametrize(
    ("text", "model", "pretrained"),
    [
        ("mini", f"local-dir:{BUILT_IN['mini']}", None),
        ("ViT-B-32:laion2b_s34b_b79k", "ViT-B-32", "laion2b_s34b_b79k"),
        ("ViT-B-32:some/file.safetensors", "ViT-B-32", "some/file.safetensors"),
        (r"ViT-B-32:C:\weights.pt", "ViT-B-32", r"C:\weights.pt"),
        ("hf-hub:chs20/fare4-clip", "hf-hub:chs20/fare4-clip", None),
        (f"local-dir:{JUDGE}", f"local-dir:{JUDGE}", None),
    ],
)
def test_a_name_is_taken_apart(text, model, pretrained):
    assert parse_guide(text) == GuideName(text, model, pretrained)


FORMS = "allowed: mini, MODEL:TAG, MODEL:FILE or hf-hub:ORG/NAME (see `dreamvid guides`)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("qqqqqq", f"unknown guide 'qqqqqq'; {FORMS}"),
        ("", f"unknown guide ''; {FORMS}"),
        ("minni", f"unknown guide 'minni'; {FORMS}; did you mean mini"),
        ("ViT-B-31:openai", f"unknown guide 'ViT-B-31:openai'; {FORMS}; did you mean ViT-B-32"),
        ("ViT-B-32", "guide 'ViT-B-32' lacks its weights; allowed: ViT-B-32:TAG or ViT-B-32:FILE"),
        ("ViT-B-32:", "guide 'ViT-B-32:' lacks its weights; allowed: ViT-B-32:TAG or ViT-B-32:"),
        ("hf-hub:clip", "guide 'hf-hub:clip': 'clip' is not of the form ORG/NAME"),
        ("hf-hub:/clip", "guide 'hf-hub:/clip': '/clip' is not of the form ORG/NAME"),
        ("hf-hub:a/b/c", "guide 'hf-hub:a/b/c': 'a/b/c' is not of the form ORG/NAME"),
        (
            "local-dir:/nowhere",
            "guide 'local-dir:/nowhere': no open_clip_config.json in the folder '/nowhere'",
        ),
    ],
)
def test_a_name_that_cannot_be_is_told_with_what_could(text, message):
    with pytest.raises(GuideError) as raised:
        parse_guide(text)
    assert str(raised.value).startswith(message)


def test_only_files_and_folders_here_need_no_network():
    assert parse_guide("mini").is_local
    assert parse_guide(f"ViT-B-32:{MINI_WEIGHTS}").is_local
    assert not parse_guide("ViT-B-32:openai").is_local
    assert not parse_guide("hf-hub:a/b").is_local


def test_the_models_named_are_those_that_open_clip_knows():
    assert set(model_names()) == set(open_clip.list_models())


# Loading


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Any connection fails, and nothing is cached."""

    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("no_network")
def test_the_built_in_guide_needs_no_network(mini, capfd):
    clip = load_clip("mini", CPU)
    texts = ["a red rose", "the sky"]
    assert torch.equal(clip.embed_texts(texts), mini.embed_texts(texts))
    assert torch.equal(clip.embed_images([texture(64, 96)]), mini.embed_images([texture(64, 96)]))
    assert capfd.readouterr() == ("", "")


def test_embeddings_are_of_unit_length_and_tell_things_apart(mini):
    features = torch.cat(
        [mini.embed_texts([ROSE, "the sky"]), mini.embed_images([texture(64, 96), texture(30, 20)])]
    )
    assert features.dtype == torch.float32
    torch.testing.assert_close(features.norm(dim=1), torch.ones(4), atol=1e-5, rtol=0)
    assert ((features @ features.T).triu(1) < 0.99).all()


def test_a_prompt_for_which_there_is_no_room_is_told_of(mini):
    room = mini.tokenizer(["a"]).shape[1] - 2  # but for the marks of beginning and end
    fits = " ".join(["reef"] * room)
    assert mini.reads_all(fits)
    assert mini.reads_all("")
    told: list[str] = []
    config = VideoConfig(prompt=["a reef::2", f"{fits} fish::1"], negative=[f"{fits} text"])
    create_objectives(config, CPU, on_warning=told.append)
    assert told == [
        f"guide 'mini' has no room for the end of '{fits} {word}'" for word in ("fish", "text")
    ]


def test_no_texts_and_no_images_have_no_embeddings(mini):
    assert mini.embed_texts([]).shape == mini.embed_images([]).shape == (0, 256)


@pytest.mark.parametrize("name", ["mini", "judge"])
def test_gradients_reach_every_pixel_and_no_weight(name, request):
    clip: Clip = request.getfixturevalue(name)
    images = texture(64, 64)[None].requires_grad_()
    objective = create_objective(clip, prompts(prompt=[ROSE]))
    (gradient,) = torch.autograd.grad(objective(images, None), images)
    assert gradient.isfinite().all()
    assert (gradient != 0).float().mean() > 0.99
    assert not any(weight.requires_grad for weight in clip.tower.parameters())


def test_the_tower_normalises_as_its_config_says(mini):
    config = json.loads((BUILT_IN["mini"] / "open_clip_config.json").read_text())["preprocess_cfg"]
    assert mini.tower.size == config["size"][0]
    scale, shift = mini.tower.scale.flatten(), mini.tower.shift.flatten()
    assert (-shift / scale).tolist() == pytest.approx(config["mean"])
    assert (1 / scale).tolist() == pytest.approx(config["std"])


# What is asked of a picture


def pictures() -> Tensor:
    return torch.stack([texture(64, 64, seed) for seed in range(4)])


def loss_of(clip: Clip, cutouts: Tensor, **given: list[str]) -> float:
    return create_objective(clip, prompts(**given))(cutouts, None).item()


def test_a_loss_is_the_weighted_spherical_distance_averaged_over_cutouts(mini):
    features = mini.tower(pictures())
    distances = spherical_distance(features @ mini.embed_texts([ROSE, "the sky"]).T).mean(0)
    found = loss_of(mini, pictures(), prompt=[f"{ROSE}::3", "the sky::0.5"])
    assert found == pytest.approx(float(3 * distances[0] + 0.5 * distances[1]), rel=1e-5)


def test_the_loss_of_many_cutouts_is_the_mean_of_each(mini):
    objective = create_objective(mini, prompts(prompt=[ROSE], negative=["the sky"]))
    each = [objective(picture[None], None).item() for picture in pictures()]
    assert objective(pictures(), None).item() == pytest.approx(sum(each) / 4, rel=1e-5)


def test_negatives_add_their_cosine_until_unrelated(mini):
    rosy = F.interpolate(dreamed(mini, prompt=[ROSE])[None], size=(64, 64))
    shown = torch.cat([rosy, pictures()])
    cosines = (mini.tower(shown) @ mini.embed_texts([ROSE]).T)[:, 0]
    assert cosines.max() > 0.1 and cosines.min() < 0
    expected = 2 * cosines.clamp(min=0).mean().item()
    assert loss_of(mini, shown, negative=[f"{ROSE}::2"]) == pytest.approx(expected)


def test_a_negative_that_is_already_opposite_pushes_no_further(mini):
    picture = pictures()[:1]
    objective = create_objective(mini, prompts(negative=["rainbow"]))
    for sign, loss in ((1, 1), (-1, 0)):
        objective.targets = replace(objective.targets, repel=sign * mini.tower(picture))
        assert objective(picture, None).item() == pytest.approx(loss, abs=1e-5)


def test_a_direction_takes_away_its_progress_since_the_source(mini):
    objective = create_objective(mini, prompts(from_=["snow"], to=["fire::2"]))
    assert objective.compares
    assert objective(pictures(), pictures()).item() == pytest.approx(0, abs=1e-6)
    start, end = mini.embed_texts(["snow", "fire"])
    direction = (end - start) / (end - start).norm()
    progress = (mini.tower(pictures().flip(3)) - mini.tower(pictures())) @ direction
    found = objective(pictures().flip(3), pictures()).item()
    assert found == pytest.approx(-2 * progress.mean().item(), abs=1e-5)


def test_a_directions_gradient_is_finite_and_not_zero_at_the_source(mini):
    objective = create_objective(mini, prompts(from_=["snow"], to=["fire"]))
    images = pictures().requires_grad_()
    (gradient,) = torch.autograd.grad(objective(images, pictures()), images)
    assert gradient.isfinite().all()
    assert gradient.abs().mean() > 0


def test_similarity_is_the_weighted_mean_cosine_of_the_whole_picture(mini):
    image = texture(64, 96)
    objective = create_objective(mini, prompts(prompt=[f"{ROSE}::3", "the sky"]))
    cosines = mini.embed_images([image]) @ mini.embed_texts([ROSE, "the sky"]).T
    expected = float(3 * cosines[0, 0] + cosines[0, 1]) / 4
    assert objective.similarity(image).item() == pytest.approx(expected, abs=1e-5)


def test_similarity_to_negatives_alone_is_minus_their_cosine(mini):
    image = texture(64, 96)
    wanted, unwanted = (
        create_objective(mini, prompts(**{kind: [ROSE]})) for kind in ("prompt", "negative")
    )
    assert unwanted.similarity(image).item() == pytest.approx(-wanted.similarity(image).item())


def test_images_of_any_size_are_seen_in_one_pass(mini):
    objective = create_objective(mini, prompts(prompt=[ROSE]))
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(3, *size, generator=generator) for size in ((40, 60), (90, 50))]
    one_by_one = torch.stack([objective.similarity(image) for image in images])
    torch.testing.assert_close(objective.similarities(images), one_by_one)


# Dreams, as the second model sees them

SOURCE = 0.5 + 0.3 * (texture(64, 96) - 0.5)
"""Pale, so that what is dreamed stands out."""


def dreamed(
    clip: Clip, images: Sequence[Tensor] = (), source: Tensor = SOURCE, **given: list[str]
) -> Tensor:
    """Two dozen steps from `source`."""
    config = DreamConfig(steps=24, cutouts=8, octaves=2, tv=1, strength=0.25, lr=0.05)
    objective = create_objective(clip, prompts(**given), images)
    return descend(source, [objective], config, generator=frame_generator(0, 0))


def seen(judge: Clip, image: Tensor, *texts: str) -> list[float]:
    """The judge's cosines of a picture to texts."""
    cosines: list[float] = (judge.embed_images([image]) @ judge.embed_texts(texts).T)[0].tolist()
    return cosines


@pytest.mark.parametrize(("prompt", "gain"), [("a castle", 0.5), (BERRY, 0.35), ("fire", 0.3)])
def test_prompts_attract(mini, judge, prompt, gain):
    (before,), (after,) = (
        seen(judge, image, prompt) for image in (SOURCE, dreamed(mini, prompt=[prompt]))
    )
    assert after > before + gain


THINGS = BERRY, "fire", "a tree", "a castle"
OTHER = "a snowflake"


@pytest.mark.parametrize("prompt", THINGS)
def test_a_dream_is_told_from_other_things(mini, judge, prompt):
    result = dreamed(mini, prompt=[prompt])
    before, after = (torch.tensor(seen(judge, image, *THINGS)) for image in (SOURCE, result))
    gain, wanted = after - before, THINGS.index(prompt)
    assert gain[wanted] > 0.15
    assert gain.argmax() == wanted


@pytest.mark.parametrize("negative", [BERRY, "fire", "a tree"])
def test_negatives_repel(mini, judge, negative):
    shown = dreamed(mini, prompt=[negative])
    result = dreamed(mini, source=shown, negative=[negative])
    (before,), (after,) = (seen(judge, image, negative) for image in (shown, result))
    assert after < before - 0.15


def test_a_direction_leads_from_one_text_to_the_other(mini, judge):
    shown = dreamed(mini, prompt=[BERRY])
    result = dreamed(mini, source=shown, from_=[BERRY], to=[OTHER])
    start_before, end_before = seen(judge, shown, BERRY, OTHER)
    start_after, end_after = seen(judge, result, BERRY, OTHER)
    assert start_after < start_before - 0.2
    assert end_after > end_before + 0.2


def test_weights_decide_between_prompts(mini, judge):
    ripe = seen(judge, dreamed(mini, prompt=[f"{BERRY}::3", OTHER]), BERRY, OTHER)
    icy = seen(judge, dreamed(mini, prompt=[BERRY, f"{OTHER}::3"]), BERRY, OTHER)
    assert ripe[0] > icy[0] + 0.2
    assert icy[1] > ripe[1] + 0.2


def test_a_picture_as_prompt_attracts(mini, judge):
    berries = dreamed(mini, prompt=[BERRY])
    result = dreamed(mini, [berries], image_prompt=["berries.png"])
    source, dream, picture = judge.embed_images([SOURCE, result, berries])
    assert dream @ picture > source @ picture + 0.2


def test_a_picture_as_prompt_has_its_own_weight(mini):
    images = [texture(40, 50, 8), texture(40, 50, 9)]
    objective = create_objective(
        mini, prompts(**{"image-prompt": ["a::2", "b"], "prompt": ["fire::5"]}), images
    )
    assert objective.targets.attract_weights.tolist() == [5, 2, 1]
    expected = torch.cat([mini.embed_texts(["fire"]), mini.embed_images(images)])
    assert torch.equal(objective.targets.attract, expected)


# Other guides


@pytest.fixture(scope="module")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Random weights of a real architecture, in half precision."""
    torch.manual_seed(0)
    with loading._quiet():
        model = open_clip.create_model(SMALL)
    file = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_file({name: value.half().contiguous() for name, value in model.state_dict().items()}, file)
    yield file
    file.unlink()


@pytest.mark.usefixtures("no_network")
def test_a_models_weights_come_from_a_file(small_weights, capfd):
    one, two = (load_clip(f"{SMALL}:{small_weights}", CPU) for _ in range(2))
    assert one.tower.size == 224
    assert one.embed_texts(["x"]).shape == (1, 256)
    assert torch.equal(one.embed_images([SOURCE]), two.embed_images([SOURCE]))
    saved = torch.equal(
        one.model.get_parameter("visual.conv1.weight"),
        one.model.get_parameter("visual.conv1.weight").half().float(),
    )
    assert saved  # not weights drawn anew
    assert capfd.readouterr().err == ""


def test_weights_of_another_model_are_refused(small_weights):
    text = error_of(f"{SMALL}:{MINI_WEIGHTS}")
    assert text.startswith(f"guide '{SMALL}:{MINI_WEIGHTS}' cannot be loaded: ")
    text = error_of(f"ViT-S-16-alt:{small_weights}")
    assert text.startswith(f"guide 'ViT-S-16-alt:{small_weights}' cannot be loaded: ")


def test_a_file_that_holds_no_weights_is_refused(tmp_path):
    for name, content in (("a.pt", b"hello"), ("a.safetensors", b"hello"), ("empty.pt", b"")):
        file = tmp_path / name
        file.write_bytes(content)
        text = error_of(f"{SMALL}:{file}")
        assert text.startswith(f"guide '{SMALL}:{file}' cannot be loaded: ")
        assert "weights_only" not in text


TINY: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 8,
        "vision_cfg": {"image_size": 16, "layers": 1, "width": 64, "patch_size": 8},
        "text_cfg": {
            "context_length": 8,
            "vocab_size": 49408,
            "width": 16,
            "heads": 2,
            "layers": 1,
        },
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "size": [16, 16]},
}


def tiny_folder(folder: Path, **preprocess: Any) -> Path:
    """A guide in open_clip's own format."""
    config = TINY | {"preprocess_cfg": TINY["preprocess_cfg"] | preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    torch.manual_seed(0)
    model = open_clip.CLIP(**TINY["model_cfg"])
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.mark.usefixtures("no_network")
def test_a_folder_in_open_clips_format_is_a_guide(tmp_path):
    clip = load_clip(f"local-dir:{tiny_folder(tmp_path)}", CPU)
    assert clip.tower.size == 16
    assert clip.embed_texts(["a", "b"]).shape == (2, 8)
    assert clip.embed_images([SOURCE]).norm().item() == pytest.approx(1, abs=1e-5)


def test_a_folder_without_weights_is_refused(tmp_path):
    (tiny_folder(tmp_path) / "open_clip_model.safetensors").unlink()
    assert "cannot be loaded: " in error_of(f"local-dir:{tmp_path}")


@pytest.mark.usefixtures("no_network")
def test_an_unknown_tag_is_told_with_those_there_are():
    text = error_of("RN50:opanai")
    assert text == (
        "guide 'RN50:opanai': 'opanai' is neither a file nor a tag of RN50; "
        "allowed: openai, yfcc15m, cc12m"
    )
    assert error_of(f"{SMALL}:x").endswith("allowed: a file (it has no tags)")


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["ViT-B-32:laion2b_s34b_b79k", "hf-hub:chs20/fare4-clip"])
def test_an_unreachable_hub_is_told_at_once_with_how_to_go_on(name, monkeypatch, capfd):
    monkeypatch.setattr(loading, "_hub_answers", lambda: False)
    began = time.monotonic()
    text = error_of(name)
    assert time.monotonic() - began < 10
    assert text == (
        f"guide '{name}' is not cached and the hub cannot be reached; "
        "connect to the internet, name a file (MODEL:FILE) or use --guide mini"
    )
    assert capfd.readouterr() == ("", "")


def test_the_hubs_client_goes_online_again_afterwards():
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    with pytest.raises(ZeroDivisionError), loading._hub_mode(offline=True):
        assert constants.HF_HUB_OFFLINE
        raise ZeroDivisionError
    assert before == constants.HF_HUB_OFFLINE


@pytest.mark.parametrize(
    ("error", "answers"),
    [
        (urllib.error.URLError(ConnectionRefusedError(111, "refused")), False),
        (TimeoutError(), False),
        (ConnectionResetError(), False),
        (urllib.error.HTTPError("https://hub", 403, "no", Message(), None), True),
        (urllib.error.HTTPError("https://hub", 500, "no", Message(), None), True),
    ],
)
def test_the_hub_answers_where_it_says_anything_at_all(error, answers, monkeypatch):
    def fail(request: urllib.request.Request, timeout: float) -> None:
        assert timeout <= 10
        raise error

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(urllib.request, "urlopen", fail)
    assert loading._hub_answers() is answers


@pytest.mark.usefixtures("no_network")
def test_a_hub_that_is_switched_off_is_not_asked(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert loading._hub_answers() is False


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def create_model(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(loading, "_hub_answers", lambda: True)
    monkeypatch.setattr(open_clip, "create_model", create_model)


def test_what_the_hub_refuses_is_told_in_one_line(monkeypatch):
    failing(monkeypatch, RuntimeError("404 Not Found.\nRequest ID: 1\n"))
    assert error_of("hf-hub:no/such") == (
        "guide 'hf-hub:no/such' cannot be had: 404 Not Found; --guide mini needs no download"
    )


def test_a_missing_package_is_named(monkeypatch):
    failing(monkeypatch, ModuleNotFoundError("No module named 'x'", name="transformers"))
    text = error_of("ViT-B-16-SigLIP:webli")
    assert text.endswith("needs a package that is not installed: pip install transformers")


@pytest.mark.parametrize(
    ("name", "wants"),
    [
        ("ViT-B-32:openai", True),
        ("RN50:openai", True),
        ("ViT-B-32:laion2b_s34b_b79k", False),
        ("ViT-B-32:file.pt", False),
        ("mini", False),
    ],
)
def test_openais_tags_want_quick_gelu(name, wants):
    assert loading._wants_quick_gelu(parse_guide(name), open_clip) is wants


@pytest.mark.parametrize(
    ("name", "wants"), [("RN50:openai", True), ("ViT-B-32:laion2b_s34b_b79k", False)]
)
def test_open_clip_is_told_who_wants_quick_gelu_and_that_weights_must_come(
    name, wants, monkeypatch
):
    asked: dict[str, Any] = {}

    def create_model(*_: object, **options: object) -> None:
        asked.update(options)
        raise RuntimeError("enough")

    monkeypatch.setattr(loading, "_hub_answers", lambda: True)
    monkeypatch.setattr(open_clip, "create_model", create_model)
    error_of(name)
    assert asked["force_quick_gelu"] is wants
    assert asked["require_pretrained"]


def test_only_square_inputs_can_be_used():
    preprocess = {"size": (16, 24), "mean": (0.5,) * 3, "std": (0.5,) * 3}
    with pytest.raises(GuideError, match=r"input is \(16, 24\); only square ones"):
        ImageTower(torch.nn.Identity(), preprocess)


def test_a_tower_may_give_its_features_first_among_others():
    class Coca(torch.nn.Module):
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return images.mean((2, 3)), images

    tower = ImageTower(Coca(), {"size": 4, "mean": (0.0,) * 3, "std": (1.0,) * 3})
    features = tower(torch.ones(2, 3, 4, 4))
    torch.testing.assert_close(features, torch.full((2, 3), 3**-0.5))


def test_the_text_tower_is_freed():
    clip = load_clip("mini", CPU)
    text = weakref.ref(clip.model.get_parameter("token_embedding.weight"))
    image = weakref.ref(clip.tower.visual.get_parameter("trunk.conv1.0.weight"))
    objective: ClipObjective = create_objective(clip, prompts(prompt=[ROSE]))
    del clip
    gc.collect()
    assert text() is None
    assert image() is not None
    assert objective.tower.size == 64


# Prompts that change with time


def test_a_mix_turns_evenly_from_one_text_to_the_other():
    scenes = torch.eye(3)
    mixes = [mixed(scenes, Mix(0, 2, share)) for share in (0.0, 0.25, 1.0)]
    angle = torch.pi / 8
    expected = [[1, 0, 0], [math.cos(angle), 0, math.sin(angle)], [0, 0, 1]]
    torch.testing.assert_close(torch.stack(mixes), torch.tensor(expected, dtype=torch.float32))
    same = torch.eye(3)[:1].expand(2, 3)
    assert torch.equal(mixed(same, Mix(0, 1, 0.5)), same[0])


def test_an_objective_at_a_moment_is_the_one_of_that_text(mini):
    timed = VideoConfig(prompt=["ice"], at=[("0", "a rose"), ("4", "a castle")])
    weights = PromptWeights(prompt=(0.5,), mix=Mix(0, 1, 0.0), mix_weight=2.0)
    cutouts = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    everything = create_objective(mini, timed)
    for share, text in ((0.0, "a rose"), (1.0, "a castle")):
        at = everything.at(replace(weights, mix=Mix(0, 1, share)))
        alone = create_objective(mini, PromptConfig(prompt=["ice::0.5", f"{text}::2"]))
        torch.testing.assert_close(at(cutouts, None), alone(cutouts, None))
        torch.testing.assert_close(at.similarity(cutouts[0]), alone.similarity(cutouts[0]))


def test_texts_are_encoded_once(mini, monkeypatch):
    timed = create_objective(mini, VideoConfig(at=[("0", "a rose"), ("4", "a castle")]))
    monkeypatch.setattr(Clip, "embed_texts", None)
    for share in (0.2, 0.8):
        timed.at(PromptWeights(mix=Mix(0, 1, share)))


def test_where_all_weights_are_0_nothing_is_asked(mini):
    nothing = create_objective(mini, PromptConfig(prompt=["ice"])).at(PromptWeights(prompt=(0.0,)))
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert nothing(image[None], None) == 0
    assert nothing.similarity(image) == 0


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_guide_reckons_with_the_precision_that_was_asked_for(mini, precision):
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    tower = load_clip("mini", CPU, precision).tower
    features, expected = tower(images), mini.tower(images)
    assert features.dtype == torch.float32
    assert ((features - expected).abs().max() > 1e-6) == (precision == "bfloat16")
    assert (features * expected).sum(1).min() > 0.999


def test_the_built_in_guide_is_convolutional_and_a_transformer_is_not(mini):
    import open_clip

    assert _is_convolutional(mini.tower.visual)
    small = {"image_size": 16, "layers": 1, "width": 64, "patch_size": 8}
    text = {"context_length": 4, "vocab_size": 8, "width": 64, "heads": 1, "layers": 1}
    transformer = open_clip.model.CLIP(16, small, text)
    assert not _is_convolutional(transformer.visual)
