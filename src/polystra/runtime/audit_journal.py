"""The audit on its way to the store: calls wait here and are written about once a second.

What lives here: the bounded queue, the eternal task that empties it, retention. What must not: the
making of calls (adapters), statements (store). Nothing here stops trading: what cannot be written is
kept while there is room, then dropped, counted and logged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from threading import Lock
from typing import Final

from polystra.domain.errors import PolystraError, StoreBusy
from polystra.domain.units import NS_PER_S, Nanos
from polystra.ports.audit import ApiCall, AuditStore
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.runtime.log import Log

CAPACITY: Final = 5_000
WRITE_EVERY_S: Final = 1.0
WRITTEN_AT_ONCE: Final = 200
ROUTINE_KEPT_NS: Final = 3 * 86_400 * NS_PER_S
"""Heartbeats and the like that went well: 17 280 a day would bury the rest."""
PRUNE_EVERY_NS: Final = 3_600 * NS_PER_S


class AuditJournal:
    """`ports.audit.ApiAudit` over an `AuditStore`. `keep_ns` is how long calls are kept, 0 for ever."""

    def __init__(
        self, *, store: AuditStore, clock: Clock, log: Log, keep_ns: Nanos = 0, capacity: int = CAPACITY
    ) -> None:
        self._store = store
        self._clock = clock
        self._log = log
        self._keep_ns = keep_ns
        self._capacity = capacity
        self._waiting: deque[ApiCall] = deque()
        self._guard = Lock()
        self._crowded_out = 0
        self._refused = 0
        self._told_crowded = False
        self._told_failure = False
        self._listener: Callable[[ApiCall], None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def dropped(self) -> int:
        """Calls that were never written: no room, or refused by the store."""
        return self._crowded_out + self._refused

    def listen(self, listener: Callable[[ApiCall], None]) -> None:
        """Hand every call on to somebody who only stores it."""
        self._listener = listener

    def record(self, call: ApiCall) -> None:
        """Take a call; without room the oldest one goes."""
        if self._listener is not None:
            self._listener(call)
        with self._guard:
            self._waiting.append(call)
            self._make_room()

    async def run(self) -> None:
        """Write for ever, and drop what is older than it is kept for: at the start and once an hour."""
        prune_at_ns = self._clock.monotonic_ns()
        while True:
            if self._keep_ns and self._clock.monotonic_ns() >= prune_at_ns:
                prune_at_ns = self._clock.monotonic_ns() + PRUNE_EVERY_NS
                await self._prune()
            await self._clock.sleep(WRITE_EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what waits; ends early when the store is busy. Never raises because of the store."""
        while calls := self._take():
            try:
                await self._store.write_calls(calls)
            except StoreBusy as error:
                self._put_back(calls)
                self._tell(LogEvent.AUDIT_BLOCKED, error)
                break
            except PolystraError as error:
                self._refused += len(calls)
                self._tell(LogEvent.AUDIT_DROPPED, error)
            else:
                self._told_failure = False
        if self._crowded_out and not self._told_crowded:
            self._told_crowded = True
            error_text = f"more requests than can be written: over {self._capacity} waited"
            self._log.warning(LogEvent.AUDIT_DROPPED, dropped=self.dropped, error=error_text)

    # --- inside -----------------------------------------------------------------------

    def _take(self) -> list[ApiCall]:
        with self._guard:
            calls = list(islice(self._waiting, WRITTEN_AT_ONCE))
            for _ in calls:
                self._waiting.popleft()
        return calls

    def _put_back(self, calls: list[ApiCall]) -> None:
        with self._guard:
            self._waiting.extendleft(reversed(calls))
            self._make_room()

    def _make_room(self) -> None:
        while len(self._waiting) > self._capacity:
            self._waiting.popleft()
            self._crowded_out += 1

    def _tell(self, event: LogEvent, error: PolystraError) -> None:
        """Once for each time that the store stops taking calls."""
        if not self._told_failure:
            self._told_failure = True
            self._log.warning(event, waiting=len(self._waiting), dropped=self.dropped, error=str(error))

    async def _prune(self) -> None:
        try:
            now_ns = self._clock.now_ns()
            await self._store.prune_calls(now_ns - self._keep_ns, now_ns - min(self._keep_ns, ROUTINE_KEPT_NS))
        except PolystraError as error:
            self._tell(LogEvent.AUDIT_BLOCKED, error)
