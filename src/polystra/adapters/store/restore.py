"""Putting a backup back: the database then holds exactly what the file holds, or what it held before.

What lives here: the refusals and the exchange of one content for the other. What must not: the making of backups.

SQLite: the new file is made and checked beside the old one, the old one is moved aside (its log first, so that
no log ever lies beside a database that it does not belong to), and the new one takes its name. PostgreSQL: our
tables go, come back empty by the migrations, are filled and compared, all in one transaction. Both under the lock
that a daemon would hold. One row is not the backup's: the lease is free, and its epoch is above every one that was
given out here, so that a daemon which was fenced off before the restore stays fenced off. The schema is the
backup's: the next start migrates it, after a backup of its own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, select, text, update

from polystra.adapters.store.account_reading import owner_of
from polystra.adapters.store.backup import Backup, copy_pages, opened, raw_sqlite, read_backup, require_same
from polystra.adapters.store.contents import contents, copy_rows, ours
from polystra.adapters.store.database import parse_url, sqlite_path, sqlite_url
from polystra.adapters.store.lock import FileLock, release_session_lock, take_session_lock
from polystra.adapters.store.migrations import run_to
from polystra.adapters.store.queries import Owner
from polystra.adapters.store.tables import lease
from polystra.domain.errors import StoreCorrupt

_COMPANIONS: Final = ("-wal", "-shm", "-journal", "")
"""What belongs to an SQLite file, in the order in which it is moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What is there now, and where the file that was there before has been put (SQLite; None: there was none)."""

    backup: Backup
    put_aside: Path | None


def restore(url_text: str, path: Path, *, mode: str, account: str, aside: Path) -> Restored:
    """Replace what the database holds by what the file holds.

    `mode` is this program's; `account` is the account that the settings name, empty when they name none. A
    database that cannot even be read may be replaced: that is what backups are for. `aside` is the folder for it.

    Raises:
        StoreCorrupt: the file is damaged, another account's or another mode's; or the exchange failed, and the
            database is as before.
        StoreBusy: a daemon uses the database, or it cannot be reached for now.
        ConfigError: the URL names no database.
    """
    backup = read_backup(path)
    _require_ours(backup, mode, account)
    database = sqlite_path(parse_url(url_text))
    if database is None:
        _restore_tables(url_text, backup)
        return Restored(backup=backup, put_aside=None)
    if database.exists() and database.samefile(path):
        raise StoreCorrupt(f"{path} is the database itself: name a file that polystra db backup made")
    with _locked(database):
        given_out = 0
        if database.exists():
            _require_same_owner(_owner_if_readable(url_text), backup)
            given_out = _epoch_if_readable(url_text)
        fresh = database.with_name(f".{database.name}.restoring")
        try:
            _copy_checked(backup, fresh, given_out)
            put_aside = _move_aside(database, aside)
            fresh.rename(database)
        except OSError as error:
            raise StoreCorrupt(
                f"the database {database} cannot be replaced ({error.strerror}): what was there is in {aside}"
            ) from error
        finally:
            fresh.unlink(missing_ok=True)
        return Restored(backup=backup, put_aside=put_aside)


# --- whose ----------------------------------------------------------------------------


def _require_ours(backup: Backup, mode: str, account: str) -> None:
    if backup.mode and backup.mode != mode:
        raise StoreCorrupt(f"the backup {backup.path} is of mode {backup.mode}, MODE is {mode}: set MODE={backup.mode}")
    if backup.account and account and backup.account.lower() != account.lower():
        raise StoreCorrupt(
            f"the backup {backup.path} is of account {backup.account}, the settings name {account}: "
            "restore it with the settings of its own account"
        )


def _require_same_owner(owner: Owner | None, backup: Backup) -> None:
    if owner is None:
        return
    if not backup.account:
        raise StoreCorrupt(
            f"the backup {backup.path} is of a database that no daemon has used, the database here belongs to mode "
            f"{owner.mode} and account {owner.account}: set another DATABASE_URL"
        )
    if (owner.mode, owner.account.lower()) != (backup.mode, backup.account.lower()):
        raise StoreCorrupt(
            f"the database belongs to mode {owner.mode} and account {owner.account}, the backup {backup.path} to "
            f"mode {backup.mode} and account {backup.account}: set another DATABASE_URL"
        )


def _owner_if_readable(url_text: str) -> Owner | None:
    try:
        return owner_of(url_text)
    except StoreCorrupt:
        return None


# --- the lease ------------------------------------------------------------------------


def _epoch_if_readable(url_text: str) -> int:
    """The newest epoch that was given out by the database that is to be replaced."""
    try:
        with opened(url_text, read_only=True) as connection, connection.begin():
            return _epoch(connection)
    except StoreCorrupt:
        return 0


def _epoch(connection: Connection) -> int:
    if not inspect(connection).has_table(lease.name):
        return 0
    return connection.scalar(select(lease.c.epoch)) or 0


def _free_lease(connection: Connection, given_out: int) -> None:
    """Inside the caller's transaction; a schema without leases has none to free."""
    epoch = _epoch(connection)
    if epoch:
        connection.execute(update(lease).values(epoch=max(epoch, given_out) + 1, expires_ns=0))


