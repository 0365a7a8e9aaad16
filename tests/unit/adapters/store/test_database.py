"""What the driver says becomes what the daemon can act on: busy or full is waited for, the rest ends it all."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import make_url

from polystra.adapters.store.database import translated
from polystra.domain.errors import StoreBusy, StoreCorrupt


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "polystra.db"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE facts (id INTEGER)")
    made.close()
    return path


def test_a_file_that_cannot_be_written_is_told_and_is_no_pause(file: Path) -> None:
    read_only = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    with (
        pytest.raises(StoreCorrupt, match=r"polystra\.db cannot be used: attempt to write a readonly database"),
        translated(make_url(f"sqlite:///{file}")),
    ):
        read_only.execute("INSERT INTO facts VALUES (1)")
    read_only.close()


def test_a_full_disk_is_a_pause(file: Path) -> None:
    small = sqlite3.connect(file)
    small.execute("PRAGMA max_page_count = 2")
    with pytest.raises(StoreBusy, match="database or disk is full"), translated(make_url(f"sqlite:///{file}")):
        small.executemany("INSERT INTO facts VALUES (?)", [(number,) for number in range(10_000)])
    small.close()


def test_a_locked_file_is_a_pause(file: Path) -> None:
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    other = sqlite3.connect(file, timeout=0)
    with pytest.raises(StoreBusy, match="is busy"), translated(make_url(f"sqlite:///{file}")):
        other.execute("INSERT INTO facts VALUES (1)")
    other.close()
    holder.close()
