"""Files of what is played: a film, a take to render again, a still."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from dreamvid.config import VideoConfig, WriteConfig
from dreamvid.errors import DreamvidError
from dreamvid.film.recipe import metadata
from dreamvid.journal import write_config
from dreamvid.live.outlets import Outlet
from dreamvid.live.take import Take
from dreamvid.media.files import STANDARD, write_whole
from dreamvid.media.source import open_writer
from dreamvid.media.still import write_image
from dreamvid.types import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from dreamvid.media.image_sequence import ImageSequenceWriter
    from dreamvid.media.probing import VideoInfo
    from dreamvid.media.writer import VideoWriter

LOSSLESS = WriteConfig(codec="ffv1")


class FilmFile:
    """The film of all that is shown, written to `out` as it is shown."""

    def __init__(
        self, out: Path, info: VideoInfo, config: VideoConfig, source: str, overwrite: bool
    ) -> None:
        self._writer = open_writer(
            out,
            info,
            write_config(config),
            overwrite=overwrite,
            sound=None,
            metadata=metadata(config, source),
        )
        self._outlet = Outlet(self._writer.write, f"film {out}", 2 if out == STANDARD else 48)

    @property
    def left_out(self) -> int:
        """Number of frames for which there was no time."""
        return self._outlet.left_out

    def add(self, frame: Frame) -> None:
        """Write a frame, unless too many wait. Raises MediaError where an earlier one failed."""
        self._outlet.offer(frame)

    def close(self) -> None:
        """Finish the file. Raises MediaError."""
        try:
            self._outlet.close()
        except BaseException:
            self._writer.abort()
            raise
        self._writer.close()


class Recording:
    """One take: the film as shown, its source without loss, and the options to render it again.

    They are NAME.mp4, NAME.source.mkv and NAME.toml in `folder`, and appear when `finish` is done.
    Raises ConfigError for options that a take cannot hold.
    """

    def __init__(self, folder: Path, info: VideoInfo, config: VideoConfig, source: str) -> None:
        self._take = Take(config)
        self.name = free_name(folder, "take", (".mp4", ".source.mkv", ".toml"))
        self._folder, self._info, self._config, self._source = folder, info, config, source
        self._films: list[VideoWriter | ImageSequenceWriter] = []
        self._begun: Fraction | None = None
        self._outlet: Outlet[tuple[Frame, Frame]] = Outlet(self._write, self.name)

    @property
    def frames(self) -> int:
        return self._take.frames

    def add(self, shown: Frame, source: Frame, values: Mapping[str, float]) -> None:
        """Add a frame as shown, its source and its numbers; left out where too many wait."""
        begun = shown.time if self._begun is None else self._begun
        pair = (replace(each, time=each.time - begun, alpha=None) for each in (shown, source))
        if self._outlet.offer((next(pair), next(pair))):
            self._begun = begun
            self._take.add(values)

    def finish(self, config: VideoConfig, tell: Callable[[str], None]) -> Thread:
        """Finish the files in a thread of its own, which `tell`s in one line what came of it."""
        thread = Thread(target=self._finish, args=(config, tell), name=f"finish {self.name}")
        thread.start()
        return thread

    def _finish(self, config: VideoConfig, tell: Callable[[str], None]) -> None:
        try:
            self._outlet.close()
            for film in self._films:
                film.close()
            if self._take.frames:
                text = self._take.to_toml(config)
                write_whole(self._path(".toml"), text.encode(), overwrite=False)
            tell(f"{self.name}: {self._take.frames} frames in '{self._folder}'")
        except DreamvidError as error:
            for film in self._films:
                film.abort()
            tell(f"{self.name}: {error}")

    def _write(self, pair: tuple[Frame, Frame]) -> None:
        if not self._films:
            self._films = [
                self._open(".mp4", write_config(self._config)),
                self._open(".source.mkv", LOSSLESS),
            ]
        for film, frame in zip(self._films, pair, strict=True):
            film.write(frame)

    def _open(self, suffix: str, config: WriteConfig) -> VideoWriter | ImageSequenceWriter:
        made = metadata(self._config, self._source) if suffix == ".mp4" else {}
        info = self._info
        return open_writer(
            self._path(suffix), info, config, overwrite=False, sound=None, metadata=made
        )

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{self.name}{suffix}"


def save_still(folder: Path, image: Tensor) -> Path:
    """Write an image (3, H, W) under the next free name. Raises MediaError."""
    path = folder / f"{free_name(folder, 'still', ('.png',))}.png"
    write_image(path, image)
    return path


def free_name(folder: Path, kind: str, suffixes: tuple[str, ...]) -> str:
    """The first of `kind`-001, `kind`-002 … under which no file with one of `suffixes` exists."""
    number = 1
    while any((folder / f"{kind}-{number:03d}{suffix}").exists() for suffix in suffixes):
        number += 1
    return f"{kind}-{number:03d}"