# --- SQLite ---------------------------------------------------------------------------


@contextmanager
def _locked(database: Path) -> Iterator[None]:
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreCorrupt(f"the folder {database.parent} cannot be made ({error.strerror})") from error
    lock = FileLock(database)
    try:
        yield
    finally:
        lock.release()


def _copy_checked(backup: Backup, fresh: Path, given_out: int) -> None:
    """Copy the backup to a file in the database's folder, compared and synced to the disk."""
    try:
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with opened(sqlite_url(backup.path), read_only=True) as source:
            copy_pages(raw_sqlite(source), fresh)
        require_same(backup.contents, read_backup(fresh).contents, f"the copy of {backup.path}")
        with opened(sqlite_url(fresh)) as target:
            with target.begin():
                _free_lease(target, given_out)
            raw_sqlite(target).execute("PRAGMA journal_mode = DELETE")
        descriptor = os.open(fresh, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreCorrupt(f"the backup cannot be copied to {fresh} ({error.strerror}): make room") from error


def _move_aside(database: Path, aside: Path) -> Path | None:
    if not database.exists():
        return None
    aside.mkdir(parents=True, exist_ok=False)
    for companion in _COMPANIONS:
        old = database.with_name(database.name + companion)
        if old.exists():
            shutil.move(old, aside.joinpath(old.name))  # the folder may be on another disk
    return aside


# --- PostgreSQL -----------------------------------------------------------------------


def _restore_tables(url_text: str, backup: Backup) -> None:
    url = parse_url(url_text)
    with opened(url_text) as target, opened(sqlite_url(backup.path), read_only=True) as source:
        take_session_lock(target, url)
        try:
            _require_same_owner(_owner_if_readable(url_text), backup)
            with target.begin(), source.begin():
                given_out = _epoch(target)
                _drop_ours(target)
                run_to(target, url, backup.schema)
                copy_rows(source, target)
                require_same(backup.contents, contents(target), f"the copy of {backup.path}")
                _free_lease(target, given_out)
        finally:
            release_session_lock(target)


def _drop_ours(connection: Connection) -> None:
    """Our tables with their views, and the functions of their triggers; nothing of anybody else's."""
    quote = connection.dialect.identifier_preparer.quote
    names = list(ours(connection).tables)
    functions = connection.execute(
        text(
            "SELECT DISTINCT p.oid::regprocedure::text FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
            "JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND c.relname = ANY(:names) "
            "AND c.relnamespace = current_schema()::regnamespace"
        ),
        {"names": names},
    ).scalars()
    for function in list(functions):
        connection.execute(text(f"DROP FUNCTION {function} CASCADE"))
    for name in [*names, "alembic_version"]:
        connection.execute(text(f"DROP TABLE IF EXISTS {quote(name)} CASCADE"))
