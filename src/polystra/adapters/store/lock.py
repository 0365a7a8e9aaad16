"""One daemon per database: the lock that a second one meets.

SQLite: an exclusive `flock` on `<database>.lock`, which holds the owner's process number and host and
which the kernel drops when the owner dies, however it dies. PostgreSQL: a session's advisory
lock, dropped with the session; a daemon takes a file lock beside it (`stand_in`), because a session
that was lost proves no death. Lock files are left in place: removing one would race.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, select, text

from polystra.adapters.store.database import describe
from polystra.adapters.store.lease import words_of
from polystra.adapters.store.tables import lease
from polystra.domain.errors import StoreBusy, StoreCorrupt

ADVISORY_KEY: Final = 0x706F6C79
"""Advisory locks are per database; the number is "poly"."""


class FileLock:
    """The lock `<database>.lock`; held from the constructor until `release`."""

    def __init__(self, database: Path, *, name: str = "") -> None:
        """Take the lock. `name` is the database for people, when it is not a file.

        Raises:
            StoreBusy: another process holds it.
            StoreCorrupt: the folder or the disk takes no file, or the file system knows no locks.
        """
        path = database.with_name(database.name + ".lock")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreCorrupt(f"the lock {path} cannot be made: {error.strerror}; check its permissions") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = _owner(self._file)
            os.close(self._file)
            raise StoreBusy(
                f"another polystra ({owner}) uses the database {name or database}; "
                "stop it first or set another DATABASE_URL"
            ) from error
        except OSError as error:
            os.close(self._file)
            raise StoreCorrupt(
                f"the lock {path} cannot be taken: {error.strerror}; put the folder on a local disk, whose file system "
                "knows locks"
            ) from error
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n{platform.node()}\n".encode(), 0)
        except OSError as error:
            os.close(self._file)
            raise StoreCorrupt(f"the lock {path} cannot be written: {error.strerror}; look at the disk") from error
        found = os.fstat(self._file)
        self.identity: str = f"{found.st_dev}:{found.st_ino}"
        """The same for everybody on this kernel who takes the lock on this file."""

    def release(self) -> None:
        """Give the lock up; harmless when repeated."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def stand_in(url: URL, folder: Path) -> Path:
    """The path that stands for a server's database when a daemon takes its file lock in `folder`."""
    where = hashlib.sha256(f"{url.host}:{url.port}/{url.database}".encode()).hexdigest()[:12]
    return folder.joinpath(f"postgres-{where}")


def _owner(file: int) -> str:
    """Who wrote the lock file, in words; the file's time is when the lock was taken."""
    pid, _, rest = os.pread(file, 300, 0).decode("utf-8", "replace").partition("\n")
    host = rest.partition("\n")[0].strip()
    since = datetime.fromtimestamp(int(os.fstat(file).st_mtime), UTC)
    return f"process {pid.strip() or 'unknown'}{f' on {host}' if host else ''}, since {since:%Y-%m-%d %H:%M:%S} UTC"


def take_session_lock(connection: Connection, url: URL) -> None:
    """Take PostgreSQL's lock for as long as `connection` lives.

    Raises:
        StoreBusy: another session holds it.
    """
    taken = connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_KEY})
    connection.commit()
    if not taken:
        raise StoreBusy(
            f"another polystra{_holder(connection)} uses the database {describe(url)}; "
            "stop it first or set another DATABASE_URL"
        )


def _holder(connection: Connection) -> str:
    """Who holds the lease, in words; empty before the schema knows it."""
    known = connection.scalar(text("SELECT to_regclass('lease') IS NOT NULL"))
    row = connection.execute(select(lease)).one_or_none() if known else None
    connection.rollback()
    return "" if row is None or row.expires_ns == 0 else f" ({words_of(row)})"


def release_session_lock(connection: Connection) -> None:
    """Give PostgreSQL's lock up at once; closing the connection would do it a moment later."""
    connection.rollback()
    connection.scalar(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_KEY})
    connection.commit()
