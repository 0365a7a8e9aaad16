"""Opening the daemon's database: migrated, locked, and held; a holder that may be alive is waited for.

What lives here: the order of those steps and the wait. What must not: statements, the run itself.
"""

from __future__ import annotations

from polystra.adapters.store.backup import Backup
from polystra.adapters.store.lease import Unchanged
from polystra.adapters.store.migrations import upgrade
from polystra.adapters.store.writer import SqlStore
from polystra.app.backups import before_migration
from polystra.app.settings import Settings
from polystra.domain.errors import LeaseHeld
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.ports.tenure import TERM_S
from polystra.runtime.log import Log


async def open_store(settings: Settings, account: str, *, clock: Clock, log: Log) -> SqlStore:
    """Migrate the database to the newest schema and open it for this mode and account.

    Raises:
        StoreBusy: another daemon holds it.
        StoreError: it cannot be used.
    """
    url = settings.resolved_database_url.get_secret_value()
    report = upgrade(url, before_it=before_migration(settings, lambda made: _tell_backup(log, made)))
    log.info(
        LogEvent.STORE_MIGRATED,
        schema=report.after,
        before=report.before or "empty",
        state="migrated" if report.migrated else "up to date",
    )
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    store = await _hold(settings, url, account, clock=clock, log=log)
    log.info(LogEvent.STORE_OPENED, mode=settings.mode.value, account=account)
    return store


def _tell_backup(log: Log, made: Backup) -> None:
    log.info(LogEvent.STORE_BACKED_UP, file=str(made.path), schema=made.schema, rows=made.contents.total)


async def _hold(settings: Settings, url: str, account: str, *, clock: Clock, log: Log) -> SqlStore:
    """Open it; a lease that its holder did not give up is waited for, at most for one whole term unchanged."""
    seen: Unchanged | None = None
    waited_s = 0
    while True:
        try:
            return await SqlStore.open(
                url,
                mode=settings.mode.value,
                account=account,
                clock=clock,
                lock_folder=settings.data_dir,
                unchanged=seen if waited_s >= TERM_S else None,
                durable=settings.database_durable,
            )
        except LeaseHeld as held:
            found = Unchanged(held.epoch, held.renewed_ns)
            if found != (seen or found):
                raise  # it was renewed while we waited: its holder lives
            seen = found
            log.warning(LogEvent.STORE_HELD, error=str(held), wait_s=held.wait_s)
            await clock.sleep(held.wait_s)
            waited_s += held.wait_s
