"""Write `samples/dreamvid.1`, the manual page, from the help of the program itself.

    python scripts/man_page.py

It is installed with the package, so that `man dreamvid` finds it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import typer

from dreamvid.cli.app import app

PAGE = Path(__file__).resolve().parent.parent / "samples" / "dreamvid.1"
END = """.SH EXIT STATUS
.TP
.B 0
The result is whole.
.TP
.B 1
Wrong input, or something that this machine lacks; one line on standard error names it and what is
allowed.
.TP
.B 2
A command line that is not understood.
.TP
.B 130
Stopped; the frames done are kept.
.SH FILES
.TP
.I OUT.dreaming
A folder beside the result OUT, while that is made: every finished frame, for
.B dreamvid resume\\fR.
.TP
.I ~/.config/dreamvid/presets
Presets of your own, as
.B dreamvid presets
tells.
.SH EXAMPLES
.EX
dreamvid video clip.mp4 dream.mp4 \\-p "a coral reef"
dreamvid zoom photo.jpg loop.mp4 \\-p "a rose" \\-\\-seconds 4 \\-\\-loop
dreamvid video clip.mp4 beat.mp4 \\-p fire \\-\\-preset pulse \\-\\-music song.mp3
dreamvid resume dream.mp4
.EE
"""


def manual() -> str:
    """The page, in the man macros of roff."""
    program = typer.main.get_command(app)
    commands: dict[str, Any] = program.commands  # type: ignore[attr-defined]
    name, about = f"dreamvid {version('dreamvid')}", roff(program.help)
    parts = [
        f'.TH DREAMVID 1 "" "{name}" "User Commands"',
        f".SH NAME\ndreamvid \\- {about[0].lower()}{about[1:].rstrip('.')}",
        ".SH SYNOPSIS\n.B dreamvid\n.I COMMAND\n.RI [ OPTIONS ]\n.RI [ ARGUMENTS ]",
        ".SH DESCRIPTION\nCLIP measures how well a picture agrees with a text. dreamvid turns that "
        "judge round: the pixels are the parameters, and gradient descent changes each frame until "
        "it means the prompt, while optical flow carries the dream along with what moves.",
        ".SH OPTIONS",
        *options_of(program),
        *(part for each, command in commands.items() for part in section(each, command)),
        END.rstrip(),
    ]
    return "\n".join(parts) + "\n"


def section(name: str, command: Any) -> Iterable[str]:
    """One command: what it does, its arguments and all of its options."""
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    yield f'.SH "DREAMVID {name.upper()}"'
    words = " ".join(f"\\fI{placeholder(each)}\\fR" for each in arguments)
    yield f".B dreamvid {name}\n.RI [ OPTIONS ]\n{words}".rstrip()
    yield f".PP\n{roff(command.help)}"
    for each in arguments:
        yield entry(f"\\fI{placeholder(each)}\\fR", each.help)
    yield from options_of(command)


def options_of(command: Any) -> Iterable[str]:
    """The options of a command or of the program, under the titles of its help."""
    options = [each for each in command.params if each.param_type_name == "option"]
    titles = {getattr(each, "rich_help_panel", None): None for each in options}
    for title in titles:
        if title is not None:
            yield f".SS {roff(title)}"
        for each in options:
            if getattr(each, "rich_help_panel", None) == title and not each.hidden:
                yield entry(spelling(each), each.help)


def spelling(option: Any) -> str:
    """How an option is typed, with the placeholder of its value."""
    names = ", ".join(
        f"\\fB{roff(name)}\\fR" for name in sorted([*option.opts, *option.secondary_opts], key=len)
    )
    return names if option.is_flag else f"{names} \\fI{placeholder(option)}\\fR"


def placeholder(parameter: Any) -> str:
    """What stands for the value of an argument or option."""
    return roff(parameter.metavar or parameter.name.upper())


def entry(head: str, text: str | None) -> str:
    """An argument or option with its description."""
    return f".TP\n{head}\n{roff(text)}"


def roff(text: str | None) -> str:
    """Plain text for roff: one line, in which nothing is a command."""
    line = " ".join((text or "").split()).replace("\\", "\\e").replace("-", "\\-")
    line = re.sub(r"[^\x00-\x7f]", lambda found: f"\\[u{ord(found[0]):04X}]", line)
    return f"\\&{line}" if line.startswith((".", "'")) else line


def main() -> None:
    """Write the page."""
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args()
    PAGE.write_text(manual(), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
