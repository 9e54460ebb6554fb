"""One process at a time holds a lock."""

from __future__ import annotations

import pytest

from dreamvid.journal.lock import FileLock


def test_a_lock_is_held_once_and_goes_with_its_owner(tmp_path):
    path = tmp_path / "lock"
    lock = FileLock(path)
    with pytest.raises(BlockingIOError, match=path.read_text().strip()):
        FileLock(path)
    lock.release()
    assert not lock.is_held
    FileLock(path).release()
