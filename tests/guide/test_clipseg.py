"""Masks from words by a CLIPSeg: a tiny one that is taught here what a sky is, and saved."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import (
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    CLIPSegProcessor,
    CLIPTokenizer,
    ViTImageProcessor,
)

import dreamvid
from dreamvid.config import VideoConfig
from dreamvid.errors import ConfigError, JournalError
from dreamvid.events import FrameDone
from dreamvid.guide.clipseg import SURE, ClipSegFinder
from dreamvid.guide.finding import TURNS
from dreamvid.media import VideoReader, read_image, write_image
from tests.cli.conftest import Command, refused
from tests.cli.conftest import dreamvid as command  # noqa: F401 (a fixture)
from tests.fakes import TowardsColour
from tests.guide.test_finding import overlap
from tests.media.clips import picture

CPU = torch.device("cpu")
SIDE, MEAN, STD = 48, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
SKY, SEA, BEGIN, END = range(7, 11)
VOCABULARY = [
    *("s", "k", "y</w>", "e", "a</w>", "sk", "se"),
    *("sky</w>", "sea</w>", "<|startoftext|>", "<|endoftext|>"),
]
MERGES = [("s", "k"), ("sk", "y</w>"), ("s", "e"), ("se", "a</w>")]
WORDS: list[tuple[list[str], list[str]]] = [(["sky"], [])]
BLUE_SKY, NOT_BLUE = (0.3, 0.6, 0.95), (1.0, 1.0, 0.4)
FRAMES = 5
BLUE = [TowardsColour((0.0, 0.0, 1.0))]
QUICK: dict[str, Any] = {"steps": 1, "cutouts": 2, "strength": 0.3, "lr": 0.1, "octaves": 1}
IMAGE, OTHER = picture(3), picture(9)
FILM = QUICK | {"first_steps": 1, "codec": "ffv1", "objectives": BLUE}


def tokenizer() -> CLIPTokenizer:
    """One that knows "sky" and "sea"."""
    return CLIPTokenizer(vocab={word: at for at, word in enumerate(VOCABULARY)}, merges=MERGES)


def model() -> CLIPSegForImageSegmentation:
    layer = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    tokens = {"bos_token_id": BEGIN, "eos_token_id": END, "pad_token_id": END}
    text = layer | tokens | {"num_hidden_layers": 1, "vocab_size": 11, "max_position_embeddings": 8}
    vision = layer | {"num_hidden_layers": 2, "image_size": 32, "patch_size": 8}
    decoder = {"reduce_dim": 8, "decoder_num_attention_heads": 2, "decoder_intermediate_size": 16}
    torch.manual_seed(0)
    return CLIPSegForImageSegmentation(
        CLIPSegConfig(
            text_config=text,
            vision_config=vision,
            projection_dim=8,
            extract_layers=[0, 1],
            initializer_factor=3.0,
            **decoder,
        )
    ).eval()


def sky_beside_ground(edges: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Images (N, 3, 48, 64), blue left of an edge and of another colour each to the right of it.

    And where the sky is, (N, 48, 64).
    """
    generator, count = torch.Generator().manual_seed(seed), len(edges)
    colours = torch.rand(count, 3, 1, 1, generator=generator) * torch.tensor(NOT_BLUE).view(3, 1, 1)
    is_sky = (torch.arange(64) < edges[:, None, None]).expand(count, 48, 64)
    images = torch.where(is_sky[:, None], torch.tensor(BLUE_SKY).view(3, 1, 1), colours)
    grain = 0.05 * torch.randn(images.shape, generator=generator)
    return (images + grain).clamp(0, 1), is_sky


def taught() -> CLIPSegForImageSegmentation:
    """A model that has learned to find a sky."""
    learner = model()
    optimizer = torch.optim.Adam(learner.decoder.parameters(), lr=0.01)
    asked = {"input_ids": torch.tensor([[BEGIN, SKY, END]] * 8)}
    for step in range(120):
        edges = torch.linspace(4, 60, 8) + step % 4
        images, is_sky = sky_beside_ground(edges, step)
        images, truth = images.flip(3 if step % 2 else ()), is_sky.flip(2 if step % 2 else ())
        wanted = F.interpolate(truth[:, None].float(), (SIDE, SIDE), mode="area")[:, 0]
        logits = learner(pixel_values=prepared(images), **asked).logits
        optimizer.zero_grad()
        torch.autograd.backward(F.binary_cross_entropy_with_logits(logits, wanted))
        optimizer.step()
    return learner


