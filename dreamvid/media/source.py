"""Whatever a user names as IN and OUT, opened by the reader and writer that it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from dreamvid.config import ReadConfig, SoundConfig, WriteConfig
from dreamvid.errors import ConfigError, MediaError
from dreamvid.media.containers import resumable_suffixes
from dreamvid.media.files import (
    DEVICES,
    GENERATOR,
    STANDARD,
    check_input,
    check_output,
    find_format,
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
from dreamvid.media.info import VideoInfo, probe
from dreamvid.media.live import LiveReader
from dreamvid.media.reader import FrameReader, VideoReader
from dreamvid.media.sound import SoundSource
from dreamvid.media.webp import AnimationReader, is_animation
from dreamvid.media.writer import VideoWriter

RESUMABLE_SUFFIXES = resumable_suffixes()
OnWarning = Callable[[str], None]


Kind = Literal["video", "pictures", "animation", "pipe", "device"]


@dataclass(frozen=True)
class Source:
    """What a user names as IN, looked at once: what it is, and how it is opened."""

    path: Path
    """As it was named; of a device, its name."""
    kind: Kind
    files: tuple[Path, ...]
    """All files that are read, in order; none of a pipe or a device."""
    config: ReadConfig

    @classmethod
    def find(cls, path: Path, config: ReadConfig | None = None) -> Source:
        """Look at `path`, without decoding anything.

        Raises MediaError where it is not there or holds no picture, ConfigError where an option
        of `config` is of no use to it.
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
        if path == STANDARD:
            return cls(path, "pipe", (), config)
        return cls(path, "animation" if is_animation(path) else "video", (path,), config)

    @property
    def is_stored(self) -> bool:
        """Whether its frames can be read again; those of pipes and devices come once."""
        return self.kind == "pictures" or any(path.is_file() for path in self.files)

    @property
    def is_endless(self) -> bool:
        """Whether it may have no end but the user's: a camera, a screen, a generator."""
        return self.kind == "device"

    @property
    def is_still(self) -> bool:
        """Whether it is one picture, which is shown at any time."""
        return self.kind == "pictures" and self.files == (self.path,)

    def describe(self) -> VideoInfo:
        """What the reader sees in it. Raises MediaError where it cannot be read."""
        if self.kind in ("video", "pipe"):
            return probe(self.path, self.config.input_format)
        with self.open(lambda message: None) as reader:
            return reader.info

    def open(self, on_warning: OnWarning, **changes: Any) -> FrameReader:
        """Its frames, read as `config` says but for `changes`. Raises MediaError."""
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
                on_warning=on_warning,
            )
        span: dict[str, Any] = {
            "start": config.start,
            "end": _end_of(config),
            "rate": config.fps,
            "size": config.size,
            "on_warning": on_warning,
        }
        if self.kind == "animation":
            return AnimationReader(self.path, **span)
        if config.input_format in DEVICES and config.input_format != GENERATOR:
            return LiveReader(self.path, input_format=str(config.input_format), **span)
        return VideoReader(self.path, input_format=config.input_format, beside=True, **span)

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


def _check_format(path: Path, input_format: str) -> None:
    if path != STANDARD and input_format not in DEVICES:
        raise ConfigError(
            f"--input-format {input_format} is no device's, and '{path}' is not "
            f"standard input; allowed: {', '.join(DEVICES)}, or any format with - as IN"
        )
    find_format(input_format, "--input-format")


def is_device(config: ReadConfig) -> bool:
    """Whether the source is a camera, a screen or a generator, which may have no end."""
    return config.input_format in DEVICES


def check_source(source: Path, config: ReadConfig) -> None:
    """Raise MediaError or ConfigError unless `source` may be opened; quick."""
    if config.input_format is not None:
        if source != STANDARD and not is_device(config):
            raise ConfigError(
                f"--input-format {config.input_format} is no device's, and '{source}' is not "
                f"standard input; allowed: {', '.join(DEVICES)}, or any format with - as IN"
            )
        find_format(config.input_format, "--input-format")
    if is_device(config):  # only opening it tells whether it is there
        return
    if names_images(source):
        find_images(source)
        return
    check_input(source)
    if config.seconds is not None:
        raise ConfigError(
            f"--seconds {float(config.seconds):g} is for a single picture, which '{source}' is "
            "not; allowed here: --end"
        )


def describe_source(source: Path, config: ReadConfig) -> VideoInfo:
    """What the reader sees in `source`. Raises MediaError, or ConfigError as `check_source`."""
    check_source(source, config)
    if is_device(config) or names_images(source) or is_animation(source):
        with open_frames(source, config, lambda message: None) as reader:
            return reader.info
    return probe(source, config.input_format)


