"""A taker who knows the settlement feed some seconds ahead and takes quotes that do not.

What lives here: that knowledge, and trading on it. What must not: resting orders.

It is the adverse selection that a resting order meets on a fast market: whoever quotes too late
against it loses. Floats stay inside the valuation.
"""

from __future__ import annotations

import random
from typing import Final

from polystra.domain.units import E8, MICRO, NS_PER_S, Nanos
from polystra.exchange.fair_value import average_so_far, fair_up
from polystra.exchange.makers import Desk, Taking
from polystra.exchange.prices import AVERAGE_S

_EDGE_CENTS: Final = 3


class InformedTaker:
    """Looks every second or so and takes what is mispriced by more than fees and spread are worth."""

    def __init__(self, desk: Desk, account: str, rng: random.Random, *, lead_s: int) -> None:
        self._desk = desk
        self._account = account
        self._rng = rng
        self._lead_s = lead_s
        self.taken = 0

    def act(self, now_ns: Nanos) -> Nanos | None:
        """Take one side if it is worth it."""
        if self._desk.has_ended(now_ns):
            return None
        market = self._desk.market
        if now_ns >= market.spec.opens_at_s * NS_PER_S and market.start_average is not None:
            self._trade(self.fair(now_ns, market.start_average) * 100, now_ns)
        return self._desk.later(now_ns, self._rng.randint(700, 1_500) * 1_000_000)

    def fair(self, now_ns: Nanos, strike: int) -> float:
        """Return P(Up) as of `lead_s` from now, with the ticks up to then; `strike` in 10^-8 dollars."""
        path, spec = self._desk.path, self._desk.market.spec
        known_s = min(now_ns // NS_PER_S + self._lead_s, spec.closes_at_s)
        averaged_from_s = spec.closes_at_s - AVERAGE_S + 1
        average = average_so_far(path, averaged_from_s, known_s) / E8 if known_s >= averaged_from_s else None
        spot = path.held(known_s) / E8
        fair, _ = fair_up(
            spot=spot,
            strike=strike / E8,
            volatility=max(path.volatility(known_s), 1e-6) * spot,
            left_s=float(spec.closes_at_s - known_s),
            lookback_s=float(AVERAGE_S),
            average=average,
        )
        return fair

    def _trade(self, fair_cents: float, now_ns: Nanos) -> None:
        bid, ask = self._desk.best_cents()
        budget = self._rng.randint(10, 60) * MICRO
        if 1 <= ask <= 99 and ask + _EDGE_CENTS <= fair_cents:
            worst = min(99, int(fair_cents) - _EDGE_CENTS)
            self.taken += self._desk.take(self._account, Taking(True, True, budget, max(ask, worst)), now_ns)
        elif 1 <= bid <= 99 and bid - _EDGE_CENTS >= fair_cents:
            worst = min(99, 100 - int(fair_cents) - 1 - _EDGE_CENTS)
            self.taken += self._desk.take(self._account, Taking(False, True, budget, max(100 - bid, worst)), now_ns)
