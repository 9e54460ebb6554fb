"""Run `samples/dreamvid.ipynb` from top to bottom and keep what it shows.

    python scripts/run_notebook.py [--out FILE]

Times, counts and this machine's paths are left out, so that a second run changes what has changed.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parent.parent / "samples" / "dreamvid.ipynb"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def run(notebook: Path = NOTEBOOK) -> Any:
    """The notebook with its outputs. Raises CellExecutionError where a cell fails."""
    book = nbformat.read(notebook, as_version=4)
    client = NotebookClient(
        book, kernel_name="python3", resources={"metadata": {"path": str(notebook.parent)}}
    )
    client.execute()
    book.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for cell in book.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [plain(output) for output in cell.outputs if is_of_the_dream(output)]
    return book


def is_of_the_dream(output: Any) -> bool:
    """Whether an output is no warning of a library on this machine."""
    return bool(output.get("name") != "stderr")


def plain(output: Any) -> Any:
    """An output without its `<Figure at …>`."""
    data = output.get("data", {})
    if any(kind.startswith("image/") for kind in data):
        data.pop("text/plain", None)
    return output


def main() -> None:
    """Run the notebook and write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=NOTEBOOK)
    out = parser.parse_args().out
    begun = time.monotonic()
    nbformat.write(run(), out)
    seconds = time.monotonic() - begun
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB in {seconds:.0f} s")


if __name__ == "__main__":
    main()
