"""Engines, transactions and errors: what differs between SQLite and PostgreSQL.

What lives here: the reading of database URLs, connection settings, and the translation of
driver errors into ours. What must not: tables, statements about trading.

SQLite runs in WAL with synchronous=NORMAL: a commit survives the death of the process at any
point (the page cache is the kernel's); a power cut can lose the last commits but never tears
the file, and reconciliation with the venue at the next start finds what was lost. With
DATABASE_DURABLE it is FULL: every commit waits for the disk (docs/durability.md has the figures).

The driver's own transaction handling is off for SQLite and BEGIN is emitted here, because it
would commit before each DDL statement and so tear a migration.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from polystra.domain.errors import (
    ConfigError,
    InvariantViolation,
    PolystraError,
    StoreBusy,
    StoreConflict,
    StoreCorrupt,
)

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
BUSY_TIMEOUT_MS: Final = 5_000
CONNECT_TIMEOUT_S: Final = 10
_POSTGRES_SCHEMES: Final = ("postgres", "postgresql", "postgresql+psycopg")
_BUSY_CODES: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL})
_UNIQUE_CODES: Final = frozenset(
    {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID}
)
_OWN_BUGS: Final = ("uq_orders_exit_in_flight", "orders.position_id")
"""Unique indexes whose breach is not a repetition but a second order that must not leave; by name and by column."""


def parse_url(text: str) -> URL:
    """Return the URL with the drivers that this program uses.

    Raises:
        ConfigError: not an SQLite file or a PostgreSQL database.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise ConfigError("DATABASE_URL cannot be read; write sqlite:///path/to/file.db or postgresql://...") from error
    if url.drivername in _POSTGRES_SCHEMES:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise ConfigError(f"DATABASE_URL has the scheme {url.drivername!r}; use sqlite:///... or postgresql://...")
    if not url.database or url.database == ":memory:":
        raise ConfigError("DATABASE_URL names no file, so that nothing would be kept; write sqlite:///path/to/file.db")
    return url.set(drivername="sqlite+pysqlite")


def sqlite_url(path: Path) -> str:
    """The URL of an SQLite file, whatever letters its path has."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def describe(url: URL) -> str:
    """Name the database for people: the path of the file, or host and name without user and password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    port = f":{url.port}" if url.port else ""
    return f"{url.database} at {url.host or 'the local socket'}{port}"


def sqlite_path(url: URL) -> Path | None:
    """The file of an SQLite database, None for another engine."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def make_private(path: Path) -> None:
    """Make an SQLite file, where it is missing, and leave it to its owner alone; its log and lock inherit that.

    Raises:
        StoreCorrupt: it cannot be made.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreCorrupt(
            f"the database {path} cannot be opened ({error.strerror}); check the path and its permissions"
        ) from error
    with suppress(PermissionError):  # another user's file that we may write: doctor tells of it
        if stat.S_IMODE(path.stat().st_mode) & _OTHERS:
            path.chmod(0o600)


def make_engine(url: URL, *, read_only: bool = False, foreign_keys: bool = True, durable: bool = False) -> Engine:
    """Return an engine that opens a connection per use and keeps none.

    `foreign_keys` is off for migrations only: SQLite rebuilds a table to change it. `durable` makes each commit to
    SQLite wait for the disk; a server has its own setting.
    """
    if url.get_backend_name() == "sqlite":
        engine = create_engine(
            url, poolclass=NullPool, paramstyle="named", connect_args={"timeout": BUSY_TIMEOUT_MS / 1000}
        )
        _prepare_sqlite(engine, read_only=read_only, foreign_keys=foreign_keys, durable=durable)
        return engine
    options = "-c default_transaction_read_only=on" if read_only else ""
    return create_engine(
        url,
        poolclass=NullPool,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "polystra",
            "options": " ".join(part for part in (url.query.get("options", ""), options) if isinstance(part, str)),
        },
    )


def _prepare_sqlite(engine: Engine, *, read_only: bool, foreign_keys: bool, durable: bool) -> None:
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    def connected(raw: sqlite3.Connection, _record: object) -> None:
        raw.isolation_level = None
        if read_only:
            raw.execute("PRAGMA query_only = ON")
            return
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        raw.execute("PRAGMA secure_delete = FAST")
        raw.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn what the driver raises inside the block into the errors of `polystra.domain.errors`."""
    try:
        yield
    except PolystraError:
        raise
    except DBAPIError as error:
        raise translate(error.orig, url) from error
    except (sqlite3.Error, psycopg.Error) as error:
        raise translate(error, url) from error
    except OverflowError as error:
        raise InvariantViolation(
            f"a number does not fit into 64 bits on its way to {describe(url)}: {error}"
        ) from error
    except SQLAlchemyError as error:
        raise StoreCorrupt(f"the database {describe(url)} cannot be used: {_first_line(error)}") from error


def translate(error: BaseException | None, url: URL) -> PolystraError:
    """Return our error for a driver's error; the text names the database, never a password."""
    if isinstance(error, sqlite3.Error):
        return _translate_sqlite(error, describe(url))
    if isinstance(error, psycopg.Error):
        return _translate_postgres(error, describe(url))
    return StoreCorrupt(f"the database {describe(url)} cannot be used: {_first_line(error)}")


def _translate_sqlite(error: sqlite3.Error, name: str) -> PolystraError:
    code: int | Any = getattr(error, "sqlite_errorcode", 0)
    primary = code & 0xFF
    text = _first_line(error)
    if primary in _BUSY_CODES:
        return StoreBusy(f"the database {name} is busy: {text}")
    if code in _UNIQUE_CODES and not any(word in text for word in _OWN_BUGS):
        return StoreConflict(f"the database {name} has such a row with another content: {text}")
    if isinstance(error, sqlite3.IntegrityError):
        return InvariantViolation(f"the database {name} refused an impossible row: {text}")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return StoreCorrupt(f"the database {name} cannot be opened; check the path and its permissions")
    if primary in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return StoreCorrupt(
            f"{name} is not a readable SQLite database ({text}); restore it from a backup or set another DATABASE_URL"
        )
    return StoreCorrupt(f"the database {name} cannot be used: {text}")


def _translate_postgres(error: psycopg.Error, name: str) -> PolystraError:
    state = error.sqlstate or ""
    text = _first_line(error)
    if state == "23505" and not any(word in text for word in _OWN_BUGS):
        return StoreConflict(f"the database {name} has such a row with another content: {text}")
    if state.startswith("23") or state == "22003":
        return InvariantViolation(f"the database {name} refused an impossible row: {text}")
    if state.startswith(("08", "40", "53", "57")) or state == "55P03":
        return StoreBusy(f"the database {name} is busy or going down: {text}")
    if state.startswith(("28", "3D")) or "authentication failed" in text or "does not exist" in text:
        return StoreCorrupt(f"the database {name} refuses us: {text}; check DATABASE_URL")
    if not state and isinstance(error, psycopg.OperationalError):
        return StoreBusy(f"the database {name} cannot be reached: {text}")
    return StoreCorrupt(f"the database {name} cannot be used: {text}")


def _first_line(error: object) -> str:
    """The driver's words without the row that some engines print after them."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no reason given"
