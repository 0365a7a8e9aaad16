"""The one writing connection, used by one thread at a time.

What lives here: opening (schema, stamp, lock), the transaction that writes a batch of facts,
pruning, checkpoints. What must not: the event loop; see `writer` for that.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from itertools import chain
from typing import Final

from sqlalchemy import URL, Connection, delete, func, insert, select

from polystra.adapters.store import tables
from polystra.adapters.store.audit_writing import delete_calls, insert_calls
from polystra.adapters.store.database import describe, make_engine, parse_url, sqlite_path, translated
from polystra.adapters.store.encode import Values, encode
from polystra.adapters.store.load import load_state
from polystra.adapters.store.lock import FileLock, release_session_lock, take_session_lock
from polystra.adapters.store.migrations import require_head
from polystra.adapters.store.statements import Write, compile_writes
from polystra.domain.errors import InvariantViolation, PolystraError, StoreBusy, StoreConflict, StoreCorrupt
from polystra.domain.facts import Fact
from polystra.domain.units import NS_PER_S, Nanos
from polystra.ports.audit import ApiCall
from polystra.ports.store import StoredState

_COUNTED: Final = {"preserve_rowcount": True}
NOTES_KEPT_NS: Final = 30 * 86_400 * NS_PER_S
"""Notices, observed balances and reconciliations go after so long: they tell the past, the ledger explains it."""
_PRUNED_AT_ONCE: Final = 2_000
_CALLS_PRUNED_AT_ONCE: Final = 500
CHECKPOINT_BACKSTOP_PAGES: Final = 16_000
"""The log is folded into the database in idle moments; at 64 MB a commit does it, whatever it costs."""


class WriteSession:
    """An open database that is ours: right schema, right mode and account, locked."""

    def __init__(self, url_text: str, *, mode: str, account: str) -> None:
        """Open the database.

        Raises:
            StoreBusy: another daemon holds it, or it cannot be reached for now.
            StoreCorrupt: not ours: missing, unreadable, another schema, mode or account.
            ConfigError: the URL names no database.
        """
        self._url: URL = parse_url(url_text)
        path = sqlite_path(self._url)
        if path is not None and not path.exists():
            raise StoreCorrupt(f"the database {path} does not exist; make it with: polystra db upgrade")
        self._guard = threading.Lock()
        self._engine = make_engine(self._url)
        self._writes: tuple[Write, ...] = compile_writes(self._engine)
        self._connection: Connection | None = None
        self._file_lock = FileLock(path) if path is not None else None
        try:
            with translated(self._url):
                self._stamp(self._connected(), mode, account.lower())
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
            if error is None or len(batches) == 1 or isinstance(error, StoreBusy | StoreCorrupt):
                return [error] * len(batches)
            results: list[PolystraError | None] = []
            stopped: PolystraError | None = None
            for facts in batches:
                error = stopped or self._attempt(facts)
                if isinstance(error, StoreBusy | StoreCorrupt):
                    stopped = error
                results.append(error)
            return results

    def _attempt(self, facts: Sequence[Fact]) -> PolystraError | None:
        try:
            with translated(self._url):
                connection = self._connected()
                with connection.begin():
                    self._write_rows(connection, facts)
        except (StoreBusy, StoreConflict, StoreCorrupt, InvariantViolation) as error:
            if isinstance(error, StoreBusy):
                self._disconnect()
            return error
        return None

    def _write_rows(self, connection: Connection, facts: Sequence[Fact]) -> None:
        batch = encode(facts)
        for write in self._writes:
            rows = batch.get(write.table.name)
            if not rows:
                continue
            result = connection.exec_driver_sql(write.sql, rows, execution_options=_COUNTED)
            if result.rowcount != len(rows) and write.content:
                _compare(connection, write, rows, self.description)

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
        with self._guard, translated(self._url):
            connection = self._connected()
            with connection.begin():
                gone = connection.execute(delete(decisions).where(decisions.c.decision_id.in_(old))).rowcount
                return gone or _prune_notes(connection, now_ns - max(keep_ns, NOTES_KEPT_NS))

    def write_calls(self, calls: Sequence[ApiCall]) -> None:
        """Add to the audit of requests in one transaction; raises StoreError or InvariantViolation."""
        try:
            with self._guard, translated(self._url):
                connection = self._connected()
                with connection.begin():
                    insert_calls(connection, calls)
        except StoreBusy:
            with self._guard:
                self._disconnect()
            raise

    def prune_calls(self, before_ns: Nanos, routine_before_ns: Nanos) -> int:
        """Delete a chunk of old calls; returns how many went, 0 when none is left."""
        with self._guard, translated(self._url):
            connection = self._connected()
            with connection.begin():
                return delete_calls(connection, before_ns, routine_before_ns, _CALLS_PRUNED_AT_ONCE)

    def checkpoint(self) -> None:
        """Fold SQLite's log into the database, as far as readers allow; nothing to do elsewhere."""
        if self._file_lock is None:
            return
        with self._guard, translated(self._url):
            raw = self._connected().connection.driver_connection
            if raw is not None:
                with closing(raw.cursor()) as cursor:
                    cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        """Release connection and lock; harmless when repeated."""
        with self._guard:
            if self._connection is not None and self._file_lock is None:
                with suppress(PolystraError), translated(self._url):
                    release_session_lock(self._connection)
            self._disconnect()
            self._engine.dispose()
            if self._file_lock is not None:
                self._file_lock.release()

    # --- inside -----------------------------------------------------------------------

    def _connected(self) -> Connection:
        """The connection, made anew (and its lock taken again) when it was lost."""
        if self._connection is not None:
            return self._connection
        connection = self._engine.connect()
        try:
            if self._file_lock is None:
                take_session_lock(connection, self._url)
            else:
                connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_BACKSTOP_PAGES}")
                connection.rollback()
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.invalidate()
            connection.close()

    def _stamp(self, connection: Connection, mode: str, account: str) -> None:
        """Check the schema, then the owner; the first one to open a database becomes its owner."""
        with connection.begin():
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
            if known != row[column]:
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
