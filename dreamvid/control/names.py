"""Names of what is heard: the features of sounds and of notes that expressions may use."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dreamvid.config import MusicFile

FEATURES = ("rms", "bass", "mid", "high", "onset", "centroid")
"""Features of a sound that expressions may use; each also exists with the suffix `_smooth`."""
FEATURE_NAMES = (*FEATURES, *(f"{name}_smooth" for name in FEATURES))
TEMPO_NAMES = ("bpm", "beat", "bar")

DRUMS = {
    "kick": (35, 36),
    "snare": (38, 40),
    "clap": (39,),
    "hat": (42, 44, 46),
    "tom": (41, 43, 45, 47, 48, 50),
    "cymbal": (49, 51, 52, 53, 55, 57, 59),
}
"""Percussion of General MIDI: name → numbers of its notes."""
NOTE_NAMES = ("note", *(f"{name}{end}" for name in ("velocity", *DRUMS) for end in ("", "_smooth")))
"""Features of notes, apart from those of one channel or note, as `ch2` or `ch2_note60`."""
_NUMBERED = re.compile(r"(?:ch(\d{1,2}))?(?(1)(?:_note(\d{1,3}))?|note(\d{1,3}))(?:_smooth)?")


class HeardNames:
    """The names that the sounds and notes of `files` give, beside those of the clip's own sound.

    The first sound and the first notes give theirs as they are; files with a name also behind it.
    """

    def __init__(self, files: Sequence[MusicFile]) -> None:
        self.fixed = set(FEATURE_NAMES)
        """All but those of one channel or note."""
        self._notes = []
        for file in files:
            prefixes = prefixes_of(file, files)
            names = NOTE_NAMES if file.is_midi else FEATURE_NAMES
            self.fixed |= {prefix + name for prefix in prefixes for name in names}
            self._notes += prefixes if file.is_midi else []

    def numbered(self, text: str) -> set[str]:
        """The names of one channel or note in an expression."""
        words = set(re.findall(r"[A-Za-z_]\w*", text)) if self._notes else set()
        return {
            word
            for word in words
            for prefix in self._notes
            if word.startswith(prefix) and channel_and_note(word.removeprefix(prefix))
        }


def prefixes_of(file: MusicFile, files: Sequence[MusicFile]) -> list[str]:
    """What may stand before the names of the features of one of `files`."""
    is_first = file == next(each for each in files if each.is_midi == file.is_midi)
    return ([""] if is_first else []) + ([f"{file.name}_"] if file.name else [])


def channel_and_note(name: str) -> tuple[int | None, int | None] | None:
    """The channel and the number of the note in `ch2`, `note60`, `ch2_note60` and `_smooth` forms.

    None where the name is none of these; one of the two is None where it does not matter.
    """
    match = _NUMBERED.fullmatch(name)
    if match is None:
        return None
    channel = None if match[1] is None else int(match[1])
    number = next((int(digits) for digits in match.groups()[1:] if digits is not None), None)
    if channel is not None and not 1 <= channel <= 16:
        return None
    return None if number is not None and number > 127 else (channel, number)
