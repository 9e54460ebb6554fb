"""`dreamvid guides`: list the guides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from dreamvid.cli.options import command
from dreamvid.guide.hub import cached_repositories
from dreamvid.guide.names import BUILT_IN, KNOWN


@command()
def guides(
    all_of_them: Annotated[
        bool, typer.Option("--all", help="Every MODEL:TAG that open_clip knows.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """List guides: built in, cached, and what others would download."""
    found = _every() if all_of_them else _recommended()
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    width = max(len(guide["name"]) for guide in found)
    for guide in found:
        size = f"{guide['megabytes']} MB" if guide["megabytes"] else ""
        print(f"{guide['name']:{width}}  {guide['where']:8}  {size:>8}  {guide['note']}".rstrip())
    if not all_of_them:
        print(
            "\nAlso any MODEL:TAG of open_clip (--all lists them), MODEL:FILE with weights of your "
            "own,\nand hf-hub:ORG/NAME for a model in open_clip's format."
        )


def _recommended() -> list[dict[str, Any]]:
    """The built-in and the recommended guides, with their places and sizes in MB."""
    cached = cached_repositories()
    built_in = [
        _row(name, "built in", _megabytes(folder), "no download; small, for trying things out")
        for name, folder in BUILT_IN.items()
    ]
    others = [
        _row(
            guide.name,
            "cached" if guide.repository in cached else "download",
            cached.get(guide.repository, guide.megabytes),
            guide.note,
        )
        for guide in KNOWN
    ]
    return built_in + others


def _every() -> list[dict[str, Any]]:
    """Every architecture and tag of open_clip; sizes are known only for cached ones."""
    import open_clip

    cached = cached_repositories()
    rows = []
    for model, tag in open_clip.list_pretrained():
        config = open_clip.get_pretrained_cfg(model, tag)
        repository = "/".join(config.get("hf_hub", "").split("/")[:2])
        where = "cached" if repository in cached else "download"
        rows.append(_row(f"{model}:{tag}", where, cached.get(repository), ""))
    return rows


def _row(name: str, where: str, megabytes: int | None, note: str) -> dict[str, Any]:
    return {"name": name, "where": where, "megabytes": megabytes, "note": note}


def _megabytes(folder: Path) -> int:
    return round(sum(file.stat().st_size for file in folder.iterdir()) / 1e6)
