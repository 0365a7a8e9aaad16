"""The position manager against a venue where anything may happen next, over random settings of its rules.

Fills are provisional, final, failed, late and doubled; prices move; cancels and refusals, restarts, lost streams,
late balances and the verdict come in any interleaving. After each step:

- I3 every size and the cash are the sums of their postings;
- I4 a trade is booked once;
- I5 open sells never exceed what is held;
- I6 nothing that lives at the venue is forgotten, and a refused order moved nothing;
- I7 a close of what is flat sends nothing;
- a position with shares and an exit plan is protected, or its market is frozen and that was told;
- a cancel is sent once unless its outcome, or the order's, is in doubt;
- nothing is tried, refused or told in a loop: no more than a few times a minute.

At the end prices fall through every stop, the wire falls quiet, the market may resolve and be paid: what was
to be sold is sold, and the books are the venue's.

150 examples with the quick profile, 2 000 with HYPOTHESIS_PROFILE=long, 10 000 with nightly.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from polystra.domain import events as ev
from polystra.domain.facts import IntentDenied, Notice, NoticeKind
from polystra.domain.fills import FillStatus
from polystra.domain.ids import OrderId
from polystra.domain.market import SIZE_STEP, Outcome
from polystra.domain.orders import OrderStatus, Side
from polystra.domain.positions import Position
from polystra.domain.units import E8, MICRO, NS_PER_S
from polystra.domain.venue import VenueMode
from polystra.engine import effects as fx
from polystra.engine.config import (
    BalanceConfig,
    CloseAction,
    DustPolicy,
    EngineConfig,
    ExitConfig,
    ExitMode,
    PostOnlyExit,
    ReversalConfig,
    RiskConfig,
    ScaleInConfig,
    UnfilledConfig,
)
from polystra.engine.state import ExitPhase, ExitState
from tests.property.gateway_model import Parcel
from tests.property.positions_model import QUESTIONS, TOKENS, MarketVenue
from tests.property.test_gateway_stateful import PICK, QUIET_ROUNDS, GatewayMachine
from tests.unit.engine.desk import CASH, CENT, CLOSES, CONDITION, DOWN, UP, config, live_sells
from tests.unit.engine.scripted import Strategy, wish

pytestmark = pytest.mark.timeout(7_200)
"""The nightly profile takes its time."""

ON = st.booleans()
MOST_A_MINUTE = 8
PRICES = ((49, 51), (49, 51), (55, 57), (60, 62), (70, 72), (90, 92), (97, 98), (40, 42), (24, 26), (20, 22), (3, 5))
EXITS = st.builds(
    ExitConfig,
    enabled=st.sampled_from([True, True, True, False]),
    mode=st.sampled_from(ExitMode),
    ab_share_ppm=st.sampled_from([0, 500_000]),
    take_profit=ON,
    ladder=st.sampled_from([(), ((500_000, 200_000), (500_000, 800_000)), ((300_000, 100_000), (700_000, 400_000))]),
    stop_loss=ON,
    trailing=ON,
    break_even=ON,
    time_stop=ON,
    time_stop_s=st.sampled_from([30, 300]),
    close_guard_s=st.sampled_from([0, 20, 560]),
    close_action=st.sampled_from(CloseAction),
    max_age_s=st.sampled_from([0, 15]),
    balance_cooldown_s=st.sampled_from([0, 3]),
    post_only_exit=st.sampled_from(PostOnlyExit),
    dust=st.sampled_from(DustPolicy),
)
RULES = st.builds(
    config,
    exits=EXITS,
    risk=st.builds(
        RiskConfig, max_entries_per_market=st.just(6), blacklist_after_stop_ns=st.sampled_from([0, NS_PER_S])
    ),
    balance=st.builds(BalanceConfig, enhanced=ON),
    unfilled=st.builds(UnfilledConfig, cancel=ON, timeout_s=st.sampled_from([20, 300]), retry=ON),
    scale_in=st.builds(ScaleInConfig, enabled=ON, max_times=st.sampled_from([1, 2]), min_dollars=st.just(MICRO)),
    reversal=st.builds(ReversalConfig, enabled=ON),
    sell_winners_at=st.sampled_from([0, 970_000]),
)


class PositionsMachine(GatewayMachine):
    """See the module docstring. The wire and most of what happens on it are the gateway's test's."""

    venue: MarketVenue

    def __init__(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.strategy = Strategy()
        self.patch.setattr("polystra.engine.trader.evaluate", self.strategy)
        self.told: set[NoticeKind] = set()
        self.often: dict[str, list[int]] = {}
        self.cancelled: set[OrderId] = set()
        self.doubtful: set[OrderId] = set()
        super().__init__()

    # --- wishes and the market --------------------------------------------------------

    @initialize(
        rules=RULES,
        held=st.sampled_from([0, 40, 100, 100, 100]),
        quantity=st.sampled_from([6, 10, 20]),
        settles=st.sampled_from([0, 1, 2, 2]),
        goes=st.sampled_from([(49, 51), (55, 57), (90, 92), (20, 22)]),
    )
    def begin(self, rules: EngineConfig, held: int, quantity: int, settles: int, goes: tuple[int, int]) -> None:
        """An entry is on its way, or filled in part or wholly."""
        self.set_up(rules)
        self.venue = MarketVenue(now_ns=self.desk.now_ns)
        self.tell()
        self.the_strategy_wants(Outcome.UP, quantity, 0, 0.6)
        self.all_is_delivered(0)
        if held and self.venue.open_orders():
            self.venue.match(self.venue.open_orders()[0], held)
            for _ in range(settles):
                self.venue.settle(self.venue.unsettled()[0], fails=False)
            self.all_is_delivered(0)
        self.move_the_book(goes)

    def wish_an_entry(self, quantity: int, budget: int) -> None:
        """Here the strategy wishes."""

    @rule(
        outcome=st.sampled_from([Outcome.UP, Outcome.UP, Outcome.DOWN]),
        quantity=st.sampled_from([6, 10]),
        budget=st.sampled_from([0, 0, 5]),
        p_up=st.sampled_from([0.1, 0.6, 0.95]),
    )
    def the_strategy_wants(self, outcome: Outcome, quantity: int, budget: int, p_up: float) -> None:
        """It is asked now, and whenever the market moves, until it is silent."""
        bid, ask = self.venue.prices(UP if outcome is Outcome.UP else DOWN)
        cents = (ask if budget else bid) // CENT
        shares = budget * 100 // cents if budget else quantity
        self.strategy.answer = wish(shares, cents, p_up=p_up, outcome=outcome, budget=budget)
        self.a_price_comes()

    @rule()
    def the_strategy_is_silent(self) -> None:
        self.strategy.be_silent()

    @rule()
    def a_price_comes(self) -> None:
        self.desk.advance(0.6)
        self.hear(
            ev.PriceTicked(symbol="BTC", source=ev.PriceSource.SETTLEMENT, price=60_000 * E8, at_ns=self.desk.now_ns)
        )

    @rule(prices=st.sampled_from(PRICES))
    def move_the_book(self, prices: tuple[int, int]) -> None:
        self.venue.top = prices
        self.show_the_books()
        self.tell()

    def show_the_books(self) -> None:
        for token_id in TOKENS:
            self.desk.step(self.venue.book(token_id))

    @rule(pick=PICK)
    def a_person_closes(self, pick: int) -> None:
        """I7: flat and nothing on its way means that nothing is sent."""
        positions = list(self.desk.state.positions.values())
        if not positions:
            return
        position = positions[pick % len(positions)]
        buys = [t for t in self.desk.state.orders_of(position.position_id) if t.order.terms.side is Side.BUY]
        flat = position.shares < SIZE_STEP and not any(track.is_live for track in buys)
        before = len(self.commands())
        self.hear(ev.ExitRequested(request_id=f"r{self.desk.now_ns}", position_id=position.position_id))
        if flat:
            assert len(self.commands()) == before

    @precondition(lambda self: self.venue.streams)
    @rule()
    def the_market_stream_breaks(self) -> None:
        self.hear(ev.StreamLost(stream=ev.StreamName.MARKET, reason="test"))
        self.hear(ev.StreamConnected(stream=ev.StreamName.MARKET))
        self.show_the_books()
        self.tell()

    # --- the venue --------------------------------------------------------------------

    @precondition(lambda self: self.venue.open_orders())
    @rule(part=st.sampled_from([34, 100]), told=ON, how=st.sampled_from(["", "settles", "fails"]))
    def an_order_is_hit(self, part: int, told: bool, how: str) -> None:
        """The newest resting order trades; its trade may go on at once; the stream may tell it at once."""
        order = self.venue.open_orders()[-1]
        if self.venue.match(order, part) and how:
            self.venue.settle(self.venue.unsettled()[-1], fails=how == "fails")
        while told and self.venue.streams:
            self.hear(self.venue.streams.pop(0))

    @precondition(lambda self: any(p.shares > 0 for p in self.desk.state.positions.values()))
    @rule(adds=ON, cents=st.sampled_from([60, 75]))
    def the_strategy_sees_more(self, adds: bool, cents: int) -> None:
        """It would add to what is held after a rise, or take the other side after a fall."""
        held = [p for p in self.desk.state.positions.values() if p.shares > 0][-1]
        is_up = (held.token_id == UP) == adds
        self.move_the_book((cents, cents + 1) if is_up else (99 - cents, 100 - cents))
        self.the_strategy_wants(Outcome.UP if is_up else Outcome.DOWN, 10, 5, 0.95 if is_up else 0.05)

    @rule(lag_s=st.sampled_from([0, 0, 3, 40]))
    def balances_come_late(self, lag_s: int) -> None:
        self.venue.lag_s = lag_s

    @precondition(lambda self: self.venue.unsettled())
    @rule(pick=PICK, how=st.sampled_from(["settles", "settles", "settles", "fails", "retries"]))
    def a_trade_settles(self, pick: int, how: str) -> None:
        trades = self.venue.unsettled()
        self.venue.settle(trades[pick % len(trades)], fails=how == "fails", retries=how == "retries")

    @rule(minutes=st.sampled_from([1, 3]))
    def the_window_goes_on(self, minutes: int) -> None:
        """Time passes in which the books are quoted."""
        for _ in range(minutes * 4):
            self.desk.advance(15)
            self.show_the_books()
            self.tell()
            self.venue.lose_the_old()

    @precondition(lambda self: self.desk.now_ns >= CLOSES * NS_PER_S and self.venue.up_payout is None)
    @rule(payout=st.sampled_from([MICRO, 0, MICRO // 2]))
    def the_market_resolves(self, payout: int) -> None:
        self.venue.resolve(payout)

    @precondition(lambda self: self.venue.up_payout is not None and not self.venue.unsettled())
    @rule()
    def the_owner_redeems(self) -> None:
        self.venue.pay()

    @rule(after_s=st.sampled_from([0, 2, 40]), lost=st.booleans())
    def the_engine_restarts(self, after_s: int, lost: bool) -> None:
        """What was cancelled may have to be cancelled again: the answer is lost."""
        self.doubtful |= self.cancelled
        self.often.clear()
        super().the_engine_restarts(after_s, lost)

    # --- what must hold ---------------------------------------------------------------

    @invariant()
    def sums_are_the_postings(self) -> None:
        """I3."""
        state = self.desk.state
        postings = list(state.ledger._seen.values())
        assert state.ledger.cash == sum(p.pending_cash + p.settled_cash for p in postings)
        for token_id in TOKENS:
            shares = sum(p.pending_shares + p.settled_shares for p in postings if p.token_id == token_id)
            assert state.ledger.balance(token_id).shares == shares
            held = [position.shares for position in state.positions.values() if position.token_id == token_id]
            assert sum(held) == shares

    @invariant()
    def trades_are_booked_once(self) -> None:
        """I4, and I6: nothing is booked that the venue did not trade."""
        state = self.desk.state
        for fill in state.fills.values():
            trade = self.venue.trades[fill.trade_id]
            assert (fill.order_id, fill.side, fill.quantity) == (trade.order_id, trade.side, trade.quantity)
        for position in state.positions.values():
            fills = [fill for fill in state.fills.values() if fill.position_id == position.position_id]
            valid = [fill for fill in fills if fill.status is not FillStatus.FAILED]
            assert position.bought == sum(fill.quantity for fill in valid if fill.side is Side.BUY)
            assert position.sold == sum(fill.quantity for fill in valid if fill.side is Side.SELL)

    @invariant()
    def sells_are_covered(self) -> None:
        """I5."""
        assert not self.venue.unlawful
        market = self.desk.state.markets.get(CONDITION)
        if self.venue.undone or market is None or market.resolution is not None:
            return
        for position in self.desk.state.positions.values():
            assert live_sells(self.desk, position.position_id) <= max(
                0, self.desk.state.arrived_shares(position.position_id)
            )

    @invariant()
    def what_may_trade_is_reserved(self) -> None:
        orders = self.venue.open_orders()
        spent = sum(o.terms.price * o.left // MICRO for o in orders if o.terms.side is Side.BUY)
        assert self.desk.state.reserved_cash() >= spent
        for token_id in TOKENS:
            sold = sum(o.left for o in orders if o.terms.side is Side.SELL and o.terms.token_id == token_id)
            assert self.desk.state.reserved_shares(token_id) >= sold

    @invariant()
    def shares_are_protected(self) -> None:
        """Guarded or being sold, with something that will wake the engine up; or frozen and told."""
        state, plan = self.desk.state, self.settings_in_force.exits
        market = state.markets.get(CONDITION)
        if market is None:
            return
        if market.frozen:
            assert NoticeKind.MARKET_FROZEN in self.told
            return
        if not plan.enabled or market.resolution is not None or self.desk.now_ns >= CLOSES * NS_PER_S:
            return
        for position in state.positions.values():
            if state.arrived_shares(position.position_id) < SIZE_STEP or position.shares < SIZE_STEP:
                continue
            exits = state.exits[position.position_id]
            if exits.phase is ExitPhase.DONE:
                assert position.shares - exits.dust < SIZE_STEP
            elif exits.phase is ExitPhase.SELLING:
                assert self.moves(position), exits
            else:
                self.is_guarded(position, exits)

    @invariant()
    def nothing_is_sold_that_is_not_held(self) -> None:
        assert not self.venue.oversold
        assert not any(market.frozen for market in self.desk.state.markets.values())

    def nothing_goes_round(self) -> None:
        """The same notice, or a denied order of a position, at most so often a minute."""
        for fact in self.desk.facts:
            match fact:
                case Notice() if fact.kind not in (NoticeKind.STREAM_LOST, NoticeKind.STREAM_CONNECTED):
                    key = f"{fact.kind} {fact.subject}"
                case IntentDenied():
                    key = f"denied {fact.terms.position_id} {fact.terms.rule}: {fact.reason}"
                case _:
                    continue
            times = [at_ns for at_ns in self.often.get(key, []) if at_ns > fact.at_ns - 60 * NS_PER_S]
            self.often[key] = [*times, fact.at_ns]
            assert len(times) < MOST_A_MINUTE, (key, fact)

    def a_cancel_is_sent_once(self, order_id: OrderId) -> None:
        """Unless its outcome, or the order's, is in doubt; one for an order that is over tries the venue's mode."""
        track = self.desk.state.track_of(order_id)
        assert track is not None
        doubtful = order_id in self.doubtful or track.order.terms.client_order_id in self.desk.state.doubts
        assert order_id not in self.cancelled or doubtful or not track.is_live, track.order
        self.cancelled.add(order_id)

    def is_guarded(self, position: Position, exits: ExitState) -> None:
        plan = self.settings_in_force.exits
        if plan.stop_loss:
            assert exits.stop_price is not None
            assert exits.stop_price >= position.average_price // 2 // CENT * CENT
        if plan.trailing and exits.high_water:
            assert exits.stop_price is not None
            assert exits.stop_price >= exits.high_water * 3 // 4 // CENT * CENT
        rests = plan.take_profit and exits.mode is ExitMode.LIMIT_ORDERS and not exits.watched and not plan.ladder
        if rests and exits.take_profit_price is not None and position.average_price * 9 // 5 <= 99 * CENT:
            state = self.desk.state
            free = state.arrived_shares(position.position_id) - state.promised_shares(position.position_id)
            assert free < 5 * MICRO or self.moves(position), (free, exits)

    def moves(self, position: Position) -> bool:
        """An order, a question about one, or a timer of the position is under way."""
        orders = self.desk.state.orders_of(position.position_id)
        if any(not track.is_settled for track in orders if track.order.status is not OrderStatus.DENIED):
            return True
        return any(key.endswith(position.position_id) and key.startswith("exit") for key in self.desk.timers)

    # --- the end ----------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            self.end()
        finally:
            self.patch.undo()

    def end(self) -> None:
        venue = self.venue
        venue.mode, venue.lag_s, self.refusal = VenueMode.NORMAL, 0, None
        self.strategy.be_silent()
        plan = self.settings_in_force.exits
        guard_s = plan.close_guard_s if plan.close_action is CloseAction.HOLD else 0
        if plan.enabled and plan.stop_loss and self.desk.now_ns < (CLOSES - guard_s - 400) * NS_PER_S:
            venue.top = (3, 5)
            self.fall_quiet(60)
            self.what_fell_is_sold()
        if venue.up_payout is None:
            self.fall_quiet(QUIET_ROUNDS)
            self.books_agree()
        while self.desk.now_ns < CLOSES * NS_PER_S:
            self.the_window_goes_on(1)
            self.deliver(100, late=True)
        if venue.up_payout is None:
            venue.resolve(MICRO // 2)
        self.fall_quiet(QUIET_ROUNDS)
        if not venue.paid:
            venue.pay()
        self.fall_quiet(QUIET_ROUNDS)
        self.books_agree()

    def fall_quiet(self, rounds: int) -> None:
        for _ in range(rounds):
            self.desk.advance(4)
            if self.venue.up_payout is None:
                self.show_the_books()
            self.tell()
            self.deliver(100, late=True)
            self.chain_settles()
            self.deliver(100, late=True)
            if self.is_quiet():
                break

    def is_quiet(self) -> bool:
        """Nothing is sought any more, nothing is being sold, and our books are the venue's."""
        state, venue = self.desk.state, self.venue
        market = state.markets.get(CONDITION)
        sells = any(exits.phase is ExitPhase.SELLING for exits in state.exits.values())
        if market is not None and venue.up_payout is None and sells and self.desk.now_ns < CLOSES * NS_PER_S:
            return False
        if venue.up_payout is not None and market is not None and market.resolution is None:
            return False
        waits = any(not (track.is_settled or self.rests(track)) for track in state.orders.values())
        shares = venue.up_payout is None or venue.paid
        differs = state.ledger.cash != venue.cash and shares
        for token_id in TOKENS:
            balance = state.ledger.balance(token_id)
            differs |= shares and (balance.shares != venue.shares[token_id] or balance.claim > 0)
        return not (waits or differs or state.doubts or state.ledger.pending_cash or state.blocks or venue.unsettled())

    def what_fell_is_sold(self) -> None:
        """The stop of every Up position was reached."""
        if self.desk.state.markets[CONDITION].frozen:
            return
        for position in self.desk.state.positions.values():
            if position.token_id == UP:
                dust = self.desk.state.exits[position.position_id].dust if position.shares else 0
                assert position.shares - dust < SIZE_STEP, self.desk.state.exits[position.position_id]

    def books_agree(self) -> None:
        state, venue = self.desk.state, self.venue
        self.nothing_that_lives_at_the_venue_is_forgotten()
        self.nothing_is_sold_that_is_not_held()
        confirmed = {trade.trade_id for trade in venue.trades.values() if trade.status is FillStatus.CONFIRMED}
        if CONDITION in state.markets:
            assert confirmed == {f.trade_id for f in state.fills.values() if f.status is FillStatus.CONFIRMED}
        for token_id in TOKENS:
            assert state.ledger.balance(token_id).shares == venue.shares[token_id]
            assert not state.ledger.balance(token_id).claim
            sells = [order for order in venue.open_orders() if order.terms.side is Side.SELL]
            assert sum(o.left for o in sells if o.terms.token_id == token_id) <= venue.shares[token_id]
        assert state.ledger.cash == venue.cash
        assert state.ledger.pending_cash == 0
        if venue.paid:
            assert state.results.realised == venue.cash - CASH
        assert not [each for each in state.ledger._seen.values() if each.kind == "ADJUSTMENT"]
        assert not state.doubts

    # --- inside -----------------------------------------------------------------------

    def commands(self) -> list[Parcel]:
        """Orders and cancels under way."""
        return [each for each in self.venue.parcels if not isinstance(each.request, QUESTIONS)]

    def hear(self, event: ev.WorldEvent) -> None:
        match event:
            case ev.SubmitUnknown() | ev.CancelUnknown():
                self.doubtful.add(event.order_id)
            case ev.OrderLookedUp() if event.open_order is not None or not event.complete:
                self.doubtful.add(event.order_id)
            case ev.AccountSnapshot():
                self.doubtful |= {report.order_id for report in event.open_orders}
            case _:
                pass
        super().hear(event)

    def tell(self) -> None:
        self.told |= {fact.kind for fact in self.desk.facts if isinstance(fact, Notice)}
        self.nothing_goes_round()
        for effect in self.desk.effects:
            if isinstance(effect, fx.CancelOrder):
                self.a_cancel_is_sent_once(effect.order_id)
        others = [effect for effect in self.desk.effects if isinstance(effect, QUESTIONS[2:])]
        super().tell()
        if isinstance(self.__dict__.get("venue"), MarketVenue):
            self.venue.parcels += [Parcel(effect, self.desk.now_ns) for effect in others]


EXAMPLES = 150 if settings.default.max_examples <= 100 else settings.default.max_examples  # type: ignore[union-attr]
TestPositions = PositionsMachine.TestCase
TestPositions.settings = settings(max_examples=EXAMPLES, stateful_step_count=40)
