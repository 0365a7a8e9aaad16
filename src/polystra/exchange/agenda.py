"""What happens next: one heap of due actions for the whole simulated world.

What lives here: ordering by due time and then by the order of arrival, so that a run repeats
exactly. What must not: waiting (the owner sleeps until `next_due_ns`), any knowledge of what an
action does.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TypeAlias

from polystra.domain.units import Nanos

Action: TypeAlias = Callable[[Nanos], Nanos | None]
"""Does something at its due instant; returns when it wants to be called again, None for never."""


class Agenda:
    """Due actions in order."""

    def __init__(self) -> None:
        self._heap: list[tuple[Nanos, int, Action]] = []
        self._count = 0

    def add(self, due_ns: Nanos, action: Action) -> None:
        """Call `action` once `due_ns` has come."""
        self._count += 1
        heapq.heappush(self._heap, (due_ns, self._count, action))

    @property
    def next_due_ns(self) -> Nanos | None:
        """The earliest due instant, None when nothing is planned."""
        return self._heap[0][0] if self._heap else None

    def run_next(self, now_ns: Nanos) -> bool:
        """Run the earliest action if it is due at `now_ns`; it is told its own due instant."""
        if not self._heap or self._heap[0][0] > now_ns:
            return False
        due_ns, _, action = heapq.heappop(self._heap)
        again_ns = action(due_ns)
        if again_ns is not None:
            self.add(max(again_ns, due_ns + 1), action)
        return True
