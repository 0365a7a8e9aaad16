"""Whatever rules are on and whatever the venue answers, what is at risk stays within the limits.

Two markets, a strategy that wants something else at every moment, prices that jump, an exchange that
takes, fills, kills, refuses, loses and cancels. After every step the exposure with all orders in
flight is compared with every limit, and no entry leaves while a switch forbids it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from polystra.domain import events as ev
from polystra.domain.events import SwitchName
from polystra.domain.ids import ConditionId, OrderId, TokenId
from polystra.domain.market import Outcome
from polystra.domain.orders import OrderTerms, Purpose, Side
from polystra.domain.units import E8, MICRO, NS_PER_S, floor_to
from polystra.engine import effects as fx
from polystra.engine.config import (
    EngineConfig,
    ExitConfig,
    ReversalConfig,
    RiskConfig,
    ScaleInConfig,
    UnfilledConfig,
)
from polystra.engine.strategy.evaluate import Action, Evaluation
from polystra.engine.strategy.sizing import affordable, minimum_refusal
from polystra.engine.strategy.view import MarketView
from tests.unit.engine.desk import FUSED, MARKET, Desk, config

OTHER = replace(
    MARKET,
    condition_id=ConditionId("0x" + "d" * 64),
    slug="eth-updown-15m-1800000000",
    symbol="ETH",
    up_token=TokenId("3"),
    down_token=TokenId("4"),
)
MARKETS = {"BTC": MARKET, "ETH": OTHER}
STEPS = 60
SLACK = 20
"""Micro-dollars by which sums of rounded-up amounts may differ."""
RULES = ("exits", "symbol", "scale_in", "reversal", "retry", "early", "direction", "floor", "blacklist", "losses")


def rules(on: frozenset[str]) -> EngineConfig:
    return config(
        symbols=("BTC", "ETH"),
        exits=ExitConfig(enabled="exits" in on, stop_loss_ppm=200_000, take_profit_ppm=300_000),
        scale_in=ScaleInConfig(enabled="scale_in" in on, max_times=3, trigger_ppm=50_000, min_dollars=MICRO),
        reversal=ReversalConfig(enabled="reversal" in on, max_times=2),
        unfilled=UnfilledConfig(
            timeout_s=10, retry="retry" in on, cancel_threshold_ppm=150_000 if "early" in on else 0
        ),
        risk=RiskConfig(
            max_exposure=20 * MICRO,
            max_exposure_per_market=14 * MICRO,
            max_exposure_per_symbol=(11 if "symbol" in on else 18) * MICRO,
            max_exposure_per_direction=12 * MICRO if "direction" in on else 0,
            max_open_positions=2,
            max_entries_per_market=4,
            balance_floor=5 * MICRO if "floor" in on else 0,
            blacklist_after_stop_ns=20 * NS_PER_S if "blacklist" in on else 0,
            daily_loss_limit=4 * MICRO if "losses" in on else 0,
            max_consecutive_losses=2 if "losses" in on else 0,
        ),
    )


@dataclass
class Strategy:
    """Wants something at random, sized as the real one does: within the room that it is told."""

    rng: Random
    style: bool = False

    def __call__(self, view: MarketView, _: Any, advisor: object = None) -> Evaluation:
        outcome = self.rng.choice((Outcome.UP, Outcome.DOWN))
        book = view.up_book if outcome is Outcome.UP else view.down_book
        chance = self.rng.uniform(0.05, 0.95)
        skip = Evaluation(
            action=Action.SKIP,
            reason="edge is too small",
            fair_value_up=chance,
            fused=FUSED._replace(p_up=chance),
            inputs=(),
            outcome=outcome,
        )
        price = book.best_ask
        if price is None or self.rng.random() < 0.3:
            return skip
        wanted = min(view.exposure_left, view.bankroll, self.rng.randint(3, 20) * MICRO)
        quantity = affordable(price, view.market.fees, wanted)
        if minimum_refusal(quantity, price * quantity // MICRO, view.market.minimum_size):
            return skip
        budget = floor_to(price * quantity // MICRO, 10_000) if self.rng.random() < 0.4 else 0
        return replace(
            skip, action=Action.ENTER, reason="edge", edge=0.1, price=price, quantity=quantity, budget=budget
        )


@dataclass
class Venue:
    """Answers each request at once or later, truthfully or not at all."""

    desk: Desk
    rng: Random
    terms: dict[OrderId, OrderTerms] = field(default_factory=dict)
    matched: dict[OrderId, int] = field(default_factory=dict)
    open: set[OrderId] = field(default_factory=set)
    seen: set[OrderId] = field(default_factory=set)
    waiting: list[fx.Effect] = field(default_factory=list)
    entries_sent: int = 0

    def collect(self) -> None:
        effects, self.desk.effects = self.desk.effects, []
        for effect in effects:
            if isinstance(effect, fx.SubmitOrder):
                self.terms[effect.signed.order_id] = self.desk.state.orders[effect.signed.client_order_id].order.terms
                self.entries_sent += effect.purpose is Purpose.ENTRY
            if isinstance(effect, fx.SubmitOrder | fx.CancelOrder | fx.LookupOrder | fx.ReadTokenBalance):
                self.waiting.append(effect)

    def answer(self) -> None:
        """Answer one waiting request."""
        if not self.waiting:
            return
        effect = self.waiting.pop(self.rng.randrange(len(self.waiting)))
        match effect:
            case fx.SubmitOrder() if self._is_stale(effect):
                words = ev.SubmitRefused(order_id=effect.signed.order_id, message="stale: it never left", code="stale")
                self.desk.step(words)
            case fx.SubmitOrder():
                self._submit(effect.signed.order_id)
            case fx.CancelOrder():
                self._cancel(effect.order_id)
            case fx.LookupOrder():
                self._look_up(effect.order_id)
            case fx.ReadTokenBalance():
                self.desk.step(ev.TokenBalanceRead(token_id=effect.token_id, shares=10**12, at_ns=self.desk.now_ns))
            case _:
                return

    def at_risk(self) -> int:
        """What is held, and what entries on the book or on their way may still cost, by the venue's own count."""
        coming = {e.signed.order_id for e in self.waiting if isinstance(e, fx.SubmitOrder) and not self._is_stale(e)}
        alive = self.open | coming - self.seen
        total = sum(p.bought_cost - p.released_cost for p in self.desk.state.positions.values() if p.shares > 0)
        for order_id in alive:
            terms = self.terms[order_id]
            if terms.purpose is Purpose.ENTRY:
                total += terms.price * (terms.quantity - self.matched.get(order_id, 0)) // MICRO
        return total

    def fill_some(self) -> None:
        """An order that rests trades a little."""
        if self.open:
            order_id = self.rng.choice(sorted(self.open))
            self._match(order_id, self.rng.choice((1, 2, 4)))

    def _is_stale(self, effect: fx.SubmitOrder) -> bool:
        """The outbox lets nothing leave after its deadline."""
        return 0 < effect.deadline_ns <= self.desk.now_ns

    def _submit(self, order_id: OrderId) -> None:
        terms = self.terms[order_id]
        if order_id in self.seen:
            self.desk.step(ev.SubmitUnknown(order_id=order_id, message="duplicated", is_known=True))
            return
        fate = self.rng.choice(("full", "part", "rest", "refused", "lost", "unheard"))
        if fate in ("refused", "lost"):
            known = fate == "refused"
            self.desk.step(
                ev.SubmitRefused(order_id=order_id, message="no")
                if known
                else ev.SubmitUnknown(order_id=order_id, message="timed out")
            )
            return
        self.seen.add(order_id)
        self.open.add(order_id)
        if fate == "unheard":
            self.desk.step(ev.SubmitUnknown(order_id=order_id, message="timed out"))
        else:
            self.desk.step(ev.SubmitAccepted(order_id=order_id, status=ev.VenueOrderStatus.LIVE))
        if fate != "rest":
            self._match(order_id, 1 if fate == "full" else 3)
        if not terms.time_in_force.may_rest:
            self.open.discard(order_id)
            self._say(order_id, "MATCHED" if self.matched.get(order_id) else "CANCELED")

    def _match(self, order_id: OrderId, part: int) -> None:
        """Trade a part of what is left, at the limit or better for us."""
        terms = self.terms[order_id]
        left = terms.quantity - self.matched.get(order_id, 0)
        quantity = floor_to(max(0, left) // part, 10_000)
        if quantity <= 0:
            return
        self.matched[order_id] = self.matched.get(order_id, 0) + quantity
        track = self.desk.state.track_of(order_id)
        assert track is not None
        if terms.quantity - self.matched[order_id] < 10_000:
            self.open.discard(order_id)
        leg = self.desk.leg(track, quantity / MICRO, terms.price / 10_000)
        self.desk.step(leg)
        self.desk.settle(leg, "CONFIRMED")

    def _cancel(self, order_id: OrderId) -> None:
        if order_id not in self.open:
            self.desk.step(ev.CancelRefused(order_id=order_id, message="already canceled or matched"))
            return
        self.open.discard(order_id)
        self.desk.step(ev.CancelAccepted(order_id=order_id))
        self._say(order_id, "CANCELED")

    def _look_up(self, order_id: OrderId) -> None:
        track = self.desk.state.track_of(order_id)
        if track is not None:
            matched = self.matched.get(order_id, 0) / MICRO
            self.desk.answer(track, open_as=matched if order_id in self.open else None)

    def _say(self, order_id: OrderId, status: str) -> None:
        track = self.desk.state.track_of(order_id)
        if track is not None:
            self.desk.report(track, status, self.matched.get(order_id, 0) / MICRO)


def check(desk: Desk) -> None:
    risk, limits = desk.engine._risk, desk.state.config.risk
    assert risk.exposure() <= limits.max_exposure + SLACK
    assert risk.open_positions() <= limits.max_open_positions
    for symbol, market in MARKETS.items():
        assert risk.exposure(market.condition_id) <= limits.max_exposure_per_market + SLACK
        assert risk.symbol_exposure(symbol) <= limits.max_exposure_per_symbol + SLACK
    for position in desk.state.positions.values():
        sells = [t for t in desk.state.orders_of(position.position_id) if t.order.terms.side is Side.SELL]
        assert sum(t.left for t in sells if t.is_live) <= max(0, desk.state.arrived_shares(position.position_id))


def move(desk: Desk, venue: Venue, rng: Random) -> None:
    """Something happens; what the engine wants of it is checked against the switches that stood before."""
    act = rng.choice(("answer", "answer", "answer", "fill", "price", "price", "time", "switch"))
    if act == "answer":
        venue.answer()
    elif act == "fill":
        venue.fill_some()
    elif act == "time":
        desk.advance(rng.choice((1, 3, 12)))
    elif act == "switch":
        name = rng.choice((SwitchName.KILL, SwitchName.STOP_ENTRY, SwitchName.PAUSE))
        until = desk.now_ns + 5 * NS_PER_S if name is SwitchName.PAUSE else 0
        desk.step(
            ev.SwitchRequested(name=name, on=rng.random() < 0.25, reason="because", source="test", until_ns=until)
        )
    else:
        desk.advance(0.6)
        for market in MARKETS.values():
            bid = rng.randint(5, 93)
            desk.book(bid, bid + 2, market.up_token).book(98 - bid, 100 - bid, market.down_token)
        for symbol in MARKETS:
            desk.step(
                ev.PriceTicked(symbol=symbol, source=ev.PriceSource.SETTLEMENT, price=60_000 * E8, at_ns=desk.now_ns)
            )


@given(on=st.frozensets(st.sampled_from(RULES)), seed=st.integers(0, 2**32))
@settings(max_examples=60)
def test_what_is_at_risk_stays_within_every_limit(on, seed):
    rng = Random(seed)
    with patch("polystra.engine.trader.evaluate", Strategy(rng)):
        desk = Desk(rules(on)).ready(cash=60 * MICRO)
        desk.step(ev.MarketsListed(markets=(OTHER,)))
        venue = Venue(desk, rng)
        for _ in range(STEPS):
            was_blocked = any(name is not SwitchName.BLACKLIST for name, _ in desk.state.switches)
            pauses = any(name is SwitchName.PAUSE for name, _ in desk.state.switches)
            before = venue.entries_sent
            move(desk, venue, rng)
            venue.collect()
            still = any(name is not SwitchName.BLACKLIST for name, _ in desk.state.switches)
            if was_blocked and still and not pauses:
                assert venue.entries_sent == before
            check(desk)
            assert venue.at_risk() <= desk.state.config.risk.max_exposure + SLACK