def open_frames(source: Path, config: ReadConfig, on_warning: Callable[[str], None]) -> FrameReader:
    """The frames of a video, an animation, a device, or picture files as `find_images` finds them.

    Those of a device end after `seconds` too.
    """
    if is_device(config):
        if config.input_format != GENERATOR:
            return _open_live(source, config, on_warning)
    elif names_images(source):
        return ImageSequenceReader(
            find_images(source),
            rate=config.rate,
            seconds=config.seconds,
            start=config.start,
            end=config.end,
            fps=config.fps,
            size=config.size,
            on_warning=on_warning,
        )
    elif is_animation(source):
        return AnimationReader(
            source,
            start=config.start,
            end=config.end,
            rate=config.fps,
            size=config.size,
            on_warning=on_warning,
        )
    return VideoReader(
        source,
        start=config.start,
        end=_end_of(config) if is_device(config) else config.end,
        rate=config.fps,
        size=config.size,
        input_format=config.input_format,
        beside=True,
        on_warning=on_warning,
    )


def _open_live(source: Path, config: ReadConfig, on_warning: Callable[[str], None]) -> LiveReader:
    assert config.input_format is not None
    return LiveReader(
        source,
        input_format=config.input_format,
        start=config.start,
        end=_end_of(config),
        rate=config.fps,
        size=config.size,
        on_warning=on_warning,
    )


def _end_of(config: ReadConfig) -> Fraction | None:
    """When a video ends, or a device, for which `seconds` counts as well."""
    if config.seconds is None:
        return config.end
    stop = (config.start or 0) + config.seconds
    return stop if config.end is None else min(stop, config.end)


def open_sound(
    source: Path, config: ReadConfig, reader: FrameReader, on_warning: Callable[[str], None]
) -> SoundSource | None:
    """What stands beside the frames of `reader`; None where nothing can."""
    if not isinstance(reader, VideoReader) or isinstance(reader, LiveReader):
        return None
    return SoundSource(
        source,
        config.start,
        _end_of(config),
        origin=reader.origin,
        pipe=reader if reader.beside is not None else None,
        on_warning=on_warning,
    )


def open_music(config: SoundConfig, on_warning: Callable[[str], None]) -> SoundSource | None:
    """The file that `config` wants heard instead; None where it names none.

    Raises MediaError where there is no sound in it.
    """
    if config.music is None:
        return None
    path = Path(config.music)
    music = SoundSource(
        path, config.music_start or None, ends_with_picture=True, on_warning=on_warning
    )
    if not music.sample_rates:
        music.close()
        raise MediaError(f"--music '{path}' holds no sound; allowed: a file with a sound track")
    return music


def check_result(out: Path, source: Path, config: ReadConfig, overwrite: bool) -> None:
    """Raise MediaError unless a result may be written to `out`; quick."""
    pattern = output_pattern(out)
    if pattern is None:
        check_output(out, source, overwrite)
        return
    check_pattern(pattern, overwrite)
    if not is_device(config) and names_images(source):
        own = find_images(source)
        results = {numbered_path(pattern, number + 1).resolve() for number in range(len(own))}
        if results & {path.resolve() for path in own}:
            raise MediaError(f"'{out}' names the input itself; allowed: other names")


def is_stored(source: Path, config: ReadConfig) -> bool:
    """Whether its frames are there at any time; those of pipes and devices come once."""
    if is_device(config):
        return False
    return source.is_file() or (source != STANDARD and names_images(source))


def can_resume(source: Path, out: Path, config: ReadConfig) -> bool:
    """Whether a run from `source` to `out` can go on after it was stopped.

    What is not stored cannot be read again, and GIF, pictures and pipes are written without a
    journal.
    """
    is_journalled = output_pattern(out) is None and out.suffix.lower() in RESUMABLE_SUFFIXES
    return is_journalled and is_stored(source, config)


def files_of(source: Path) -> list[Path]:
    """All files that `source` names. Raises MediaError where there is none."""
    return find_images(source) if names_images(source) else [source]


def open_writer(
    out: Path,
    info: VideoInfo,
    config: WriteConfig,
    *,
    overwrite: bool,
    sound: SoundSource | None,
    metadata: Mapping[str, str],
) -> VideoWriter | ImageSequenceWriter:
    """What writes a video file, standard output, or numbered picture files."""
    pattern = output_pattern(out)
    if pattern is None:
        return VideoWriter(out, info, config, overwrite=overwrite, sound=sound, metadata=metadata)
    if sound is not None:
        sound.leave_out("a row of pictures")
    return ImageSequenceWriter(pattern, overwrite=overwrite, metadata=metadata)
