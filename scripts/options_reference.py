"""Write `samples/options.md`: every option of every command, from the configuration itself.

python scripts/options_reference.py
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from dreamvid.config import (
    EvalConfig,
    ImageConfig,
    Option,
    ReportConfig,
    ScoreConfig,
    Section,
    VideoConfig,
    ZoomConfig,
    options,
)

PAGE = Path(__file__).parent.parent / "samples" / "options.md"
COMMANDS: dict[str, type[Section]] = {
    "video": VideoConfig,
    "zoom": ZoomConfig,
    "image": ImageConfig,
    "eval": EvalConfig,
    "report": ReportConfig,
    "score": ScoreConfig,
}
HEAD = """# Options

Written by `python scripts/options_reference.py` from the configuration; do not edit it by hand.

An option has one name on the command line, in a configuration file (without the dashes), in a
preset and in the result's metadata. The command line overrides `--config FILE`, which overrides
`--preset NAME`, which overrides the defaults below. `dreamvid plan` and `dreamvid shots` take the
options of `dreamvid video`, `dreamvid compare` those of `dreamvid report`. In the library the
dashes are underscores: `first_steps=40`.

These belong to a run and not to the dream, so that no file holds them: `--overwrite`, `--resume`,
`--force`, `--quiet`, `--json`, `--debug`, `--config FILE`, `--preset NAME`, `--plot FILE`,
`--sheet FILE`, `--film FILE`, `--shot K`, `--workers N`, `--watch`, `--source FILE`. `dreamvid
COMMAND --help` tells which command takes which.
"""


def reference() -> str:
    """The page, as Markdown."""
    parts = [HEAD, *(_command(name) for name in COMMANDS)]
    return "\n".join(parts)


def _command(name: str) -> str:
    found = options(COMMANDS[name])
    tables = [
        _table(title, [option for option in found if option.section == title])
        for title in dict.fromkeys(option.section for option in found)
    ]
    return "\n".join([f"## dreamvid {name}", "", *tables])


def _table(title: str, found: list[Option]) -> str:
    head = [f"### {title}", "", "| option | what it does | takes | default |", "|---|---|---|---|"]
    return "\n".join([*head, *map(_row, found), ""])


def _row(option: Option) -> str:
    takes = "" if option.is_flag else option.allowed
    cells = [_spelling(option), option.help, takes, _shown(option.default)]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _spelling(option: Option) -> str:
    names = [option.short] if option.short else []
    names.append(f"--{option.name}")
    if option.is_flag:
        names.append(f"--no-{option.name}")
    return ", ".join(f"`{name}`" for name in names)


def _shown(default: Any) -> str:
    if default is None or default == []:
        return ""
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, (list, tuple)):
        return ",".join(map(_shown, default))
    return f"{float(default):g}" if isinstance(default, (float, Fraction)) else str(default)


def main() -> None:
    PAGE.write_text(reference(), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
