"""Whatever a user names as IN and OUT, opened by the reader and writer that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dreamvid.config import ReadConfig, SoundConfig, WriteConfig
from dreamvid.errors import ConfigError, MediaError
from dreamvid.media.files import (
    DEVICES,
    GENERATOR,
    STANDARD,
    check_input,
    check_output,
    find_format,
    is_pipe,
)
from dreamvid.media.image_sequence import (
    ImageSequenceReader,
    ImageSequenceWriter,
    check_pattern,
    find_images,
    names_images,
    numbered_path,
    output_pattern,
)
from dreamvid.media.live import LiveReader
from dreamvid.media.probing import VideoInfo, probe
from dreamvid.media.reader import FrameReader, VideoReader
from dreamvid.media.tracks import SoundSource
from dreamvid.media.webp import AnimationReader, is_animation
from dreamvid.media.writer import VideoWriter
from dreamvid.types import Frame

if TYPE_CHECKING:
    import torch

OnWarning = Callable[[str], None]


Kind = Literal["video", "pictures", "animation", "pipe", "device"]


@dataclass(frozen=True)
class Source:
    """An input named by the user: its kind, its files, and how to open it."""

    path: Path
    """Path as given; the name in the case of a device."""
    kind: Kind
    files: tuple[Path, ...]
    """All files to read, in order; empty for a pipe or a device."""
    config: ReadConfig

    @classmethod
    def find(cls, path: Path, config: ReadConfig | None = None) -> Source:
        """Look at `path`, without decoding anything.

        Raises MediaError where it does not exist or holds no picture, ConfigError where an option
        of `config` does not apply to it.
        """
        config = config or ReadConfig()
        if config.input_format is not None:
            _check_format(path, config.input_format)
        if config.input_format in DEVICES:  # only opening it tells whether it is there
            return cls(path, "device", (), config)
        if names_images(path):
            return cls(path, "pictures", tuple(find_images(path)), config)
        check_input(path)
        if config.seconds is not None:
            raise ConfigError(
                f"--seconds {float(config.seconds):g} is for a single picture, which '{path}' is "
                "not; allowed here: --end"
            )
        if is_pipe(path):
            return cls(path, "pipe", (), config)
        return cls(path, "animation" if is_animation(path) else "video", (path,), config)

    @property
    def is_stored(self) -> bool:
        """Whether its frames can be read again, unlike those of pipes and devices."""
        return self.kind == "pictures" or any(path.is_file() for path in self.files)

    @property
    def is_endless(self) -> bool:
        """Whether it may have no end of its own: a camera, a screen, a generator."""
        return self.kind == "device"

    @property
    def is_still(self) -> bool:
        """Whether it is one picture, which is shown at any time."""
        return self.kind == "pictures" and self.files == (self.path,)

    def describe(self, on_warning: OnWarning = lambda text: None) -> VideoInfo:
        """Its header, as the reader sees it. Raises MediaError where it cannot be read."""
        if self.kind in ("video", "pipe"):
            return probe(self.path, self.config.input_format, on_warning)
        with self.open(on_warning) as reader:
            return reader.info

    def open(
        self, on_warning: OnWarning, device: torch.device | str = "cpu", **changes: Any
    ) -> FrameReader:
        """A reader of its frames to `device`, by `config` with `changes`. Raises MediaError."""
        config = self.config.model_copy(update=changes) if changes else self.config
        if self.kind == "pictures":
            return ImageSequenceReader(
                self.files,
                rate=config.rate,
                seconds=config.seconds,
                start=config.start,
                end=config.end,
                fps=config.fps,
                size=config.size,
                device=device,
                on_warning=on_warning,
            )
        span: dict[str, Any] = {
            "start": config.start,
            "end": _end_of(config),
            "rate": config.fps,
            "size": config.size,
            "device": device,
            "on_warning": on_warning,
        }
        if self.kind == "animation":
            return AnimationReader(self.path, **span)
        if config.input_format in DEVICES and config.input_format != GENERATOR:
            return LiveReader(self.path, input_format=str(config.input_format), **span)
        return VideoReader(self.path, input_format=config.input_format, beside=True, **span)

    def glimpses(self, count: int, **changes: Any) -> Iterator[Frame]:
        """Yield up to `count` frames, evenly spread over it, at their times from its beginning.

        `changes` are those of `open`. One frame of a picture, and of what does not tell its length.
        Raises MediaError where it cannot be read at all.
        """
        with self.open(_ignore, **changes) as reader:
            duration = None if self.is_still else reader.info.duration
            yield replace(next(iter(reader)), time=Fraction(0))
        begin = self.config.start or Fraction(0)
        for number in range(1, count if duration else 1):
            time = number * (duration or Fraction(0)) / count
            with suppress(MediaError), self.open(_ignore, start=begin + time, **changes) as reader:
                yield replace(next(iter(reader)), time=time)

    def open_sound(self, reader: FrameReader, on_warning: OnWarning) -> SoundSource | None:
        """The sound and subtitles beside the frames of `reader`; None where there can be none."""
        if not isinstance(reader, VideoReader) or isinstance(reader, LiveReader):
            return None
        return SoundSource(
            self.path,
            self.config.start,
            _end_of(self.config),
            origin=reader.origin,
            pipe=reader if reader.beside is not None else None,
            on_warning=on_warning,
        )


def _ignore(text: str) -> None:
    pass


def _check_format(path: Path, input_format: str) -> None:
    if not is_pipe(path) and input_format not in DEVICES:
        raise ConfigError(
            f"--input-format '{input_format}' is no device's, and '{path}' is no pipe; "
            f"allowed: {', '.join(DEVICES)}, or any format with - or a named pipe as IN"
        )
    find_format(input_format, "--input-format")


def _end_of(config: ReadConfig) -> Fraction | None:
    """End of a video or device, the earlier of `end` and `seconds`; None where neither is set."""
    if config.seconds is None:
        return config.end
    stop = (config.start or 0) + config.seconds
    return stop if config.end is None else min(stop, config.end)


def open_music(config: SoundConfig, on_warning: OnWarning) -> SoundSource | None:
    """The file that `config` names as the result's sound, the first; None where it names none.

    Raises MediaError where there is no sound in it.
    """
    if config.sound_file is None:
        return None
    path = Path(config.sound_file.path)
    music = SoundSource(
        path, config.music_start or None, ends_with_picture=True, on_warning=on_warning
    )
    if not music.sample_rates:
        music.close()
        raise MediaError(f"--music '{path}' holds no sound; allowed: a file with a sound track")
    return music


def check_result(out: Path, source: Source | None, overwrite: bool) -> None:
    """Raise MediaError unless a result made of `source`, if any, may be written to `out`."""
    pattern = output_pattern(out)
    if pattern is None:
        check_output(out, None if source is None else source.path, overwrite)
        return
    check_pattern(pattern, overwrite)
    if source is not None and source.kind == "pictures":
        results = {
            numbered_path(pattern, number + 1).resolve() for number in range(len(source.files))
        }
        if results & {path.resolve() for path in source.files}:
            raise MediaError(f"'{out}' names the input itself; allowed: other names")


def can_resume(source: Source | None, out: Path) -> bool:
    """Whether a run from `source`, None for a blank, to `out` can be resumed after it was stopped.

    Pipes and devices cannot be read again, and what is on standard output cannot be continued.
    """
    return (source is None or source.is_stored) and out != STANDARD


def result_at(out: Path) -> Path:
    """The path of the result that a user names `out`: a folder stands for its row of pictures.

    Raises MediaError where the system refuses the name.
    """
    return output_pattern(out) or out


def open_writer(
    out: Path,
    info: VideoInfo,
    config: WriteConfig,
    *,
    overwrite: bool,
    sound: SoundSource | None,
    metadata: Mapping[str, str],
) -> VideoWriter | ImageSequenceWriter:
    """The writer for `out`: a video file, standard output, or numbered picture files."""
    pattern = output_pattern(out)
    if pattern is None:
        return VideoWriter(out, info, config, overwrite=overwrite, sound=sound, metadata=metadata)
    if sound is not None:
        sound.leave_out("a row of pictures")
    return ImageSequenceWriter(pattern, overwrite=overwrite, metadata=metadata)
