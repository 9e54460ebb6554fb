"""Films and pictures beside one another, each under its name, to be watched frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from dreamvid.config import WriteConfig
from dreamvid.evaluation.sheet import spread
from dreamvid.events import Listener, Progress, Warned, ignore
from dreamvid.media.closing import Closes
from dreamvid.media.probing import VideoInfo, probe
from dreamvid.media.reader import VideoReader
from dreamvid.media.source import OnWarning
from dreamvid.media.still import IMAGE_SUFFIXES, read_image, write_image
from dreamvid.media.tracks import SoundSource
from dreamvid.media.writer import VideoWriter
from dreamvid.plot import draw_label
from dreamvid.reporting.footage import fitted
from dreamvid.types import Frame

QUALITY = WriteConfig(crf=16)
"""High: what is looked for is flicker, and an encoder's must not be taken for the film's."""
WIDEST = 3840
"""Most pixels of a row of films."""
SHEET_COLUMNS, SHEET_WIDTH = 6, 400
"""Number of moments on a sheet, and the largest width of each in pixels."""
LABEL_PART, LEAST_LABEL = 16, 20
"""The height of a line of text is this part of a film's width, and at least so many pixels."""
SLACK = Fraction(1, 1000)
"""Seconds by which the times of one moment may differ between two containers."""


@dataclass(frozen=True)
class Named:
    """A film or picture, and what stands above it."""

    path: Path
    name: str
    words: str = ""
    """A second line; empty where there is none."""

    @property
    def is_picture(self) -> bool:
        return self.path.suffix.lower() in IMAGE_SUFFIXES

    @cached_property
    def info(self) -> VideoInfo:
        """What the file is. Raises MediaError."""
        return probe(self.path)


def side_by_side(
    shown: Sequence[Named],
    out: Path | None = None,
    *,
    sheet: Path | None = None,
    columns: int | None = None,
    overwrite: bool = False,
    listener: Listener = ignore,
) -> None:
    """Write one film of several, each under its name, and a sheet of a few moments of all.

    Size, rate and sound are those of the first film; what has another shape gets black bars. The
    others show at each time of the first what they show then, until the shortest ends; pictures
    stand still. Of pictures alone, `out` is a picture. Raises MediaError.
    """
    films = [each for each in shown if not each.is_picture]
    columns = min(columns or _usual_columns(len(shown)), len(shown))

    def warn(text: str) -> None:
        listener(Warned(text))

    with ExitStack() as stack:
        wall = _Wall(shown, columns, stack, warn)
        if not films:
            for path in filter(None, (out, sheet)):
                write_image(path, wall.picture(), overwrite=overwrite)
            return
        total = _frames_of_all(films)
        contacts = _Sheet(shown, total)
        writer = None if out is None else stack.enter_context(wall.writer(out, overwrite))
        for done, frame in enumerate(wall.frames(), 1):
            if writer is not None:
                writer.write(replace(frame, image=wall.picture(), alpha=None))
            contacts.add([cell.image for cell in wall.cells])
            listener(Progress("showing", done, total))
    _warn_of_lengths(films, warn)
    if sheet is not None:
        write_image(sheet, contacts.image(), overwrite=overwrite)


