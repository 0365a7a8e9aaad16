"""Shares against two sources: what is adopted, adjusted, frozen and thawed, and what is not believed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from polystra.domain import events as ev
from polystra.domain.facts import NoticeKind, PostingRecorded
from polystra.domain.fills import FillReport
from polystra.domain.ids import OrderId, PositionId, TokenId
from polystra.domain.ledger import Posting
from polystra.domain.orders import Purpose, Side
from polystra.domain.positions import PositionStatus
from polystra.engine import effects as fx
from polystra.engine.config import BalanceConfig
from tests.unit.engine.desk import CONDITION, DOWN, UP, Desk, config

TEN = 10_000_000
EXTERNAL_UP = PositionId("external:btc-updown-15m-1800000000:up")


@pytest.fixture
def desk() -> Desk:
    return Desk().ready()


def adjustments(desk: Desk) -> list[Posting]:
    return [fact.posting for fact in desk.found(PostingRecorded) if fact.posting.kind == "ADJUSTMENT"]


def settled(desk: Desk, cents: float = 60) -> Desk:
    """Ten Up shares, long enough ago for every lag to be over."""
    desk.hold(10, cents)
    return desk.advance(155).clear()


def read_twice(desk: Desk, shares: int, token: TokenId = UP) -> Desk:
    for _ in range(2):
        desk.advance(6).snapshot(tokens=[(token, shares)])
    return desk


@pytest.mark.parametrize("lag_s", [0, 4, 30, 60, 119])
def test_a_balance_that_lags_behind_a_purchase_is_no_loss(desk, lag_s):
    desk.hold(10, 60)
    for _ in range(lag_s // 3):
        desk.advance(3).snapshot(tokens=[(UP, 0)])
    desk.advance(3)
    read_twice(desk, TEN)
    assert not adjustments(desk)
    assert not desk.state.markets[CONDITION].frozen
    assert desk.position().shares == TEN


@pytest.mark.parametrize("lag_s", [30, 60, 119])
def test_cash_that_lags_behind_a_purchase_is_no_difference(desk, lag_s):
    before = desk.state.ledger.cash
    desk.hold(10, 60)
    for _ in range(lag_s // 3):
        desk.advance(3).snapshot(cash=before, tokens=[(UP, TEN)])
    desk.advance(6).snapshot(tokens=[(UP, TEN)])
    assert not adjustments(desk)


def test_a_loss_to_nothing_needs_the_second_source(desk):
    settled(desk)
    read_twice(desk, 0)
    assert not adjustments(desk)
    assert desk.asked(fx.ReadHoldings)
    desk.holdings().advance(6).snapshot(tokens=[(UP, 0)])
    [posting] = adjustments(desk)
    assert posting.settled_shares == -TEN
    assert "read 3 times" in posting.evidence
    assert "second source 0" in posting.evidence
    assert desk.position().shares == 0
    assert desk.position().status is PositionStatus.CLOSED


@pytest.mark.parametrize("complete", [False, True])
def test_an_answer_of_the_second_source_that_failed_or_is_old_confirms_nothing(desk, complete):
    settled(desk)
    if complete:
        desk.holdings()
    read_twice(desk, 0)
    if not complete:
        desk.holdings(complete=False)
    desk.advance(6).snapshot(tokens=[(UP, 0)])
    assert not adjustments(desk)
    assert desk.position().shares == TEN


def contradicted(desk: Desk) -> Desk:
    """The order book has said nothing for longer than any lag, the second source still says ten."""
    settled(desk)
    for _ in range(30):
        desk.advance(6).snapshot(tokens=[(UP, 0)]).holdings((UP, 10))
    return desk


def test_two_sources_that_contradict_each_other_freeze_the_market_once_with_the_evidence(desk):
    contradicted(desk)
    [notice] = desk.notices(NoticeKind.MARKET_FROZEN)
    assert "our books hold 10 shares" in notice.message
    assert "the second source says 10" in notice.message
    assert desk.position().status is PositionStatus.FROZEN
    assert desk.position().shares == TEN
    assert not adjustments(desk)


def test_a_frozen_market_thaws_when_both_sources_agree_with_our_books(desk):
    contradicted(desk).clear()
    for _ in range(2):
        desk.advance(6).snapshot(tokens=[(UP, TEN), (DOWN, 0)]).holdings((UP, 10))
    desk.advance(6).snapshot(tokens=[(UP, TEN), (DOWN, 0)])
    assert desk.notices(NoticeKind.MARKET_THAWED)
    assert not desk.state.markets[CONDITION].frozen
    assert desk.position().status is PositionStatus.OPEN
    assert not adjustments(desk)


def test_a_frozen_market_is_adjusted_and_thaws_when_both_sources_agree_with_each_other(desk):
    contradicted(desk).clear()
    for _ in range(3):
        desk.advance(11).holdings().advance(6).snapshot(tokens=[(UP, 0), (DOWN, 0)])
    assert [posting.settled_shares for posting in adjustments(desk)] == [-TEN]
    assert desk.notices(NoticeKind.MARKET_THAWED)
    assert desk.position().status is PositionStatus.CLOSED


def test_a_market_with_two_verdicts_stays_frozen(desk):
    settled(desk).advance(600).resolve(100).resolve(0).clear()
    for _ in range(3):
        desk.advance(6).snapshot(tokens=[(UP, 0), (DOWN, 0)]).holdings()
    assert desk.state.markets[CONDITION].frozen
    assert not desk.notices(NoticeKind.MARKET_THAWED)


def test_a_small_loss_needs_one_source_and_two_readings(desk):
    settled(desk)
    desk.snapshot(tokens=[(UP, 9_000_000)])
    assert not adjustments(desk)
    desk.advance(6).snapshot(tokens=[(UP, 9_000_000)])
    assert [posting.settled_shares for posting in adjustments(desk)] == [-1_000_000]


def test_shares_that_were_there_before_us_are_adopted_as_external_and_not_guarded(desk):
    desk.holdings((UP, 25), cents=40).advance(6)
    assert UP in desk.asked(fx.ReadAccount)[-1].tokens
    read_twice(desk, 25_000_000)
    position = desk.position()
    assert position.position_id == EXTERNAL_UP
    assert position.external
    assert position.shares == 25_000_000
    assert position.average_price == 400_000
    assert position.status is PositionStatus.OPEN
    [notice] = desk.notices(NoticeKind.POSITION_ADOPTED)
    assert "not guarded" in notice.message
    assert not desk.orders(Purpose.TAKE_PROFIT)
    desk.book(5, 7)
    assert not desk.orders(Purpose.STOP_LOSS)


def test_external_shares_are_guarded_only_if_the_user_says_so():
    desk = Desk(config(balance=BalanceConfig(protect_external=True))).ready()
    desk.holdings((UP, 25), cents=40).advance(6)
    read_twice(desk, 25_000_000)
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    assert resting.order.terms.quantity == 25_000_000


def test_external_shares_of_unknown_cost_are_not_guarded():
    desk = Desk(config(balance=BalanceConfig(protect_external=True))).ready()
    desk.holdings((UP, 25)).advance(6)
    read_twice(desk, 25_000_000)
    assert desk.position().shares == 25_000_000
    assert desk.position().bought == 0
    assert not desk.orders(Purpose.TAKE_PROFIT)


def test_external_shares_settle_like_our_own(desk):
    desk.holdings((UP, 25), cents=40).advance(6)
    read_twice(desk, 25_000_000).advance(600).resolve(100)
    assert desk.state.ledger.claims == 25_000_000
    assert desk.position().realised_pnl == 15_000_000


def foreign(desk: Desk, side: Side, shares: float, cents: float) -> FillReport:
    """A confirmed trade of an order that was made elsewhere."""
    report = desk.leg(desk.orders(Purpose.ENTRY)[0], shares, cents, status="CONFIRMED")
    return replace(report, order_id=OrderId("0xelsewhere"), side=side)


def test_a_foreign_sale_takes_foreign_shares_first_and_ours_after_them(desk):
    settled(desk)
    desk.step(foreign(desk, Side.BUY, 4, 50))
    own, external = (desk.state.positions[each] for each in desk.state.markets[CONDITION].positions)
    assert (own.shares, external.shares, external.average_price) == (TEN, 4_000_000, 500_000)
    cash = desk.state.ledger.cash
    desk.step(foreign(desk, Side.SELL, 6, 70))
    assert (own.shares, external.shares) == (8_000_000, 0)
    assert desk.state.ledger.cash == cash + 4_200_000
    assert external.realised_pnl == 4 * 200_000
    assert own.realised_pnl == 2 * 100_000
    assert desk.state.arrived_shares(own.position_id) == 8_000_000


def test_a_foreign_sale_told_twice_is_booked_once(desk):
    settled(desk)
    sale = foreign(desk, Side.SELL, 6, 70)
    desk.step(sale, sale).snapshot(fills=[sale])
    assert desk.position().shares == 4_000_000


def test_foreign_orders_are_shown_and_may_be_allowed():
    desk = Desk(config(balance=BalanceConfig(allow_external_orders=True))).ready()
    track = desk.enter()
    before = desk.state.reserved_cash()
    foreign_order = replace(desk.word(track, "LIVE"), order_id=OrderId("0xelsewhere"))
    desk.snapshot(open_orders=[desk.word(track, "LIVE"), foreign_order])
    assert desk.engine._risk.entry_block() is None
    [notice] = desk.notices(NoticeKind.ORDER_STRANGE)
    assert "BUY 10 at 0.5" in notice.message
    assert desk.state.reserved_cash() == before + 5_000_000


def test_the_second_source_is_asked_at_the_start_after_a_reconnect_and_every_five_minutes():
    desk = Desk().start()
    assert len(desk.asked(fx.ReadHoldings)) == 1
    desk.snapshot().advance(290)
    assert len(desk.asked(fx.ReadHoldings)) == 1
    desk.advance(35)
    assert len(desk.asked(fx.ReadHoldings)) == 2
    desk.step(ev.StreamConnected(stream=ev.StreamName.USER))
    assert len(desk.asked(fx.ReadHoldings)) == 3


def test_a_failed_purchase_takes_its_resting_exit_back_and_the_books_are_as_before(desk):
    cash = desk.state.ledger.cash
    entry = desk.enter()
    desk.accept(entry)
    report = desk.fill(entry, 10)
    desk.settle(report, "MINED")
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting).clear()
    desk.settle(report, "FAILED")
    assert desk.cancels() == [resting.order_id]
    assert desk.state.ledger.cash == cash
    assert desk.position().shares == 0


def test_a_trade_of_several_that_failed_leaves_the_exits_of_what_is_left(desk):
    """Bought in two trades at two prices; the dearer one fails on chain after the take-profit was placed."""
    entry = desk.enter()
    desk.accept(entry)
    cheap, dear = desk.fill(entry, 6, 40), desk.fill(entry, 4, 50)
    desk.settle(cheap, "CONFIRMED").settle(dear, "MINED")
    position = desk.position()
    assert position.average_price == 440_000
    stop = desk.exits().stop_price
    resting = desk.orders(Purpose.TAKE_PROFIT)
    for track in resting:
        desk.accept(track)
    desk.settle(dear, "FAILED")
    for track in resting:
        if track.order_id in desk.cancels():
            desk.cancelled(track).answer(track)
    desk.advance(3)
    assert (position.shares, position.average_price) == (6_000_000, 400_000)
    assert desk.exits().stop_price != stop
    live = [track for track in desk.orders(Purpose.TAKE_PROFIT) if track.is_live]
    assert sum(track.left for track in live) <= 6_000_000
    assert {track.order.terms.price for track in live} == {720_000}


def test_shares_below_nothing_are_filled_up_before_any_are_adopted(desk):
    """Sold more than was held, which only a race at the venue can do: its zero is no foreign purchase."""
    settled(desk)
    own = desk.position()
    desk.step(replace(desk.leg(desk.orders(Purpose.ENTRY)[0], 12, 70, status="CONFIRMED"), side=Side.SELL))
    assert own.shares < 0
    desk.advance(155)
    for _ in range(3):
        desk.advance(11).snapshot(tokens=[(UP, 0), (DOWN, 0)]).holdings()
    assert own.shares == 0
    assert EXTERNAL_UP not in desk.state.positions


# --- what is asked of the order book ------------------------------------------------------


def tokens_asked(desk: Desk) -> list[tuple[TokenId, ...]]:
    return [effect.tokens for effect in desk.asked(fx.ReadAccount)]


def told_equal(desk: Desk) -> Desk:
    """The check after the shares settled reads the token's balance, and finds what the books say."""
    settled(desk)
    desk.advance(6).snapshot(tokens=[(UP, TEN)])
    return desk.clear()


