"""Signals: what a program that they meet anywhere tells."""

import os
import signal

import pytest
from pydantic_core import SchemaError, SchemaSerializer, core_schema

from dreamvid.cli.display import Display
from dreamvid.cli.stopping import Stopped, stopping
from dreamvid.errors import MediaError


def signalled() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000):  # Python handles a signal between two of its instructions
        pass


class Signalling:
    """A value whose text meets a signal."""

    def __repr__(self) -> str:
        signalled()
        return "a value"


def test_what_fails_in_ending_is_told_as_it_is():
    with pytest.raises(MediaError, match="disk is full"), stopping(Display(quiet=True)):
        try:
            signalled()
        finally:
            raise MediaError("disk is full")


def test_without_a_signal_errors_pass():
    with pytest.raises(ValueError, match="own"), stopping(Display(quiet=True)):
        raise ValueError("own")


def test_a_signal_while_pydantic_builds_a_model_is_a_stop():
    field = core_schema.model_field(core_schema.literal_schema([Signalling()]))
    with pytest.raises(Stopped) as caught, stopping(Display(quiet=True)):
        try:
            SchemaSerializer(core_schema.model_fields_schema({"a": field}))
        except SchemaError as error:
            error.add_note("7 finished frames are safe")
            raise
    assert isinstance(caught.value.__cause__, SchemaError)
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert caught.value.__notes__ == ["7 finished frames are safe"]
