"""What the README and its pages name exists, and what exists they name."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer

import dreamvid
from dreamvid.cli.app import app
from dreamvid.evaluation.figures import FIGURES
from dreamvid.guide.names import BUILT_IN, KNOWN

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples"
PAGES = [ROOT / "README.md", *sorted(SAMPLES.glob("*.md")), SAMPLES / "gallery" / "README.md"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SCRIPT_OPTIONS = {"--second-guide", "--memory", "--quick", "--ordinary", "--clips", "--check"}
SLURM_OPTIONS = {"--parsable", "--array", "--cpus-per-task", "--requeue", "--export", "--wrap"}
SLURM_OPTIONS |= {"--dependency", "--gres"}


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def spellings() -> set[str]:
    """Every option of every command, as it is written on the command line."""
    program = typer.main.get_command(app)
    commands = program.commands  # type: ignore[attr-defined]
    return {
        spelling
        for command in [program, *commands.values()]
        for parameter in command.params
        for spelling in (*parameter.opts, *parameter.secondary_opts)
    } | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_option_in_a_page_exists(page):
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text_of(page)))
    assert named - spellings() - SCRIPT_OPTIONS - SLURM_OPTIONS == set()


def test_the_readme_stays_short():
    assert len(README.splitlines()) <= 220


def test_every_guide_worth_knowing_is_in_the_readme():
    for name in [*BUILT_IN, *(guide.name for guide in KNOWN)]:
        assert f"`{name}`" in README


def test_every_figure_is_explained():
    page = text_of(SAMPLES / "measuring.md")
    for figure in FIGURES.keys() - {"frames", "cuts"}:
        assert f"`{figure.removesuffix('_8').removesuffix('_24')}`" in page


def test_every_page_is_in_both_indexes():
    for page in SAMPLES.glob("*.md"):
        if page.name != "README.md":
            assert f"({page.name})" in text_of(SAMPLES / "README.md")
        if page.name not in (
            "coherence.md",
            "evaluations.md",
            "masks.md",
        ):  # the tables behind method, speed and the cookbook
            assert f"(samples/{page.name})" in README


def test_the_reference_of_options_is_what_the_script_writes(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    from options_reference import PAGE, reference

    assert text_of(PAGE) == reference()


def test_every_name_of_the_library_in_the_pages_is_exported():
    blocks = "".join(
        block for page in PAGES for block in re.findall(r"```python(.*?)```", text_of(page), re.S)
    )
    used = set(re.findall(r"dreamvid\.([A-Za-z_]+)", blocks)) - {"events"}
    assert used <= set(dreamvid.__all__)
    assert all(getattr(dreamvid, name) is not None for name in dreamvid.__all__)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", text_of(page)):
        if target.startswith("https://"):
            continue
        linked = (page.parent / target) if target else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)", text_of(linked), re.M)
            assert anchor in [heading.lower().replace(" ", "-") for heading in headings], anchor


def test_what_is_cited_is_this_version():
    cited = text_of(SAMPLES / "CITATION.cff")
    assert f"version: {version('dreamvid')}" in cited.splitlines()
    assert f"## {version('dreamvid')}" in text_of(SAMPLES / "changes.md")
