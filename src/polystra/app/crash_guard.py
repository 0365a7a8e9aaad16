"""The crash-loop guard: a daemon that crashes again and again starts without making entries.

What lives here: the count, and the switch that follows from it. What must not: statements, what the switch does.

A crash is a run that began to trade and did not end in order, whatever the cause: killed, out of memory, a bug,
the power. Times are real, also when the run's own clock is simulated: what loops is a process.
"""

from __future__ import annotations

from polystra.adapters.clock import LoopClock, SystemClock
from polystra.adapters.store.writer import SqlStore
from polystra.app.settings import Settings
from polystra.domain.events import SwitchName
from polystra.domain.facts import SwitchChanged
from polystra.domain.units import NS_PER_S
from polystra.ports.clock import Clock

SOURCE = "crash guard"


class CrashGuard:
    """Watches over the runs on one database. `clock` is that of the run."""

    def __init__(self, store: SqlStore, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._real: Clock = clock if isinstance(clock, LoopClock) else SystemClock()

    async def begin(self) -> SwitchChanged | None:
        """Write down that a run begins; returns the switch that was set because too many before it crashed.

        Raises:
            StoreError: the database does not take it.
        """
        limit, window_s = self._settings.max_crashes, self._settings.crash_window_seconds
        now_ns = self._real.now_ns()
        crashes = await self._store.begin_run(now_ns, now_ns - window_s * NS_PER_S)
        if not limit or crashes < limit:
            return None
        switch = SwitchChanged(
            name=SwitchName.CRASH_LOOP,
            subject="",
            on=True,
            reason=f"{crashes} runs crashed within {window_s} s: only exits are made until polystra start; the log of "
            "those runs says why they ended",
            source=SOURCE,
            until_ns=0,
            at_ns=self._clock.now_ns(),
        )
        await self._store.commit([switch])
        await self._store.count_crashes()
        return switch

    async def end(self, reason: str) -> None:
        """Write down that the run ended in order; raises StoreError."""
        await self._store.end_run(self._real.now_ns(), reason)
