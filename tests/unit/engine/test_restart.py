"""What the engine does with the state of the last run: the same after a clean stop and a kill at any point."""

from __future__ import annotations

from dataclasses import replace

import pytest

from polystra.domain.events import MarketResolved, StreamConnected, StreamName
from polystra.domain.facts import (
    FillRecorded,
    IntentRecorded,
    NoticeKind,
    OrderChanged,
    PositionRecorded,
    PostingRecorded,
)
from polystra.domain.fills import Fill, FillStatus
from polystra.domain.ids import ConditionId, PositionId, TokenId
from polystra.domain.ledger import Posting, PostingKind
from polystra.domain.orders import Order, OrderStatus, Purpose, SignedOrder
from polystra.domain.positions import PositionStatus
from polystra.engine import effects as fx
from polystra.engine.core import Engine
from polystra.engine.state import OrderTrack
from tests.unit.engine.desk import CONDITION, DOWN, MARKET, UP, Desk, config, ledger_sums, live_sells


class Journal:
    """What a store would keep of facts."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.signed: dict[str, SignedOrder] = {}
        self.fills: dict[str, Fill] = {}
        self.postings: list[Posting] = []
        self.positions: dict[str, PositionRecorded] = {}

    def take(self, desk: Desk) -> None:
        for fact in desk.facts:
            if isinstance(fact, IntentRecorded):
                self.orders[fact.order.terms.client_order_id] = fact.order
                self.signed[fact.order.terms.client_order_id] = fact.signed
            elif isinstance(fact, OrderChanged):
                self.orders[fact.order.terms.client_order_id] = fact.order
            elif isinstance(fact, FillRecorded):
                self.fills[fact.fill.key] = fact.fill
            elif isinstance(fact, PostingRecorded):
                self.postings.append(fact.posting)
            elif isinstance(fact, PositionRecorded):
                self.positions[fact.position_id] = fact


class Life:
    """A desk whose `ready` facts are kept, so that it can be killed at any moment."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.desk.clear = lambda: self.desk  # type: ignore[method-assign]
        self.desk.ready()

    def kill(self, *, markets: bool = True) -> Desk:
        """The next run, started over the journal of this one, some seconds later."""
        journal = Journal()
        journal.take(self.desk)
        engine = Engine(config())
        state = self.desk.state
        engine.restore(
            markets=[(MARKET, None)] if markets else [],
            orders=[(order, journal.signed.get(key)) for key, order in journal.orders.items()],
            fills=journal.fills.values(),
            postings=journal.postings,
            positions=journal.positions.values(),
            next_order_number=state.next_order_number,
            next_decision_id=state.next_decision_id,
            last_fill_ns=state.last_fill_ns,
        )
        desk = Desk(engine=engine, now_ns=self.desk.now_ns + 3_000_000_000)
        desk.trades = self.desk.trades
        desk.start()
        for stream in StreamName:
            desk.step(StreamConnected(stream=stream))
        return desk


@pytest.fixture
def life() -> Life:
    return Life()


def order_of(desk: Desk, purpose: Purpose = Purpose.ENTRY):
    return desk.orders(purpose)[-1]


@pytest.mark.parametrize("fate", ["submitted", "open", "in doubt", "pending cancel"])
def test_every_order_that_may_live_is_looked_up_and_none_is_sent_or_signed_again(life, fate):
    track = life.desk.enter()
    if fate == "open":
        life.desk.accept(track)
    elif fate == "in doubt":
        life.desk.unknown(track)
    elif fate == "pending cancel":
        life.desk.accept(track).advance(201)
    again = life.kill()
    assert track.order_id in again.lookups()
    assert not again.asked(fx.SubmitOrder)
    assert not again.signer.asked
    assert order_of(again).is_live
    assert again.engine._risk.exposure(CONDITION) >= 5_000_000


def test_the_horizon_of_an_absence_begins_anew_with_a_restart(life):
    """The process that died may have sent the order in its last moment, however old the intent was."""
    life.desk.enter()
    life.desk.advance(55)
    again = life.kill()
    order = order_of(again)
    for _ in range(50):
        _answer_absent(again, order)
    assert order.is_live
    for _ in range(40):
        _answer_absent(again, order)
    assert not order.is_live


