"""Presets: named files of options, built in and the user's own."""

from __future__ import annotations

from pathlib import Path

import typer

from dreamvid.errors import ConfigError

BUILT_IN = Path(__file__).parents[1] / "data" / "presets"


def own_folder() -> Path:
    """Folder of the user's own presets: `presets` in the platform's folder for configuration."""
    return Path(typer.get_app_dir("dreamvid")) / "presets"


def preset_files() -> dict[str, Path]:
    """All presets: name → TOML file; a user's own replaces a built-in one of the same name."""
    folders = (BUILT_IN, own_folder())
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml"))}


def find_preset(name: str) -> Path:
    """The file of this preset. Raises ConfigError if it does not exist."""
    files = preset_files()
    if name not in files:
        raise ConfigError(
            f"--preset '{name}' does not exist; allowed: {', '.join(files)}, "
            f"or one of your own in '{own_folder()}'"
        )
    return files[name]


def describe(path: Path) -> str:
    """Description in the first line of a preset's file; empty unless that is a comment."""
    first = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""
