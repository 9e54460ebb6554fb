"""The command line: the only place that prints, draws progress or exits."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

__all__ = ["main"]


def main() -> None:
    """Entry point of the program `dreamvid`."""
    from dreamvid.device import torch_environment

    os.environ.update(torch_environment())
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names that are not UTF-8
    from dreamvid.cli.app import run

    run(sys.argv[1:])
