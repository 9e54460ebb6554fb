"""Write `samples/options.md`: every option of every command, from the configuration itself.

python scripts/options_reference.py
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from strips import ALL as STRIPS

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
STRIPS_OF = "video"
"""The command whose options are shown in pictures; the others have the same."""
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

Pictures of the options that matter, under the tables of `dreamvid video`, come from
`python scripts/strips.py`.
"""


def reference() -> str:
    """The page, as Markdown."""
    parts = [HEAD, *(_command(name) for name in COMMANDS)]
    return "\n".join(parts)


def _command(name: str) -> str:
    found, parts = options(COMMANDS[name]), [f"## dreamvid {name}", ""]
    for title in dict.fromkeys(option.section for option in found):
        section = [option for option in found if option.section == title]
        parts.append(_table(title, section))
        if name == STRIPS_OF:
            parts += _strips({option.name for option in section})
    return "\n".join(parts)


def _strips(names: set[str]) -> Iterator[str]:
    """The pictures of those of these options that have one."""
    for each in (strip for strip in STRIPS if strip.option in names):
        values = ", ".join(map(str, each.values))
        kind = "a column of pixels over time" if each.is_slice else "from left to right"
        yield f"![{each.line}](strips/{each.option}.webp)\n"
        yield f"*`--{each.option}` {values}, {kind}. {each.line}*\n"


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
