"""Checks that only the command line can make."""

from __future__ import annotations

import sys
from pathlib import Path

from dreamvid.errors import ConfigError

STANDARD = Path("-")
"""Standard output instead of a file."""


def check_pipe(out: Path, as_json: bool) -> None:
    """Raise ConfigError where standard output cannot take the result."""
    if out == STANDARD and as_json:
        raise ConfigError("--json writes to standard output, and so does - as OUT; allowed: one")
    if out == STANDARD and sys.stdout.isatty():
        raise ConfigError("- as OUT: standard output is a terminal; allowed: a pipe or a file")
