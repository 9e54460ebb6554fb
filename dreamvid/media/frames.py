"""Frames into numbered picture files, which appear together when all are whole."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dreamvid.errors import MediaError
from dreamvid.media.closing import Finishes
from dreamvid.media.files import media_errors, partial_path
from dreamvid.media.still import ALPHA_SUFFIXES, IMAGE_SUFFIXES, write_image
from dreamvid.types import Frame

_NUMBER = re.compile(r"%(?:0(\d+))?d")
_IN_FOLDER = "%06d.png"


def frame_pattern(out: Path) -> Path | None:
    """The pattern of names that `out` asks for; None where it is the name of one file.

    A name with `%d` or `%05d` is one, and an existing folder takes `%06d.png`.
    """
    if out.is_dir() and not out.suffix:
        return out / _IN_FOLDER
    return out if len(_NUMBER.findall(out.name)) == 1 and out.suffix in IMAGE_SUFFIXES else None


def check_frames(pattern: Path, overwrite: bool) -> None:
    """Raise MediaError unless frames may be written under the names of `pattern`."""
    if not pattern.parent.is_dir():
        raise MediaError(f"folder '{pattern.parent}' does not exist; allowed: an existing folder")
    first = numbered(pattern, 1)
    if first.exists() and not overwrite:
        raise MediaError(f"'{first}' exists; --overwrite replaces it")


def numbered(pattern: Path, number: int) -> Path:
    """The file of frame `number`, from 1."""
    name = _NUMBER.sub(lambda match: f"{number:0{match[1] or 1}d}", pattern.name)
    return pattern.with_name(name)


class FrameWriter(Finishes):
    """Picture files being written, numbered from 1, in a hidden folder beside them until `close`.

    What lies under their names is replaced only with `overwrite`. Leaving the `with` block by an
    exception removes all, as `abort` does. Raises MediaError where a file cannot be written.
    """

    def __init__(
        self,
        pattern: Path,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        check_frames(pattern, overwrite)
        self._pattern, self._overwrite = pattern, overwrite
        self._metadata, self._count = metadata, 0
        self._partial = partial_path(pattern.with_name("frames"))
        with media_errors(f"'{pattern}' cannot be written"):
            self._partial.mkdir()

    @property
    def keeps_alpha(self) -> bool:
        """Whether the alpha of frames arrives in the result."""
        return self._pattern.suffix in ALPHA_SUFFIXES

    def write(self, frame: Frame) -> None:
        """Add a frame: (3, H, W) as 8 bits, in the format of the extension."""
        self._count += 1
        path = self._partial / numbered(self._pattern, self._count).name
        write_image(path, frame.image, metadata=self._metadata, alpha=frame.alpha)

    def close(self) -> None:
        """Give the files their names. Raises MediaError where that fails or no frame has come."""
        try:
            if not self._count:
                raise MediaError(f"'{self._pattern}' cannot be written: no frame has come")
            targets = [numbered(self._pattern, number + 1) for number in range(self._count)]
            for target in targets:
                if target.exists() and not self._overwrite:
                    raise MediaError(f"'{target}' exists; --overwrite replaces it")
            with media_errors(f"'{self._pattern}' cannot be written"):
                for target in targets:
                    (self._partial / target.name).replace(target)
        finally:
            self.abort()

    def abort(self) -> None:
        """Leave no file that is not under its name already."""
        with suppress(OSError):
            shutil.rmtree(self._partial)
