"""The built-in list of words, with which pictures are compared."""

from __future__ import annotations

from pathlib import Path

WORDS = Path(__file__).parents[1] / "data" / "words.txt"


def word_list() -> list[str]:
    """Some 900 words for what pictures show and how they look."""
    lines = WORDS.read_text(encoding="utf-8").splitlines()
    words = [word for line in lines if not line.startswith("#") for word in line.split()]
    return [word.replace("_", " ") for word in words]