def _answer_absent(desk: Desk, track: OrderTrack) -> None:
    """A second in which the venue finds the order nowhere and has nothing to cancel."""
    looked_up, cancelled = track.order_id in desk.lookups(), track.order_id in desk.cancels()
    desk.clear()
    if looked_up:
        desk.answer(track)
    if cancelled:
        desk.cancel_refused(track)
    desk.advance(1)


def test_an_order_that_never_left_is_given_up_after_the_horizon(life):
    life.desk.enter()
    again = life.kill()
    track = order_of(again)
    for _ in range(90):
        _answer_absent(again, track)
    assert track.order.status is OrderStatus.REJECTED
    assert track.is_settled
    assert not again.signer.asked


def test_an_order_that_traded_while_we_were_dead_is_booked_once_and_guarded(life):
    track = life.desk.enter()
    again = life.kill()
    leg = again.leg(track, 10, status="CONFIRMED")
    again.answer(order_of(again), leg).snapshot(fills=[leg])
    assert again.position().shares == 10_000_000
    assert again.position().status is PositionStatus.OPEN
    assert len(again.orders(Purpose.TAKE_PROFIT)) == 1
    assert order_of(again).order.status is OrderStatus.FILLED


def test_a_cancel_in_flight_is_sent_again_when_the_order_is_still_open(life):
    track = life.desk.enter()
    life.desk.accept(track).advance(201)
    assert track.order.status is OrderStatus.PENDING_CANCEL
    again = life.kill()
    again.answer(order_of(again), open_as=0)
    assert again.cancels() == [track.order_id]


def test_an_open_entry_of_the_last_run_is_soon_cancelled(life):
    life.desk.accept(life.desk.enter())
    again = life.kill()
    again.answer(order_of(again), open_as=0)
    assert order_of(again).order.status is OrderStatus.OPEN
    again.advance(11)
    assert order_of(again).order.status is OrderStatus.PENDING_CANCEL


def test_positions_exits_and_stops_are_armed_again(life):
    life.desk.hold()
    [resting] = life.desk.orders(Purpose.TAKE_PROFIT)
    life.desk.accept(resting)
    again = life.kill()
    assert ledger_sums(again) == ledger_sums(life.desk)
    assert again.position().shares == 10_000_000
    again.answer(order_of(again, Purpose.TAKE_PROFIT), open_as=0).snapshot(open_orders=[again.word(resting, "LIVE")])
    again.books(49, 51)
    assert again.notices(NoticeKind.STOP_ARMED)
    assert len(again.orders(Purpose.TAKE_PROFIT)) == 1
    again.clear().book(25, 27)
    assert again.notices(NoticeKind.STOP_FIRED)
    assert again.cancels() == [resting.order_id]


def test_a_position_without_its_take_profit_gets_one(life):
    track = life.desk.enter()
    life.desk.accept(track)
    life.desk.fill(track, 10, status="MATCHED")
    again = life.kill()
    again.snapshot()
    again.fill(track, 10, status="MINED", trade=life.desk.trades)
    assert len(again.orders(Purpose.TAKE_PROFIT)) == 1
    assert live_sells(again, again.position().position_id) == 10_000_000


def test_a_sale_in_flight_at_the_kill_keeps_its_shares(life):
    desk = life.desk
    desk.hold()
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting).book(25, 27).cancelled(resting).answer(resting)
    [sale] = desk.orders(Purpose.STOP_LOSS)
    again = life.kill()
    again.snapshot().books(24, 27).advance(3)
    assert not again.sent()
    again.answer(order_of(again, Purpose.STOP_LOSS), again.leg(sale, 10, 25, maker=False))
    assert again.position().shares == 0
    assert again.state.markets[CONDITION].stopped_out


