"""Guides loaded from folders, files and the hub, and the one line where that fails."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import open_clip
import pytest
import torch
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from safetensors.torch import save_file

from dreamvid.errors import GuideError
from dreamvid.guide import hub, loading
from dreamvid.guide.loading import _is_convolutional, load_clip
from dreamvid.guide.names import BUILT_IN
from tests.conftest import CPU
from tests.motion.scenes import texture

MINI_WEIGHTS = BUILT_IN["mini"] / "open_clip_model.safetensors"
SOURCE = texture(64, 96)


SMALL = "ViT-S-32-alt"
"""The smallest of open_clip's architectures."""


def error_of(name: str) -> str:
    with pytest.raises(GuideError) as raised:
        load_clip(name, CPU)
    text = str(raised.value)
    assert "\n" not in text
    assert name in text
    return text


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


def test_no_texts_and_no_images_have_no_embeddings(mini):
    assert mini.embed_texts([]).shape == mini.embed_images([]).shape == (0, 256)


@pytest.fixture(scope="module")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Random weights of a real architecture, in half precision."""
    torch.manual_seed(0)
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
    monkeypatch.setattr(hub, "hub_answers", lambda: False)
    began = time.monotonic()
    text = error_of(name)
    assert time.monotonic() - began < 10
    assert text == (
        f"guide '{name}' is not cached and the hub cannot be reached; "
        "connect to the internet, name a file (MODEL:FILE) or use --guide mini"
    )
    assert capfd.readouterr() == ("", "")


def cache(folder: Path, repository: str, *files: Path) -> Path:
    """Put files of a repository into a hub's cache, as its client does; the folder they are in."""
    home = folder / "cache" / f"models--{repository.replace('/', '--')}"
    snapshot = home / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(snapshot.name, encoding="utf-8")
    for file in files:
        (snapshot / file.name).symlink_to(file)
    return snapshot