def prepared(images: Tensor) -> Tensor:
    """Images (N, 3, H, W) as the model wants them."""
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (MEAN, STD))
    return (F.interpolate(images, (SIDE, SIDE), mode="bilinear", antialias=True) - mean) / std


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model, a picture, and a film in which the sky grows."""
    made = tmp_path_factory.mktemp("clipseg")
    images = ViTImageProcessor(size={"height": SIDE, "width": SIDE}, image_mean=MEAN, image_std=STD)
    taught().save_pretrained(made / "model")
    CLIPSegProcessor(images, tokenizer()).save_pretrained(made / "model")
    (made / "in").mkdir()
    for number in range(FRAMES):
        write_image(made / "in" / f"{number}.png", frame(number)[0])
    return made


def frame(number: int) -> tuple[Tensor, Tensor]:
    """A frame of that film, and where its sky is."""
    images, is_sky = sky_beside_ground(torch.tensor([24 + 2 * number]), 1000)
    return images[0], is_sky[0]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network is asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def share_by_hand(folder: Path, image: Tensor, token: int) -> Tensor:
    """The model's map, (48, 48), of a word that is one token."""
    model = CLIPSegForImageSegmentation.from_pretrained(folder / "model").eval()
    asked = {"input_ids": torch.tensor([[BEGIN, token, END]])}
    with torch.no_grad():
        share: Tensor = model(pixel_values=prepared(image[None]), **asked).logits[0].sigmoid()
    return share


def enlarged(share: Tensor) -> Tensor:
    return F.interpolate(share[None, None], (48, 64), mode="bilinear", antialias=True)[0, 0]


def test_it_sees_what_the_model_says_of_the_whole_image(folder: Path) -> None:
    finder = ClipSegFinder.load(str(folder / "model"), WORDS, 1.75, CPU)
    share = enlarged(share_by_hand(folder, IMAGE, SKY))
    assert share.std() > 0.05
    wanted, unwanted, weights = finder.look(IMAGE)
    torch.testing.assert_close(wanted, SURE * share, atol=1e-4, rtol=1e-4)
    assert not unwanted.any()
    assert torch.equal(weights, torch.ones(48, 64))


