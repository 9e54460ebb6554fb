"""How well a film joins its own beginning: the join, and the camera's zoom and rotation.

python scripts/loop.py FILE [--json]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from dreamvid.cli.loop import tell_loop
from dreamvid.errors import DreamvidError


def main() -> None:
    """Read the arguments and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    try:
        tell_loop(arguments.file, as_json=arguments.json)
    except DreamvidError as error:
        parser.exit(1, f"loop.py: {error}\n")


if __name__ == "__main__":
    main()
