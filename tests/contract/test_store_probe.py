"""Looking at a database before a daemon opens it: what it says, and that it changes nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from polystra.adapters.store.database import make_engine, parse_url
from polystra.adapters.store.lock import FileLock, take_session_lock
from polystra.adapters.store.migrations import upgrade
from polystra.adapters.store.probe import lock_holder, read_schema
from polystra.domain.errors import StoreBusy, StoreCorrupt


def test_a_missing_database_is_said_to_be_missing_and_not_made(tmp_path: Path):
    schema = read_schema(f"sqlite:///{tmp_path}/new/one.db")
    assert (schema.exists, schema.revision) == (False, None)
    assert lock_holder(f"sqlite:///{tmp_path}/new/one.db") == ""
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_hold_it_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreCorrupt, match="not a folder that we may write"):
        read_schema(f"sqlite:///{tmp_path}/file/one.db")


def test_the_proof_of_writing_leaves_no_trace(tmp_path: Path):
    for name, migrated in (("empty.db", False), ("head.db", True)):
        url = f"sqlite:///{tmp_path}/{name}"
        sqlite3.connect(tmp_path / name).execute("CREATE TABLE x (id INTEGER)").connection.close()
        if migrated:
            (tmp_path / name).unlink()
            upgrade(url)
        schema = read_schema(url)
        assert schema.revision == (schema.head if migrated else None)
        tables = {row[0] for row in sqlite3.connect(tmp_path / name).execute("SELECT name FROM sqlite_master")}
        assert "polystra_probe" not in tables


def test_an_unknown_schema_is_refused(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/one.db"
    upgrade(url)
    with sqlite3.connect(tmp_path / "one.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreCorrupt, match="does not know"):
        read_schema(url)


def test_the_holder_of_the_lock_is_named(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/one.db"
    lock = FileLock(tmp_path / "one.db")
    assert "another polystra (process" in lock_holder(url)
    lock.release()
    assert lock_holder(url) == ""


@pytest.mark.postgres
def test_postgres_is_looked_at_in_the_same_way(postgres_url: str):
    assert read_schema(postgres_url).revision is None
    upgrade(postgres_url)
    schema = read_schema(postgres_url)
    assert (schema.exists, schema.revision) == (True, schema.head)
    assert lock_holder(postgres_url) == ""
    parsed = parse_url(postgres_url)
    engine = make_engine(parsed)
    with engine.connect() as connection:
        take_session_lock(connection, parsed)
        assert "another polystra uses the database" in lock_holder(postgres_url)
    engine.dispose()
    with pytest.raises((StoreCorrupt, StoreBusy)):
        read_schema(postgres_url.replace("polystra_test", "nobody"))