def test_the_numbers_go_on(life):
    first = life.desk.enter()
    again = life.kill()
    again.snapshot()
    second = again.enter()
    assert second.order.terms.client_order_id > first.order.terms.client_order_id
    assert second.order.terms.position_id != first.order.terms.position_id
    assert second.signed is not None
    assert first.signed is not None
    assert second.signed.salt != first.signed.salt


def test_no_entry_before_the_first_complete_snapshot_and_no_second_transfer(life):
    life.desk.hold(10, 60)
    again = life.kill()
    assert again.engine._risk.entry_block()
    again.snapshot(cash=life.desk.state.ledger.cash)
    assert again.engine._risk.entry_block() is None
    assert not again.found(PostingRecorded)


def test_a_frozen_position_stays_frozen(life):
    track = life.desk.enter()
    life.desk.accept(track)
    report = life.desk.fill(track, 10, status="CONFIRMED")
    life.desk.settle(report, "FAILED")
    again = life.kill()
    again.snapshot().books(25, 27)
    assert not again.cancels()
    assert not again.sent()
    assert again.state.markets[CONDITION].frozen


def test_a_market_that_is_gone_leaves_its_claim_to_be_redeemed(life):
    desk = life.desk
    desk.hold(10, 60)
    desk.advance(700)
    desk.step(MarketResolved(condition_id=CONDITION, up_payout=1_000_000, at_ns=desk.now_ns))
    again = life.kill(markets=False)
    assert again.state.ledger.claims == 10_000_000
    assert not again.state.positions
    again.advance(2)
    assert [each.token_id for each in again.asked(fx.ReadTokenBalance)] == [UP]
    cash = again.state.ledger.cash
    again.redeemed()
    assert again.state.ledger.cash == cash + 10_000_000
    assert again.state.ledger.claims == 0


def test_old_trades_of_a_market_that_is_gone_are_not_strangers(life):
    desk = life.desk
    desk.hold(10, 60)
    old = [desk.leg(track, 10, 60, status="CONFIRMED", trade=1) for track in desk.orders(Purpose.ENTRY)]
    again = life.kill(markets=False)
    again.state.orders.clear()
    again.state.by_order_id.clear()
    again.state.fills.clear()
    before = ledger_sums(again)
    again.snapshot(fills=old)
    assert ledger_sums(again) == before


def test_a_trade_missed_before_the_first_fill_is_asked_for(life):
    track = life.desk.enter()
    life.desk.advance(300)
    again = life.kill()
    assert again.asked(fx.ReadAccount)[0].since_ns < track.order.created_at_ns


def test_a_position_whose_only_record_is_flat_takes_its_late_fill(life):
    track = life.desk.enter()
    again = life.kill()
    again.snapshot().fill(track, 4)
    assert again.position().shares == 4_000_000
    assert again.state.markets[CONDITION].entries == 1


def test_a_match_that_failed_before_the_restart_is_accounted_for_after_it(life):
    life.desk.hold()
    [take_profit] = life.desk.orders(Purpose.TAKE_PROFIT)
    life.desk.accept(take_profit)
    life.desk.settle(life.desk.fill(take_profit, 6), "FAILED")
    again = life.kill()
    [track] = [each for each in again.orders(Purpose.TAKE_PROFIT) if each.order_id == take_profit.order_id]
    again.report(track, "CANCELED", matched=6)
    assert track.order.status is OrderStatus.CANCELED
    assert track.is_settled, "the stop must not wait for the trade of a match that is known to have failed"


def test_shares_bought_elsewhere_are_external_after_a_restart_too(life):
    desk = life.desk
    desk.holdings((UP, 25), cents=40)
    for _ in range(2):
        desk.advance(6).snapshot(tokens=[(UP, 25_000_000)])
    before = desk.position()
    again = life.kill()
    [position] = again.state.positions.values()
    assert position.external
    assert (position.shares, position.average_price) == (before.shares, before.average_price) == (25_000_000, 400_000)
    assert again.state.markets[CONDITION].entries == 0
    again.snapshot(tokens=[(UP, 25_000_000)]).books(49, 51)
    assert not again.orders(Purpose.TAKE_PROFIT)


