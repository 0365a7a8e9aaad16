"""A spoofer: shows large orders behind the touch and takes them back before anyone reaches them.

What lives here: that show. What must not: any wish to trade.
"""

from __future__ import annotations

import random
from typing import Final

from polystra.domain.units import MICRO, NS_PER_S, Nanos
from polystra.exchange.makers import Desk, on_grid

_FLEE_CENTS: Final = 2
"""Closer to the touch than this it is gone."""

_LOOK_NS: Final = 100_000_000
_DEPTH_CENTS: Final = (3, 7)


class Spoofer:
    """At most one large order at a time, some cents away, for a few seconds."""

    def __init__(self, desk: Desk, account: str, rng: random.Random) -> None:
        self._desk = desk
        self._account = account
        self._rng = rng
        self._order: tuple[str, bool, int] | None = None
        self._until_ns: Nanos = 0
        self.hit = 0

    def act(self, now_ns: Nanos) -> Nanos | None:
        """Show an order, watch it, or take it back."""
        if self._desk.has_ended(now_ns):
            self._take_back(now_ns)
            return None
        if self._order is None:
            self._show(now_ns)
            return on_grid(now_ns + _LOOK_NS)
        _, is_up, cents = self._order
        if now_ns >= self._until_ns or self._touch(is_up=is_up) - cents < _FLEE_CENTS:
            self._take_back(now_ns)
            return self._desk.later(now_ns, self._rng.randint(1_500, 6_000) * 1_000_000)
        return on_grid(now_ns + _LOOK_NS)

    def filled(self, key: tuple[bool, int], size: int) -> None:
        """Take note of an accident: somebody was faster."""
        del key
        self.hit += size

    def _touch(self, *, is_up: bool) -> int:
        """Return the best bid for an outcome, in cents of its own token; 0 when there is none."""
        bid, ask = self._desk.best_cents()
        return bid if is_up else 100 - ask

    def _show(self, now_ns: Nanos) -> None:
        is_up = self._rng.random() < 0.5
        cents = self._touch(is_up=is_up) - self._rng.randint(*_DEPTH_CENTS)
        size = self._rng.randint(1_500, 6_000) * MICRO
        self._until_ns = now_ns + self._rng.randint(800, 3_500) * NS_PER_S // 1_000
        if cents < 1:
            return
        order_id = self._desk.rest(self, self._account, (is_up, cents), size, now_ns)
        self._order = None if order_id is None else (order_id, is_up, cents)

    def _take_back(self, now_ns: Nanos) -> None:
        if self._order is not None:
            self._desk.withdraw(self._account, [self._order[0]], now_ns)
            self._order = None
