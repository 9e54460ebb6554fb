"""What kinds of a thing are called, by WordNet: a spaniel is a dog.

Read from Debian's `wordnet-base` (WordNet 3.0, Princeton University, a licence like MIT's).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

CONCRETE = {5, 6, 8, 13, 17, 18, 19, 20}
"""Lexicographers' files: animals, artifacts, bodies, food, objects, people, phenomena, plants."""
DEPTH = 4
"""Steps up from a kind, at most."""
KINDS = 40
"""Of a thing, at most: those with the most common words."""
COMMON = 60_000
"""Rank of a word among all, at most."""


def kinds(wordnet: Path, things: Collection[str], ranks: Mapping[str, int]) -> dict[str, list[str]]:
    """For each of the things that have any, the names of its kinds and its further names.

    `ranks` are words' places in a list, the most common first. A name that is a thing's own is left
    out, and so is one with a rare word.
    """

    def rank(name: str) -> int:
        return max(ranks.get(word, COMMON) for word in name.split())

    above, files = _nouns(wordnet / "data.noun")
    senses = _senses(wordnet / "index.noun")
    meant: dict[int, str] = {}
    for thing in sorted(things):
        for sense in senses.get(thing, [])[:2]:
            if files[sense] in CONCRETE:
                meant.setdefault(sense, thing)
                break
    found: dict[str, list[str]] = defaultdict(list)
    for name, its_senses in senses.items():
        if name in things or rank(name) >= COMMON:
            continue
        nearest = _nearest(its_senses[0], meant, above)
        if nearest is not None:
            found[nearest].append(name)
    return {thing: sorted(names, key=rank)[:KINDS] for thing, names in found.items()}


def _nearest(sense: int, meant: dict[int, str], above: dict[int, list[int]]) -> str | None:
    """The thing that a sense is a kind of, if there is one a few steps up."""
    level = [sense]
    for _ in range(DEPTH + 1):
        for each in level:
            if each in meant:
                return meant[each]
        level = [parent for each in level for parent in above[each]]
    return None


def _nouns(path: Path) -> tuple[dict[int, list[int]], dict[int, int]]:
    """The more general senses and the lexicographers' file of each sense."""
    above, files = {}, {}
    for line in path.read_text().splitlines():
        if line.startswith(" "):
            continue
        parts = line.split(" | ")[0].split()
        sense, count = int(parts[0]), int(parts[3], 16)
        files[sense] = int(parts[1])
        pointers = parts[5 + 2 * count :]
        above[sense] = [
            int(pointers[n + 1])
            for n in range(0, len(pointers) - 3, 4)
            if pointers[n] in ("@", "@i") and pointers[n + 2] == "n"
        ]
    return above, files


def _senses(path: Path) -> dict[str, list[int]]:
    """The senses of each noun, the most common first."""
    senses = {}
    for line in path.read_text().splitlines():
        if line.startswith(" "):
            continue
        parts = line.split()
        count = int(parts[2])
        senses[_plain(parts[0])] = [int(number) for number in parts[-count:]]
    return senses


def _plain(word: str) -> str:
    return word.replace("_", " ").lower()