def test_of_several_words_the_clearest_counts_and_areas_are_found_too(folder: Path) -> None:
    words = [([], ["sea"]), (["sky", "sea"], []), ([], [])]
    finder = ClipSegFinder.load(str(folder / "model"), words, 1.75, CPU)
    seen = finder.look(IMAGE)
    sky, sea = (SURE * enlarged(share_by_hand(folder, IMAGE, token)) for token in (SKY, SEA))
    assert (sky - sea).abs().max() > 0.02
    torch.testing.assert_close(seen[1], sea, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(seen[2], torch.maximum(sky, sea), atol=1e-4, rtol=1e-4)
    masks = finder.masks(seen, IMAGE)
    assert masks.shape == (3, 48, 64)
    assert torch.equal(masks[2], torch.ones(48, 64))


def test_the_usual_threshold_is_a_share_of_one_half(folder: Path) -> None:
    finder = ClipSegFinder.load(str(folder / "model"), WORDS, VideoConfig().where_threshold, CPU)
    grey = torch.full((3, 48, 64), 0.5)
    seen = torch.stack([torch.zeros(48, 64), torch.zeros(48, 64), torch.ones(48, 64)])
    masks = []
    for share in (0.0, 0.5, 1.0):
        seen[0] = SURE * share
        masks.append(float(finder.masks(seen, grey).mean()))
    assert masks == pytest.approx([0, 0.5, 1], abs=1e-4)
    seen[0] = SURE * 0.3
    assert float(finder.at(SURE * 0.3).masks(seen, grey).mean()) == pytest.approx(0.5, abs=1e-4)


def test_in_a_film_each_frame_counts_for_a_part(folder: Path) -> None:
    finder = ClipSegFinder.load(str(folder / "model"), WORDS, 1.75, CPU)
    first, second = finder.look(IMAGE), finder.look(OTHER)
    both = finder.look(OTHER, first, 1)
    torch.testing.assert_close(both, first + (second - first) / TURNS)


def test_what_the_model_knows_is_found(folder: Path) -> None:
    finder = ClipSegFinder.load(str(folder / "model"), WORDS, 1.75, CPU)
    for number in range(FRAMES):
        image, is_sky = frame(number)
        assert overlap(finder.masks(finder.look(image), image), is_sky) >= 0.8


def test_a_picture_is_dreamed_only_where_it_sees_the_words(folder: Path) -> None:
    options = QUICK | {"where_model": str(folder / "model"), "objectives": BLUE}
    source, is_sky = read_image(folder / "in" / "0.png"), frame(0)[1]
    for given, where in (({"where": ["sky"]}, is_sky), ({"where_not": ["sky"]}, ~is_sky)):
        dream = dreamvid.dream_image(folder / "in" / "0.png", **(options | given))
        change = (dream - source).square().sum(0)
        assert float(change[~where].sum() / change.sum()) <= 0.1
        assert float(change[where].mean()) > 1e-3


def test_a_film_is_resumed_and_made_again_with_it(folder: Path, tmp_path: Path) -> None:
    model, source = shutil.copytree(folder / "model", tmp_path / "model"), folder / "in"
    options = FILM | {"where": ["sky"], "where_model": str(model)}
    whole = dreamvid.dream_video(source, tmp_path / "whole.mkv", **options)
    with VideoReader(tmp_path / "whole.mkv") as reader:
        last = list(reader)[-1].image
    source_image, is_sky = frame(FRAMES - 1)
    change = (last - source_image).square().sum(0)
    assert float(change[~is_sky].sum() / change.sum()) <= 0.1
    again = dreamvid.rerun(tmp_path / "whole.mkv", tmp_path / "again.mkv", objectives=BLUE)
    assert again.digest == whole.digest

    def stop(event: object) -> None:
        if isinstance(event, FrameDone) and event.index == 2:
            raise KeyboardInterrupt

    out = tmp_path / "out.mkv"
    with pytest.raises(KeyboardInterrupt):
        dreamvid.dream_video(source, out, listener=stop, **options)
    weights = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(weights[:-1] + b"\x01")
    with pytest.raises(JournalError, match=r"--where-model '.*model' is not what it was; allowed"):
        dreamvid.dream_video(source, out, resume=True, **options)
    shutil.rmtree(model)
    shutil.copytree(folder / "model", model)
    assert dreamvid.dream_video(source, out, resume=True, **options).digest == whole.digest


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda model: shutil.rmtree(model), "is no folder with the config.json of a model; allow"),
        (
            lambda model: (model / "config.json").unlink(),
            "is no folder with the config.json of a m",
        ),
        (
            lambda model: (model / "config.json").write_text("[]"),
            "is no folder with the config.jso",
        ),
        (
            lambda model: (model / "config.json").write_text('{"model_type": "clip"}'),
            "holds a model of type 'clip'; allowed: a CLIPSeg, as transformers saves one",
        ),
        (lambda model: (model / "model.safetensors").unlink(), "cannot be loaded: "),
        (lambda model: (model / "model.safetensors").write_bytes(b"no"), "cannot be loaded: "),
        (lambda model: (model / "tokenizer.json").write_text("no"), "cannot be loaded: "),
        (lambda model: without_a_weight(model), "cannot be loaded: its weights lack decoder.film"),
    ],
)
def test_a_folder_that_cannot_be_used_is_told_in_one_line(
    folder: Path,
    tmp_path: Path,
    command: Command,  # noqa: F811
    spoil: Any,
    why: str,
) -> None:
    model = shutil.copytree(folder / "model", tmp_path / "model")
    spoil(model)
    words = ["-p", "ice", "--where", "sky", "--where-model", model, "--steps", "0", "-q"]
    result = command("image", folder / "in" / "0.png", tmp_path / "out.png", *words)
    refused(result, 1, f"--where-model '{model}' {why}")


def without_a_weight(folder: Path) -> None:
    whole = model()
    state = {name: each for name, each in whole.state_dict().items() if "film_mul" not in name}
    whole.save_pretrained(folder, state_dict=state)


def test_nothing_is_dreamed_before_a_wrong_folder_is_told(
    folder: Path,
    tmp_path: Path,
    command: Command,  # noqa: F811
) -> None:
    words = ["-p", "ice", "--where", "sky", "--where-model", tmp_path, "--guide", "RN50:openai"]
    result = command("video", folder / "in", tmp_path / "out.mkv", *words)
    refused(result, 1, f"--where-model '{tmp_path}' is no folder with the config.json of a model")


def test_the_package_is_named_where_it_is_missing(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Command,  # noqa: F811
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    model = folder / "model"
    words = ["-p", "ice", "--where", "sky", "--where-model", model]
    result = command("image", folder / "in" / "0.png", tmp_path / "out.png", *words)
    why = "needs a package that is not installed: pip install transformers; allowed: without"
    refused(result, 1, f"--where-model '{model}' {why}")


def test_there_must_be_words_to_find(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--where-model is given without words to find; allow"):
        dreamvid.dream_image(folder / "in" / "0.png", where_model="x", objectives=BLUE)
    assert VideoConfig(where_model="x", prompt=["fire@@where:water"]).has_words
    assert not VideoConfig(prompt=["fire@@left.png"]).has_words
