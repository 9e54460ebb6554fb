"""A lock that one process at a time can hold."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt

    def _take(file: BinaryIO) -> None:
        file.seek(2**30)  # far from the process id, which stays readable
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FileLock:
    """A lock that the system releases when its process dies, so that no lock goes stale.

    `path` holds the owner's process id. Raises BlockingIOError, whose text is that id, where
    another process has the lock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        while True:
            self._file = path.open("a+b")
            try:
                _take(self._file)
            except OSError:
                self._file.close()
                raise BlockingIOError(_owner(path)) from None
            if self._is_current():
                break
            self._file.close()  # its last owner has just removed the file
        try:
            self._file.truncate(0)
            self._file.write(b"%d\n" % os.getpid())
            self._file.flush()
        except OSError:  # a full disk
            self._file.close()
            raise

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    @property
    def is_held(self) -> bool:
        """Whether the lock has not been released."""
        return not self._file.closed

    def release(self) -> None:
        """Release the lock. The file stays."""
        self._file.close()


def _owner(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="ascii", errors="replace").strip() or "unknown"
    return "unknown"
