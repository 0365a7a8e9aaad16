"""The rate port: how many orders and cancels may leave now.

Contract:
1. `room` says how many of `wanted` may leave at this instant; it takes nothing.
2. `take` is called by whoever lets a first send leave, before it leaves; the venue adapter takes for
   its own re-sends and tells the budget what the venue answered.
3. Cancels have a budget of their own. Exits and entries share one, of which entries may not use the
   last part, so that an exit never waits for an entry.
4. `wait_s` is how long until one more may leave, 0 when it may now; the answer can change with every
   answer of the venue, so it is asked again afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Traffic(StrEnum):
    """What wants to leave."""

    CANCEL = "CANCEL"
    EXIT = "EXIT"
    ENTRY = "ENTRY"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLeft:
    """What is left, for people. `tier` is the venue's name for our limits."""

    tier: str
    orders: int
    orders_burst: int
    cancels: int
    cancels_burst: int
    warnings: int
    """Answers that warned of the limit."""
    refusals: int
    """Answers that refused because of it."""


class RateBudget(Protocol):
    """See the module docstring."""

    def room(self, traffic: Traffic, wanted: int) -> int:
        """How many of `wanted` may leave now."""
        ...

    def wait_s(self, traffic: Traffic) -> float:
        """Seconds until one more may leave."""
        ...

    def take(self, traffic: Traffic, count: int) -> None:
        """Use the budget for sends that leave now."""
        ...

    def left(self) -> BudgetLeft:
        """What is left."""
        ...