class _Wall:
    """All films and pictures in rows, each under its label, at one moment after the other."""

    def __init__(
        self, shown: Sequence[Named], columns: int, stack: ExitStack, warn: OnWarning
    ) -> None:
        """Open everything; `stack` closes it."""
        self._columns, self._stack, self._warn = columns, stack, warn
        main = next((each for each in shown if not each.is_picture), shown[0])
        size = _cell_size(main.info, columns)
        self._labels = _labels(shown, size[1], max(LEAST_LABEL, size[1] // LABEL_PART))
        self.cells = [stack.enter_context(_Cell(each, size, warn)) for each in shown]
        self._main, self._path = self.cells[shown.index(main)], main.path

    def picture(self) -> Tensor:
        """What is seen now, (3, H, W) with even sides."""
        pairs = zip(self._labels, self.cells, strict=True)
        return _tiled([torch.cat([label, cell.image], 1) for label, cell in pairs], self._columns)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames of the first film while all go on; the wall then shows that moment."""
        while (frame := self._main.take()) is not None:
            others = [cell.show(frame.time) for cell in self.cells if cell is not self._main]
            if not all(others):
                return
            yield frame

    def writer(self, out: Path, overwrite: bool) -> VideoWriter:
        """The writer of the film, with the first film's sound. Raises MediaError."""
        assert self._main.reader is not None
        sound = SoundSource(self._path, ends_with_picture=True, on_warning=self._warn)
        self._stack.enter_context(sound)
        height, width = self.picture().shape[1:]
        info = replace(self._main.reader.info, height=height, width=width, alpha=False)
        return VideoWriter(out, info, QUALITY, overwrite=overwrite, sound=sound)


class _Cell(Closes):
    """One place: a picture, or a film's frame of the moment, (3, H, W) with black bars."""

    def __init__(self, shown: Named, size: tuple[int, int], warn: OnWarning) -> None:
        self._size, self.reader = size, None
        self._next: Frame | None = None
        self._frames: Iterator[Frame] = iter(())
        if shown.is_picture:
            picture = read_image(shown.path)
            fit = _fit((picture.shape[1], picture.shape[2]), size)
            self.image = _framed(read_image(shown.path, size=_text(fit)), size)
            return
        self.image = torch.zeros(3, *size)
        fit = _fit(_seen_size(shown.info), size)
        self.reader = VideoReader(shown.path, size=_text(fit), on_warning=warn)
        self._step = 1 / (self.reader.info.rate or Fraction(25))
        self._frames = iter(self.reader)

    def take(self) -> Frame | None:
        """Show the next frame, and return it; None at the end."""
        frame, self._next = self._next or next(self._frames, None), None
        if frame is not None:
            self.image = _framed(frame.image, self._size)
            self._until = frame.time + (frame.duration or self._step)
        return frame

    def show(self, time: Fraction) -> bool:
        """Show what is seen at `time`, later than before; False where the film has ended."""
        if self.reader is None:
            return True
        while True:
            self._next = self._next or next(self._frames, None)
            if self._next is None:
                return time + SLACK < self._until
            if self._next.time > time + SLACK:
                return True
            self.take()

    def close(self) -> None:
        """Close the film; it shows nothing more."""
        if self.reader is not None:
            self.reader.close()


class _Sheet:
    """A few moments of several films: a row for each, under its label."""

    def __init__(self, shown: Sequence[Named], total: int | None) -> None:
        self._shown, self._seen = shown, 0
        self._wanted = spread(total or SHEET_COLUMNS, SHEET_COLUMNS)
        self._rows: list[list[Tensor]] = [[] for _ in shown]

    def add(self, images: Sequence[Tensor]) -> None:
        """Add the next frame of each film."""
        if self._seen in self._wanted:
            for row, image in zip(self._rows, images, strict=True):
                row.append(fitted(image, SHEET_WIDTH))
        self._seen += 1

    def image(self) -> Tensor:
        """The sheet, (3, H, W)."""
        rows = [torch.cat(row, 2) for row in self._rows]
        height = max(LEAST_LABEL, rows[0].shape[2] // len(self._rows[0]) // LABEL_PART)
        labels = _labels(self._shown, rows[0].shape[2], height)
        return torch.cat([part for pair in zip(labels, rows, strict=True) for part in pair], 1)


def _labels(shown: Sequence[Named], width: int, height: int) -> list[Tensor]:
    """The strips above the films, (3, h, width): the name, and where any has words, those below.

    `height` is that of the name.
    """
    names = [draw_label(each.name, width, height) for each in shown]
    if not any(each.words for each in shown):
        return names
    words = [draw_label(each.words, width, max(LEAST_LABEL - 4, 3 * height // 4)) for each in shown]
    return [torch.cat(pair, 1) for pair in zip(names, words, strict=True)]


def _usual_columns(count: int) -> int:
    return 2 if count in (2, 4) else 3


def _seen_size(info: VideoInfo) -> tuple[int, int]:
    """(height, width) in square pixels."""
    return info.height, round(info.width * info.sample_aspect_ratio)


def _cell_size(info: VideoInfo, columns: int) -> tuple[int, int]:
    """(height, width) of each film, even and at most `WIDEST` in a row, by that of the first."""
    height, width = _seen_size(info)
    share = min(1.0, WIDEST / columns / width)
    return max(2, 2 * round(height * share / 2)), max(2, 2 * round(width * share / 2))


def _fit(size: tuple[int, int], into: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a picture of that shape which fills a cell."""
    share = min(into[0] / size[0], into[1] / size[1])
    height, width = round(size[0] * share), round(size[1] * share)
    # A row more or less is a matter of rounding, and a black line would be seen.
    return (
        into[0] if abs(height - into[0]) <= 2 else max(1, height),
        into[1] if abs(width - into[1]) <= 2 else max(1, width),
    )


def _text(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"


def _framed(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(3, H, W) in the middle of black."""
    height, width = image.shape[1:]
    if (height, width) == size:
        return image
    framed = torch.zeros(3, *size)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    framed[:, top : top + height, left : left + width] = image
    return framed


def _tiled(cells: Sequence[Tensor], columns: int) -> Tensor:
    """Cells (3, H, W) row by row as one picture with even sides, black where none is."""
    height, width = cells[0].shape[1:]
    total = -(-len(cells) // columns) * height, columns * width
    picture = torch.zeros(3, *(side + side % 2 for side in total))
    for index, cell in enumerate(cells):
        top, left = index // columns * height, index % columns * width
        picture[:, top : top + height, left : left + width] = cell
    return picture


def _frames_of_all(films: Sequence[Named]) -> int | None:
    """Number of frames of the first until the shortest ends; None where it is not known."""
    infos = [each.info for each in films]
    lengths = [info.duration for info in infos if info.duration is not None]
    first = infos[0]
    if first.frame_count is None or first.rate is None or len(lengths) < len(infos):
        return first.frame_count
    return min(first.frame_count, round(min(lengths) * first.rate))


def _warn_of_lengths(films: Sequence[Named], warn: OnWarning) -> None:
    """Warn where a film goes on after the shortest has ended."""
    lengths = [each.info.duration for each in films]
    known = [length for length in lengths if length is not None]
    if known and max(known) - min(known) > Fraction(1, 20):
        shortest = films[lengths.index(min(known))]
        warn(
            f"the films are not equally long: all end with '{shortest.name}', at "
            f"{float(min(known)):.2f} s"
        )
