"""A store in memory that can be busy, broken, or slow by command."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from polystra.domain.errors import StoreBusy
from polystra.domain.facts import Fact
from polystra.domain.units import Nanos
from polystra.ports.store import StoredState


class MemoryStore:
    """Fulfils `Store` without memory of the last run. `busy` commits fail first; `gate` holds commits while clear."""

    def __init__(self) -> None:
        self.commits: list[tuple[Fact, ...]] = []
        self.busy = 0
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.closed = False

    @property
    def facts(self) -> list[Fact]:
        return [fact for commit in self.commits for fact in commit]

    async def commit(self, facts: Sequence[Fact]) -> None:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        if self.busy:
            self.busy -= 1
            raise StoreBusy("the database is locked")
        self.commits.append(tuple(facts))

    async def load(self) -> StoredState:
        return StoredState()

    async def prune(self, now_ns: Nanos, keep_ns: Nanos) -> int:
        return 0

    async def close(self) -> None:
        self.closed = True
