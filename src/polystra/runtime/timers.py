"""Timers: the engine asks for a time, the shell brings it back as an input.

One heap, one task. Setting a key again replaces its time; a timer fires once.
"""

from __future__ import annotations

import asyncio
import heapq

from polystra.domain.events import TimerFired
from polystra.domain.units import NS_PER_S, Nanos
from polystra.ports.clock import Clock
from polystra.runtime.inbox import Inbox


class Timers:
    """See the module docstring."""

    def __init__(self, clock: Clock, inbox: Inbox) -> None:
        self._clock = clock
        self._inbox = inbox
        self._heap: list[tuple[Nanos, int, str]] = []
        self._due: dict[str, tuple[Nanos, int]] = {}
        self._sequence = 0
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    def set(self, key: str, due_ns: Nanos) -> None:
        """Fire `key` at `due_ns`, instead of whenever it was set for before."""
        self._sequence += 1
        self._due[key] = (due_ns, self._sequence)
        heapq.heappush(self._heap, (due_ns, self._sequence, key))
        if self._heap[0][1] == self._sequence:
            self._changed.set()

    async def run(self) -> None:
        """Fire timers for ever."""
        while True:
            self._changed.clear()
            wait_ns = self._fire_due()
            if wait_ns is None:
                await self._changed.wait()
                continue
            try:
                async with self._clock.timeout(wait_ns / NS_PER_S):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _fire_due(self) -> Nanos | None:
        """Put every due timer into the inbox; return the wait until the next, None when there is none."""
        while self._heap:
            due_ns, sequence, key = self._heap[0]
            if self._due.get(key) != (due_ns, sequence):
                heapq.heappop(self._heap)
                continue
            wait_ns = due_ns - self._clock.now_ns()
            if wait_ns > 0:
                return wait_ns
            heapq.heappop(self._heap)
            del self._due[key]
            self._inbox.put(TimerFired(key=key))
        return None
