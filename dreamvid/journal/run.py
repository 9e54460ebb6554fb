"""The identity of a run: everything that decides its result. Differences between two runs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dreamvid.config import (
    COMMANDS,
    CommandConfig,
    ReadConfig,
    WriteConfig,
    checked,
    command_of,
)
from dreamvid.errors import JournalError
from dreamvid.media.files import media_errors

SOURCE = "the source"
"""Name of the source among a run's inputs."""

_PACKAGES = ("dreamvid", "torch", "av", "opencv-python-headless", "open_clip_torch")
"""Packages whose versions decide a frame's pixels."""
_FREE = {"end", "sound", "subtitles", "metadata", "report"}
_FIXED = (
    {*ReadConfig.model_fields, *WriteConfig.model_fields} | {"deliver", "loop", "split"}
) - _FREE
"""Options that must not change midway, even by force: times and pictures would not match."""
_HASHED_BYTES = 2**20
_LEAST_BYTES = 2**12


@dataclass(frozen=True)
class FileMark:
    """The identity of an input: one file, or several that form one film."""

    path: str
    """Absolute path as given: of a file, or of a folder, pattern or list of pictures."""
    size: int
    """Bytes of all files together."""
    modified_ns: int
    """Time of the latest change of any file, in nanoseconds since the epoch."""
    digest: str
    """SHA-256 of the size, head and tail of each file."""

    @classmethod
    def of(cls, named: Path, files: Sequence[Path]) -> FileMark:
        """The present identity of the `files` that `named` stands for. Raises MediaError."""
        size, modified_ns, digest = 0, 0, hashlib.sha256()
        part = max(_LEAST_BYTES, _HASHED_BYTES // len(files))
        for path in files:
            with media_errors(f"'{path}' cannot be read"), path.open("rb") as file:
                status = os.fstat(file.fileno())
                digest.update(f"{status.st_size}\n".encode())
                digest.update(file.read(part))
                file.seek(max(0, status.st_size - part))
                digest.update(file.read(part))
            size += status.st_size
            modified_ns = max(modified_ns, status.st_mtime_ns)
        return cls(str(named.absolute()), size, modified_ns, digest.hexdigest())

    @classmethod
    def of_blank(cls, name: str) -> FileMark:
        """The identity of an input that no file holds, by its name."""
        return cls(name, 0, 0, name)

    def is_same(self, other: FileMark) -> bool:
        """Whether both are the same files, in whatever folder."""
        return replace(self, path="") == replace(other, path="")


@dataclass(frozen=True)
class Run:
    """Everything that decides a run's result."""

    inputs: Mapping[str, FileMark]
    """Input files by the option that names them, the source first."""
    config: CommandConfig
    environment: Mapping[str, str]
    """Versions, device and all else of the machine that decides pixels."""
    folder: str
    """Working directory, to which the paths in options are relative."""
    picture: str | None = None
    """Absolute path of the picture that is written beside the film; None where there is none."""

    @classmethod
    def of(
        cls,
        inputs: Mapping[str, FileMark],
        config: CommandConfig,
        machine: Mapping[str, str],
        picture: Path | None = None,
    ) -> Run:
        """A run of the installed versions."""
        versions = {name: version(name) for name in _PACKAGES}
        still = None if picture is None else str(picture.absolute())
        return cls(dict(inputs), config, versions | dict(machine), str(Path.cwd()), still)

    @property
    def command(self) -> str:
        """Name of the command whose options these are."""
        return command_of(self.config)

    @property
    def source(self) -> FileMark:
        return self.inputs[SOURCE]

    @property
    def options(self) -> dict[str, Any]:
        return self.config.model_dump(mode="json", by_alias=True)

    @property
    def digest(self) -> str:
        """SHA-256 of the options."""
        return hashlib.sha256(json.dumps(self.options, sort_keys=True).encode()).hexdigest()

    def differences(self, begun: Run) -> list[str]:
        """Descriptions of all differences from the run that was `begun`, one each."""
        found = [
            f"{name} '{mark.path}' is not what it was"
            for name, mark in self.inputs.items()
            if name in begun.inputs and not mark.is_same(begun.inputs[name])
        ]
        found += _changes("--", self._deciding(), begun._deciding())
        return found + _changes("", self.environment, begun.environment)

    def _deciding(self) -> dict[str, Any]:
        """The options without those that have no part in the result."""
        return {name: value for name, value in self.options.items() if name != "report"}

    def fixed_differences(self, begun: Run) -> list[str]:
        """Descriptions of the differences in options that must not change, even by force."""
        here, there = self.config, begun.config
        if type(here) is not type(there):
            return [f"the command is {self.command}, was {begun.command}"]
        known = _FIXED & set(type(here).model_fields)
        changed = {name for name in known if getattr(here, name) != getattr(there, name)}
        names = {name.replace("_", "-") for name in changed}
        return _changes(
            "--",
            {name: value for name, value in self.options.items() if name in names},
            begun.options,
        )

    def goes_on(self, begun: Run, *, force: bool) -> bool:
        """Whether this run differs from the one that was `begun`, as `force` allows.

        Raises JournalError for differences that are not allowed.
        """
        fixed = self.fixed_differences(begun)
        if fixed:
            raise JournalError(
                f"what cannot change midway has: {'; '.join(fixed)}; "
                "allowed: the values it was begun with"
            )
        differences = self.differences(begun)
        if differences and not force:
            raise JournalError(
                f"this is not the run that was begun: {'; '.join(differences)}; "
                "allowed: what was, or --force"
            )
        return bool(differences)

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the run, for `from_json`."""
        return {
            "command": self.command,
            "inputs": {name: asdict(mark) for name, mark in self.inputs.items()},
            "config": self.options,
            "config-digest": self.digest,
            "environment": dict(self.environment),
            "folder": self.folder,
            "picture": self.picture,
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Run:
        """The run of `to_json`. Raises ValueError, KeyError or TypeError for other `facts`."""
        names = ("inputs", "environment", "folder", "picture")
        config = COMMANDS[facts["command"]](**facts["config"])
        return checked(cls, {name: facts[name] for name in names} | {"config": config})


def write_config(config: CommandConfig) -> WriteConfig:
    """The options of writing among those of a command; the defaults of others."""
    known = set(WriteConfig.model_fields) & set(type(config).model_fields)
    return WriteConfig.model_validate(config.model_dump(include=known))


def _changes(prefix: str, here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    return [
        f"{prefix}{name} is {here.get(name, 'not there')}, was {there.get(name, 'not there')}"
        for name in {**here, **there}
        if here.get(name) != there.get(name) and (name in here or prefix == "")
    ]
