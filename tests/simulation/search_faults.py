"""Faults that the exchange cannot make: a database that is busy, slow or full, and a network that is gone.

What lives here: the store and the network of a searched run. What must not: when a fault comes
(`search_plan`), what must hold meanwhile (`search_invariants`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from polystra.domain.errors import StoreBusy, StoreCorrupt
from polystra.domain.facts import Fact
from polystra.domain.units import NS_PER_S
from polystra.ports.clock import Clock
from polystra.ports.store import Store, StoredState
from polystra.runtime.deterministic import DeterministicLoop
from polystra.runtime.deterministic_transport import Latency
from tests.simulation.search_deaths import Deaths, Killed
from tests.simulation.search_plan import Spell

_LOOK_S = 0.05
_FULL = "the database cannot be used: database or disk is full"


class FaultyStore:
    """Fulfils `Store`: another one with bad spells, and the place where the daemon dies around a commit.

    `on_durable` hears the facts of every transaction that was written, whoever is told of it.
    """

    def __init__(
        self,
        inner: Store,
        clock: Clock,
        spells: Sequence[Spell],
        *,
        begun_ns: int,
        chance: Random,
        deaths: Deaths,
        counts: Counter[str],
        on_durable: Callable[[Sequence[Fact]], None],
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._spells = spells
        self._begun_ns = begun_ns
        self._chance = chance
        self._deaths = deaths
        self._counts = counts
        self._on_durable = on_durable

    async def commit(self, facts: Sequence[Fact]) -> None:
        """Make facts durable, or not, or late."""
        if self._deaths.commit("before", facts):
            raise Killed
        if self._deaths.commit("full", facts):
            raise StoreCorrupt(_FULL)
        spell = self._spell()
        if spell == "full":
            self._counts["store full"] += 1
            raise StoreCorrupt(_FULL)
        self._find(spell)
        if spell == "slow":
            self._counts["store slow"] += 1
            await self._clock.sleep(self._chance.choice((0.02, 0.3, 3.0)))
        await self._inner.commit(facts)
        self._on_durable(facts)
        if self._deaths.commit("after", facts):
            raise Killed
        if spell == "lost" and self._chance.random() < 0.5:
            self._counts["store answer lost"] += 1
            raise StoreBusy("the connection broke after the commit")

    async def load(self) -> StoredState:
        """Read the state of the last run."""
        self._find(self._spell())
        return await self._inner.load()

    async def prune(self, now_ns: int, keep_ns: int) -> int:
        """Drop what is old."""
        self._find(self._spell())
        return await self._inner.prune(now_ns, keep_ns)

    async def close(self) -> None:
        """Release."""
        await self._inner.close()

    def _find(self, spell: str) -> None:
        """Raise while the database is locked or gone."""
        if spell in ("busy", "gone"):
            self._counts[f"store {spell}"] += 1
            raise StoreBusy("the database is locked" if spell == "busy" else "the database cannot be reached")

    def _spell(self) -> str:
        second = (self._clock.now_ns() - self._begun_ns) / NS_PER_S
        return next((s.kind for s in self._spells if s.second <= second < s.second + s.seconds), "")


async def spoil_network(spells: Sequence[Spell], clock: Clock, counts: Counter[str]) -> None:
    """Carry out the network's bad spells in their order: nothing arrives, all breaks, or everything is slow."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, DeterministicLoop)
    begun_ns = clock.now_ns()
    for spell in sorted(spells, key=lambda each: each.second):
        await clock.sleep(max(0.0, spell.second - (clock.now_ns() - begun_ns) / NS_PER_S))
        counts[f"network {spell.kind}"] += 1
        end_ns = clock.now_ns() + spell.seconds * NS_PER_S
        usual = loop.latency
        while clock.now_ns() < end_ns:
            _spoil(loop, spell.kind)
            await clock.sleep(_LOOK_S)
        loop.latency = usual
        for connection in loop.connections():
            connection.latency = usual
            if spell.kind == "partition":
                connection.release()


def _spoil(loop: DeterministicLoop, kind: str) -> None:
    """Hold, break or slow what is connected at this moment."""
    if kind == "slow":
        loop.latency = Latency(low_s=0.05, high_s=1.5)
    for connection in loop.connections():
        if kind == "partition":
            connection.hold()
        elif kind == "cut":
            connection.abort()
        else:
            connection.latency = loop.latency
