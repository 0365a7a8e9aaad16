"""Faults behind the order book: late fills, failed and late trades, late and reversed verdicts.

What lives here: what each fault asks of the core. What must not: when a fault fires (`injector`), how
the core settles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from polystra.domain.errors import ConfigError
from polystra.domain.units import NS_PER_S, Nanos
from polystra.exchange import payloads
from polystra.exchange.agenda import Agenda
from polystra.exchange.core import CoreEvent, ExchangeCore, MarketResolved, MarketSpec, TradeEvent
from polystra.exchange.faults.injector import Injector, Occasion
from polystra.exchange.faults.plan import FaultPlan
from polystra.exchange.faults.shown_books import market_names
from polystra.exchange.model import PlaceRequest, TradeView
from polystra.exchange.trading_side import LateAnswer
from polystra.matching.book import ONE

_MS: Final = 1_000
_BEFORE_FINAL_S: Final = 4.0
"""A failure later than this needs the trade to be mined later too, else it would be final by then."""


class ChainFaults:
    """Watches trades and orders of clients and strikes them; `announce` sends a frame to market streams."""

    def __init__(self, core: ExchangeCore, agenda: Agenda, injector: Injector, announce: Callable[[str], None]) -> None:
        self._core = core
        self._agenda = agenda
        self._injector = injector
        self._announce = announce
        self._held: set[str] = set()
        core.add_listener(self._on_event, TradeEvent)
        core.placement_lag = self._lag

    def hold_verdict(self, spec: MarketSpec, up_payout: int, now_ns: Nanos) -> Nanos | None:
        """Return until when a verdict waits, None when it may be given now; asked once more then."""
        if spec.condition_id in self._held:
            self._held.discard(spec.condition_id)
            return None
        plan = self._injector.fires("end", {"market": (spec.slug, spec.condition_id)})
        if plan is None:
            return None
        self._held.add(spec.condition_id)
        if plan.kind == "resolution_reversed":
            wrong = ONE - up_payout
            event = MarketResolved(
                condition_id=spec.condition_id,
                up_payout_micros=wrong,
                winner="Up" if wrong == ONE else "Down",
                at_ns=now_ns,
            )
            self._announce(payloads.encode(payloads.market_resolved(event, spec)).decode())
        return now_ns + plan.nanos("seconds")

    def _lag(self, account: str, request: PlaceRequest) -> tuple[int, LateAnswer] | None:
        """Return how many milliseconds an order takes to the book and what it is answered, None for the usual."""
        if not self._injector.has("order"):
            return None
        occasion = {
            "account": (account,),
            "order_id": (request.order_id or "",),
            "token": (request.token_id,),
            "market": market_names(self._core, request.token_id),
            "side": (request.side,),
        }
        plan = self._injector.fires("order", occasion)
        if plan is None:
            return None
        answer: LateAnswer = "live" if plan.parameters["answer"] == "live" else "delayed"
        return round(plan.number("seconds") * _MS), answer

    def _on_event(self, event: CoreEvent) -> None:
        if not isinstance(event, TradeEvent) or event.trade.status != "MATCHED" or not self._injector.has("trade"):
            return
        trade = event.trade
        if self._is_house(trade):
            return
        plan = self._injector.fires("trade", _occasion_of(self._core, trade))
        if plan is not None:
            self._plan(trade.trade_id, plan, event.at_ns)

    def _is_house(self, trade: TradeView) -> bool:
        parties = (trade.taker_account, *(leg.account for leg in trade.legs))
        accounts = [self._core.account(address) for address in parties]
        return all(account is not None and account.house for account in accounts)

    def _plan(self, trade_id: str, plan: FaultPlan, at_ns: Nanos) -> None:
        """Enter what happens to a trade: a listener must not call back into the core."""
        seconds = plan.number("seconds")
        if plan.kind == "trade_late":
            self._agenda.add(at_ns, lambda now_ns: self._delay(trade_id, seconds, now_ns))
            return
        if plan.kind == "trade_failed" and seconds > _BEFORE_FINAL_S:
            self._agenda.add(at_ns, lambda now_ns: self._delay(trade_id, seconds + 1, now_ns))
        act = self._fail if plan.kind == "trade_failed" else self._retry
        self._agenda.add(at_ns + round(seconds * NS_PER_S), lambda now_ns: act(trade_id, now_ns))

    def _delay(self, trade_id: str, seconds: float, now_ns: Nanos) -> None:
        try:
            self._core.delay_trade(trade_id, round(seconds * _MS), now_ns)
        except ConfigError:
            return

    def _fail(self, trade_id: str, now_ns: Nanos) -> None:
        """Void a trade, unless it became final meanwhile."""
        try:
            self._core.fail_trade(trade_id, now_ns)
        except ConfigError:
            return

    def _retry(self, trade_id: str, now_ns: Nanos) -> None:
        try:
            self._core.retry_trade(trade_id, now_ns)
        except ConfigError:
            return


def _occasion_of(core: ExchangeCore, trade: TradeView) -> Occasion:
    return {
        "account": (trade.taker_account, *(leg.account for leg in trade.legs)),
        "order_id": (trade.taker_order_id, *(leg.order_id for leg in trade.legs)),
        "token": (trade.token_id, *(leg.token_id for leg in trade.legs)),
        "market": market_names(core, trade.token_id),
        "side": (trade.side, *(leg.side for leg in trade.legs)),
    }
