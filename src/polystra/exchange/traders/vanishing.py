"""A book that vanishes: all market makers of a market pull their quotes for a while.

What lives here: when, and telling them. What must not: other traders' orders, clients' orders.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from polystra.domain.units import NS_PER_S, Nanos
from polystra.exchange.makers import Desk, MarketMaker, on_grid


class VanishingBook:
    """Clears the makers' side of a market at random moments of the open window."""

    def __init__(
        self, desk: Desk, makers: Sequence[MarketMaker], rng: random.Random, *, every_s: int, for_s: int
    ) -> None:
        self._desk = desk
        self._makers = makers
        self._rng = rng
        self._every_s = every_s
        self._for_ns = for_s * NS_PER_S
        self._next_ns: Nanos | None = None

    def act(self, now_ns: Nanos) -> Nanos | None:
        """Wait for the window, then vanish each time the moment has come."""
        if self._desk.has_ended(now_ns):
            return None
        if self._next_ns is None:
            opens_ns = self._desk.market.spec.opens_at_s * NS_PER_S
            self._next_ns = max(now_ns, opens_ns) + self._pause_ns()
        elif now_ns >= self._next_ns:
            self._desk.absent_until_ns = now_ns + self._for_ns
            for maker in self._makers:
                maker.pull_quotes(now_ns)
            self._next_ns = self._desk.absent_until_ns + self._pause_ns()
        return on_grid(self._next_ns) + 25_000_000

    def _pause_ns(self) -> Nanos:
        return int(self._rng.expovariate(1 / self._every_s) * NS_PER_S) + NS_PER_S
