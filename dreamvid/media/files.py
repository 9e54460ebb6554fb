"""Checks of paths, and results that appear only when they are complete."""

from __future__ import annotations

import itertools
import os
import select
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import av
import av.logging
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from dreamvid.errors import MediaError
from dreamvid.media.containers import video_suffixes

STANDARD = Path("-")
"""Standard input or output instead of a file."""
GENERATOR = "lavfi"
"""FFmpeg's device for endless pictures from its filters."""
DEVICES = ("v4l2", "x11grab", "avfoundation", "dshow", "gdigrab", GENERATOR)
"""FFmpeg's names of devices for cameras, screens and generators; each system has some of them."""

PATIENCE_S = 1.0
"""Seconds without data from a pipe after which the user is told what is waited for."""

_LONGEST_TOLD = 1000
"""Largest number of characters of a name that a message shows."""

_serial = itertools.count()


@contextmanager
def media_errors(action: str) -> Iterator[None]:
    """Turn errors of FFmpeg and the system into a MediaError, `action: reason`."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{action}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """The message of an error, in one line and without a path."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())


def check_name(path: Path) -> None:
    """Raise MediaError where the system refuses the name `path`, for example if it is too long."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:  # ValueError: a null character
        raise MediaError(
            f"'{_short(path)}' cannot be looked up: {reason(error)}; "
            "allowed: the name of a file or folder"
        ) from error


def _short(name: Path | str) -> str:
    text = str(name)
    return text if len(text) <= _LONGEST_TOLD else f"{text[:_LONGEST_TOLD]}…"


def check_input(path: Path) -> None:
    """Raise MediaError unless `path` is standard input, or exists, is no folder and not empty."""
    if path == STANDARD:
        return
    check_name(path)
    if not path.exists():
        raise MediaError(f"'{path}' does not exist; allowed: an existing file")
    if path.is_dir():
        raise MediaError(f"'{path}' is a folder; allowed: a file")
    if path.is_file() and path.stat().st_size == 0:
        raise MediaError(f"'{path}' is empty; allowed: a file that FFmpeg can read")


def silence() -> None:
    """Turn FFmpeg's messages off, even where another library has turned them on.

    Older versions of torchvision send them to Python's logging when imported. A decoder's thread
    with a message then waits for the interpreter's lock, while the interpreter holds that lock and
    waits for the thread to end.
    """
    av.logging.set_level(None)


def is_pipe(path: Path) -> bool:
    """Whether `path` is standard input or a named pipe, which can be read only once."""
    return path == STANDARD or path.is_fifo()


def open_input(
    path: Path,
    input_format: str | None = None,
    options: Mapping[str, str] | None = None,
    on_warning: Callable[[str], None] = lambda text: None,
    hwaccel: HWAccel | None = None,
) -> InputContainer:
    """Open a video or sound file, a pipe, whose format may be named, or a device.

    `options` are the options of the device. `on_warning` is told where a pipe brings nothing for
    PATIENCE_S. With `hwaccel`, a card decodes the pictures of a file. Raises MediaError where it
    cannot be read.
    """
    if input_format in DEVICES:
        return _open_device(path, find_format(input_format, "--input-format"), options or {})
    check_input(path)
    silence()
    if is_pipe(path):
        return _open_pipe(path, input_format, on_warning)
    with media_errors(f"'{path}' cannot be read; allowed: a file that FFmpeg can read"):
        # Without the prefix FFmpeg would take a colon in the name for the end of a protocol.
        return av.open(f"file:{path}", metadata_errors="replace", hwaccel=hwaccel)


def _open_pipe(
    path: Path, input_format: str | None, on_warning: Callable[[str], None]
) -> InputContainer:
    name = "standard input" if path == STANDARD else f"'{path}'"
    known = None if input_format is None else find_format(input_format, "--input-format")
    named = "" if known is None else f" as {known}"
    with (
        media_errors(
            f"{name} cannot be read{named}; allowed: a stream that FFmpeg can read, its format "
            "named by --input-format where it does not tell it"
        ),
        _reading_end(path) as descriptor,
    ):
        if not _brings_something(descriptor, PATIENCE_S):
            on_warning(f"nothing comes from {name} yet: waiting for a program that writes to it")
            _brings_something(descriptor)  # here a signal ends the wait, inside FFmpeg it does not
        if path != STANDARD:
            os.set_blocking(descriptor, True)
        # Not by its path: opened again, a pipe waits for a writer, who may have left by now.
        return av.open(f"pipe:{descriptor}", "r", format=known, metadata_errors="replace")


@contextmanager
def _reading_end(path: Path) -> Iterator[int]:
    """The descriptor of a pipe, which waits neither for a writer nor for data."""
    if path == STANDARD:
        yield 0
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:  # FFmpeg has a duplicate of its own
        yield descriptor
    finally:
        os.close(descriptor)


def _brings_something(descriptor: int, seconds: float | None = None) -> bool:
    """Whether a pipe has data, or has ended, within `seconds`; None waits for it."""
    if not hasattr(select, "poll"):  # Windows, where only sockets can be asked
        return True
    poll = select.poll()
    try:
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(None if seconds is None else 1000 * seconds))
    except (OSError, ValueError):  # closed: opening it tells what is wrong
        return True


def _open_device(name: Path, device: str, options: Mapping[str, str]) -> InputContainer:
    silence()
    asked = "".join(f" with {option} {value}" for option, value in options.items())
    with media_errors(
        f"'{name}' cannot be opened as {device}{asked}; allowed: a device as FFmpeg names it there"
    ):
        return av.open(str(name), "r", format=device, options=dict(options))


def find_format(name: str, option: str) -> str:
    """The name of a format that FFmpeg can read. Raises MediaError where there is none."""
    try:
        readable = av.ContainerFormat(name, "r").is_input
    except ValueError:
        readable = False
    if not readable:
        devices = [known for known in DEVICES if known in _known_formats()]
        raise MediaError(
            f"{option} '{name}' is no format that is read here; allowed: nut, matroska, mp4, "
            "mpegts, yuv4mpegpipe, image2pipe, or another of FFmpeg's; "
            f"for devices: {', '.join(devices)}"
        )
    return name


def _known_formats() -> set[str]:
    return {name for names in av.formats_available for name in names.split(",")}


def check_output(
    path: Path,
    source: Path | None = None,
    overwrite: bool = False,
    suffixes: Sequence[str] | None = None,
) -> None:
    """Raise MediaError unless a result may be written to `path`.

    The check covers the extension, which must be one of `suffixes` (None: those of videos), the
    folder, a file that already exists, and that `path` is not `source`. It is quick and without
    side effects: call it before anything heavy.
    """
    if path == STANDARD and suffixes is None:
        return
    allowed = video_suffixes() if suffixes is None else suffixes
    if path.suffix.lower() not in allowed:
        raise MediaError(
            f"'{_short(path)}': unknown extension '{_short(path.suffix)}'; "
            f"allowed: {', '.join(allowed)}"
        )
    check_name(path)
    if not path.parent.is_dir():
        raise MediaError(f"folder '{path.parent}' does not exist; allowed: an existing folder")
    if path.is_dir():
        raise MediaError(f"'{path}' is a folder; allowed: the name of a file")
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise MediaError(f"'{path}' is the input itself; allowed: any other file")
    if path.exists() and not overwrite:
        raise MediaError(f"'{path}' exists; --overwrite replaces it")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise MediaError(f"folder '{path.parent}' is not writable; allowed: a writable folder")


def partial_path(path: Path) -> Path:
    """A hidden name beside `path` for a file that is not complete yet; unique for each call."""
    name = f".{path.stem[:40]}.partial-{os.getpid()}-{next(_serial)}{path.suffix.lower()}"
    return path.with_name(name)


def write_durably(path: Path, *parts: bytes) -> None:
    """Replace the content of `path` atomically: after a crash it is either the old or the new one.

    Raises MediaError where it cannot be written; the old content is then kept.
    """
    waiting = path.with_name(path.name + ".new")
    with media_errors(f"'{path}' cannot be written"):
        with waiting.open("wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        waiting.replace(path)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush the names in `folder` to the disk."""
    if sys.platform == "win32":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(partial: Path, path: Path, overwrite: bool) -> None:
    """Rename a finished file atomically; without `overwrite`, only where no file has the name.

    Raises MediaError, and removes `partial`, where that fails.
    """
    try:
        with media_errors(f"'{path}' cannot be written"):
            if overwrite:
                partial.replace(path)
            else:
                _rename_to_new(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes, overwrite: bool) -> None:
    """Write a small file that appears when complete. Raises MediaError where that fails."""
    with media_errors(f"'{path}' cannot be written"):
        partial = partial_path(path)
        try:
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    publish(partial, path, overwrite)


def _rename_to_new(partial: Path, path: Path) -> None:
    try:
        path.hardlink_to(partial)  # unlike a rename, this never replaces a file
    except FileExistsError:
        raise MediaError(f"'{path}' exists; --overwrite replaces it") from None
    except OSError:  # a file system without hard links
        if path.exists():
            raise MediaError(f"'{path}' exists; --overwrite replaces it") from None
        partial.rename(path)
