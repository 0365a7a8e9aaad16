"""The one writing connection, used by one thread at a time.

What lives here: opening (schema, stamp, lock), the transaction that writes a batch of facts,
pruning, checkpoints. What must not: the event loop; see `writer` for that.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import URL, Connection, delete, func, insert, select

from polystra.adapters.store import tables
from polystra.adapters.store.audit_writing import delete_calls, insert_calls
from polystra.adapters.store.database import describe, make_engine, parse_url, sqlite_path, translated
from polystra.adapters.store.encode import Values, encode
from polystra.adapters.store.lease import Lease, Unchanged
from polystra.adapters.store.load import load_state
from polystra.adapters.store.lock import FileLock, release_session_lock, stand_in, take_session_lock
from polystra.adapters.store.migrations import require_head
from polystra.adapters.store.runs import begin_run, count_crashes, crashes_since, end_run
from polystra.adapters.store.statements import Write, compile_writes, erasure
from polystra.domain.errors import (
    InvariantViolation,
    PolystraError,
    StoreBusy,
    StoreConflict,
    StoreCorrupt,
    StoreFenced,
)
from polystra.domain.facts import Fact
from polystra.domain.orders import LIVE_STATUSES
from polystra.domain.units import NS_PER_S, Nanos
from polystra.ports.audit import ApiCall
from polystra.ports.clock import Clock
from polystra.ports.store import StoredState

_LIVE: Final = frozenset(status.value for status in LIVE_STATUSES)
"""An order in another state has ended: its signed bytes, with which anybody could send it, are erased."""
NOTES_KEPT_NS: Final = 30 * 86_400 * NS_PER_S
"""Notices, observed balances and reconciliations go after so long: they tell the past, the ledger explains it."""
_PRUNED_AT_ONCE: Final = 2_000
_CALLS_PRUNED_AT_ONCE: Final = 500
CHECKPOINT_BACKSTOP_PAGES: Final = 16_000
"""The log is folded into the database in idle moments; at 64 MB a commit does it, whatever it costs."""


_NOTHING_AFTER: Final = (StoreBusy, StoreCorrupt, StoreFenced)
"""After such an error nothing more is written: later facts must not overtake earlier ones."""


class WriteSession:
    """An open database that is ours: right schema, right mode and account, locked, with the account's lease."""

    def __init__(
        self,
        url_text: str,
        *,
        mode: str,
        account: str,
        clock: Clock | None = None,
        lock_folder: Path | None = None,
        unchanged: Unchanged | None = None,
        durable: bool = False,
    ) -> None:
        """Open the database.

        Args:
            url_text: where it is.
            mode: of this run.
            account: the wallet's address, in lower case or not.
            clock: tells the lease's term; None for a short visit.
            lock_folder: where the file lock beside a server's database is; None: none is taken.
            unchanged: another's lease that was seen like this for a whole term.
            durable: whether each commit to SQLite waits for the disk.

        Raises:
            LeaseHeld: its last holder did not give it up and may be alive.
            StoreBusy: another daemon holds it, or it cannot be reached for now.
            StoreCorrupt: not ours: missing, unreadable, another schema, mode or account.
            ConfigError: the URL names no database.
        """
        self._url: URL = parse_url(url_text)
        path = sqlite_path(self._url)
        if path is not None and not path.exists():
            raise StoreCorrupt(f"the database {path} does not exist; make it with: polystra db upgrade")
        self._guard = threading.Lock()
        self._engine = make_engine(self._url, durable=durable)
        self._writes: tuple[Write, ...] = compile_writes(self._engine)
        self._erasure = erasure(self._engine)
        self._connection: Connection | None = None
        self._is_file = path is not None
        self._file_lock = _file_lock(self._url, path, lock_folder)
        self._lease = Lease(
            clock=clock, lock="" if self._file_lock is None else self._file_lock.identity, name=self.description
        )
        try:
            with translated(self._url):
                connection = self._connected()
                with connection.begin():
                    self._stamp(connection, mode, account.lower())
                    self._lease.take(connection, unchanged)
        except PolystraError:
            self.close()
            raise

    @property
    def description(self) -> str:
        """The database's name for people, without password."""
        return describe(self._url)

    # --- writing ----------------------------------------------------------------------

    def write(self, batches: Sequence[Sequence[Fact]]) -> list[PolystraError | None]:
        """Make the facts of several callers durable; each gets None or its own error.

        All go in one transaction. When that is refused because of what one of them says, each
        is tried alone, in order; once one must be tried again or the database is unusable,
        nothing after it is written, so that later facts never overtake earlier ones.
        """
        with self._guard:
            error = self._attempt(tuple(chain.from_iterable(batches)))
            if error is None or len(batches) == 1 or isinstance(error, _NOTHING_AFTER):
                return [error] * len(batches)
            results: list[PolystraError | None] = []
            stopped: PolystraError | None = None
            for facts in batches:
                error = stopped or self._attempt(facts)
                if isinstance(error, _NOTHING_AFTER):
                    stopped = error
                results.append(error)
            return results

    def _attempt(self, facts: Sequence[Fact]) -> PolystraError | None:
        try:
            with translated(self._url), self._transaction() as connection:
                self._write_rows(connection, facts)
        except (StoreBusy, StoreConflict, StoreCorrupt, StoreFenced, InvariantViolation) as error:
            if isinstance(error, StoreBusy):
                self._disconnect()
            return error
        return None

    def _write_rows(self, connection: Connection, facts: Sequence[Fact]) -> None:
        """Write the rows by the driver's own cursor: an intent takes 0.28 ms instead of 0.38 through SQLAlchemy."""
        batch = encode(facts)
        with closing(_cursor(connection)) as cursor:
            for write in self._writes:
                rows = batch.get(write.table.name)
                if not rows:
                    continue
                cursor.executemany(write.sql, rows)
                if cursor.rowcount != len(rows) and write.content:
                    _compare(connection, write, rows, self.description)
            ended = [row for row in batch.get(tables.orders.name, ()) if row["status"] not in _LIVE]
            if ended:
                cursor.executemany(self._erasure, [{"client_order_id": row["client_order_id"]} for row in ended])

    # --- the lease --------------------------------------------------------------------

    @property
    def held_until_ns(self) -> Nanos:
        """Until when nobody else can have taken the account over, by our clock; any thread may ask."""
        return self._lease.held_until_ns

    def renew(self) -> None:
        """Begin a new term of the lease.

        Raises:
            StoreFenced: somebody else took it over.
            StoreBusy: nothing was written; try again.
        """
        with self._writing(renew=True):
            pass

    def begin_run(self, now_ns: Nanos, since_ns: Nanos) -> int:
        """Write down that a run begins to trade; returns how many crashed that began since a moment."""
        with self._writing() as connection:
            begin_run(connection, self._lease.epoch, now_ns)
            return crashes_since(connection, self._lease.epoch, since_ns)

    def count_crashes(self) -> None:
        """The crashes so far have had their consequence."""
        with self._writing() as connection:
            count_crashes(connection, self._lease.epoch)

    def end_run(self, now_ns: Nanos, reason: str) -> None:
        """Write down that the run ended in order."""
        with self._writing() as connection:
            end_run(connection, self._lease.epoch, now_ns, reason)

    # --- the rest ---------------------------------------------------------------------

    def load(self) -> StoredState:
        """Read the state of the last run, in one transaction."""
        with self._guard, translated(self._url):
            connection = self._connected()
            with connection.begin():
                return load_state(connection)

    def prune(self, now_ns: Nanos, keep_ns: Nanos) -> int:
        """Delete a chunk of old decisions to skip, then of old notes; returns how many went, 0 when none is left.

        The newest decision always stays, so that its number is not given twice. Notices, observed balances
        and reconciliations are kept for at least `NOTES_KEPT_NS`, the newest of each kind for ever.
        """
        decisions = tables.decisions
        old = (
            select(decisions.c.decision_id)
            .where(decisions.c.action == "SKIP", decisions.c.at_ns < now_ns - keep_ns)
            .where(decisions.c.decision_id < select(func.max(decisions.c.decision_id)).scalar_subquery())
            .limit(_PRUNED_AT_ONCE)
        )
        with self._guard, translated(self._url), self._transaction() as connection:
            gone = connection.execute(delete(decisions).where(decisions.c.decision_id.in_(old))).rowcount
            return gone or _prune_notes(connection, now_ns - max(keep_ns, NOTES_KEPT_NS))

    def write_calls(self, calls: Sequence[ApiCall]) -> None:
        """Add to the audit of requests in one transaction; raises StoreError or InvariantViolation."""
        with self._writing() as connection:
            insert_calls(connection, calls)

    def prune_calls(self, before_ns: Nanos, routine_before_ns: Nanos) -> int:
        """Delete a chunk of old calls; returns how many went, 0 when none is left."""
        with self._writing() as connection:
            return delete_calls(connection, before_ns, routine_before_ns, _CALLS_PRUNED_AT_ONCE)

    def checkpoint(self) -> None:
        """Fold SQLite's log into the database, as far as readers allow; nothing to do elsewhere.

        Over a connection of its own, which any thread may use while another commits: the disk is waited for here (up
        to a second was seen), and a passive checkpoint keeps no writer waiting.
        """
        path = sqlite_path(self._url)
        if path is None:
            return
        with translated(self._url), closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as raw:
            raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        """Release connection and lock; harmless when repeated."""
        with self._guard:
            if self._connection is not None:
                with suppress(PolystraError), translated(self._url):
                    self._give_up(self._connection)
            self._disconnect()
            self._engine.dispose()
            if self._file_lock is not None:
                self._file_lock.release()

    # --- inside -----------------------------------------------------------------------

    @contextmanager
    def _writing(self, *, renew: bool = False) -> Iterator[Connection]:
        """A transaction of its own; a connection that failed in it is not used again."""
        try:
            with self._guard, translated(self._url), self._transaction(renew=renew) as connection:
                yield connection
        except StoreBusy:
            with self._guard:
                self._disconnect()
            raise

    @contextmanager
    def _transaction(self, *, renew: bool = False) -> Iterator[Connection]:
        """A transaction that becomes durable only if the account is still ours; lost connections are made anew."""
        connection = self._connected()
        with connection.begin():
            renewed_ns = self._lease.prove(connection, renew=renew)
            yield connection
        self._lease.proved(renewed_ns)

    def _give_up(self, connection: Connection) -> None:
        """The end: the next one need not wait."""
        connection.rollback()
        with connection.begin():
            self._lease.release(connection)
        if not self._is_file:
            release_session_lock(connection)

    def _connected(self) -> Connection:
        """The connection, made anew (and its lock taken again) when it was lost."""
        if self._connection is not None:
            return self._connection
        connection = self._engine.connect()
        try:
            if not self._is_file:
                self._take_session_lock(connection)
            else:
                connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_BACKSTOP_PAGES}")
                connection.rollback()
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _take_session_lock(self, connection: Connection) -> None:
        """Take PostgreSQL's lock; who finds it taken looks whether the account was taken over meanwhile."""
        try:
            take_session_lock(connection, self._url)
        except StoreBusy:
            self._lease.require_ours(connection)
            connection.rollback()
            raise

    def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.invalidate()
            connection.close()

    def _stamp(self, connection: Connection, mode: str, account: str) -> None:
        """Check the schema, then the owner; the first one to open a database becomes its owner."""
        require_head(connection, self._url)
        row = connection.execute(select(tables.store_meta)).one_or_none()
        if row is None:
            note = "amounts in 10^-6, spot prices in 10^-8, times in UTC nanoseconds"
            connection.execute(insert(tables.store_meta).values(id=1, mode=mode, account=account, note=note))
            return
        if (row.mode, row.account) != (mode, account):
            raise StoreCorrupt(
                f"the database {self.description} belongs to mode {row.mode} and account {row.account}, this run is "
                f"mode {mode} and account {account}; set another DATABASE_URL"
            )


