"""Faults by injection: calls to the file system that fail, each in turn."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

NAMES = ("fsync", "replace", "rename", "link", "unlink", "mkdir")
"""Calls of `os` that can fail, beside opening, reading and writing."""


class Faults:
    """Calls to the file system within a folder, counted; those that `fails` names raise OSError.

    `fails(call, index)` gets the name of a call and its index among all, and says whether it
    fails.
    """

    def __init__(
        self, folder: Path, fails: Callable[[str, int], bool], number: int = errno.EIO
    ) -> None:
        self._folder, self._fails, self._number = folder, fails, number
        self.calls: list[str] = []

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.calls)

    def strike(self, call: str) -> None:
        """Count a call, and raise OSError where it fails."""
        self.calls.append(call)
        if self._fails(call, len(self.calls) - 1):
            raise OSError(self._number, os.strerror(self._number))

    def _is_ours(self, target: object) -> bool:
        """Whether a path, or the file of a descriptor, lies within the folder."""
        if isinstance(target, int):
            target = Path(f"/proc/self/fd/{target}").readlink()
        return Path(str(target)).absolute().is_relative_to(self._folder)

    def wrap(self, name: str) -> Callable[..., Any]:
        """The call of `os` with this name, which may fail."""
        call = getattr(os, name)

        def failing(*arguments: Any, **options: Any) -> Any:
            if self._is_ours(arguments[0]):
                self.strike(name)
            return call(*arguments, **options)

        return failing

    def open(self, file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        """Open a file whose reads and writes may fail."""
        if isinstance(file, int) or not self._is_ours(file):
            return io_open(file, mode, *arguments, **options)
        self.strike("open")
        return FailingFile(io_open(file, mode, *arguments, **options), self)


io_open = builtins.open


class FailingFile:
    """A file whose reads and writes may fail; a write that fails has written its half."""

    def __init__(self, file: Any, faults: Faults) -> None:
        self._file, self._faults = file, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> FailingFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def read(self, *arguments: int) -> Any:
        self._faults.strike("read")
        return self._file.read(*arguments)

    def write(self, data: Any) -> int:
        try:
            self._faults.strike("write")
        except OSError:
            self._file.write(data[: len(data) // 2])
            raise
        return int(self._file.write(data))

    def writelines(self, parts: Any) -> None:
        for part in parts:
            self.write(part)


@contextmanager
def injected(faults: Faults) -> Iterator[Faults]:
    """Let calls fail within the block."""
    with ExitStack() as patches:
        for name in NAMES:
            patches.enter_context(patch.object(os, name, faults.wrap(name)))
        patches.enter_context(patch.object(io, "open", faults.open))
        yield faults
