"""A database with bad minutes at told moments: busy, or a commit that takes long.

What lives here: the store of a scripted run. What must not: drawn trouble (`search_faults`), scenarios.
"""

from __future__ import annotations

from collections.abc import Sequence

from polystra.domain.errors import StoreBusy
from polystra.domain.facts import Fact
from polystra.domain.units import NS_PER_S
from polystra.ports.clock import Clock
from polystra.ports.store import Store, StoredState


class BadMinutes:
    """Fulfils `Store`: another one with spells of (kind, second, seconds) counted from `begun_ns`.

    "busy": every commit is refused as by a locked file. "slow": a commit that begins in the spell is done at its end.
    """

    def __init__(self, inner: Store, clock: Clock, spells: Sequence[tuple[str, int, int]], begun_ns: int) -> None:
        self._inner = inner
        self._clock = clock
        self._spells = [(kind, begun_ns + at * NS_PER_S, seconds * NS_PER_S) for kind, at, seconds in spells]

    async def commit(self, facts: Sequence[Fact]) -> None:
        """Make facts durable, or not, or late."""
        now_ns = self._clock.now_ns()
        for kind, from_ns, for_ns in self._spells:
            if from_ns <= now_ns < from_ns + for_ns:
                if kind == "busy":
                    raise StoreBusy("the database is locked")
                await self._clock.sleep((from_ns + for_ns - now_ns) / NS_PER_S)
        await self._inner.commit(facts)

    async def load(self) -> StoredState:
        """Read the state of the last run."""
        return await self._inner.load()

    async def prune(self, now_ns: int, keep_ns: int) -> int:
        """Drop what is old."""
        return await self._inner.prune(now_ns, keep_ns)

    async def close(self) -> None:
        """Release."""
        await self._inner.close()
