"""Backups: one SQLite file that holds a whole database at one moment, whichever engine it came from.

What lives here: making and reading such a file. What must not: putting it back (`restore`), names and folders.

Why a file of our own and not pg_dump: the image has no PostgreSQL programs, theirs must be as new as the server,
and a file that both engines can be restored from is also the way from one to the other. An SQLite database is
copied page by page with SQLite's online backup, also under a daemon that writes; a PostgreSQL one is read in one
REPEATABLE READ transaction into the same schema. Either way the file is read back before it gets its name: pages,
foreign keys, and every row by the digest of `contents`. The file holds signed orders: it is made for its owner alone.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect

from polystra.adapters.store import queries, tables
from polystra.adapters.store.contents import Contents, contents, copy_rows, differences
from polystra.adapters.store.database import describe, make_engine, parse_url, sqlite_url, translated
from polystra.adapters.store.migrations import require_file, require_known, revision_of, run_to
from polystra.domain.errors import StoreCorrupt

_DISK_CODES: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a backup holds. `mode` and `account` are empty when no daemon has ever opened the database."""

    path: Path
    schema: str
    mode: str
    account: str
    contents: Contents


def make_backup(url_text: str, path: Path) -> Backup:
    """Copy the database into a new file, read it back, and return what it holds.

    Raises:
        StoreCorrupt: the database is missing or has no schema, the file exists or cannot be written, or what was
            read back is not what was copied.
        StoreBusy: the database cannot be reached for now.
        ConfigError: the URL names no database.
    """
    url = parse_url(url_text)
    require_file(url)
    if path.exists():
        raise StoreCorrupt(f"the backup {path} exists already: name another file")
    unfinished = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise StoreCorrupt(f"the backup {path} cannot be written ({error.strerror}): choose another place") from error
    try:
        with opened(url_text, read_only=True) as source, source.begin():
            if revision_of(source) is None:
                raise StoreCorrupt(f"the database {describe(url)} has no polystra schema: there is nothing to back up")
            if source.dialect.name == "sqlite":
                copy_pages(raw_sqlite(source), unfinished)
            else:
                _copy_tables(source, unfinished)
            found = contents(source)
            require_same(found, read_backup(unfinished).contents, f"the backup {path}")
        _keep(unfinished, path)
    except OSError as error:
        raise StoreCorrupt(f"the backup {path} cannot be written ({error.strerror}): make room") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return read_backup(path)


def read_backup(path: Path) -> Backup:
    """Check a file and return what it holds; the file is not changed.

    Raises:
        StoreCorrupt: it is missing, damaged, no database of ours, or of a schema that this version does not know.
    """
    url_text = sqlite_url(path)
    if not path.is_file():
        raise StoreCorrupt(f"the backup {path} does not exist: name a file that polystra db backup made")
    with opened(url_text, read_only=True) as connection, connection.begin():
        revision = revision_of(connection)
        if revision is None:
            raise StoreCorrupt(f"{path} is no backup: it holds no polystra schema")
        require_known(revision, parse_url(url_text))
        _require_whole(connection, path)
        owner = queries.owner(connection) if inspect(connection).has_table(tables.store_meta.name) else None
        return Backup(
            path=path,
            schema=revision,
            mode=owner.mode if owner else "",
            account=owner.account if owner else "",
            contents=contents(connection),
        )


def require_same(one: Contents, other: Contents, name: str) -> None:
    """Refuse a copy that is none; raises StoreCorrupt."""
    found = differences(one, other)
    if found:
        raise StoreCorrupt(f"{name} is not what it was copied from ({'; '.join(found)}): nothing was kept, try again")


@contextmanager
def opened(url_text: str, *, read_only: bool = False) -> Iterator[Connection]:
    """A connection whose transactions see one moment; driver errors come as ours."""
    url = parse_url(url_text)
    engine = make_engine(url, read_only=read_only, foreign_keys=False)
    try:
        with translated(url), engine.connect() as connection:
            if connection.dialect.name != "sqlite":
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection
    finally:
        engine.dispose()


def raw_sqlite(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection."""
    found = connection.connection.driver_connection
    if not isinstance(found, sqlite3.Connection):
        raise StoreCorrupt(f"the database {describe(connection.engine.url)} is no SQLite file")
    return found


def copy_pages(source: sqlite3.Connection, path: Path) -> None:
    """SQLite's online backup into a file, as one file without a log beside it.

    The source's transaction, if one is open, is the moment that is copied.

    Raises:
        StoreCorrupt: the disk is full or does not take the file.
    """
    try:
        with closing(sqlite3.connect(path)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _DISK_CODES:
            raise
        raise StoreCorrupt(
            f"the copy {path} cannot be written ({error}): make room, or choose another place"
        ) from error


# --- inside ---------------------------------------------------------------------------


def _copy_tables(source: Connection, path: Path) -> None:
    with opened(sqlite_url(path)) as target:
        with target.begin():
            run_to(target, parse_url(sqlite_url(path)), revision_of(source) or "base")
            copy_rows(source, target)
        raw_sqlite(target).execute("PRAGMA journal_mode = DELETE")


def _require_whole(connection: Connection, path: Path) -> None:
    for question in ("PRAGMA integrity_check(1)", "PRAGMA foreign_key_check"):
        rows = [tuple(row) for row in connection.exec_driver_sql(question)]
        if rows not in ([], [("ok",)]):
            raise StoreCorrupt(f"the backup {path} is damaged ({question.split()[1]}: {rows[0][0]}): use another one")


def _keep(unfinished: Path, path: Path) -> None:
    """Onto the disk, under its name; a file that came there meanwhile is not replaced."""
    for each in (unfinished, path.parent):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    try:
        os.link(unfinished, path)
    except FileExistsError as error:
        raise StoreCorrupt(f"the backup {path} exists already: name another file") from error