def test_a_market_frozen_before_a_restart_thaws_when_both_sources_agree(life):
    desk = life.desk
    desk.hold(10, 60)
    desk.state.markets[CONDITION].frozen = "the venue contradicted us"
    desk.advance(151)
    desk.state.markets[CONDITION].may_thaw = False
    desk.hold(5, 60)
    desk.advance(151)
    again = life.kill()
    assert again.state.markets[CONDITION].frozen
    for _ in range(4):
        again.advance(6).snapshot(tokens=[(UP, 15_000_000), (DOWN, 0)]).holdings((UP, 15))
    assert not again.state.markets[CONDITION].frozen
    assert {position.status for position in again.state.positions.values()} == {PositionStatus.OPEN}


def test_a_cancelled_order_whose_trades_were_not_asked_for_is_looked_up_before_anything_is_sold(life):
    desk = life.desk
    desk.hold()
    [take_profit] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(take_profit).books(20, 22).cancelled(take_profit)
    again = life.kill()
    again.books(20, 22)
    assert take_profit.order_id in again.lookups()
    assert not again.sent(), "it may have sold some of the shares before its cancel"
    again.answer(order_of(again, Purpose.TAKE_PROFIT), again.leg(take_profit, 4))
    again.advance(3).books(20, 22)
    assert [order.terms.quantity for order in again.sent()] == [6_000_000]


DAY_NS = 86_400 * 1_000_000_000


def old_postings(life: Life, days: range) -> list[Posting]:
    """Purchases that lost everything, one a day, in markets whose business is long done."""
    newest_ns = life.desk.now_ns
    return [
        Posting(
            source_id=f"matched:t{day}:o{day}",
            kind=PostingKind.MATCHED,
            at_ns=newest_ns - day * DAY_NS,
            reason="",
            condition_id=ConditionId(f"old-{day}"),
            token_id=TokenId(f"{day}"),
            position_id=PositionId(f"p{day}"),
            pending_cash=-1_000_000,
            bought_cost=1_000_000,
            bought=2_000_000,
            resolved=2_000_000,
        )
        for day in reversed(days)
    ]


def restarted(life: Life, postings: list[Posting]) -> Engine:
    journal = Journal()
    journal.take(life.desk)
    engine = Engine(config())
    engine.restore(
        markets=[(MARKET, None)],
        orders=[(order, journal.signed.get(key)) for key, order in journal.orders.items()],
        fills=journal.fills.values(),
        postings=[*postings, *journal.postings],
        positions=journal.positions.values(),
        next_order_number=life.desk.state.next_order_number,
        next_decision_id=life.desk.state.next_decision_id,
        last_fill_ns=life.desk.state.last_fill_ns,
    )
    return engine


def test_a_year_of_finished_markets_is_sums_in_memory_after_a_restart(life):
    life.desk.hold()
    postings = old_postings(life, range(1, 365))
    state = restarted(life, postings).state
    assert len(state.ledger._seen) < 10
    assert len(state.results._positions) < 5
    assert state.ledger.cash == life.desk.state.ledger.cash - 364 * 1_000_000
    assert state.results.realised == life.desk.state.results.realised - 364 * 1_000_000
    assert state.results.losses_in_row() == 200


def test_what_the_venue_may_tell_again_stays_known_after_a_restart(life):
    life.desk.hold()
    postings = old_postings(life, range(1, 30))
    state = restarted(life, postings).state
    assert "matched:t1:o1" in state.ledger
    assert "matched:t20:o20" not in state.ledger
    provisional = next(iter(life.desk.state.fills.values()))
    life.desk.state.fills.clear()
    journal_fill = replace(provisional, status=FillStatus.MATCHED, matched_at_ns=life.desk.now_ns - 25 * DAY_NS)
    engine = Engine(config())
    engine.restore(
        markets=[(MARKET, None)],
        orders=[],
        fills=[journal_fill],
        postings=postings,
        positions=[],
        next_order_number=9,
        next_decision_id=9,
        last_fill_ns=life.desk.now_ns,
    )
    assert "matched:t20:o20" in engine.state.ledger, "trades from the oldest provisional one on are asked for again"
