"""One daemon per database: the lock that a second one meets.

SQLite: an exclusive `flock` on `<database>.lock`, which holds the owner's process number and
which the kernel drops when the owner dies, however it dies. PostgreSQL: a session's advisory
lock, dropped with the session. The lock file is left in place: removing it would race.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, text

from polystra.adapters.store.database import describe
from polystra.domain.errors import StoreBusy, StoreCorrupt

ADVISORY_KEY: Final = 0x706F6C79
"""Advisory locks are per database; the number is "poly"."""


class FileLock:
    """The lock of an SQLite database; held from the constructor until `release`."""

    def __init__(self, database: Path) -> None:
        """Take the lock.

        Raises:
            StoreBusy: another process holds it.
            StoreCorrupt: the folder cannot be written.
        """
        path = database.with_name(database.name + ".lock")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreCorrupt(f"the lock {path} cannot be made: {error.strerror}; check its permissions") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(self._file, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise StoreBusy(
                f"another polystra (process {owner}) uses the database {database}; "
                "stop it first or set another DATABASE_URL"
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock up; harmless when repeated."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def take_session_lock(connection: Connection, url: URL) -> None:
    """Take PostgreSQL's lock for as long as `connection` lives.

    Raises:
        StoreBusy: another session holds it.
    """
    taken = connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_KEY})
    connection.commit()
    if not taken:
        raise StoreBusy(
            f"another polystra uses the database {describe(url)}; stop it first or set another DATABASE_URL"
        )


def release_session_lock(connection: Connection) -> None:
    """Give PostgreSQL's lock up at once; closing the connection would do it a moment later."""
    connection.rollback()
    connection.scalar(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_KEY})
    connection.commit()