def test_a_balance_is_asked_for_once_after_the_shares_changed_and_not_again(desk):
    desk.hold(10, 60)
    desk.clear().advance(31)
    assert tokens_asked(desk) == [(UP,)]
    desk.snapshot(tokens=[(UP, TEN)]).clear()
    for _ in range(3):
        desk.advance(30).snapshot()
    assert tokens_asked(desk) == [()] * 3


def test_a_balance_is_not_asked_for_while_a_fill_is_provisional(desk):
    desk.hold(10, 60, status="MATCHED")
    desk.clear().advance(31)
    assert tokens_asked(desk) == [()]


@pytest.mark.parametrize("told", [0, 9, 11])
def test_a_second_source_that_says_otherwise_has_the_balance_read(desk, told):
    told_equal(desk)
    desk.holdings((UP, told)) if told else desk.holdings()
    desk.advance(6)
    assert tokens_asked(desk)[0] == (UP,)


def test_a_second_source_that_says_the_same_asks_for_nothing(desk):
    told_equal(desk)
    desk.holdings((UP, 10)).advance(29)
    assert not any(tokens_asked(desk))


def test_a_second_source_that_lags_behind_a_purchase_asks_for_nothing(desk):
    desk.hold(10, 60)
    desk.advance(31).snapshot(tokens=[(UP, TEN)]).clear()
    desk.holdings().advance(29)
    assert not any(tokens_asked(desk))


def test_a_reconnect_reads_every_balance(desk):
    told_equal(desk)
    desk.step(ev.StreamConnected(stream=ev.StreamName.USER))
    assert tokens_asked(desk) == [(UP,)]


def test_a_balance_that_was_read_otherwise_is_read_until_it_is_settled(desk):
    settled(desk)
    desk.advance(6).snapshot(tokens=[(UP, TEN - 1_000_000)]).clear()
    desk.advance(31)
    assert all(tokens == (UP,) for tokens in tokens_asked(desk))


def test_the_second_source_is_asked_every_minute_while_shares_are_held(desk):
    desk.advance(310).clear().advance(240)
    assert not desk.asked(fx.ReadHoldings)
    told_equal(desk).advance(125)
    assert len(desk.asked(fx.ReadHoldings)) == 2


def test_another_change_of_the_shares_has_the_balance_read_once_more(desk):
    told_equal(desk).hold(8, 60)
    desk.clear().advance(35)
    assert (UP,) in tokens_asked(desk)
    desk.snapshot(tokens=[(UP, TEN + 8_000_000)]).clear().advance(90)
    assert not any(tokens_asked(desk))
