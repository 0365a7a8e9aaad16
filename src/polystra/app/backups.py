"""`polystra db backup` and `restore`, and the backup that is made before every migration.

What lives here: names, folders, how many are kept, words. What must not: the copying (`adapters/store/backup`).

Backups go to `DATA_DIR/backups`. Those made before a migration carry the revision they were made from; the newest
`KEPT_BEFORE_MIGRATIONS` stay. Those that a person asks for are never deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from polystra.adapters.clock import SystemClock
from polystra.adapters.store.backup import Backup, make_backup
from polystra.adapters.store.restore import Restored, restore
from polystra.app.settings import Settings
from polystra.domain.errors import StoreCorrupt
from polystra.domain.units import NS_PER_S, Nanos, format_micros

KEPT_BEFORE_MIGRATIONS: Final = 5


def folder_of(settings: Settings) -> Path:
    """Where backups go."""
    return settings.data_dir / "backups"


def back_up(settings: Settings, path: Path | None) -> Backup:
    """Make a backup that a person asked for.

    Raises:
        StoreError: it could not be made.
    """
    target = path or folder_of(settings) / f"polystra-{settings.mode.value}-{_stamp(SystemClock().now_ns())}.db"
    return make_backup(settings.resolved_database_url.get_secret_value(), target)


def put_back(settings: Settings, path: Path) -> Restored:
    """Restore a backup into the database of the settings.

    Raises:
        StoreError: it could not be restored; the database is as before.
    """
    return restore(
        settings.resolved_database_url.get_secret_value(),
        path,
        mode=settings.mode.value,
        account=settings.live_armed if settings.mode.value == "live" else "",
        aside=folder_of(settings) / f"replaced-{_stamp(SystemClock().now_ns())}",
    )


def before_migration(settings: Settings, tell: Callable[[Backup], None]) -> Callable[[str], None]:
    """What `upgrade` is to do first: a backup, of which the newest few are kept; `tell` hears of it.

    Raises (when called):
        StoreCorrupt: the backup could not be made, so that nothing is migrated.
    """

    def keep(revision: str) -> None:
        kind = f"before-migration-{settings.mode.value}-"
        path = folder_of(settings) / f"{kind}{_stamp(SystemClock().now_ns())}-from-{revision}.db"
        try:
            made = make_backup(settings.resolved_database_url.get_secret_value(), path)
        except StoreCorrupt as error:
            raise StoreCorrupt(
                f"the database is to be migrated from {revision}, and the backup before that failed: {error} "
                "(polystra db upgrade --no-backup goes without one)"
            ) from error
        tell(made)
        for old in sorted(path.parent.glob(f"{kind}*.db"))[:-KEPT_BEFORE_MIGRATIONS]:
            old.unlink(missing_ok=True)

    return keep


def words_of(backup: Backup) -> str:
    """What is in a backup, in one line."""
    held = backup.contents
    whose = f"mode {backup.mode}, account {backup.account}" if backup.account else "no account yet"
    return (
        f"{backup.path}: {whose}, schema {backup.schema}, {held.total} rows, "
        f"{held.rows.get('orders', 0)} orders, {held.rows.get('fills', 0)} fills, {held.rows.get('ledger', 0)} "
        f"postings that add up to {format_micros(held.ledger_cash)} dollars and "
        f"{format_micros(held.ledger_shares)} shares; read back and compared"
    )


def _stamp(now_ns: Nanos) -> str:
    return datetime.fromtimestamp(now_ns // NS_PER_S, UTC).strftime("%Y%m%dT%H%M%SZ")
