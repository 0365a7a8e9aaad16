"""The simulated chain's agenda: what falls due when.

What lives here: the queue of future steps (trades mined and confirmed, orders expired, shares
redeemed), ordered by instant and then by insertion. What must not: what a step does (`core`), clocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class MineTrade:
    """A trade's transaction is in a block, unless another attempt was made since."""

    trade_id: str
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class ConfirmTrade:
    """A trade's block is final, unless another attempt was made since."""

    trade_id: str
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class RetryTrade:
    """A trade's transaction is lost and sent again, with `then_fail` in vain."""

    trade_id: str
    attempt: int
    then_fail: bool = False


@dataclass(frozen=True, slots=True)
class FailTrade:
    """A trade's last attempt is given up."""

    trade_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class CheckHeartbeat:
    """Somebody looks whether an API key's heart still beats."""

    key: str


@dataclass(frozen=True, slots=True)
class ExpireOrder:
    """A GTD order leaves the book."""

    order_id: str


@dataclass(frozen=True, slots=True)
class PlaceLater:
    """A delayed order meets the book."""

    order_id: str


@dataclass(frozen=True, slots=True)
class RedeemShares:
    """An account's shares of a resolved market turn into cash."""

    account: str
    condition_id: str


Step: TypeAlias = (
    MineTrade | ConfirmTrade | RetryTrade | FailTrade | CheckHeartbeat | ExpireOrder | PlaceLater | RedeemShares
)


class Agenda:
    """Steps by due instant (UTC nanoseconds); equal instants keep the order of insertion."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Step]] = []
        self._sequence = 0

    def add(self, due_ns: int, step: Step) -> None:
        """Enter a step."""
        self._sequence += 1
        heappush(self._heap, (due_ns, self._sequence, step))

    @property
    def next_due_ns(self) -> int | None:
        """Instant of the first step, None when there is nothing to come."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now_ns: int) -> tuple[int, Step] | None:
        """Take the first step that is due, with its instant."""
        if not self._heap or self._heap[0][0] > now_ns:
            return None
        due_ns, _, step = heappop(self._heap)
        return due_ns, step
