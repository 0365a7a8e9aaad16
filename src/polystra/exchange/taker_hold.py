"""From the legs of a request to their answers: holds, delays, the order in which legs are carried out.

What lives here: what happens to marketable orders between their check and the book, as long as an
HTTP call waits for it. What must not: HTTP, rules of the book.

Polymarket CLOB docs, matching engine: in markets with `itode` a marketable order is held 50 ms while
the call waits, cannot be cancelled meanwhile and is validated anew; sports markets answer `delayed`
and match later. The legs of a batch are independent of each other.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from polystra.exchange.auth import ApiKey
from polystra.exchange.core import ExchangeCore
from polystra.exchange.intake import Admitted, Submission, admit
from polystra.exchange.model import Placement, Refusal
from polystra.ports.clock import Clock

LEG_LIMIT_CODE: Final = "leg_rate_limit"
"""Marks the refusal of a leg whose token has too many legs already; never sent."""


class OrderDesk:
    """Carries the orders of API calls to the core."""

    def __init__(self, core: ExchangeCore, clock: Clock) -> None:
        self._core = core
        self._clock = clock
        self._rules = core.config.venue
        self._rng = random.Random(f"{self._rules.seed}:legs")

    async def submit(self, key: ApiKey, legs: Sequence[Submission | Refusal]) -> list[Placement]:
        """Place orders, those last that their market holds back; answers in the legs' order."""
        placements: dict[int, Placement] = {}
        held: dict[int, Admitted] = {}
        hold_ms = 0
        numbers = list(range(len(legs)))
        if self._rules.parallel_legs:
            self._rng.shuffle(numbers)
        tokens: dict[str, int] = {}
        for number in numbers:
            admitted = self._admit(key, legs[number], tokens)
            if isinstance(admitted, Refusal):
                placements[number] = Placement(order_id="", refusal=admitted)
            elif delay_ms := self._hold_ms(admitted):
                held[number] = admitted
                hold_ms = max(hold_ms, delay_ms)
            else:
                placements[number] = self._place(admitted)
        if held:
            await self._clock.sleep(hold_ms / 1_000)
        for number, admitted in held.items():
            placements[number] = self._after_hold(self._place(admitted))
        return [placements[number] for number in range(len(legs))]

    def _admit(self, key: ApiKey, leg: Submission | Refusal, tokens: dict[str, int]) -> Admitted | Refusal:
        admitted = leg if isinstance(leg, Refusal) else admit(self._core, key, leg)
        if isinstance(admitted, Refusal) or not self._rules.legs_per_token:
            return admitted
        token_id = admitted.request.token_id
        tokens[token_id] = tokens.get(token_id, 0) + 1
        if tokens[token_id] <= self._rules.legs_per_token:
            return admitted
        return Refusal(f"Rate limit exceeded for tokenId: {token_id}", 429, code=LEG_LIMIT_CODE)

    def _hold_ms(self, admitted: Admitted) -> int:
        """Return how long a marketable order waits, on no book; zero for those that go on at once."""
        market = self._core.market_of_token(admitted.request.token_id)
        if market is None or market.spec.seconds_delay or not market.spec.taker_delay_ms:
            return 0
        return market.spec.taker_delay_ms if self._is_marketable(admitted) else 0

    def _is_marketable(self, admitted: Admitted) -> bool:
        request = admitted.request
        if request.post_only or not self._core.would_match(request):
            return False
        return self._core.check(admitted.account, request, self._clock.now_ns()) is None

    def _place(self, admitted: Admitted) -> Placement:
        request, now_ns = admitted.request, self._clock.now_ns()
        market = self._core.market_of_token(request.token_id)
        account = self._core.account(admitted.account)
        delay_ms = 0 if market is None else market.spec.seconds_delay * 1_000
        lag = None if self._core.placement_lag is None else self._core.placement_lag(admitted.account, request)
        if account is not None and lag is not None:
            return self._core.place_later(account, request, now_ns, delay_ms=lag[0], answer=lag[1])
        quirk = self._rules.fak_answered_live and request.order_type == "FAK"
        if account is not None and (delay_ms or quirk) and self._is_marketable(admitted):
            if delay_ms:
                return self._core.place_later(account, request, now_ns, delay_ms=delay_ms)
            return self._core.place_later(account, request, now_ns, delay_ms=self._rules.fak_live_ms, answer="live")
        return self._core.place(admitted.account, request, now_ns)

    def _after_hold(self, placement: Placement) -> Placement:
        """Call an order that met nobody after its hold by the venue's other word, if it is to be."""
        if self._rules.unmatched_after_hold and placement.status == "live" and not placement.making_amount:
            return replace(placement, status="unmatched")
        return placement
