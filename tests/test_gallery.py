"""The gallery, the strips, the notebook and the manual page are whole, and can be made again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import gallery
import nbformat
import pytest
import run_notebook
import strips
from man_page import PAGE as MANUAL
from man_page import manual
from PIL import Image
from scenes import SCENES

from dreamvid.media.probing import probe

ROOT = Path(__file__).parent.parent
ENTRIES = gallery.entries()
TINY = """# Fire out of noise.
#
# dreamvid image noise fire.png --config fire.toml

prompt = ["fire"]
size = "48x32"
steps = 2
"""


def size_of(*paths: Path) -> int:
    return sum(path.stat().st_size for path in paths)


# The gallery


def test_there_are_results_of_every_use_and_of_two_kinds_of_guide():
    assert len(ENTRIES) >= 12
    assert {entry.use for entry in ENTRIES} == {"video", "zoom", "music", "image"}
    assert any(entry.is_ordinary for entry in ENTRIES)
    assert size_of(*(path for path in gallery.GALLERY.iterdir())) <= 6e6


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_result_is_shown_with_its_command_options_and_digest(entry):
    assert entry.config.prompt or entry.config.at or entry.config.lyrics
    assert entry.line.endswith(".")
    assert f"--config samples/gallery/{entry.toml.name}" in entry.commands[-1]
    source = ROOT / entry.source
    assert entry.source in ("grey", "noise") or source.exists() or source.stem in SCENES
    with Image.open(entry.shown) as picture:
        assert getattr(picture, "n_frames", 1) > 1 or entry.command == "image"
    assert entry.film is None or entry.film.exists()
    assert len(gallery.made()[entry.name].digest) == 64


def test_the_page_is_what_the_script_writes():
    assert (gallery.GALLERY / "README.md").read_text(encoding="utf-8") == gallery.page()


def test_a_film_with_sound_follows_music_for_twenty_seconds():
    films = [entry.film for entry in ENTRIES if entry.film]
    assert any((probe(film).duration or 0) >= 19 and probe(film).sound for film in films)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A gallery of one small picture, dreamed."""
    monkeypatch.setattr(gallery, "GALLERY", tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fire.toml").write_text(TINY, encoding="utf-8")
    (entry,) = gallery.entries()
    gallery.rebuild([entry], None, resume=False)
    return entry


def test_an_entry_dreamed_again_has_the_same_digest(small, capsys):
    assert gallery.check(small, None)
    assert "fire: the same digest" in capsys.readouterr().out


def test_a_dream_that_differs_is_told(small, capsys):
    small.toml.write_text(TINY + "seed = 1\n", encoding="utf-8")
    assert not gallery.check(gallery.Entry(small.toml), None)
    assert "fire: ANOTHER digest" in capsys.readouterr().out


def test_what_is_whole_is_not_dreamed_again_after_a_stop(small, monkeypatch):
    monkeypatch.setattr(gallery, "make", None)
    gallery.rebuild([small], None, resume=True)
    with pytest.raises(TypeError):
        gallery.rebuild([small], None, resume=False)


# Strips


def test_every_option_that_matters_has_a_strip():
    files = sorted(strips.STRIPS.iterdir())
    assert [file.stem for file in files] == sorted(each.option for each in strips.ALL)
    assert size_of(*files) <= 1e6


def test_a_slice_has_a_column_for_each_frame(monkeypatch):
    monkeypatch.setattr(strips, "SIZE", "64x48")
    hurried = {"steps": 0, "first_steps": 0, "end": 0.25}
    drawn = strips.draw(strips.slices("every", (1, 2), "…", **hurried))
    width = 2 * 6 * strips.STRETCH + strips.GAP
    assert drawn.shape == (3, 48 + strips.LABEL_HEIGHT, width)


# The notebook


def test_the_notebook_runs_from_top_to_bottom(monkeypatch):
    monkeypatch.setenv("DREAMVID_NOTEBOOK", "64x48 4")
    book = run_notebook.run()
    kinds = {
        kind
        for cell in book.cells
        for each in cell.get("outputs", [])
        for kind in each.get("data", {})
    }
    assert {"image/jpeg", "image/gif"} <= kinds


def test_the_notebook_shows_what_it_made_and_nothing_of_this_machine():
    assert size_of(run_notebook.NOTEBOOK) < 3e6
    book = nbformat.read(run_notebook.NOTEBOOK, as_version=4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert sum(bool(cell.outputs) for cell in code) >= 8
    assert all(cell.metadata == {} for cell in book.cells)
    texts = [each.get("text", "") for cell in code for each in cell.outputs]
    assert not any("/" in text for text in texts)
    assert set(book.metadata) == {"kernelspec", "language_info"}


# The manual page


def test_the_manual_page_is_what_the_script_writes():
    assert MANUAL.read_text(encoding="utf-8") == manual()


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff, which formats it")
def test_the_manual_page_is_formatted_without_a_warning():
    formatted = subprocess.run(
        ["groff", "-man", "-Tutf8", "-P-cbou", "-ww", MANUAL],
        capture_output=True,
        text=True,
        check=True,
    )
    assert formatted.stderr == ""
    assert "dreamvid video [OPTIONS] IN OUT" in formatted.stdout