@pytest.mark.usefixtures("no_network")
def test_a_cached_repository_loads_without_the_network(tmp_path, capfd):
    folder = tiny_folder(tmp_path)
    cache(tmp_path, "org/tiny", *folder.glob("open_clip*"))
    found, expected = (load_clip(name, CPU) for name in ("hf-hub:org/tiny", f"local-dir:{folder}"))
    assert torch.equal(found.embed_texts(["a"]), expected.embed_texts(["a"]))
    assert torch.equal(found.embed_images([SOURCE]), expected.embed_images([SOURCE]))
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("org/small/", "open_clip_model.safetensors"),
        ("org/small/weights.bin", "weights.safetensors"),
    ],
)
def test_a_cached_tag_loads_without_the_network_and_brings_its_preprocessing(
    address, file, small_weights, tmp_path, monkeypatch
):
    tag = {"hf_hub": address, "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.25), "quick_gelu": True}
    (tmp_path / file).symlink_to(small_weights)
    cache(tmp_path, "org/small", tmp_path / file)
    monkeypatch.setattr(open_clip, "list_pretrained_tags_by_model", lambda model: ["tag"])
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda model, name: tag)
    clip = load_clip(f"{SMALL}:tag", CPU)
    assert (1 / clip.tower.scale).flatten().tolist() == pytest.approx([0.5, 0.5, 0.25])
    assert (-clip.tower.shift / clip.tower.scale).flatten().tolist() == pytest.approx(
        [0.1, 0.2, 0.3]
    )
    kinds = {type(module).__name__ for module in clip.model.modules()}
    assert "QuickGELU" in kinds and "GELU" not in kinds


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Files are cached, and open_clip cannot make a model of them."""

    def create_model(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(loading, "hub_files", lambda _, *files: [Path("file") for _ in files])
    monkeypatch.setattr(open_clip, "create_model", create_model)


def refusing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """A hub that answers, and refuses."""

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(hub, "hub_answers", lambda: True)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)


@pytest.mark.usefixtures("no_network")
def test_what_the_hub_refuses_is_told_in_one_line(monkeypatch):
    refusing(monkeypatch, RuntimeError("503 Busy.\nRequest ID: 1\n"))
    assert error_of("hf-hub:no/such") == (
        "guide 'hf-hub:no/such' is not available: 503 Busy; --guide mini needs no download"
    )


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (RepositoryNotFoundError, "the hub has no such repository, or it is private"),
        (GatedRepoError, "its owner must grant access first, on the hub's page of the model"),
    ],
)
def test_a_mistyped_or_closed_repository_is_told(kind, reason, monkeypatch):
    refusing(monkeypatch, kind("401 Client Error. (Request ID: 1)\n\nno", response=MagicMock()))
    assert error_of("hf-hub:no/such") == (
        f"guide 'hf-hub:no/such' is not available: {reason}; --guide mini needs no download"
    )


def test_a_missing_package_is_named(monkeypatch):
    failing(monkeypatch, ModuleNotFoundError("No module named 'x'", name="transformers"))
    text = error_of("ViT-B-16-SigLIP:webli")
    assert text.endswith("needs a package that is not installed: pip install transformers")


@pytest.mark.parametrize(
    ("name", "wants"),
    [("RN50:openai", True), ("ViT-B-32:openai", True), ("ViT-B-32:laion2b_s34b_b79k", False)],
)
def test_open_clip_is_told_who_wants_quick_gelu_and_that_weights_must_come(
    name, wants, monkeypatch
):
    asked: dict[str, Any] = {}

    def create_model(*_: object, **options: object) -> None:
        asked.update(options)
        raise RuntimeError("enough")

    failing(monkeypatch, RuntimeError())
    monkeypatch.setattr(open_clip, "create_model", create_model)
    error_of(name)
    assert asked["force_quick_gelu"] is wants
    assert asked["require_pretrained"]


@pytest.mark.usefixtures("no_network")
def test_a_text_tower_of_transformers_reads_its_config_from_the_cache(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    snapshot = cache(tmp_path, "org/words", tmp_path / "config.json")
    override = loading._text_tower_override({"hf_model_name": "org/words", "width": 8})
    expected = {"hf_model_name": str(snapshot), "hf_model_pretrained": False, "width": 8}
    assert override == {"text_cfg": expected}
    assert loading._text_tower_override({"width": 8}) == {}


@pytest.mark.parametrize("is_cached", [True, False])
def test_a_tokenizer_of_transformers_is_looked_for_in_the_cache_first(is_cached, monkeypatch):
    asked: list[dict[str, Any]] = []

    def tokenizer(name: str, **options: Any) -> str:
        asked.append(options)
        if options.get("local_files_only") and not is_cached:
            raise OSError("not cached")
        return name

    monkeypatch.setattr("open_clip.tokenizer.HFTokenizer", tokenizer)
    monkeypatch.setattr(hub, "hub_answers", lambda: True)
    config = {"context_length": 64, "tokenizer_kwargs": {"clean": "canonicalize"}}
    assert loading._hub_tokenizer("org/words", config) == "org/words"
    common = {"context_length": 64, "tokenizer_mode": None, "clean": "canonicalize"}
    assert asked == [{"local_files_only": True, **common}, common][: 1 if is_cached else 2]
    monkeypatch.setattr(hub, "hub_answers", lambda: False)
    if not is_cached:
        with pytest.raises(hub.HubUnreachableError):
            loading._hub_tokenizer("org/words", config)


# Quiet


def log_as(package: str, message: str) -> None:
    """Log to the root logger from a file of that package, as open_clip does."""
    code = compile(f"import logging\nlogging.warning({message!r})", f"/x/{package}/a.py", "exec")
    exec(code, {})


def test_while_a_guide_loads_other_threads_and_packages_log_as_before(caplog):
    timm = logging.getLogger("timm.models")
    with loading.quiet_libraries():
        log_as("open_clip", "open_clip's own")
        timm.warning("not from timm's files")
        log_as("elsewhere", "the caller's")
        other = threading.Thread(target=log_as, args=("open_clip", "another thread's"))
        other.start()
        other.join()
        logging.getLogger().warning("the root's")
    log_as("open_clip", "afterwards")
    assert caplog.messages == [
        "not from timm's files",
        "the caller's",
        "another thread's",
        "the root's",
        "afterwards",
    ]


def test_loading_leaves_no_filter_and_no_level_behind(tmp_path, monkeypatch):
    folder = tiny_folder(tmp_path)
    before = logging.root.filters.copy(), logging.root.manager.disable, logging.root.level
    load_clip(f"local-dir:{folder}", CPU)
    failing(monkeypatch, RuntimeError("no"))
    error_of(f"local-dir:{folder}")
    assert before == (logging.root.filters, logging.root.manager.disable, logging.root.level)


def test_what_libraries_log_below_their_own_name_is_dropped_as_well(caplog):
    logger = logging.getLogger("huggingface_hub.made_up")
    code = compile("logger.error('gone')", "/x/huggingface_hub/a.py", "exec")
    with loading.quiet_libraries():
        exec(code, {"logger": logger})
    assert caplog.messages == []


def test_the_built_in_guide_is_convolutional_and_a_transformer_is_not(mini):
    import open_clip

    assert _is_convolutional(mini.tower.visual)
    small = {"image_size": 16, "layers": 1, "width": 64, "patch_size": 8}
    text = {"context_length": 4, "vocab_size": 8, "width": 64, "heads": 1, "layers": 1}
    transformer = open_clip.model.CLIP(16, small, text)
    assert not _is_convolutional(transformer.visual)
