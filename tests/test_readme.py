"""What the README names exists, and what exists it names."""

from __future__ import annotations

import re
from pathlib import Path

import dreamvid
from dreamvid.config import MODELS, options
from dreamvid.evaluation.figures import FIGURES
from dreamvid.guide.names import BUILT_IN, KNOWN

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
RUN_OPTIONS = {
    *("film", "plot", "sheet", "overwrite", "resume", "force", "quiet", "json", "config"),
    *("preset", "debug", "help"),
}
SCRIPT_OPTIONS = {"second-guide", "memory"}


def test_every_option_in_the_readme_exists():
    named = {name.removeprefix("no-") for name in re.findall(r"--([a-z][a-z-]+)", README)}
    known = {option.name for model in MODELS for option in options(model)}
    assert named - known - RUN_OPTIONS - SCRIPT_OPTIONS == set()


def test_every_guide_worth_knowing_is_in_the_readme():
    for name in [*BUILT_IN, *(guide.name for guide in KNOWN)]:
        assert f"`{name}`" in README


def test_every_figure_is_explained_in_the_readme():
    section = README.split("## Measuring a dream")[1].split("\n## ")[0]
    for figure in FIGURES.keys() - {"frames", "cuts"}:
        assert f"`{figure.removesuffix('_8').removesuffix('_24')}`" in section


def test_every_name_that_the_readme_uses_of_the_library_is_exported():
    used = set(
        re.findall(
            r"dreamvid\.([A-Za-z_]+)", "".join(re.findall(r"```python(.*?)```", README, re.S))
        )
    )
    assert used <= set(dreamvid.__all__)
    assert all(getattr(dreamvid, name) is not None for name in dreamvid.__all__)


def test_every_file_that_the_readme_links_to_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (Path(__file__).parent.parent / target).exists(), target
