"""Cancels, exits and entries that wait to leave, and which of them may leave now.

What lives here: the order of leaving under the venue's budget. What must not: requests, tasks, time
that passes (`outbox`), how much may leave (`ports.rate`).

Cancels have a budget of their own. Exits go before entries; of the entries the best rank leaves first,
and one whose deadline passes while it waits is dropped, never sent later. Orders that were released in
one commit travel in one request, as far as the budget lets them. A cancel takes back its own order if
that still waits here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from polystra.domain.events import SubmitRefused
from polystra.domain.ids import OrderId
from polystra.domain.units import Nanos
from polystra.engine import effects as fx
from polystra.ports.rate import RateBudget, Traffic

BATCH_LIMIT: Final = 15
"""Most orders in one request (Polymarket CLOB docs, POST /orders)."""

CANCEL_LIMIT: Final = 1_000
"""Most ids in one request (Polymarket CLOB docs, DELETE /orders)."""

STALE: Final = "stale"
WITHDRAWN: Final = "withdrawn"
HELD: Final = "held"


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A submit and the commit that it came from."""

    effect: fx.SubmitOrder
    commit: int
    sequence: int

    @property
    def order_id(self) -> OrderId:
        """The venue's id of its order."""
        return self.effect.signed.order_id

    @property
    def place(self) -> tuple[int, int]:
        """Best rank first, then first come, first served."""
        return (-self.effect.rank, self.sequence)


class SendQueue:
    """See the module docstring."""

    def __init__(self, budget: RateBudget) -> None:
        self._budget = budget
        self._cancels: deque[list[OrderId]] = deque()
        self._exits: list[_Waiting] = []
        self._entries: list[_Waiting] = []
        self._commits = 0
        self._sequence = 0
        self._held = ""

    def __len__(self) -> int:
        return sum(len(cancels) for cancels in self._cancels) + len(self._exits) + len(self._entries)

    def add(self, submits: Iterable[fx.SubmitOrder], cancels: Sequence[fx.CancelOrder]) -> Sequence[SubmitRefused]:
        """Take the sends of one commit; returns the end of those that never leave."""
        ended = self._withdraw({cancel.order_id for cancel in cancels})
        self._commits += 1
        for effect in submits:
            self._sequence += 1
            queue = self._exits if effect.purpose.is_exit else self._entries
            queue.append(_Waiting(effect, self._commits, self._sequence))
        if cancels:
            self._cancels.append([cancel.order_id for cancel in cancels])
        return [*ended, *self._refuse_held()]

    def hold_entries(self, reason: str) -> Sequence[SubmitRefused]:
        """Let no entry leave from now on, whenever it was released; an empty reason lets them leave again."""
        self._held = reason
        return self._refuse_held()

    def drop_stale(self, now_ns: Nanos) -> Sequence[SubmitRefused]:
        """Take out what may not leave any more; returns its end."""
        stale = [each for each in (*self._exits, *self._entries) if 0 < each.effect.deadline_ns <= now_ns]
        self._remove(stale)
        words = "dropped: the signal became stale before it could leave (the venue's rate limits, or our database)"
        return [SubmitRefused(order_id=each.order_id, message=f"{STALE}: {words}", code=STALE) for each in stale]

    def next_cancels(self) -> Sequence[OrderId]:
        """The ids of a request that leaves now, taken from the budget; none when nothing may."""
        if not self._cancels:
            return ()
        first = self._cancels[0]
        room = self._budget.room(Traffic.CANCEL, min(CANCEL_LIMIT, len(first)))
        leaving, rest = first[:room], first[room:]
        if room:
            self._budget.take(Traffic.CANCEL, room)
            self._cancels.popleft()
            if rest:
                self._cancels.appendleft(rest)
        return leaving

    def next_exits(self) -> Sequence[fx.SubmitOrder]:
        """The orders of a request that leaves now, as `next_cancels`; first come, first served."""
        return self._next(self._exits, Traffic.EXIT)

    def next_entries(self) -> Sequence[fx.SubmitOrder]:
        """The orders of a request that leaves now, as `next_cancels`; the best first."""
        self._entries.sort(key=lambda each: each.place)
        return self._next(self._entries, Traffic.ENTRY)

    def wait_s(self, traffic: Traffic, now_ns: Nanos) -> float | None:
        """Seconds until something of this kind may leave or becomes stale; None when nothing waits."""
        if traffic is Traffic.CANCEL:
            return self._budget.wait_s(traffic) if self._cancels else None
        waiting = self._exits if traffic is Traffic.EXIT else self._entries
        if not waiting:
            return None
        deadlines = [each.effect.deadline_ns for each in waiting if each.effect.deadline_ns]
        wait_s = self._budget.wait_s(traffic)
        return min(wait_s, (min(deadlines) - now_ns) / 1e9) if deadlines else wait_s

    # --- inside -----------------------------------------------------------------------

    def _next(self, waiting: list[_Waiting], traffic: Traffic) -> Sequence[fx.SubmitOrder]:
        """Of those that the budget lets leave, the first and its companions of the same commit."""
        room = self._budget.room(traffic, len(waiting)) if waiting else 0
        if room == 0:
            return ()
        leaving = [each for each in waiting[:room] if each.commit == waiting[0].commit][:BATCH_LIMIT]
        self._budget.take(traffic, len(leaving))
        self._remove(leaving)
        return [each.effect for each in leaving]

    def _refuse_held(self) -> Sequence[SubmitRefused]:
        if not self._held:
            return ()
        held, self._entries = self._entries, []
        return [SubmitRefused(order_id=each.order_id, message=f"not sent: {self._held}", code=HELD) for each in held]

    def _withdraw(self, order_ids: set[OrderId]) -> Sequence[SubmitRefused]:
        taken = [each for each in (*self._exits, *self._entries) if each.order_id in order_ids]
        self._remove(taken)
        words = f"{WITHDRAWN}: taken back before it left, because it was to be cancelled"
        return [SubmitRefused(order_id=each.order_id, message=words, code=WITHDRAWN) for each in taken]

    def _remove(self, gone: Sequence[_Waiting]) -> None:
        if gone:
            numbers = {each.sequence for each in gone}
            self._exits = [each for each in self._exits if each.sequence not in numbers]
            self._entries = [each for each in self._entries if each.sequence not in numbers]
