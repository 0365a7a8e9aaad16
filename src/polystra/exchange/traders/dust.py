"""A dust maker: leaves odd six-decimal remainders on the book and in the accounts.

What lives here: small orders and odd dollar amounts against them. What must not: large trades.

A market buy is bounded by its dollars, so its shares come out in millionths, and what is left of the
resting order it met is as odd (Polymarket CLOB docs: fills have up to six decimals).
"""

from __future__ import annotations

import random
from typing import Final

from polystra.domain.units import MICRO, NS_PER_S, Nanos
from polystra.exchange.makers import CENT, Desk, Taking

_SMALLEST: Final = 5
_KEPT: Final = 6
"""Remainders that stay on the book at once."""


class DustMaker:
    """Rests the smallest order that is allowed and takes an odd part of the book's best one."""

    def __init__(self, desk: Desk, account: str, partner: str, rng: random.Random) -> None:
        self._desk = desk
        self._account = account
        self._partner = partner
        self._rng = rng
        self._resting: dict[str, None] = {}

    def act(self, now_ns: Nanos) -> Nanos | None:
        """Rest one order and take a part of what is best on its side."""
        if self._desk.has_ended(now_ns):
            self._withdraw(len(self._resting), now_ns)
            return None
        if now_ns >= self._desk.market.spec.opens_at_s * NS_PER_S:
            self._leave_dust(self._rng.random() < 0.5, now_ns)
        return self._desk.later(now_ns, self._rng.randint(1_500, 4_000) * 1_000_000)

    def filled(self, key: tuple[bool, int], size: int) -> None:
        """Nothing to note: whether an order is still there is asked when it matters."""

    def _leave_dust(self, is_up: bool, now_ns: Nanos) -> None:
        bid, ask = self._desk.best_cents()
        if not is_up:
            bid, ask = 100 - ask, 100 - bid
        cents = min(bid + 1, ask - 1)
        if not 25 <= cents <= 99:
            return  # cheaper ones are worth less than the dollar that a market buy needs
        size = (_SMALLEST + self._rng.randint(0, 2)) * MICRO + self._rng.randint(0, 99) * CENT
        order_id = self._desk.rest(self, self._account, (is_up, cents), size, now_ns)
        if order_id is not None:
            self._resting[order_id] = None
        # The partner buys the other outcome from the best order, which mints pairs of an odd size.
        other = 100 - max(cents, bid)
        dollars = MICRO + self._rng.randint(1, 60) * CENT
        self._desk.take(self._partner, Taking(not is_up, True, dollars, other), now_ns)
        self._withdraw(len(self._resting) - _KEPT, now_ns)

    def _withdraw(self, count: int, now_ns: Nanos) -> None:
        """Take the oldest orders back."""
        oldest = list(self._resting)[: max(0, count)]
        for order_id in oldest:
            del self._resting[order_id]
            if self._desk.is_open(order_id):
                self._desk.withdraw(self._account, [order_id], now_ns)
            else:
                self._desk.forget(order_id)
