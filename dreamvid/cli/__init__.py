"""The command line: the only place that prints, draws progress or exits."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Entry point of the program `dreamvid`."""
    # Idle OpenMP threads spin by default; beside any other busy program that makes a step
    # many times slower. Read once, when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from dreamvid.cli.app import run

    run(sys.argv[1:])
