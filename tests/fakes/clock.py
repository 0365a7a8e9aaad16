"""A clock that moves only when a test says so."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from polystra.domain.units import NS_PER_S, Nanos


class ManualClock:
    """Fulfils `Clock`. `advance` wakes sleepers in the order of their due times."""

    def __init__(self, now_ns: Nanos = 1_800_000_000 * NS_PER_S) -> None:
        self._now_ns = now_ns
        self._sequence = 0
        self._sleepers: list[tuple[Nanos, int, asyncio.Future[None]]] = []

    def now_ns(self) -> Nanos:
        return self._now_ns

    def monotonic_ns(self) -> Nanos:
        return self._now_ns

    @property
    def sleepers(self) -> int:
        """How many sleep now."""
        return sum(1 for _, _, future in self._sleepers if not future.done())

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sequence += 1
        heapq.heappush(self._sleepers, (self._now_ns + round(seconds * NS_PER_S), self._sequence, future))
        await future

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        return self._timeout(seconds)

    @asynccontextmanager
    async def _timeout(self, seconds: float) -> AsyncIterator[object]:
        async with asyncio.timeout(None) as deadline:
            watch = asyncio.create_task(self._expire(deadline, seconds))
            try:
                yield deadline
            finally:
                watch.cancel()

    async def _expire(self, deadline: asyncio.Timeout, seconds: float) -> None:
        await self.sleep(seconds)
        deadline.reschedule(asyncio.get_running_loop().time())

    async def advance(self, seconds: float) -> None:
        """Let time pass; whoever becomes due runs before this returns."""
        target = self._now_ns + round(seconds * NS_PER_S)
        await settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due_ns, _, future = heapq.heappop(self._sleepers)
            self._now_ns = max(self._now_ns, due_ns)
            if not future.done():
                future.set_result(None)
                await settle()
        self._now_ns = target
        await settle()


async def settle(rounds: int = 25) -> None:
    """Give every ready task its turns."""
    for _ in range(rounds):
        await asyncio.sleep(0)
