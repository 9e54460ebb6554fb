"""Commands run in this process, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from dreamvid.cli.app import run


@dataclass
class Result:
    """What became of one command."""

    status: object
    out: str
    err: str

    def json(self) -> Any:
        assert self.status == 0, self.err
        return json.loads(self.out)


Command = Callable[..., Result]


@pytest.fixture
def dreamvid(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs one command in this process."""
    monkeypatch.setenv("COLUMNS", "300")

    def command(*arguments: object) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            run([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Result(stopped.value.code, printed.out, printed.err)

    return command


def refused(result: Result, status: int, message: str) -> None:
    """One line on standard error, nothing on standard output."""
    assert result.err.startswith(f"dreamvid: {message}")
    assert result.err.count("\n") == 1
    assert result.err.endswith("\n")
    assert (result.status, result.out) == (status, "")
