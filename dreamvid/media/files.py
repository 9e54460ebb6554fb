"""Paths: what may be read, what may be written, and results that appear only when whole."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import av
from av.container import InputContainer

from dreamvid.errors import MediaError

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv")

_serial = itertools.count()


@contextmanager
def media_errors(action: str) -> Iterator[None]:
    """Turn what FFmpeg or the system raises into a MediaError, `action: reason`."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{action}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """Why it failed, in one line and without a path."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())


def check_input(path: Path) -> None:
    """Raise MediaError unless `path` is there, no folder and not empty."""
    if not path.exists():
        raise MediaError(f"'{path}' does not exist; allowed: an existing file")
    if path.is_dir():
        raise MediaError(f"'{path}' is a folder; allowed: a file")
    if path.is_file() and path.stat().st_size == 0:
        raise MediaError(f"'{path}' is empty; allowed: a file that FFmpeg can read")


def open_input(path: Path) -> InputContainer:
    """Open a video or sound file. Raises MediaError where it cannot be read."""
    check_input(path)
    with media_errors(f"'{path}' cannot be read; allowed: a file that FFmpeg can read"):
        # Without the prefix a colon in the name would make it a protocol's address.
        return av.open(f"file:{path}", metadata_errors="replace")


def check_output(
    path: Path,
    source: Path | None = None,
    overwrite: bool = False,
    suffixes: Sequence[str] = VIDEO_SUFFIXES,
) -> None:
    """Raise MediaError unless a result may be written to `path`.

    Looks at the extension, the folder, what stands there already, and whether that is `source`.
    Quick and without side effects: to be called before anything heavy.
    """
    if path.suffix.lower() not in suffixes:
        raise MediaError(
            f"'{path}': unknown extension '{path.suffix}'; allowed: {', '.join(suffixes)}"
        )
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
    """A hidden name beside `path` for what is not whole yet; unique to the call."""
    name = f".{path.stem[:40]}.partial-{os.getpid()}-{next(_serial)}{path.suffix.lower()}"
    return path.with_name(name)


def write_durably(path: Path, *parts: bytes) -> None:
    """Give `path` this content at one stroke, so that after any crash it is the old or the new.

    Raises MediaError where it cannot be written; what was there is still there then.
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
    """Bring the names in `folder` to the disk."""
    if sys.platform == "win32":  # where folders cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(partial: Path, path: Path, overwrite: bool) -> None:
    """Give a finished file its name at one stroke; without `overwrite`, only where none has it.

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


def _rename_to_new(partial: Path, path: Path) -> None:
    try:
        path.hardlink_to(partial)  # unlike a rename, this never replaces a file
    except FileExistsError:
        raise MediaError(f"'{path}' exists; --overwrite replaces it") from None
    except OSError:  # a file system without hard links
        if path.exists():
            raise MediaError(f"'{path}' exists; --overwrite replaces it") from None
        partial.rename(path)
