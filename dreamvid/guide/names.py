"""Names of guides, and a list of recommended ones. This module imports nothing heavy.

A guide's name is `mini` (built in), `MODEL:TAG` (an open_clip model and pretrained tag),
`MODEL:FILE` (weights from a file), `hf-hub:ORG/NAME` or `local-dir:FOLDER`, a folder in
open_clip's own format.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from dreamvid.errors import GuideError

BUILT_IN = {"mini": Path(__file__).parent.parent / "data" / "guides" / "mini"}
FORMS = "mini, MODEL:TAG, MODEL:FILE or hf-hub:ORG/NAME (see `dreamvid guides`)"


@dataclass(frozen=True)
class KnownGuide:
    """A recommended guide."""

    name: str
    megabytes: int
    """Size of the download: the parameters as float32."""
    repository: str
    """Its repository on the Hugging Face hub, ORG/NAME."""
    note: str


KNOWN = (
    KnownGuide(
        "ViT-B-32:laion2b_s34b_b79k",
        605,
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        "knows far more than mini; the fastest of the full-size ones",
    ),
    KnownGuide(
        "hf-hub:chs20/FARE4-ViT-B-32-laion2B-s34B-b79K",
        605,
        "chs20/FARE4-ViT-B-32-laion2B-s34B-b79K",
        "the same, adversarially fine-tuned: more legible dreams",
    ),
    KnownGuide(
        "hf-hub:chs20/TeCoA4-ViT-B-32-laion2B-s34B-b79K",
        605,
        "chs20/TeCoA4-ViT-B-32-laion2B-s34B-b79K",
        "the same, fine-tuned adversarially on ImageNet's classes",
    ),
    KnownGuide(
        "ViT-B-16:laion2b_s34b_b88k",
        599,
        "laion/CLIP-ViT-B-16-laion2B-s34B-b88K",
        "finer patches, about four times the work of ViT-B-32",
    ),
    KnownGuide(
        "hf-hub:chs20/FARE4-ViT-B-16-laion2B-s34B-b88K",
        599,
        "chs20/FARE4-ViT-B-16-laion2B-s34B-b88K",
        "the same, adversarially fine-tuned",
    ),
    KnownGuide(
        "hf-hub:chs20/TeCoA4-ViT-B-16-laion2B-s34B-b88K",
        598,
        "chs20/TeCoA4-ViT-B-16-laion2B-s34B-b88K",
        "the same, fine-tuned adversarially on ImageNet's classes",
    ),
    KnownGuide(
        "hf-hub:chs20/FARE4-convnext_base_w-laion2B-s13B-b82K-augreg",
        718,
        "chs20/FARE4-convnext_base_w-laion2B-s13B-b82K-augreg",
        "convolutions instead of patches, adversarially fine-tuned; 256-pixel input",
    ),
    KnownGuide(
        "ViT-L-14:laion2b_s32b_b82k",
        1710,
        "laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
        "the best understanding; wants a large GPU",
    ),
    KnownGuide(
        "hf-hub:chs20/fare4-clip",
        1710,
        "chs20/fare4-clip",
        "OpenAI's ViT-L-14, adversarially fine-tuned",
    ),
)


@dataclass(frozen=True)
class GuideName:
    """A guide's name, split into open_clip's arguments."""

    text: str
    model: str
    """open_clip's model name, with `hf-hub:` or `local-dir:` where given."""
    pretrained: str | None
    """A pretrained tag or a file of weights; None where `model` names a whole repository."""

    @property
    def is_local(self) -> bool:
        """Whether all of its files are on this machine by their own paths."""
        is_file = self.pretrained is not None and Path(self.pretrained).is_file()
        return is_file or self.model.startswith("local-dir:")


def parse_guide(text: str) -> GuideName:
    """Split a guide's name. Raises GuideError where no such guide can exist."""
    if text in BUILT_IN:
        return GuideName(text, f"local-dir:{BUILT_IN[text]}", None)
    head, _, tail = text.partition(":")
    if head == "local-dir" and not (Path(tail) / "open_clip_config.json").is_file():
        raise GuideError(f"guide '{text}': no open_clip_config.json in the folder '{tail}'")
    if head == "hf-hub" and (tail.count("/") != 1 or not all(tail.split("/"))):
        raise GuideError(f"guide '{text}': '{tail}' is not of the form ORG/NAME")
    if head in ("local-dir", "hf-hub"):
        return GuideName(text, text, None)
    models = model_names()
    if head not in models:
        near = get_close_matches(head, [*BUILT_IN, *models], n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise GuideError(f"unknown guide '{text}'; allowed: {FORMS}{hint}")
    if not tail:
        raise GuideError(f"guide '{text}' lacks its weights; allowed: {head}:TAG or {head}:FILE")
    return GuideName(text, head, tail)


def model_names() -> list[str]:
    """The architectures of the installed open_clip, from its files: importing it takes seconds."""
    spec = find_spec("open_clip")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    return sorted(file.stem for file in (folder / "model_configs").glob("*.json"))
