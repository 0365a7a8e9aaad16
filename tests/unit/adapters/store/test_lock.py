"""The file lock where the file system or the disk does not take it: one sentence, nothing held."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from polystra.adapters.store.lock import FileLock
from polystra.domain.errors import StoreCorrupt


def test_a_file_system_without_locks_is_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def without(_file: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", without)
    with pytest.raises(StoreCorrupt, match="cannot be taken: No locks available; put the folder on a local disk"):
        FileLock(tmp_path / "books.db")


def test_a_full_disk_is_said_and_the_lock_is_free_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_file: int, _what: bytes, _where: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(StoreCorrupt, match="No space left on device"):
            FileLock(tmp_path / "books.db")
    FileLock(tmp_path / "books.db").release()
