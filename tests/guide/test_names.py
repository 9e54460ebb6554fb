"""Names of guides: how they are split, and what is said of those that cannot exist."""

from __future__ import annotations

import open_clip
import pytest

from dreamvid.errors import GuideError
from dreamvid.guide.names import BUILT_IN, GuideName, model_names, parse_guide
from tests.conftest import JUDGE

MINI_WEIGHTS = BUILT_IN["mini"] / "open_clip_model.safetensors"


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
