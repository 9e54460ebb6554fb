"""Picture files as a film: found and read in order, or written with numbered names."""

from __future__ import annotations

import math
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from dreamvid.errors import MediaError
from dreamvid.media.closing import Finishes
from dreamvid.media.colour import is_transparent, tags_of
from dreamvid.media.files import check_input, check_name, media_errors, partial_path
from dreamvid.media.interlace import TimedFrame
from dreamvid.media.probing import VideoInfo
from dreamvid.media.reader import FrameReader
from dreamvid.media.still import (
    ALPHA_SUFFIXES,
    IMAGE_SUFFIXES,
    READABLE_SUFFIXES,
    Still,
    write_image,
)
from dreamvid.media.webp import is_animation
from dreamvid.types import Frame

if TYPE_CHECKING:
    import torch
    from torch import Tensor

IMAGE_RATE = Fraction(25)
"""Default frames a second."""
LIST_SUFFIX = ".txt"
_NUMBER = re.compile(r"%(?:0(\d+))?d")
_WILD = set("*?[")
_IN_FOLDER = "%06d.png"
"""Pattern of the names of files that are written into a folder."""


class ImageSequenceReader(FrameReader):
    """Picture files as a film of `rate` frames a second, in the order given.

    A single picture is shown for `seconds`. Each picture is turned by its EXIF orientation. A
    picture of another size than the first is scaled to the first one's size, with a warning.
    `start`, `end`, `fps`, `size` and `device` are as for VideoReader (`fps` is its `rate`). At most
    two decoded pictures are in memory.

    Raises MediaError where a file cannot be read or is HDR, or where `seconds` is given for
    several files.
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
        device: torch.device | str = "cpu",
        on_warning: Callable[[str], None] = warnings.warn,
    ) -> None:
        if seconds is not None and len(paths) != 1:
            raise MediaError(f"--seconds is for a single picture; here are {len(paths)}")
        self._paths, self._image_rate, self._warn = paths, rate, on_warning
        self._count = max(1, round((seconds or 0) * rate)) if len(paths) == 1 else len(paths)
        self._start, self._end, self._rate, self._device = start, end, fps, device
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
        return still.to_tensor((self.info.width, self.info.height), self._device)

    def _alpha(self, picture: TimedFrame) -> Tensor | None:
        if not self.info.alpha:
            return None
        size = self.info.width, self.info.height
        return self._still(picture).to_alpha(size, self._device)

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

    A folder means its pictures with the usual extensions. A pattern is a name with `%d`, `%04d`,
    `*`, `?` or `[…]`. A list is a text file (.txt) with one name a line, relative to it; its order
    is kept. Anything else is one file. Raises MediaError where that gives no file.
    """
    check_name(source)
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
    """Whether `source` names picture files rather than a video file or an animation.

    Raises MediaError where the system refuses the name.
    """
    check_name(source)
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
    """The parts of a regular expression for a name with one `%d` or `%04d`."""
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
    """A sort key that orders numbers within a name by value."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def output_pattern(out: Path) -> Path | None:
    """The pattern of file names for `out`; None where `out` is the name of one file.

    A pattern is a name with one `%d` or `%05d` and the extension of a picture, in upper or lower
    case; an existing folder gets `%06d.png`. Raises MediaError where the system refuses the name.
    """
    check_name(out)
    if out.is_dir() and not out.suffix:
        return out / _IN_FOLDER
    is_image_name = out.suffix.lower() in IMAGE_SUFFIXES
    return out if is_image_name and len(_NUMBER.findall(out.name)) == 1 else None


def check_pattern(pattern: Path, overwrite: bool) -> None:
    """Raise MediaError unless frames may be written with the names of `pattern`.

    The check covers the folder and the first file. It is quick and without side effects.
    """
    if not pattern.parent.is_dir():
        raise MediaError(f"folder '{pattern.parent}' does not exist; allowed: an existing folder")
    first = numbered_path(pattern, 1)
    check_name(first)
    if first.exists() and not overwrite:
        raise MediaError(f"'{first}' exists; --overwrite replaces it")


def numbered_path(pattern: Path, number: int) -> Path:
    """The file of frame `number`, from 1."""
    name = _NUMBER.sub(lambda match: f"{number:0{match[1] or 1}d}", pattern.name)
    return pattern.with_name(name)


class ImageSequenceWriter(Finishes):
    """Picture files being written, numbered from 1, in a hidden folder beside them until `close`.

    Existing files with these names are replaced only with `overwrite`. Leaving the `with` block by
    an exception removes all files, as `abort` does. Raises MediaError where a file cannot be
    written.
    """

    def __init__(
        self,
        pattern: Path,
        *,
        overwrite: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        check_pattern(pattern, overwrite)
        self._pattern, self._overwrite = pattern, overwrite
        self._metadata, self._count = metadata, 0
        self._partial = partial_path(pattern.with_name("frames"))
        with media_errors(f"'{pattern}' cannot be written"):
            self._partial.mkdir()

    @property
    def keeps_alpha(self) -> bool:
        """Whether the result keeps the alpha of frames."""
        return self._pattern.suffix.lower() in ALPHA_SUFFIXES

    def write(self, frame: Frame) -> None:
        """Add a frame: (3, H, W), written as 8 bits in the format of the extension."""
        self._count += 1
        path = self._partial / numbered_path(self._pattern, self._count).name
        write_image(path, frame.image, metadata=self._metadata, alpha=frame.alpha)

    def close(self) -> None:
        """Give the files their names. Raises MediaError where that fails or there is no frame."""
        try:
            if not self._count:
                raise MediaError(f"'{self._pattern}' cannot be written: no frame has come")
            targets = [numbered_path(self._pattern, number + 1) for number in range(self._count)]
            for target in targets:
                if target.exists() and not self._overwrite:
                    raise MediaError(f"'{target}' exists; --overwrite replaces it")
            with media_errors(f"'{self._pattern}' cannot be written"):
                for target in targets:
                    (self._partial / target.name).replace(target)
        finally:
            self.abort()

    def abort(self) -> None:
        """Remove the files that do not have their final names yet."""
        with suppress(OSError):
            shutil.rmtree(self._partial)
