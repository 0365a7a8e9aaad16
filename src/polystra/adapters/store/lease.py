"""One holder of the account: the lease row, its epoch that fences off an earlier holder, and its term.

What lives here: taking, proving, renewing and releasing the lease inside the caller's transaction. What must
not: connections, transactions (`session`), locks (`lock`).

Whoever opens the database for writing takes the lease and counts its epoch up by one. Every later transaction
proves that the epoch is still its own, so that a holder who was taken over while it slept commits nothing more,
and therefore sends nothing more. The lease is taken over only when it was released, when its term is over, or
when its holder is known to be dead: the file lock that it held, on this kernel, is free. Process numbers prove
nothing, because in a container each daemon is number 1.

A term is told by the holder's clock, which may be wrong. Whoever has seen the same row unchanged for a whole
term by its own clock may take it (`Unchanged`).
"""

from __future__ import annotations

import os
import platform
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Row, insert, select, update

from polystra.adapters.store.tables import lease
from polystra.domain.errors import LeaseHeld, StoreCorrupt, StoreFenced
from polystra.domain.units import NS_PER_S, Nanos
from polystra.ports.clock import Clock
from polystra.ports.tenure import RENEW_S, TERM_S

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_PROOF: Final = "SELECT epoch FROM lease WHERE id = 1"


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A lease that was seen like this for a whole term."""

    epoch: int
    renewed_ns: Nanos


def kernel() -> str:
    """Which running kernel this is: the same for all its containers, another one after a restart of the machine."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return f"host {platform.node()}"


class Lease:
    """Our lease. `clock` None is a short visit: the lock alone guards it, and it cannot judge another's term.

    `lock` names the file lock that this process holds, empty when it holds none.
    """

    def __init__(self, *, clock: Clock | None, lock: str, name: str) -> None:
        self._clock = clock
        self._proof = f"{kernel()} {lock}" if lock else ""
        self._name = name
        self._epoch = 0
        self._renewed_ns: Nanos = 0
        self.held_until_ns: Nanos = 0
        """When the term that is durable ends, by our clock; past it nobody may rely on being alone."""

    @property
    def epoch(self) -> int:
        """Our epoch; 0 before the lease was taken."""
        return self._epoch

    def take(self, connection: Connection, unchanged: Unchanged | None) -> None:
        """Take the lease inside the caller's transaction.

        Raises:
            LeaseHeld: its holder may be alive; says for how long at most.
        """
        row = connection.execute(select(lease).with_for_update()).one_or_none()
        if row is not None:
            self._require_free(row, unchanged)
        now_ns = self._now_ns()
        values = {
            "epoch": 1 if row is None else row.epoch + 1,
            "host": platform.node(),
            "pid": os.getpid(),
            "proof": self._proof,
            "since_ns": now_ns,
            "renewed_ns": now_ns,
            "expires_ns": self._end(now_ns),
        }
        connection.execute(insert(lease).values(id=1, **values) if row is None else update(lease).values(**values))
        self._epoch = int(str(values["epoch"]))
        self.proved(now_ns)

    def prove(self, connection: Connection, *, renew: bool = False) -> Nanos:
        """Prove inside the caller's transaction that the lease is ours; returns when it was renewed last.

        Hand that to `proved` once the transaction is durable. The row stays locked until then, so that nobody
        takes the lease over between the proof and the commit.

        Raises:
            StoreFenced: somebody else took it over.
        """
        now_ns = self._now_ns()
        due = self._clock is not None and not 0 <= now_ns - self._renewed_ns < RENEW_S * NS_PER_S
        if renew or due:
            ours = update(lease).where(lease.c.epoch == self._epoch)
            renewed = ours.values(renewed_ns=now_ns, expires_ns=self._end(now_ns))
            if connection.execute(renewed).rowcount == 1:
                return now_ns
        elif _epoch(connection) == self._epoch:
            return self._renewed_ns
        raise self._fenced(connection)

    def proved(self, renewed_ns: Nanos) -> None:
        """The transaction that proved the lease is durable."""
        self._renewed_ns, self.held_until_ns = renewed_ns, self._end(renewed_ns)

    def release(self, connection: Connection) -> None:
        """Give the lease up inside the caller's transaction; nothing happens when it is not ours any more."""
        connection.execute(update(lease).where(lease.c.epoch == self._epoch).values(expires_ns=0))

    def require_ours(self, connection: Connection) -> None:
        """Raise StoreFenced when somebody else has taken the lease over; harmless before it was taken."""
        if self._epoch and connection.scalar(select(lease.c.epoch)) != self._epoch:
            raise self._fenced(connection)

    # --- inside -----------------------------------------------------------------------

    def _now_ns(self) -> Nanos:
        return 0 if self._clock is None else self._clock.now_ns()

    def _end(self, renewed_ns: Nanos) -> Nanos:
        return 0 if self._clock is None else renewed_ns + TERM_S * NS_PER_S

    def _require_free(self, row: Row[Any], unchanged: Unchanged | None) -> None:
        if row.expires_ns == 0 or (self._proof and row.proof == self._proof):
            return
        now_ns = self._now_ns()
        if unchanged == Unchanged(row.epoch, row.renewed_ns) or (self._clock is not None and row.expires_ns <= now_ns):
            return
        rest_s = min(TERM_S, max(1, -((now_ns - row.expires_ns) // NS_PER_S))) if now_ns else TERM_S
        raise LeaseHeld(
            f"another polystra ({words_of(row)}) holds the account in the database {self._name} and did not give it "
            f"up; it may be alive elsewhere: stop it, or wait {rest_s} s",
            epoch=row.epoch,
            renewed_ns=row.renewed_ns,
            wait_s=rest_s,
        )

    def _fenced(self, connection: Connection) -> StoreFenced:
        row = connection.execute(select(lease)).one_or_none()
        who = "somebody else" if row is None else f"another polystra ({words_of(row)})"
        return StoreFenced(
            f"{who} has taken over the account in the database {self._name} while this one stood still or was cut "
            "off; nothing more is written or sent from here: stop one of the two"
        )


def words_of(row: Row[Any]) -> str:
    """Name the holder for people."""
    since = f", since {datetime.fromtimestamp(row.since_ns // NS_PER_S, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"process {row.pid} on {row.host or 'an unnamed host'}{since if row.since_ns else ''}"


def _epoch(connection: Connection) -> int | None:
    """The stored epoch, by the bare driver: this runs in every transaction."""
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        row = driver.execute(_PROOF).fetchone()
    elif isinstance(driver, psycopg.Connection):
        row = driver.execute(f"{_PROOF} FOR SHARE").fetchone()
    else:
        raise StoreCorrupt("the database's driver is not one that this program knows")
    return None if row is None else int(row[0])
