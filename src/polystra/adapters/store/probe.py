"""Looking at a database before a daemon opens it: schema, whether it can be written, who holds its lock.

What lives here: reads, and one transaction that is rolled back. What must not: making or migrating a
database. Functions block.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from sqlalchemy import URL, Connection, text

from polystra.adapters.store.database import describe, make_engine, parse_url, sqlite_path, translated
from polystra.adapters.store.lock import FileLock, release_session_lock, take_session_lock
from polystra.adapters.store.migrations import current, history
from polystra.domain.errors import StoreBusy, StoreCorrupt


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaReading:
    """`revision` is None for a database that does not exist or has no schema yet."""

    name: str
    exists: bool
    revision: str | None
    head: str


def read_schema(url: str) -> SchemaReading:
    """Return where the schema stands, after proving that the database can be written.

    Raises:
        StoreCorrupt: it cannot be read or written, or is of a revision that this version does not know.
        StoreBusy: it cannot be reached for now.
        ConfigError: the URL names no database.
    """
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    known = [revision.revision for revision in history()]
    if path is not None and not path.exists():
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise StoreCorrupt(f"the database {path} cannot be made: {folder} is not a folder that we may write")
        return SchemaReading(name=describe(parsed), exists=False, revision=None, head=known[-1])
    revision = current(url)
    if revision is not None and revision not in known:
        raise StoreCorrupt(
            f"the database {describe(parsed)} has schema {revision}, which this version of polystra does not know"
        )
    _prove_writable(parsed, has_schema=revision is not None)
    return SchemaReading(name=describe(parsed), exists=True, revision=revision, head=known[-1])


def lock_holder(url: str) -> str:
    """Say who uses the database, in the words of the lock; empty when nobody does.

    Raises:
        StoreCorrupt: the lock cannot be asked for.
    """
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    try:
        if path is not None:
            if path.parent.is_dir() and path.with_name(path.name + ".lock").exists():
                FileLock(path).release()
            return ""
        engine = make_engine(parsed)
        try:
            with translated(parsed), engine.connect() as connection:
                take_session_lock(connection, parsed)
                release_session_lock(connection)
        finally:
            engine.dispose()
    except StoreBusy as error:
        return str(error)
    return ""


def _prove_writable(url: URL, *, has_schema: bool) -> None:
    engine = make_engine(url)
    try:
        with translated(url), engine.connect() as connection:
            _write_nothing(connection, has_schema=has_schema)
            connection.rollback()
    finally:
        engine.dispose()


def _write_nothing(connection: Connection, *, has_schema: bool) -> None:
    """Write what is rolled back: the stamp of the schema onto itself, or a table of our own."""
    if has_schema:
        connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
    else:
        connection.execute(text("CREATE TABLE polystra_probe (id INTEGER)"))
