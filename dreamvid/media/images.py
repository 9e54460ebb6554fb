"""Films from picture files: a folder, a pattern, a list, or one picture that stays."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from dreamvid.errors import MediaError
from dreamvid.media.colour import is_transparent, tags_of
from dreamvid.media.files import check_input, media_errors
from dreamvid.media.info import VideoInfo
from dreamvid.media.interlace import TimedFrame
from dreamvid.media.reader import FrameReader
from dreamvid.media.still import READABLE_SUFFIXES, Still
from dreamvid.media.webp import is_animation

if TYPE_CHECKING:
    from torch import Tensor

IMAGE_RATE = Fraction(25)
LIST_SUFFIX = ".txt"
_NUMBER = re.compile(r"%(?:0(\d+))?d")
_WILD = set("*?[")


class ImageReader(FrameReader):
    """TimedFrame files as a film of `rate` frames a second, in the order given.

    With `seconds`, a single picture stays for so long. Each is turned as its EXIF data say; one
    of another size than the first is scaled to it, with a warning. `start`, `end`, `fps` and
    `size` are as for VideoReader. No more than two decoded pictures are held.

    Raises MediaError where a file cannot be read or is HDR, or where `seconds` stands with
    several.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        rate: Fraction = IMAGE_RATE,
        seconds: Fraction | None = None,
        start: Fraction | None = None,
        end: Fraction | None = None,
        fps: Fraction | None = None,
        size: str = "source",
        on_warning: Callable[[str], None] = warnings.warn,
    ) -> None:
        if seconds is not None and len(paths) != 1:
            raise MediaError(f"--seconds is for a single picture; here are {len(paths)}")
        self._paths, self._image_rate, self._warn = paths, rate, on_warning
        self._count = max(1, round((seconds or 0) * rate)) if len(paths) == 1 else len(paths)
        self._start, self._end, self._rate = start, end, fps
        self._seek_to = start
        self._shape: tuple[int, int] | None = None
        self._warned = False
        self.origin = start or Fraction(0)
        self._rest = self._selected()
        self._first = next(self._rest, None)
        if self._first is None:
            raise MediaError(
                f"'{paths[0]}': no frame from {float(self.origin):g} s on; "
                f"allowed: times before {float(self._count / rate):g} s"
            )
        self.info = self._delivered(self._described(self._first), size)

    def _described(self, first: TimedFrame) -> VideoInfo:
        frame = first.frame
        width, height = self._still(first).size
        return VideoInfo(
            width=width,
            height=height,
            rate=self._image_rate,
            time_base=1 / self._image_rate,
            frame_count=self._count,
            duration=self._count / self._image_rate,
            codec=self._paths[0].suffix.lower().removeprefix("."),
            pix_fmt=frame.format.name,
            alpha=is_transparent(frame),
            colour=tags_of(frame),
            container="pictures",
        )

    def _timed(self) -> Iterator[TimedFrame]:
        step = 1 / self._image_rate
        still: Still | None = None
        begin = math.floor((self._seek_to or 0) * self._image_rate)
        for index in range(max(0, begin - 1), self._count):
            if still is None or len(self._paths) > 1:
                still = Still.decode(self._paths[min(index, len(self._paths) - 1)])
            yield TimedFrame(still.frame, index * step, step, still.tags)

    def _image(self, picture: TimedFrame) -> Tensor:
        still = self._still(picture)
        self._note_size(still.size)
        return still.to_tensor((self.info.width, self.info.height))

    def _alpha(self, picture: TimedFrame) -> Tensor | None:
        if not self.info.alpha:
            return None
        return self._still(picture).to_alpha((self.info.width, self.info.height))

    def _still(self, picture: TimedFrame) -> Still:
        return Still(self._paths[0], picture.frame, picture.tags)

    def _note_size(self, size: tuple[int, int]) -> None:
        if self._shape not in (None, size) and not self._warned:
            self._warned = True
            self._warn(
                f"'{self._paths[0].parent}': pictures differ in size, as {size[0]}x{size[1]}; "
                "all are scaled to that of the first"
            )
        self._shape = size


def find_images(source: Path) -> list[Path]:
    """The picture files that `source` names, in natural order (frame2 before frame10).

    A folder holds pictures of the usual extensions; a pattern is a name with `%d`, `%04d`, `*`,
    `?` or `[…]`; a list is a text file (.txt) of one name a line, relative to it, whose order
    stays. Anything else is itself. Raises MediaError where that gives no file.
    """
    if source.is_dir():
        found = [path for path in source.iterdir() if path.suffix.lower() in READABLE_SUFFIXES]
        found = [path for path in found if path.is_file() and not path.name.startswith(".")]
        return _some(sorted(found, key=_natural), source, "a folder with pictures")
    if source.exists():
        return _listed(source) if source.suffix.lower() == LIST_SUFFIX else [source]
    if is_pattern(source):
        return _some(_matching(source), source, "a pattern that fits some file")
    check_input(source)
    return [source]


def is_pattern(source: Path) -> bool:
    """Whether the name stands for several files."""
    return bool(_NUMBER.search(source.name) or _WILD & set(source.name))


def names_images(source: Path) -> bool:
    """Whether `source` names picture files rather than a video file or an animation."""
    if source.is_dir():
        return True
    if source.exists():
        is_known = source.suffix.lower() in (*READABLE_SUFFIXES, LIST_SUFFIX)
        return is_known and not is_animation(source)
    return is_pattern(source)


def _some(found: list[Path], source: Path, allowed: str) -> list[Path]:
    if not found:
        raise MediaError(
            f"'{source}' gives no picture; allowed: {allowed} ({', '.join(READABLE_SUFFIXES)})"
        )
    return found


def _matching(pattern: Path) -> list[Path]:
    folder = pattern.parent
    if not folder.is_dir():
        raise MediaError(f"folder '{folder}' does not exist; allowed: an existing folder")
    if not _NUMBER.search(pattern.name):
        return sorted((path for path in folder.glob(pattern.name) if path.is_file()), key=_natural)
    name = re.compile("".join(_expressions(pattern.name)))
    numbered = [
        (int(match[1]), path)
        for path in folder.iterdir()
        if (match := name.fullmatch(path.name)) and path.is_file()
    ]
    return [path for _, path in sorted(numbered)]


def _expressions(name: str) -> Iterator[str]:
    """A regular expression, in parts, for a name with one `%d` or `%04d`."""
    match = _NUMBER.search(name)
    assert match is not None
    yield re.escape(name[: match.start()])
    yield rf"(\d{{{match[1]},}})" if match[1] else r"(\d+)"
    yield re.escape(name[match.end() :])


def _listed(source: Path) -> list[Path]:
    with media_errors(f"list '{source}' cannot be read"):
        try:
            lines = source.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            raise MediaError(f"list '{source}' is no text; allowed: one file name a line") from None
    paths = [source.parent / line.strip() for line in lines if line.strip()]
    for path in paths:
        check_input(path)
    return _some(paths, source, "one picture file a line")


def _natural(path: Path) -> list[tuple[int, str]]:
    """Numbers within a name count as numbers."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
