"""`dreamvid presets`: the names that --preset takes."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from dreamvid.cli.options import command
from dreamvid.cli.preset_files import describe, own_folder, preset_files


@command()
def presets(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """List presets, built in and your own, one a line."""
    found = [
        {"name": name, "file": str(path), "note": describe(path)}
        for name, path in preset_files().items()
    ]
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    width = max(len(preset["name"]) for preset in found)
    for preset in found:
        print(f"{preset['name']:{width}}  {preset['note']}".rstrip())
    print(f"\nYour own go as NAME.toml into '{own_folder()}'.")