def _file_lock(url: URL, path: Path | None, folder: Path | None) -> FileLock | None:
    """The file lock of the database, or the one beside a server's database."""
    if path is not None:
        return FileLock(path)
    return None if folder is None else FileLock(stand_in(url, folder), name=describe(url))


def _cursor(connection: Connection) -> sqlite3.Cursor | psycopg.Cursor[Any]:
    """A cursor of the driver below, in the connection's transaction."""
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection | psycopg.Connection):
        return driver.cursor()
    raise StoreCorrupt("the database's driver is not one that this program knows")


def _compare(connection: Connection, write: Write, rows: Sequence[Values], name: str) -> None:
    """Find out why some rows changed nothing: told again is fine, another content is a conflict."""
    columns = write.table.c
    for row in rows:
        found = connection.execute(
            select(*(columns[column] for column in write.content)).where(
                *(columns[column] == row[column] for column in write.key)
            )
        ).one_or_none()
        if found is None:
            continue
        for column, known in zip(write.content, found, strict=True):
            if known != row[column] and not (column == "body" and known == b""):
                key = ", ".join(f"{column} {row[column]}" for column in write.key)
                raise StoreConflict(
                    f"{name}: {write.table.name} has {key} already, with another {column}; nothing was written"
                )


def _prune_notes(connection: Connection, before_ns: Nanos) -> int:
    """Delete a chunk of what only tells the past; the last word of each kind stays, because status shows it."""
    for table in (tables.notices, tables.balances, tables.reconciliations):
        newest = select(func.max(table.c.sequence))
        if table is tables.notices:
            newest = newest.group_by(table.c.kind)
        old = (
            select(table.c.sequence)
            .where(table.c.at_ns < before_ns, table.c.sequence.not_in(newest))
            .limit(_PRUNED_AT_ONCE)
        )
        gone = connection.execute(delete(table).where(table.c.sequence.in_(old))).rowcount
        if gone:
            return gone
    return 0
