"""A trader across the two outcomes: its matches mint and merge pairs and have many parties.

What lives here: sweeping several makers at once with the other outcome, and selling both outcomes
against each other. What must not: an opinion on the price.

Market makers only buy, so a buyer of Down meets buyers of Up and each leg mints a pair; one sweep
takes several makers' orders, hence a trade with strangers' legs. Resting sells of one outcome are
met with sells of the other: those legs merge pairs. Two accounts, so that the two are strangers.
"""

from __future__ import annotations

import random
from typing import Final

from polystra.domain.units import MICRO, NS_PER_S, Nanos
from polystra.exchange.core import PlaceRequest
from polystra.exchange.makers import CENT, Desk, Taking

_CENTS_DEEP: Final = 3
_LOT: Final = 10 * MICRO


class CrossOutcomeTrader:
    """Sweeps, then offers what it got, then meets its own offers with the other outcome."""

    def __init__(self, desk: Desk, account: str, partner: str, rng: random.Random) -> None:
        self._desk = desk
        self._account = account
        self._partner = partner
        self._rng = rng
        self._offers: list[str] = []
        self._met = (True, 0)
        """What meets the offer: outcome and worst price in cents of the other side's sell."""

    def act(self, now_ns: Nanos) -> Nanos | None:
        """Do one of the three, in turn."""
        if self._desk.has_ended(now_ns):
            self._withdraw(now_ns)
            return None
        if now_ns >= self._desk.market.spec.opens_at_s * NS_PER_S:
            is_up = self._rng.random() < 0.5
            if self._offers:
                self._merge(now_ns)
            elif not self._offer(is_up, now_ns):
                self._sweep(self._account, is_up, now_ns)
                self._sweep(self._partner, not is_up, now_ns)
        return self._desk.later(now_ns, self._rng.randint(1_200, 3_000) * 1_000_000)

    def _sweep(self, account: str, is_up: bool, now_ns: Nanos) -> None:
        """Buy an outcome from whoever buys the other one, several levels deep."""
        bid, ask = self._desk.best_cents()
        worst = (ask if is_up else 100 - bid) + _CENTS_DEEP
        if worst <= 99:
            budget = self._rng.randint(20, 90) * MICRO
            self._desk.take(account, Taking(is_up, True, budget, worst), now_ns)

    def _offer(self, is_up: bool, now_ns: Nanos) -> bool:
        """Rest sells of an outcome inside the spread, or at the touch; False when nothing can be offered."""
        bid, ask = self._desk.best_cents()
        if not is_up:
            bid, ask = 100 - ask, 100 - bid
        held = self._desk.settled(self._account, is_up=is_up)
        other = self._desk.settled(self._partner, is_up=not is_up)
        cents = max(bid + 1, ask - 1)
        if min(held, other) < _LOT or not 1 <= cents <= 99:
            return False
        token = self._desk.token(is_up=is_up)
        request = PlaceRequest.limit(token, "SELL", price=cents * CENT, size=_LOT, post_only=True)
        order_id = self._desk.place(self._account, request, now_ns)
        if order_id is None:
            return False
        self._offers.append(order_id)
        # The partner sells the other outcome to that offer, which merges pairs, as soon as it is its turn.
        self._met = (not is_up, 100 - cents)
        return True

    def _merge(self, now_ns: Nanos) -> None:
        is_up, worst = self._met
        size = min(_LOT, self._desk.settled(self._partner, is_up=is_up)) // CENT * CENT
        if size > 0:
            self._desk.take(self._partner, Taking(is_up, False, size, worst), now_ns)
        self._withdraw(now_ns)

    def _withdraw(self, now_ns: Nanos) -> None:
        if self._offers:
            self._desk.withdraw(self._account, self._offers, now_ns)
            self._offers = []
