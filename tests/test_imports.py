"""Imports run one way, each library has one home, and only the command line prints."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dreamvid"

BASE = {"errors", "types", "events", "config", "device", "travel"}
"""What every part but these themselves may import."""

MAY_IMPORT = {
    "errors": set(),
    "types": set(),
    "events": {"types", "dream", "film"},
    "config": {"config", "errors"},
    "device": {"config", "errors"},
    "travel": set(),
    "notebook": {"events"},
    "__main__": {"cli"},
    "media": BASE | {"media"},
    "motion": BASE | {"motion"},
    "dream": BASE | {"dream"},
    "control": BASE | {"control"},
    "guide": BASE | {"guide", "dream"},
    "plot": BASE | {"media"},
    "journal": BASE | {"journal", "media"},
    "workers": BASE,
    "film": BASE
    | {"film", "journal", "guide", "control", "dream", "motion", "media", "plot", "notebook"}
    | {"workers"},
    "zooms": BASE
    | {"zooms", "film", "journal", "guide", "control", "dream", "motion", "media", "notebook"},
    "live": BASE
    | {"live", "film", "journal", "guide", "control", "dream", "motion", "media", "notebook"},
    "making": BASE | {"film", "zooms", "media", "reporting", "notebook", "workers"},
    "batch": BASE | {"making", "film", "journal", "guide", "media", "notebook", "workers"},
    "doctor": BASE | {"dream", "guide", "media"},
    "reporting": BASE
    | {"reporting", "evaluation", "film", "guide", "control", "dream", "motion", "media"}
    | {"plot", "notebook"},
    "rerunning": BASE | {"making", "film", "media"},
    "resuming": BASE | {"making", "film", "journal", "media", "notebook", "workers"},
    "evaluation": BASE
    | {"evaluation", "film", "guide", "dream", "motion", "media", "plot", "notebook"},
    "cli": BASE
    | {
        "cli",
        "film",
        "zooms",
        "making",
        "rerunning",
        "resuming",
        "evaluation",
        "journal",
        "guide",
        "media",
    }
    | {"batch", "doctor", "live", "workers", "reporting"},
    # Within film, what dreams frames knows the seams and no library behind them.
    "film/sequence.py": BASE | {"film", "dream", "motion"},
    "film/inbetween.py": BASE | {"motion"},
    "film/areas.py": BASE | {"dream"},
    "film/splitting.py": {"types"},
    "film/seam.py": BASE | {"film", "dream"},
    "film/delivery.py": BASE | {"dream"},
    "film/prefetch.py": {"travel"},
}
"""Which parts of dreamvid each part may import; a file's own row counts before its folder's."""

HOMES = {
    "av": {"media"},
    "PIL": {"media/profiles.py", "media/webp.py"},
    "cv2": {"motion"},
    "scenedetect": {"motion"},
    "torchvision": {"motion"},
    "open_clip": {"guide", "cli/guides.py"},
    "pydantic": {"config"},
    "librosa": {"control/analysis.py"},
    "mido": {"live/midi.py", "media/notes.py"},
    "simpleeval": {"control/expressions.py"},
    "matplotlib": {"plot.py"},
    "jinja2": {"reporting/page.py"},
    "ray": {"workers.py"},
    "starlette": {"live/server.py"},
    "uvicorn": {"live/server.py"},
    "pythonosc": {"live/osc.py"},
    "pyvirtualcam": {"live/sinks.py"},
    "cyndilib": {"live/sinks.py"},
    "transformers": {"guide/clipseg.py"},
    "typer": {"cli"},
    "rich": {"cli"},
}
"""Where each library may be imported: files, or folders with all that is in them."""

HEAVY = (
    "torch",
    "av",
    "cv2",
    "numpy",
    "open_clip",
    "torchvision",
    "scenedetect",
    "matplotlib",
    "librosa",
    "ray",
    "transformers",
)


def imported(tree: ast.AST) -> Iterator[str]:
    """The dotted names of all modules imported anywhere, functions and TYPE_CHECKING included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def called(tree: ast.AST) -> Iterator[str]:
    """The dotted names of all functions called and exceptions raised."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)
        elif isinstance(node, ast.Raise) and node.exc is not None:
            yield ast.unparse(node.exc)


def complaints(file: str, source: str) -> list[str]:
    """What is wrong with `source`, were it `file` in the package."""
    part = file.split("/")[0].removesuffix(".py")
    allowed = MAY_IMPORT.get(file, MAY_IMPORT[part])
    tree = ast.parse(source)
    wrong = []
    for name in imported(tree):
        library, _, rest = name.partition(".")
        if library == "dreamvid" and rest.split(".")[0] not in allowed:
            wrong.append(f"{file} imports {name}")
        if not {part, file} & HOMES.get(library, {part}):
            wrong.append(f"{file} imports {library}")
    if part != "cli":
        loud = {"print", "input", "exit", "quit", "sys.exit", "SystemExit"}
        wrong += [f"{file} calls {name}" for name in called(tree) if name in loud]
    return wrong


FILES = sorted(
    path.relative_to(PACKAGE).as_posix()
    for path in PACKAGE.rglob("*.py")
    if path != PACKAGE / "__init__.py"  # which names the public API and loads it when used
)


@pytest.mark.parametrize("file", FILES)
def test_the_package_keeps_its_borders(file):
    assert complaints(file, (PACKAGE / file).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("media/reader.py", "import dreamvid.film.sequence", "imports dreamvid.film.sequence"),
        ("media/reader.py", "from dreamvid import dream", "imports dreamvid.dream"),
        ("media/reader.py", "from dreamvid.motion import warp", "imports dreamvid.motion.warp"),
        ("dream/x.py", "from dreamvid.media import VideoReader", "imports dreamvid.media."),
        ("dream/x.py", "def f():\n    import dreamvid.motion.warp", "imports dreamvid.motion.warp"),
        ("motion/x.py", "from dreamvid.dream.octaves import resize", "imports dreamvid.dream."),
        ("film/sequence.py", "if TYPE_CHECKING:\n    import dreamvid.cli", "imports dreamvid.cli"),
        (
            "film/sequence.py",
            "from dreamvid.media.probing import VideoInfo",
            "imports dreamvid.media.",
        ),
        ("journal/x.py", "import dreamvid.cli.report", "imports dreamvid.cli"),
        ("film/sequence.py", "import dreamvid.journal", "imports dreamvid.journal"),
        ("evaluation/x.py", "import dreamvid.zooms", "imports dreamvid.zooms"),
        ("film/x.py", "import dreamvid.zooms", "imports dreamvid.zooms"),
        ("film/x.py", "import dreamvid.evaluation.run", "imports dreamvid.evaluation"),
        ("config/values.py", "import dreamvid.types", "imports dreamvid.types"),
        ("motion/x.py", "import av", "imports av"),
        ("media/x.py", "from cv2 import resize", "imports cv2"),
        ("dream/cutouts.py", "import open_clip.factory", "imports open_clip"),
        ("config/values.py", "import typer", "imports typer"),
        ("media/x.py", "print('hello')", "calls print"),
        ("dream/x.py", "def f():\n    sys.exit(1)", "calls sys.exit"),
        ("film/sequence.py", "raise SystemExit", "calls SystemExit"),
    ],
)
def test_what_crosses_a_border_is_noticed(file, source, complaint):
    found = complaints(file, source)
    assert found
    assert found[0].startswith(f"{file} {complaint}")


def test_what_is_allowed_is_not_complained_of():
    assert complaints("cli/x.py", "import typer, rich\nprint(1)\nraise SystemExit(2)") == []
    assert complaints("guide/loading.py", "import open_clip, torch\nimport dreamvid.config") == []
    assert complaints("media/x.py", "from av.packet import Packet") == []


def loaded_after(code: str) -> set[str]:
    """Which heavy libraries a fresh interpreter has loaded after running `code`."""
    tell = f"import sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\n{tell}"], capture_output=True, text=True, check=True
    )
    return set(result.stdout.splitlines()[-1].split())


def test_the_command_line_and_options_load_nothing_heavy():
    assert (
        loaded_after("import dreamvid, dreamvid.config, dreamvid.types, dreamvid.cli.app") == set()
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["video", "--help"],
        ["zoom", "--help-all"],
        ["eval", "--help"],
        ["config", "image", "--help"],
        ["video", "--stepz", "3"],
        ["video", "a.mp4", "b.mp4", "-p", "coral", "reef"],
    ],
)
def test_help_and_a_mistyped_option_load_nothing_heavy(arguments):
    run = f"from dreamvid.cli.app import run\ntry:\n    run({arguments!r})\nexcept SystemExit: pass"
    assert loaded_after(run) == set()


def test_loading_would_be_noticed():
    assert "numpy" in loaded_after("import numpy")
